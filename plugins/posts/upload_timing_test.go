//go:build !wasip1

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	pixels "image"
	encoder "image/jpeg"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/edgeset/edgeset/host/bench"
	"github.com/edgeset/edgeset/host/bench/bed"
	pictures "github.com/edgeset/edgeset/host/picture"
	"github.com/edgeset/edgeset/store/badgerstore"
)

// snapshot is a JPEG as telephones make them: gradients, edges and the noise of a
// sensor.
func snapshot(tb testing.TB, width, height int) []byte {
	tb.Helper()
	m := pixels.NewYCbCr(pixels.Rect(0, 0, width, height), pixels.YCbCrSubsampleRatio420)
	noise := uint32(1)
	for y := range height {
		for x := range width {
			noise = noise*1664525 + 1013904223
			v := 20 + x*140/width + y*60/height + int(noise>>28)
			if (x/300+y/200)%3 == 0 {
				v += 25
			}
			m.Y[m.YOffset(x, y)] = byte(v)
		}
	}
	for y := range height / 2 {
		for x := range width / 2 {
			m.Cb[y*m.CStride+x], m.Cr[y*m.CStride+x] = byte(100+x*100/width), byte(110+y*80/height)
		}
	}
	var out bytes.Buffer
	if err := encoder.Encode(&out, m, &encoder.Options{Quality: 90}); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// A roll makes pictures that are all different, which a host that keeps the same
// picture only once cannot tell beforehand, and that are as much work: the same JPEG
// with its coefficients multiplied by something else.
type roll struct {
	content []byte
	table   int // where the multipliers for brightness are in content
	taken   atomic.Int64
}

func newRoll(tb testing.TB, width, height int) *roll {
	tb.Helper()
	r := &roll{content: snapshot(tb, width, height)}
	table := []byte{0xFF, 0xDB} // and a length, and the number of the table
	if r.table = bytes.Index(r.content, table) + len(table) + 2 + 1; r.table < 5 {
		tb.Fatal("a JPEG without a table of multipliers")
	}
	return r
}

// next appends one more picture to a form.
func (r *roll) next(to io.Writer) error {
	n := r.taken.Add(1)
	content := bytes.Clone(r.content)
	// Of the lowest frequencies, which the smallest rendition has, too.
	for i := range 8 {
		content[r.table+1+i] += byte(n & 7)
		n >>= 3
	}
	_, err := to.Write(content)
	return err
}

// A form is a post as a browser sends it.
type form struct {
	bytes.Buffer
	kind string
}

func (f *form) write(r *roll) error {
	f.Reset()
	w := multipart.NewWriter(f)
	f.kind = w.FormDataContentType()
	for _, field := range [][2]string{
		{"udid", "1234"}, {"description", "Water over the road at 5th and Main #traffic"}, {"latitude", "35.4676"}, {"longitude", "-97.5164"},
		{"address", "5th and Main"}, {"city", "Oklahoma City"}, {"state", "Oklahoma"}, {"zip", "73102"}, {"tags", "traffic, weather"},
	} {
		if err := w.WriteField(field[0], field[1]); err != nil {
			return err
		}
	}
	part, err := w.CreateFormFile("image", "IMG_0001.JPG")
	if err == nil {
		err = r.next(part)
	}
	return errors.Join(err, w.Close())
}

// A target is a server, and what a client of it says with each request.
type target struct {
	tb      testing.TB
	client  *fasthttp.HostClient
	url     string
	headers []string // names and values in turn
	status  int      // of its answers
}

func newTarget(tb testing.TB, addr, path string, status int, headers ...string) *target {
	t := &target{tb: tb, client: &fasthttp.HostClient{Addr: addr, MaxConns: 64}, url: "http://" + addr + path, headers: headers, status: status}
	tb.Cleanup(t.client.CloseIdleConnections)
	return t
}

// each has clients make n requests side by side. prepare adds to a request, and see
// looks at an answer; both may be nil.
func (t *target) each(clients, n int, prepare func(*fasthttp.Request) error, see func(*fasthttp.Response) error) {
	t.tb.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	failures := make([]error, clients)
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
			defer fasthttp.ReleaseRequest(req)
			defer fasthttp.ReleaseResponse(resp)
			for failures[i] == nil && left.Add(-1) >= 0 {
				failures[i] = t.ask(req, resp, prepare, see)
			}
		})
	}
	all.Wait()
	if err := errors.Join(failures...); err != nil {
		t.tb.Fatal(err)
	}
}

