// Command trial is a plugin that does whatever a test asks of it.
package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

func init() {
	p := guest.New("trial", "1.0.0")
	t := p.Family("/t", func(w *abi.Writer) {
		w.Map()
		w.Key("fault")
		w.Text("$code")
		w.Key("text")
		w.Text("$message")
		w.Key("status")
		w.Text("$status")
		w.Key("id")
		w.Text("$request")
		w.End()
	})
	t.Code(abi.HostTooLarge, "fat").Code(abi.HostMethod, "verb").Code(abi.HostNotFound, "gone")

	t.GET("/t/echo/:a/fixed", echo("literal"))
	t.GET("/t/echo/:a/:b", echo("params"))
	t.GET("/t/echo/known/:b/deep", echo("deep"))
	t.GET("/t/echo", echo("get"))
	t.POST("/t/echo", echo("json"), guest.JSON, guest.ReadOnly, guest.MaxBody(64<<10))
	t.POST("/t/form", echo("form"), guest.Form, guest.ReadOnly)
	t.POST("/t/raw", echo("raw"), guest.Raw, guest.ReadOnly)

	t.PUT("/t/kv/:key", put, guest.Raw)
	t.GET("/t/kv/:key", get)
	t.DELETE("/t/kv/:key", remove)
	t.GET("/t/write/:key", put) // although it is declared to read only
	t.GET("/t/writes/:key", put, guest.Writes)
	t.POST("/t/count", count)
	t.GET("/t/count", counted)
	t.POST("/t/stamped/:name", stamped)
	t.GET("/t/scan", scan)

	t.GET("/t/trap", func(*guest.Response, *guest.Request) error { panic("as asked") })
	t.GET("/t/huge", huge)
	t.GET("/t/headers", headers)
	t.GET("/t/status/:code", status)
	t.GET("/t/raw", rawReply)
	t.POST("/t/refuse/:key", refuse)
	t.POST("/t/fail/:key", fail)
	t.POST("/t/odd/:key", odd)
	t.GET("/t/sleep/:ms", sleep)

	t.GET("/t/private", echo("private"), guest.Auth("token"))
	t.GET("/t/optional", echo("optional"), guest.Auth("token"), guest.Optional)
	t.GET("/t/session", echo("session"), guest.Auth("session"))
	t.GET("/t/signed", echo("read"), guest.Auth("signature"))
	t.GET("/t/signed/write/:key", put, guest.Auth("signature"))
	t.POST("/t/signed/form", echo("form"), guest.Auth("token", "signature", "session"), guest.Form)
	t.POST("/t/signed/any", echo("any"), guest.Auth("signature"), guest.Any)
	t.POST("/t/signed/count", count, guest.Auth("signature"))
	t.POST("/t/signed/refuse/:key", refuse, guest.Auth("signature"))
	t.POST("/t/signed/fail/:key", fail, guest.Auth("signature"))
	t.POST("/t/signed/trap", func(*guest.Response, *guest.Request) error { panic("as asked") }, guest.Auth("signature"))
	t.GET("/t/rest/fixed", echo("literal"))
	t.GET("/t/rest/:a", echo("parameter"))
	t.GET("/t/rest/*b", echo("rest"))
	t.POST("/t/any", echo("any"), guest.Any, guest.ReadOnly)
	t.POST("/t/operated", echo("operated"), guest.Auth("operator"))
	t.GET("/t/secret/operator", echo("operator"), guest.Auth("operator"))
	t.GET("/t/secret/:name", echo("public"))
	guest.Serve(p)
}

func main() {}

func pairs(w *abi.Writer, key string, p abi.Pairs) {
	w.Key(key)
	w.Array()
	p.Each(func(name, value []byte) bool {
		w.Text(string(name) + "=" + string(value))
		return true
	})
	w.End()
}

func echo(route string) guest.Handler {
	return func(w *guest.Response, r *guest.Request) error {
		v := w.Value()
		v.Map()
		for _, f := range [][2]string{
			{"route", route}, {"method", r.Method()}, {"path", r.Path()}, {"a", r.Param("a")}, {"b", r.Param("b")},
			{"remote", r.Remote()}, {"id", r.ID()}, {"base", r.BaseURL()}, {"account", r.Caller().Account},
			{"proof", r.Caller().Proof}, {"app", r.Caller().App}, {"name", r.Caller().Name}, {"scheme", r.Caller().Scheme}, {"raw", string(r.RawBody())}, {"user_agent", r.Header("user-agent")},
		} {
			v.Key(f[0])
			v.Text(f[1])
		}
		pairs(v, "query", r.QueryPairs())
		pairs(v, "form", r.Form())
		for _, name := range []string{"Authorization", "Cookie", "Connection", "X-Custom", "Accept"} {
			v.Key(name)
			v.Text(r.Header(name))
		}
		v.Key("any_host")
		v.Bool(r.AnyHost())
		v.Key("body")
		v.Raw(r.Body())
		v.End()
		return nil
	}
}

