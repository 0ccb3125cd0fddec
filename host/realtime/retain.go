package realtime

// Retain ends the connections to plugins that are not to be kept. It returns at once.
func (h *Hub) Retain(keep func(plugin string) bool, reason string) {
	h.post(func() {
		for name, s := range h.spaces {
			if keep(name) {
				continue
			}
			for _, m := range s.members {
				h.end(m, closing, reason)
			}
		}
	})
}