func (t *target) ask(req *fasthttp.Request, resp *fasthttp.Response, prepare func(*fasthttp.Request) error, see func(*fasthttp.Response) error) error {
	req.SetRequestURI(t.url)
	for i := 0; i < len(t.headers); i += 2 {
		req.Header.Set(t.headers[i], t.headers[i+1])
	}
	if prepare != nil {
		if err := prepare(req); err != nil {
			return err
		}
	}
	if err := t.client.Do(req, resp); err != nil {
		return fmt.Errorf("%s: %w", t.url, err)
	}
	if resp.StatusCode() != t.status {
		return fmt.Errorf("%s: %d %.200s; want %d", t.url, resp.StatusCode(), resp.Body(), t.status)
	}
	if see != nil {
		return see(resp)
	}
	return nil
}

// addrOf returns where a host listens, as its feeds say.
func addrOf(tb testing.TB, host *bed.Bed) string {
	tb.Helper()
	_, link, _ := strings.Cut(string(host.Ask("", "GET", "/1.0/posts.rss", nil)), "<link>http://")
	addr, _, found := strings.Cut(link, "/")
	if !found {
		tb.Fatal("a feed without a link")
	}
	return addr
}

// serve starts a server of net/http, which ends with the benchmark.
func serve(tb testing.TB, h http.HandlerFunc) (addr string) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server := &http.Server{Handler: h}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	tb.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil { // the benchmark's has ended
			tb.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			tb.Error(err)
		}
	})
	return l.Addr().String()
}

// An album takes posts with a plain handler: it reads the form, makes the same
// renditions, and writes a file for each.
type album struct {
	folder string
	synced bool // to the disk, before it answers
	posts  atomic.Int64
}