func put(w *guest.Response, r *guest.Request) error {
	w.Status(204)
	return r.KV().Put([]byte("kv/"+r.Param("key")), r.RawBody())
}

func get(w *guest.Response, r *guest.Request) error {
	value, found, err := r.KV().Get([]byte("kv/" + r.Param("key")))
	if err != nil {
		return err
	}
	if !found {
		return guest.Errorf(404, "no_such_key", "There is no key %q.", r.Param("key"))
	}
	w.Bytes("text/plain", value)
	return nil
}

func remove(w *guest.Response, r *guest.Request) error {
	w.Status(204)
	return r.KV().Delete([]byte("kv/" + r.Param("key")))
}

func count(w *guest.Response, r *guest.Request) error {
	value, _, err := r.KV().Get([]byte("count"))
	if err != nil {
		return err
	}
	n, _ := strconv.Atoi(string(value))
	slow, _ := strconv.Atoi(r.Query("slow"))
	time.Sleep(time.Duration(slow) * time.Millisecond)
	w.Value().Int(int64(n + 1))
	return r.KV().Put([]byte("count"), []byte(strconv.Itoa(n+1)))
}

func counted(w *guest.Response, r *guest.Request) error {
	value, _, err := r.KV().Get([]byte("count"))
	n, _ := strconv.Atoi(string(value))
	w.Value().Int(int64(n))
	return err
}

func stamped(w *guest.Response, r *guest.Request) error {
	w.Status(204)
	return r.KV().PutStamped([]byte("s/"), []byte("/"+r.Param("name")), []byte("x"))
}

func scan(w *guest.Response, r *guest.Request) error {
	page, err := r.KV().Scan(guest.Prefix([]byte("s/")))
	if err != nil {
		return err
	}
	v := w.Value()
	v.Array()
	for _, e := range page.Entries {
		v.Text(string(e.Key[2+8+1:]))
	}
	v.End()
	return nil
}

func huge(w *guest.Response, r *guest.Request) error {
	n, err := r.Int("n", 1<<20)
	if err != nil {
		return err
	}
	w.Value().Text(strings.Repeat("x", int(n)))
	return nil
}

func headers(w *guest.Response, r *guest.Request) error {
	if n, err := r.Int("fill", 0); err != nil {
		return err
	} else if n > 0 {
		w.Header("X-Fill", strings.Repeat("x", int(n)))
	}
	r.QueryPairs().Each(func(name, value []byte) bool {
		if string(name) != "fill" {
			w.Header(string(name), string(value))
		}
		return true
	})
	w.Value().Text("ok")
	return nil
}

func status(w *guest.Response, r *guest.Request) error {
	code, err := strconv.Atoi(r.Param("code"))
	if err != nil {
		return err
	}
	w.Status(code)
	w.Value().Text("a body")
	return nil
}

func rawReply(w *guest.Response, r *guest.Request) error {
	w.Bytes(r.Query("type"), []byte("<script>"))
	return nil
}

func refuse(_ *guest.Response, r *guest.Request) error {
	if err := r.KV().Put([]byte("kv/"+r.Param("key")), []byte("x")); err != nil {
		return err
	}
	return &guest.Error{Status: 409, Code: "refused", Message: "Nothing is kept."}
}

func fail(w *guest.Response, r *guest.Request) error {
	w.Fail(&guest.Error{Status: 409, Code: "failed", Message: "What was written is kept."})
	return r.KV().Put([]byte("kv/"+r.Param("key")), []byte("x"))
}

// odd writes, and answers with a status that is none.
func odd(w *guest.Response, r *guest.Request) error {
	w.Status(777)
	return r.KV().Put([]byte("kv/"+r.Param("key")), []byte("x"))
}

func sleep(w *guest.Response, r *guest.Request) error {
	ms, err := strconv.Atoi(r.Param("ms"))
	time.Sleep(time.Duration(ms) * time.Millisecond)
	w.Value().Text("slept")
	return err
}
