package gateway

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
)

// trusts tells whether the peer is a proxy whose word on the client counts.
func (g *Gateway) trusts(ctx *fasthttp.RequestCtx) bool {
	if len(g.config.Proxies) == 0 {
		return false
	}
	addr, ok := netip.AddrFromSlice(ctx.RemoteIP())
	return ok && g.isProxy(addr.Unmap())
}

func (g *Gateway) isProxy(addr netip.Addr) bool {
	return slices.ContainsFunc(g.config.Proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// remote appends the client's address: the peer's, or, if that is a proxy that is
// trusted, what it says.
func (g *Gateway) remote(dst []byte, ctx *fasthttp.RequestCtx) []byte {
	addr, ok := netip.AddrFromSlice(ctx.RemoteIP())
	if !ok {
		return append(dst, "unknown"...)
	}
	addr = addr.Unmap()
	if len(g.config.Proxies) > 0 {
		addr = g.forwarded(addr, ctx.Request.Header.PeekAll("X-Forwarded-For"))
	}
	return addr.AppendTo(dst)
}

// forwarded goes back along the proxies, as long as they are trusted. Each has
// added the address it was called from behind what the caller sent, to the last
// line or as a line of its own; so what stands in front of the first that is not
// trusted may be anything.
func (g *Gateway) forwarded(addr netip.Addr, lines [][]byte) netip.Addr {
	for i := len(lines) - 1; i >= 0; i-- {
		for rest := string(lines[i]); rest != ""; {
			var last string
			comma := strings.LastIndexByte(rest, ',')
			rest, last = rest[:max(comma, 0)], strings.TrimSpace(rest[comma+1:])
			if !g.isProxy(addr) {
				return addr
			}
			before, err := netip.ParseAddr(last)
			if err != nil {
				withPort, err := netip.ParseAddrPort(last)
				if err != nil {
					return addr
				}
				before = withPort.Addr()
			}
			addr = before.Unmap().WithZone("")
		}
	}
	return addr
}