func (a *album) serve(w http.ResponseWriter, r *http.Request) {
	if err := a.take(r); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

func (a *album) take(r *http.Request) error {
	file, _, err := r.FormFile("image") // up to 32 MiB in memory
	if err != nil {
		return err
	}
	content, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	boxes := []pictures.Box{
		{Width: thumbnailBox, Height: thumbnailBox}, {Width: mediumBox, Height: mediumBox}, {Width: largeBox, Height: largeBox},
	}
	p, err := pictures.Make(content, boxes, pictures.Limits{})
	if err != nil {
		return err
	}
	post := a.posts.Add(1)
	for i, rendition := range p.Renditions {
		if err := a.write(fmt.Sprintf("%d-%d.jpg", post, i), rendition.JPEG); err != nil {
			return err
		}
	}
	return nil
}

func (a *album) write(name string, content []byte) error {
	f, err := os.Create(filepath.Join(a.folder, name))
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil && a.synced {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// A posted is what is looked at of the answer to an upload.
type posted struct{ Thumbnail, Medium, Large string }

// A poster makes posts with pictures of a roll.
type poster struct {
	*target
	roll   *roll
	forms  sync.Pool
	images sync.Map // that were made, if the answers tell
	last   atomic.Pointer[posted]
}

func newPoster(tb testing.TB, addr string, r *roll, headers ...string) *poster {
	return &poster{
		target: newTarget(tb, addr, "/1.0/posts", http.StatusCreated, headers...), roll: r,
		forms: sync.Pool{New: func() any { return new(form) }},
	}
}

// post makes n posts and returns how many were made in a second.
func (p *poster) post(clients, n int) (perSecond float64) {
	start := time.Now()
	p.each(clients, n, p.fill, p.see)
	return float64(n) / time.Since(start).Seconds()
}

func (p *poster) fill(req *fasthttp.Request) error {
	f := p.forms.Get().(*form)
	defer p.forms.Put(f)
	if err := f.write(p.roll); err != nil {
		return err
	}
	req.Header.SetMethod(http.MethodPost)
	req.Header.SetContentType(f.kind)
	req.SetBody(f.Bytes())
	return nil
}

// see makes sure that no picture was the same as one before, which would not be
// written again.
func (p *poster) see(resp *fasthttp.Response) error {
	if len(resp.Body()) == 0 {
		return nil
	}
	var made posted
	if err := json.Unmarshal(resp.Body(), &made); err != nil {
		return err
	}
	p.last.Store(&made)
	for _, name := range []string{made.Thumbnail, made.Medium, made.Large} {
		if _, twice := p.images.LoadOrStore(name, true); twice {
			return fmt.Errorf("%s: belongs to two posts", name)
		}
	}
	return nil
}

// posterTo is a client of a host who posts with the token of an account.
func posterTo(tb testing.TB, host *bed.Bed, r *roll) *poster {
	tb.Helper()
	return newPoster(tb, addrOf(tb, host), r, "Authorization", "Bearer "+host.Token)
}

// BenchmarkUploadOverHTTP compares posts with a picture from end to end, client
// included: with a token to check, three renditions and a commit that survives the loss
// of power, with plain handlers of net/http that make the renditions of pictures of the
// same kind. One leaves three files to the kernel, the other one syncs them, as the
// commit does. The sides take turns.
func BenchmarkUploadOverHTTP(b *testing.B) {
	const clients, rounds = 4, 5 // an odd number of rounds
	for _, c := range []struct {
		name          string
		width, height int
		batch         int // uploads of a round
	}{
		{"1_megapixel", 1152, 864, 40},
		{"12_megapixels", 4000, 3000, 6},
	} {
		batch := c.batch
		if testing.Short() {
			batch = clients
		}
		b.Run(c.name, func(b *testing.B) {
			r := newRoll(b, c.width, c.height)
			plain, synced := &album{folder: b.TempDir()}, &album{folder: b.TempDir(), synced: true}
			sides := [...]*poster{
				posterTo(b, newBed(b, badgerstore.Power), r), newPoster(b, serve(b, plain.serve), r), newPoster(b, serve(b, synced.serve), r),
			}
			var rates [len(sides)][]float64
			for round := range rounds {
				for k := range sides {
					i := (k + round) % len(sides)
					rates[i] = append(rates[i], sides[i].post(clients, batch))
				}
			}
			for i, peer := range []string{"net/http and files", "net/http and synced files"} {
				bench.Report(b, "http/posts_upload_"+c.name, peer, "1/s", bench.Median(rates[0]), bench.Median(rates[i+1]), bench.Larger)
			}
			b.ReportMetric(float64(len(r.content))/1e6, "MB")
		})
	}
}

// BenchmarkPictureOverHTTP compares a thumbnail and a large picture with http.ServeFile
// of the same bytes: whole, and for a client that has them.
func BenchmarkPictureOverHTTP(b *testing.B) {
	host := newBed(b, badgerstore.Process)
	author := posterTo(b, host, newRoll(b, 1152, 864))
	author.post(1, 1)
	made := author.last.Load()
	for _, c := range []struct{ name, url string }{{"thumbnail", made.Thumbnail}, {"large", made.Large}} {
		u, err := url.Parse(c.url)
		if err != nil {
			b.Fatal(err)
		}
		content := host.Ask("", "GET", u.Path, nil)
		file := filepath.Join(b.TempDir(), "picture.jpg")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			b.Fatal(err)
		}
		plain := serve(b, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
		side := func(addr string, status int, headers ...string) bench.Side {
			t := newTarget(b, addr, u.Path, status, headers...)
			return func(n int) { t.each(bed.Clients, n, nil, nil) }
		}
		tag := `"` + strings.TrimSuffix(path.Base(u.Path), ".jpg") + `"`
		now := time.Now().UTC().Format(http.TimeFormat)
		b.Run(c.name, func(b *testing.B) {
			bench.Compare(b, "http/posts_"+c.name, "http.ServeFile", "µs", side(u.Host, 200), side(plain, 200))
			b.ReportMetric(float64(len(content)), "bytes")
		})
		b.Run(c.name+"_unchanged", func(b *testing.B) {
			bench.Compare(b, "http/posts_"+c.name+"_unchanged", "http.ServeFile", "µs",
				side(u.Host, 304, "If-None-Match", tag), side(plain, 304, "If-Modified-Since", now))
		})
	}
}
