package admin

import (
	"bufio"
	"encoding/json"
	"net"
	"time"

	"github.com/edgeset/edgeset/host/rollout"
	"github.com/valyala/fasthttp"
)

const ndjson = "application/x-ndjson"

// writeTime is how long a client may take to take an answer, or a line of a stream.
const writeTime = 30 * time.Second

// eventsAhead is how many events may wait for a client that is slow to take them. What
// comes then is left out: nothing waits for who looks on.
const eventsAhead = 64

// A line is one of a stream: events, and at the end a result or an error.
type line struct {
	Event  *rollout.Event  `json:"event,omitempty"`
	Result *rollout.Result `json:"result,omitempty"`
	Error  *lineError      `json:"error,omitempty"`
}

type lineError struct {
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// stream does what a client asks for and answers with a line of JSON for each event as
// it comes.
func (s *Server) stream(ctx *fasthttp.RequestCtx, client net.Conn, do doing) {
	watched, cancel := s.watch(client)
	events, end := make(chan rollout.Event, eventsAhead), make(chan line, 1)
	s.changes.Go(func() {
		defer cancel()
		result, err := do(watched, func(e rollout.Event) {
			select {
			case events <- e:
			default:
			}
		})
		last := line{Result: result}
		if err != nil {
			var e lineError
			e.Status, e.Code, e.Message = explain(err)
			last = line{Error: &e}
		}
		end <- last
	})
	ctx.SetContentType(ndjson)
	ctx.Response.ImmediateHeaderFlush = true // the first event may take a while
	// What this writes goes through a pipe. If that fails the client has gone, and the
	// change ends as the watch says so.
	ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
		lines := json.NewEncoder(w)
		write := func(l line) bool {
			_ = client.SetWriteDeadline(time.Now().Add(writeTime)) // fails on a broken connection
			return lines.Encode(l) == nil && w.Flush() == nil
		}
		for {
			select {
			case e := <-events:
				if !write(line{Event: &e}) {
					cancel()
					return
				}
			case last := <-end:
				for { // what was told before the end
					select {
					case e := <-events:
						if !write(line{Event: &e}) {
							return
						}
						continue
					default:
					}
					break
				}
				write(last)
				return
			}
		}
	})
}
