package gateway

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/store"
)

func TestAnUploadThatStopsIsCutOffHoweverFastItWas(t *testing.T) {
	r := start(t, Config{ReadTimeout: time.Second}, album())
	kind, body := upload(t, nil, "a", noise("held", 1<<20))
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /album/files/one HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", kind, len(body), body[:900<<10])
	time.Sleep(extendTime + 100*time.Millisecond)
	// By the rate alone it could now stop for a minute.
	if _, err := io.WriteString(c, body[900<<10:len(body)-50]); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 408 ") {
		t.Errorf("%.100q, %v", got, err)
	}
	eventually(r.t, "the room is given back", func() bool { return r.gateway.spools.taken() == 0 })
}

// Each byte that may begin a boundary ends a piece of what is read.
func TestAFileOfNearBoundariesIsTaken(t *testing.T) {
	r := start(t, Config{}, album())
	content := strings.Repeat("\r\n--bx", 200<<10)
	body := "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n" + content + "\r\n--b--\r\n"
	got := r.do("POST /album/files/one", body, "Content-Type", "multipart/form-data; boundary=b").wants(201)
	if r.do("GET /album/"+got.field("id"), "").wants(200).body != content {
		t.Error("it is another file now")
	}
}

func TestTheTimeThatAnUploadWaitsIsNotThatOfTheRequest(t *testing.T) {
	var l lifetime
	l.begin(context.Background(), time.Now(), nil)
	l.until(time.Now().Add(time.Minute))
	places := make(uploads, 1)
	places <- struct{}{}
	taken := make(chan error, 1)
	go func() { taken <- places.take(&l) }()
	time.Sleep(10 * time.Millisecond)
	<-places
	if err := <-taken; err != nil {
		t.Fatal(err)
	}
	l.until(time.Now().Add(50 * time.Millisecond))
	select {
	case <-l.Done():
	case <-time.After(20 * time.Second):
		t.Error("the deadline from before holds")
	}
	l.until(time.Now().Add(time.Minute))
	l.end()

	l.begin(context.Background(), time.Now(), nil)
	l.until(time.Now().Add(20 * time.Millisecond))
	l.Done()
	l.until(time.Now().Add(time.Minute))
	time.Sleep(100 * time.Millisecond)
	if err := l.Err(); err != nil {
		t.Errorf("with a minute left: %v", err)
	}
	l.end()
}

func TestABlobThatHasGoneMeanwhileIsNotCached(t *testing.T) {
	r := start(t, Config{}, album())
	id := r.upload("POST /album/files/one", nil, "a", noise("gone", 1000)).wants(201).field("id")
	raw, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil {
		t.Fatal(err)
	}
	chunk := append(append([]byte("album\x02d"), raw...), 0, 0, 0, 0)
	if err := r.store.Update(t.Context(), "test", func(txn store.Txn) error { return txn.Delete(chunk) }); err != nil {
		t.Fatal(err)
	}
	got := r.do("GET /album/"+id, "").wants(404)
	if got.header.Get("Cache-Control") != "" || got.header.Get("ETag") != "" || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("%v %s", got.header, got.body)
	}
}

func TestAPanicBehindAnUploadGivesItsRoomBack(t *testing.T) {
	r := start(t, Config{}, album())
	x := r.gateway.begin(newEventCtx(peer{remote: "127.0.0.1", host: "x"}))
	r.gateway.guard(x, func() {
		x.spool.in, x.spool.of = &r.gateway.spools, "x"
		if _, err := x.spool.Write(make([]byte, 300<<10)); err != nil {
			t.Error(err)
		}
		panic("a mistake of ours")
	})
	if n := r.gateway.spools.taken(); n != 0 {
		t.Errorf("%d bytes are still taken", n)
	}
}
