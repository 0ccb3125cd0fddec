package abi

// A Fetch is an outbound HTTP request.
type Fetch struct {
	Method  string // "" is GET
	URL     string
	Headers Pairs
	Body    []byte
	// Follow has redirects followed, each checked like the request itself.
	// Otherwise a redirect is the reply.
	Follow bool
	// MaxReply bounds the body of the reply, in bytes; 0: the host's limit.
	MaxReply int
}

// A FetchReply is what came back.
type FetchReply struct {
	Error   string // why there is no reply, for a log; "" if there is one
	Denied  bool   // that was because the manifest, or the address, forbids it
	Status  int
	URL     string // of the reply: the last of the redirects that were followed
	Headers Pairs
	Body    []byte
}

const (
	fetchFields      = 6
	fetchReplyFields = 6
)

// Append writes the request as a record.
func (f *Fetch) Append(w *Writer) {
	w.FixedArray(fetchFields)
	w.Text(f.Method)
	w.Text(f.URL)
	w.Raw(Value(f.Headers))
	w.Bytes(f.Body)
	w.Bool(f.Follow)
	w.Int(int64(f.MaxReply))
}

// ReadFetch takes the record of a request apart and checks it. The result shares
// its bytes.
func ReadFetch(record []byte) (*Fetch, error) {
	if !Value(record).Valid() {
		return nil, ErrFrame
	}
	r := Value(record).Read()
	n := r.Array()
	if n < fetchFields {
		return nil, ErrFrame
	}
	f := &Fetch{Method: r.Text(), URL: r.Text(), Headers: Pairs(r.Value()), Body: r.Bytes(), Follow: r.Bool(), MaxReply: int(r.Int())}
	r.Skip(n - fetchFields)
	if !r.Done() || f.MaxReply < 0 {
		return nil, ErrFrame
	}
	return f, nil
}

// Append writes the reply as a record.
func (p *FetchReply) Append(w *Writer) {
	w.FixedArray(fetchReplyFields)
	w.Text(p.Error)
	w.Bool(p.Denied)
	w.Int(int64(p.Status))
	w.Text(p.URL)
	w.Raw(Value(p.Headers))
	w.Bytes(p.Body)
}

// ReadFetchReply takes the record of a reply apart. The result shares its bytes.
func ReadFetchReply(record []byte) (*FetchReply, error) {
	r := Value(record).Read()
	n := r.Array()
	if n < fetchReplyFields {
		return nil, ErrFrame
	}
	p := &FetchReply{Error: r.Text(), Denied: r.Bool(), Status: int(r.Int()), URL: r.Text(), Headers: Pairs(r.Value()), Body: r.Bytes()}
	r.Skip(n - fetchReplyFields)
	if !r.Done() {
		return nil, ErrFrame
	}
	return p, nil
}
