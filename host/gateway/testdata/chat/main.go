// Command chat is a plugin whose clients keep connections open: rooms in which
// what one says is heard by all, over socket.io and as a stream.
package main

import (
	"strconv"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

func init() {
	p := guest.New("chat", "1.0.0")
	f := p.Family("/chat", nil)
	token := guest.Auth("token")
	f.Socket("/chat/socket/").
		On("join", join, "token", "token").
		On("greet", greet, "").
		On("refuse", refuse, "").
		On("trap", trap, "").
		On("deep", deep, "").
		On("spin", spin, "")
	f.POST("/chat/:room/say", say, guest.Form)
	f.POST("/chat/:room/take", take, guest.Form)
	f.POST("/chat/:room/close", closeRoom)
	f.POST("/chat/:room/late", late, guest.Form)
	f.GET("/chat/:room/stream", stream, token, guest.Stream)
	guest.Serve(p)
}

func main() {}

// join listens to a room, and to what is said to the listener alone; words is what
// what is said there may begin with.
func join(w *guest.Response, r *guest.Request) error {
	room, ok := r.Arg(0).Get("room").Text()
	if !ok {
		return guest.Errorf(400, "bad_room", "room is missing.")
	}
	var filters [][]string
	if words := r.Arg(0).Get("words"); words.Exists() {
		filters = [][]string{}
		for it := words.Items(); it.Next(); {
			word, _ := it.Value().Text()
			filters = append(filters, []string{word})
		}
	}
	if err := r.Subscribe([]string{room, "@" + r.Caller().Account}, filters); err != nil {
		return err
	}
	answer(w.Value(), room, r.Caller().Account)
	return nil
}

func answer(v *abi.Writer, room, who string) {
	v.Map()
	v.Key("room")
	v.Text(room)
	v.Key("who")
	v.Text(who)
	v.End()
}

// greet answers everybody, and says so to the connection alone.
func greet(w *guest.Response, r *guest.Request) error {
	name, _ := r.Arg(0).Text()
	w.Value().Text("hello, " + name)
	var v abi.Writer
	v.Text("greeted " + name)
	return r.Emit("note", v.Value(), r.Connection())
}

func refuse(*guest.Response, *guest.Request) error {
	return guest.Errorf(409, "no", "Not today.")
}

func trap(*guest.Response, *guest.Request) error { panic("as asked") }

// spin never ends.
func spin(*guest.Response, *guest.Request) error {
	for n := 0; ; n++ {
		spun = n
	}
}

var spun int

// deep refuses with a detail that is nested as deep as it is asked to be.
func deep(_ *guest.Response, r *guest.Request) error {
	n, _ := r.Arg(0).Int()
	detail := abi.Value{0xc0}
	for range n {
		detail = append(abi.Value{0x91}, detail...)
	}
	return &abi.Error{Status: 409, Code: "deep", Message: "As asked.", Detail: detail}
}

func count(r *guest.Request, room string) (int, error) {
	n, _, err := r.KV().Get([]byte("n/" + room))
	last, _ := strconv.Atoi(string(n))
	return last, err
}

// said is the argument of an event: which number it is, and the text.
func said(v *abi.Writer, n int, text string) {
	v.Map()
	v.Key("n")
	v.Int(int64(n))
	v.Key("text")
	v.Text(text)
	v.End()
}

func label(text string) string {
	for i := range len(text) {
		if text[i] == ' ' {
			return text[:i]
		}
	}
	return text
}

func say(w *guest.Response, r *guest.Request) error {
	room := r.Param("room")
	last, err := count(r, room)
	if err != nil {
		return err
	}
	text, _ := r.Value("text")
	n := strconv.Itoa(last + 1)
	if err := r.KV().Put([]byte("n/"+room), []byte(n)); err != nil {
		return err
	}
	if err := r.KV().Put([]byte("t/"+room+"/"+n), []byte(text)); err != nil {
		return err
	}
	var args abi.Writer
	args.FixedArray(1)
	said(&args, last+1, text)
	m := abi.Message{Op: abi.OpEmit, To: []string{room, "everywhere"},
		Events: []abi.Event{{Name: "said", ID: n, Labels: []string{label(text)}, Args: args.Value()}}}
	if who, ok := r.Value("except"); ok {
		m.Except = []string{"@" + who}
	}
	if err := r.Publish(&m); err != nil {
		return err
	}
	if fail, _ := r.Value("fail"); fail != "" {
		return guest.Errorf(409, "no", "As asked.")
	}
	w.Value().Int(int64(last + 1))
	return nil
}

// take has somebody enter the room, or leave it.
func take(w *guest.Response, r *guest.Request) error {
	who, _ := r.Value("who")
	op := abi.OpJoin
	if out, _ := r.Value("out"); out != "" {
		op = abi.OpLeave
	}
	return r.Publish(&abi.Message{Op: op, To: []string{"@" + who}, Rooms: []string{r.Param("room")}})
}

func closeRoom(w *guest.Response, r *guest.Request) error {
	return r.Publish(&abi.Message{Op: abi.OpDisconnect, To: []string{r.Param("room")}, Reason: "the room is closed"})
}

// late publishes for a connection that is not the call's own.
func late(w *guest.Response, r *guest.Request) error {
	who, _ := r.Value("who")
	err := r.Publish(&abi.Message{Op: abi.OpSubscribe, To: []string{who}, Rooms: []string{r.Param("room")}})
	if err == nil {
		return nil
	}
	return guest.Errorf(403, "denied", "%v", err)
}

// stream begins behind the number that the client has seen, with two at most.
func stream(w *guest.Response, r *guest.Request) error {
	room := r.Param("room")
	last, err := count(r, room)
	if err != nil {
		return err
	}
	seen := last
	if id := r.Header("Last-Event-ID"); id != "" {
		if seen, err = strconv.Atoi(id); err != nil {
			return guest.Errorf(400, "bad_id", "Last-Event-ID: %q is no number.", id)
		}
	}
	for n := seen + 1; n <= last && n <= seen+2; n++ {
		text, _, err := r.KV().Get([]byte("t/" + room + "/" + strconv.Itoa(n)))
		if err != nil {
			return err
		}
		said(w.Event("said", strconv.Itoa(n)), n, string(text))
	}
	if last > seen+2 {
		return nil
	}
	return r.Subscribe([]string{room}, nil)
}
