package main_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// signedBy has a sample of the document sign fields, and returns what it would send.
func (a *signer) signedBy(fields map[string]string, program ...string) url.Values {
	a.t.Helper()
	if _, err := exec.LookPath(program[0]); err != nil {
		if os.Getenv("EDGESET_REQUIRE_TOOLS") != "" {
			a.t.Fatal(err)
		}
		a.t.Skipf("%s is not installed, and EDGESET_REQUIRE_TOOLS is not set", program[0])
	}
	in, err := json.Marshal(map[string]any{"fields": fields, "secret": a.secret, "identity": a.id, "udid": "1234 é"})
	if err != nil {
		a.t.Fatal(err)
	}
	cmd := exec.CommandContext(a.t.Context(), program[0], program[1:]...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(append(in, '\n')), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		a.t.Fatalf("%s: %v", cmd, err)
	}
	var answer struct{ Fields map[string]string }
	if err := json.Unmarshal(out, &answer); err != nil {
		a.t.Fatalf("%s: %v", out, err)
	}
	sent := url.Values{}
	for name, value := range answer.Fields {
		sent.Set(name, value)
	}
	return sent
}

// What the samples of the document sign is taken, with a photo that they do not. The
// PHP one sends it as bytes of no kind and its time in seconds.
func TestPostsOfTheSamples(t *testing.T) {
	t.Parallel()
	s := newPostsServer(t, "")
	a := s.newSigner("")
	for name, program := range map[string][]string{
		"JavaScript": {"node", "testdata/samples/form.js"},
		"PHP":        {"php", "testdata/samples/myFormHandler.php"},
	} {
		t.Run(name, func(t *testing.T) {
			a := a.within(t)
			for i, description := range []string{"An accident", "100% + Überfall & 東京 🚓"} {
				fields := map[string]string{"city": "oklahoma city", "description": description, "referrer": "yes"}
				file := attachment{"image", "phpHw1Q2x", "application/octet-stream", photo(t, 64, 48, uint8(i))}
				if name == "JavaScript" {
					fields["identity"], fields["udid"] = a.id, "1234"
					file = picture(file.content)
				}
				sent := a.signedBy(fields, program...)
				stamp, err := strconv.ParseInt(sent.Get("timestamp"), 10, 64)
				if seconds := stamp < time.Now().Unix()*10; err != nil || seconds != (name == "PHP") || sent.Get("authtoken") == "" {
					t.Fatalf("the sample signs %v", sent)
				}
				contentType, body := multipartForm(sent, file)
				r, err := a.client.submit("POST", "/1.0/posts/create", contentType, body)
				if err != nil {
					t.Fatal(err)
				}
				a.created(r)
				wants(t, r, map[string]string{"description": description, "city": "oklahoma city", "image_width": "64", "udid": ""})
				if r, err := a.client.submit("POST", "/1.0/posts/create", contentType, body); err != nil || r.text("error.code") != "replayed" {
					t.Errorf("%v, %v\nwant it to be taken once", r, err)
				}
				sent.Set("city", "another")
				contentType, body = multipartForm(sent, file)
				if r, err := a.client.submit("POST", "/1.0/posts/create", contentType, body); err != nil || r.text("error.code") != "bad_signature" {
					t.Errorf("%v, %v\nwant bad_signature", r, err)
				}
			}
		})
	}
}
