package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime/multipart"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/host/deploy"
)

func album() deploy.Spec {
	return deploy.Spec{Name: "test", Hosts: []string{"*"}, Plugins: []deploy.PluginSpec{
		{Name: "album", Source: "embedded:album", Grants: []string{"kv", "blobs"}, Instances: 4, Waiting: 256},
	}}
}

// upload is a form with fields, in pairs, and files: name and content.
func upload(t testing.TB, fields []string, files ...string) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		if err := form.WriteField(fields[i], fields[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < len(files); i += 2 {
		part, err := form.CreateFormFile("file", files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(part, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	form.Close()
	return form.FormDataContentType(), b.String()
}

func (r *rig) upload(line string, fields []string, files ...string) reply {
	r.t.Helper()
	kind, body := upload(r.t, fields, files...)
	return r.do(line, body, "Content-Type", kind)
}

// noise is a sequence of bytes that nothing compresses.
func noise(seed string, n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		sum := sha256.Sum256([]byte(seed + strconv.Itoa(i)))
		b.Write(sum[:])
	}
	return b.String()[:n]
}

func dot(t testing.TB, width, height int) string {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range width {
		m.Set(i, i%height, color.RGBA{uint8(i), 100, 200, 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAFileIsKeptAsItCameAndServedInParts(t *testing.T) {
	r := start(t, Config{Spool: t.TempDir()}, album())
	for _, size := range []int{0, 1, 1000, 256 << 10, 256<<10 + 1, 3<<20 + 5} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			content := noise("file", size)
			if size == 0 {
				content = ""
			}
			got := r.upload("POST /album/files/one", []string{"a", "1", "b", "ü"}, "first.txt", "x", "second é.bin", content).wants(201)
			if want := fmt.Sprintf("a=1 b=ü file:first.txt:application/octet-stream:1 file:second é.bin:application/octet-stream:%d", size); got.field("sent") != want {
				t.Errorf("the plugin was told %q, want %q", got.field("sent"), want)
			}
			path := "GET /album/" + got.field("id")
			whole := r.do(path, "").wants(200)
			if whole.body != content || whole.header.Get("Content-Type") != "image/jpeg" || whole.header.Get("Accept-Ranges") != "bytes" {
				t.Fatalf("%d bytes, %v", len(whole.body), whole.header)
			}
			tag := whole.header.Get("ETag")
			if tag != `"`+got.field("id")+`"` {
				t.Errorf("tag %s", tag)
			}
			head := r.do(strings.Replace(path, "GET", "HEAD", 1), "").wants(200)
			if head.header.Get("Content-Length") != strconv.Itoa(size) || head.body != "" {
				t.Errorf("HEAD: %v", head.header)
			}
			if again := r.do(path, "", "If-None-Match", `"x", `+tag).wants(304); again.body != "" || again.header.Get("ETag") != tag || again.header.Get("Cache-Control") == "" {
				t.Errorf("%q %v", again.body, again.header)
			}
			if size < 1000 {
				return
			}
			for asked, want := range map[string][2]int{
				"bytes=0-0": {0, 1}, "bytes=10-19": {10, 20}, "bytes=-7": {size - 7, size}, fmt.Sprintf("bytes=-%d", size+5): {0, size}, "bytes=500-": {500, size}, "bytes=990-99999999999999999999999": {990, size},
				fmt.Sprintf("bytes=%d-%d", size-3, size+100): {size - 3, size}, fmt.Sprintf("bytes=%d-", size/2): {size / 2, size},
			} {
				part := r.do(path, "", "Range", asked).wants(206)
				if part.body != content[want[0]:want[1]] || part.header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", want[0], want[1]-1, size) {
					t.Errorf("%s: %d bytes, %s", asked, len(part.body), part.header.Get("Content-Range"))
				}
			}
			for _, asked := range []string{"bytes=0-1,3-4", "lines=1-2", "bytes=", "bytes=-", "bytes=x-", "bytes=5-2", "bytes=1"} {
				if r.do(path, "", "Range", asked).wants(200).body != content {
					t.Errorf("%s: another body", asked)
				}
			}
			if r.do(path, "", "Range", "bytes=1-2", "If-Range", `"other"`).wants(200).body != content {
				t.Error("a range of something else")
			}
			r.do(path, "", "Range", "bytes=1-2", "If-Range", tag).wants(206)
			r.do(path, "", "Range", "bytes=-0").wants(416)
			if head := r.do(strings.Replace(path, "GET", "HEAD", 1), "", "Range", "bytes=0-9").wants(200); head.header.Get("Content-Length") != strconv.Itoa(size) {
				t.Errorf("HEAD of a range: %v", head.header)
			}
			outside := r.do(path, "", "Range", fmt.Sprintf("bytes=%d-", size)).wants(416)
			if outside.header.Get("Content-Range") != fmt.Sprintf("bytes */%d", size) || outside.header.Get("Cache-Control") != "" || outside.header.Get("Content-Type") != "application/json" {
				t.Errorf("%v %s", outside.header, outside.body)
			}
		})
	}
}

func TestABlobIsKeptAsLongAsANameIsLinkedToIt(t *testing.T) {
	r := start(t, Config{}, album())
	content := noise("kept", 300<<10)
	id := r.upload("POST /album/files/one", nil, "a", content).wants(201).field("id")
	if again := r.upload("POST /album/files/two", nil, "b", content).wants(201).field("id"); again != id {
		t.Fatalf("the same bytes have ids %s and %s", id, again)
	}
	r.do("POST /album/"+id+"/links/three", "").wants(200)
	for _, name := range []string{"one", "one", "none", "three"} {
		r.do("DELETE /album/"+id+"/links/"+name, "").wants(200)
		if got := r.do("GET /album/"+id, "").wants(200); got.body != content {
			t.Fatalf("without %s: %d bytes", name, len(got.body))
		}
	}
	r.do("DELETE /album/"+id+"/links/two", "").wants(200)
	r.do("GET /album/"+id, "").wants(404)
	r.do("POST /album/"+id+"/links/four", "").wants(404)
	if got := r.do("GET /album/"+id+"/size", "").wants(200); got.body != "[0,false]" {
		t.Error(got.body)
	}
	if spaces, err := r.store.Spaces(t.Context()); err != nil || len(spaces) != 0 {
		t.Errorf("%q is left, %v", spaces, err)
	}
}

func TestARefusedUploadLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	r := start(t, Config{Spool: dir}, album())
	r.upload("POST /album/files/one", []string{"refuse", "yes"}, "a", noise("refused", 2<<20)).wants(409)
	r.upload("POST /album/small", nil, "a", noise("unlinked", 5<<10)).wants(201)
	r.upload("POST /album/pictures/one", nil, "a", "no picture").wants(422)
	// One that breaks off.
	kind, body := upload(t, nil, "a", noise("broken", 1<<20))
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST /album/files/one HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", kind, len(body), body[:900<<10])
	c.Close()
	eventually(r.t, "uploads are through", func() bool { return r.gateway.running.Load() == 0 && r.gateway.spools.taken() == 0 })
	if spaces, err := r.store.Spaces(t.Context()); err != nil || len(spaces) != 0 {
		t.Errorf("%q is left, %v", spaces, err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("%v is left, %v", files, err)
	}
}

func TestAnUploadThatIsTooLargeIsCutOff(t *testing.T) {
	r := start(t, Config{MaxUpload: 1 << 20}, album())
	for name, c := range map[string]struct{ request, want string }{
		"announced":                        {"POST /album/files/one HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000000\r\n\r\n", "1048576 bytes"},
		"announced, for a route with less": {"POST /album/small HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 20000\r\n\r\n", "10240 bytes"},
		"chunked":                          {"POST /album/small HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n5000\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n" + strings.Repeat("x", 0x5000), "10240 bytes"},
		"asked before":                     {"POST /album/small HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 20000\r\n\r\n", "10240 bytes"},
		"asked before, no upload":          {"DELETE /album/x/links/y HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 200000000\r\n\r\n", "4194304 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			got := r.raw(c.request)
			if !strings.HasPrefix(got, "HTTP/1.1 413 ") || !strings.Contains(got, `"code":"too_large"`) || !strings.Contains(got, c.want) {
				t.Errorf("%.300s", got)
			}
		})
	}
	kind, body := upload(t, nil, "a", "abc")
	got := r.raw(fmt.Sprintf("POST /album/files/one HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", kind, len(body), body))
	if !strings.HasPrefix(got, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 ") {
		t.Errorf("%.300s", got)
	}
}

func TestWhatIsNoFormIsNotTakenForAnUpload(t *testing.T) {
	r := start(t, Config{}, album())
	kind, body := upload(t, nil, "a", "abc")
	for name, c := range map[string]struct {
		body, want string
		status     int
		headers    []string
	}{
		"fields alone":        {"a=1", "no file", 400, []string{"Content-Type", formType}},
		"nothing":             {"", "no file", 400, nil},
		"a form that is none": {"a=%zz", "hexadecimal", 400, []string{"Content-Type", formType}},
		"no boundary":         {"x", "boundary", 400, []string{"Content-Type", "multipart/form-data"}},
		"an odd type":         {"x", "Content-Type", 400, []string{"Content-Type", "multipart/form-data; x"}},
		"a form cut short":    {body[:len(body)-20], "EOF", 400, []string{"Content-Type", kind}},
		"in gzip":             {"x", "as it is", 415, []string{"Content-Type", kind, "Content-Encoding", "gzip"}},
		"too many parts":      {strings.Repeat("--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a\"\r\n\r\nx\r\n", 101) + "--b--\r\n", "100 parts", 400, []string{"Content-Type", "multipart/form-data; boundary=b"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := r.do("POST /album/files/one", c.body, c.headers...).wants(c.status); !strings.Contains(got.body, c.want) {
				t.Errorf("%s, want %q", got.body, c.want)
			}
		})
	}
}

func TestWhatIsLeftOfABodyIsNoRequest(t *testing.T) {
	r := start(t, Config{}, album())
	smuggled := "GET /album/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, line := range map[string]string{
		"not found": "POST /nothing/here", "another method": "PATCH /album/small", "an upload that is refused": "POST /album/small", "no host": "POST /album/small",
	} {
		for _, size := range []int{100, 5000, 20000} {
			t.Run(fmt.Sprint(name, size), func(t *testing.T) {
				host := "x"
				if name == "no host" {
					host = "a:b"
				}
				body := strings.Repeat(smuggled, size/len(smuggled)+1)
				got := r.raw(fmt.Sprintf("%s HTTP/1.1\r\nHost: %s\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n%sGET /album/dated HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
					line, host, len(body), body))
				if n := strings.Count(got, "HTTP/1.1 "); n > 2 || n == 2 && !strings.Contains(got, `"dated"`) || n == 0 {
					t.Errorf("%d answers: %.1000s", n, got)
				}
			})
		}
	}
}

func TestTheDigestOfAnUploadIsMadeOnTheWay(t *testing.T) {
	r := start(t, Config{}, album())
	kind, body := upload(t, []string{"a", "b"}, "f", noise("digest", 500<<10))
	sum := sha256.Sum256([]byte(body))
	got := r.do("POST /album/digest", body, "Content-Type", kind, "Content-Digest", "sha-256=:x:").wants(200)
	if want := `"` + base64.StdEncoding.EncodeToString(sum[:]) + `"`; got.body != want {
		t.Errorf("%s, want %s", got.body, want)
	}
	r.do("POST /album/digest", body, "Content-Type", kind).wants(400)
}

func TestUploadsBesideTooManyOthersWait(t *testing.T) {
	r := start(t, Config{MaxSpool: 1 << 20}, album())
	got := r.upload("POST /album/files/one", nil, "a", noise("large", 300<<10)).wants(503) // a quarter is for one client
	if got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	eventually(r.t, "the room is given back", func() bool { return r.gateway.spools.taken() == 0 })
	r.upload("POST /album/files/one", nil, "a", noise("small", 200<<10)).wants(201)
}

func TestPicturesAreMadeByTheHost(t *testing.T) {
	r := start(t, Config{}, album())
	got := r.upload("POST /album/pictures/one", nil, "a.png", dot(t, 64, 32)).wants(201)
	shown := r.do("GET /album/"+got.field("id"), "").wants(200)
	m, format, err := image.DecodeConfig(strings.NewReader(shown.body))
	if err != nil || format != "jpeg" || m.Width != 16 || m.Height != 8 {
		t.Errorf("%s of %dx%d, %v", format, m.Width, m.Height, err)
	}
}

func TestAnswersInXMLAndPlist(t *testing.T) {
	r := start(t, Config{}, album())
	for path, want := range map[string][2]string{
		"/album/feed.xml?title=a%3Cb%5D%5D%3E":   {"application/rss+xml; charset=utf-8", `<rss version="2.0"><title>a&lt;b]]&gt;</title></rss>`},
		"/album/feed.plist?title=a%3Cb%5D%5D%3E": {"application/x-plist", "<key>title</key><string>a&lt;b]]&gt;</string>"},
	} {
		got := r.do("GET "+path, "").wants(200)
		if got.header.Get("Content-Type") != want[0] || !strings.Contains(strings.ReplaceAll(got.body, "\n", ""), want[1]) {
			t.Errorf("%v %s", got.header, got.body)
		}
		tag := got.header.Get("ETag")
		if !strings.HasPrefix(tag, `W/"`) {
			t.Fatalf("tag %q", tag)
		}
		if again := r.do("GET "+path, "", "If-None-Match", tag).wants(304); again.body != "" || again.header.Get("Content-Type") != "" {
			t.Errorf("%v %q", again.header, again.body)
		}
		r.do("GET "+path, "", "If-None-Match", strings.TrimPrefix(tag, "W/")).wants(304)
		r.do("GET "+path, "", "If-None-Match", "*").wants(304)
		r.do("GET "+path, "", "If-None-Match", `"x"`, "If-None-Match", tag).wants(304)
		r.do("GET "+path+"x", "", "If-None-Match", tag).wants(200)
		r.do("HEAD "+path, "", "If-None-Match", tag).wants(304)
		long := path + strings.Repeat("x", 4000)
		whole := r.do("GET "+long, "").wants(200)
		if same := r.do("GET "+long, "", "If-None-Match", whole.header.Get("ETag")).wants(304); same.header.Get("Vary") != "Accept-Encoding" || whole.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%v, %v", whole.header, same.header)
		}
	}
	r.do("GET /album/broken.xml", "").wants(500)
}

func TestAnAnswerWithADateIsConditional(t *testing.T) {
	r := start(t, Config{}, album())
	for since, status := range map[string]int{
		"Tue, 01 Sep 2026 10:00:00 GMT": 304, "Tue, 01 Sep 2026 10:00:01 GMT": 304, "Tue, 01 Sep 2026 09:59:59 GMT": 200, "yesterday": 200, "": 200,
	} {
		if got := r.do("GET /album/dated", "", "If-Modified-Since", since); got.status != status {
			t.Errorf("%q: %d, want %d", since, got.status, status)
		}
	}
	// The tag counts if there is one to compare.
	r.do("GET /album/dated", "", "If-Modified-Since", "Tue, 01 Sep 2026 10:00:00 GMT", "If-None-Match", `"x"`).wants(200)
}

func TestUploadsLeaveInstancesToOthers(t *testing.T) {
	spec := album()
	spec.Plugins[0].Instances = 2
	d := load(t, spec)
	r := serve(t, Config{}, d)
	// The one place for uploads is taken: another waits for it, and other calls do not.
	s := r.gateway.table.Load().byName("test")
	n, _ := s.root.find([]byte("/album/small"), new([maxParams][]byte))
	places := n.routes[0].uploads
	if cap(places) != 1 {
		t.Fatalf("%d places beside 2 instances", cap(places))
	}
	places <- struct{}{}
	answered := make(chan reply, 1)
	kind, body := upload(t, nil, "a", "abc")
	go func() {
		got, err := r.try("POST /album/small", body, "Content-Type", kind)
		if err != nil {
			got = reply{t: t, body: err.Error()}
		}
		answered <- got
	}()
	eventually(r.t, "the upload has come", func() bool { return r.gateway.spools.taken() > 0 })
	for range 10 {
		r.do("GET /album/dated", "").wants(200)
	}
	select {
	case got := <-answered:
		t.Fatalf("answered without a place: %d %s", got.status, got.body)
	default:
	}
	<-places
	got := <-answered
	got.wants(201)
}

// Making a picture takes long, and must not be a reason to meet others.
func TestManyUploadsAtOnceAreAllTaken(t *testing.T) {
	r := start(t, Config{}, album())
	const clients, each = 8, 4
	kind, body := upload(t, nil, "a.png", dot(t, 600, 400))
	errs := make(chan error, clients)
	for range clients {
		go func() {
			for range each {
				got, err := r.try("POST /album/pictures/one", body, "Content-Type", kind)
				if err == nil && got.status != 201 {
					err = fmt.Errorf("%d %s", got.status, got.body)
				}
				if err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range clients {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
