package abi_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
)

func TestTheSchemaNamesEverything(t *testing.T) {
	doc, err := os.ReadFile("SCHEMA.md")
	if err != nil {
		t.Fatal(err)
	}
	schema := string(doc)
	want := []string{
		fmt.Sprintf("version **%d**", abi.Version),
		"`" + abi.ExportAlloc + "`", "`" + abi.ExportCall + "`", "`" + abi.ExportVersion + "`", "module `" + abi.Module + "`",
		fmt.Sprintf("at most %d deep", abi.MaxDepth), fmt.Sprintf("at most %d bytes", abi.MaxNumber),
		fmt.Sprintf("extension type **%d**", abi.ExtNumber), fmt.Sprintf("(%d MiB)", abi.MaxFrameSize>>20),
		fmt.Sprintf("%d describe, %d request, %d authenticate, %d event, %d migrate, %d outcome", abi.CallDescribe, abi.CallRequest, abi.CallAuthenticate, abi.CallEvent, abi.CallMigrate, abi.CallOutcome),
		"`" + abi.GrantMail + "`, dispatch of mails", "`" + abi.GrantWebhook + "` and the name", "At most " + grouped(abi.MaxDispatches) + " a call",
		fmt.Sprintf("**dispatch** is a record of %d, of at most %s bytes", value(new(abi.Dispatch).Append).Len(), grouped(abi.MaxDispatchSize)),
		fmt.Sprintf("**outcome** is a record of %d", value(new(abi.Outcome).Append).Len()),
		fmt.Sprintf("1 to %d bytes. As long as the outbox knows it", abi.MaxDispatchKey), fmt.Sprintf("who gets it, 1 to %d bytes", abi.MaxRecipient),
		fmt.Sprintf("address, at most %d bytes", abi.MaxSender), fmt.Sprintf("of a mail, at most %d bytes", abi.MaxSubject),
		"`" + abi.GrantRead + "`", "`" + abi.GrantEgress + "`", "| `cursor` |", "| `done` |", "at most 1,024 bytes; it has to rise",
		fmt.Sprintf("%d none, %d value, %d raw, %d form", abi.BodyNone, abi.BodyValue, abi.BodyRaw, abi.BodyForm),
		fmt.Sprintf("%d error, %d caller", abi.BodyError, abi.BodyCaller),
		"`" + abi.GrantKV + "`", "`" + abi.GrantPasswords + "`", "`" + abi.GrantEvents + "`",
		fmt.Sprintf("6 refusal, %d events, %d plist, %d xml, %d blob", abi.BodyEvents, abi.BodyPlist, abi.BodyXML, abi.BodyBlob),
		"`" + abi.GrantBlobs + "`", "`" + string(abi.UploadBody) + "`", "`" + abi.ImageBad + "`", "`" + abi.ImageTooLarge + "`", "`" + abi.ImageUnsupported + "`",
		fmt.Sprintf("1 to %d bytes to the blob", abi.MaxBlobName), fmt.Sprintf("at most %d boxes", abi.MaxBoxes),
		"`" + string(abi.JSONBody) + "`", "`" + string(abi.FormBody) + "`", "`" + string(abi.RawBody) + "`",
		"| `" + abi.HostNotFound + "` | 404", "| `" + abi.HostMethod + "` | 405", "| `" + abi.HostUnauthenticated + "` | 401",
		"| `" + abi.HostBadRequest + "` | 400", "| `" + abi.HostTooLarge + "` | 413", "| `" + abi.HostBusy + "` | 503",
		"| `" + abi.HostCrossOrigin + "` | 403", "| `" + abi.HostLimited + "` | 429", "`" + string(abi.AnyBody) + "`",
		"| `" + abi.HostTimeout + "` | 504", "| `" + abi.HostInternal + "` | 500",
		"`$status`", "`$code`", "`$message`", "`$detail`", "`$time`", "`$request`",
	}
	for op, name := range []string{"emit", "join", "leave", "disconnect", "subscribe"} {
		want = append(want, fmt.Sprintf("| %d %s |", op, name))
	}
	for code, name := range map[int]string{
		abi.CodeNotFound: "CodeNotFound", abi.CodeKey: "CodeKey", abi.CodeValue: "CodeValue", abi.CodeTooLarge: "CodeTooLarge",
		abi.CodeReadOnly: "CodeReadOnly", abi.CodeDenied: "CodeDenied", abi.CodeArgument: "CodeArgument", abi.CodeHost: "CodeHost",
		abi.CodeLimited: "CodeLimited",
	} {
		row := fmt.Sprintf("| −%d | %s | ", -code, name)
		if code != abi.CodeNotFound {
			row += abi.ErrorOf(int64(code)).Error() + " |"
		}
		want = append(want, row)
	}
	// The fields of a description, wherever they stand in it.
	d := description()
	var fields func(v abi.Value)
	fields = func(v abi.Value) {
		for it := v.Entries(); it.Next(); {
			want = append(want, "| `"+string(it.Key())+"` |")
			for list := it.Value().Items(); list.Next(); {
				fields(list.Value())
			}
		}
	}
	fields(value(d.Append))
	fields(value(d.Schema.Append))
	// The imports, with the parameters as the guest declares them.
	guest, err := os.ReadFile("guest/serve_wasip1.go")
	if err != nil {
		t.Fatal(err)
	}
	imports := regexp.MustCompile(`(?s)//go:wasmimport `+abi.Module+` (\w+)\nfunc \w+\((.*?)\)( int64)?\n`).FindAllSubmatch(guest, -1)
	if len(imports) == 0 {
		t.Fatal("found no imports in abi/guest")
	}
	for _, m := range imports {
		params := strings.Count(string(m[2]), ",") + 1
		row := regexp.MustCompile("\\| `" + string(m[1]) + "` \\| `\\(([^)]*)\\) → (\\S+)` \\|").FindStringSubmatch(schema)
		if row == nil {
			t.Errorf("SCHEMA.md does not describe the import %s", m[1])
			continue
		}
		if n := strings.Count(row[1], " i32"); n != params || (row[2] == "i64") != (len(m[3]) > 0) {
			t.Errorf("SCHEMA.md describes %s as %q, abi/guest as (%s)%s", m[1], row[0], m[2], m[3])
		}
	}
	for _, s := range want {
		if !strings.Contains(schema, s) {
			t.Errorf("SCHEMA.md does not say %q", s)
		}
	}
}

// grouped is a number of thousands as the document writes it: "1,024".
func grouped(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

func TestTheExamplesOfTheSchema(t *testing.T) {
	doc, err := os.ReadFile("SCHEMA.md")
	if err != nil {
		t.Fatal(err)
	}
	var frames []abi.Value
	for _, m := range regexp.MustCompile("(?s)\n```\n(.*?)```").FindAllSubmatch(doc, -1) {
		b, err := hex.DecodeString(strings.Join(strings.Fields(string(m[1])), ""))
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, b)
	}
	if len(frames) != 2 {
		t.Fatalf("%d examples, want a request and a reply", len(frames))
	}
	q := abi.Request{Kind: abi.CallRequest, Method: "GET", Path: "/hello/Ada", Params: abi.Value(pairs("Ada")), Query: pairs("x", "1"),
		Time: 1700000000000000, Remote: "127.0.0.1", ID: "r1"}
	if want := value(q.Append); string(frames[0]) != string(want) {
		t.Errorf("the request (%d bytes) is\n% x, want\n% x", len(frames[0]), []byte(frames[0]), []byte(want))
	}
	if !strings.Contains(string(doc), fmt.Sprintf("a frame of %d bytes", len(frames[0]))) {
		t.Errorf("the request has %d bytes", len(frames[0]))
	}
	var p abi.Reply
	if err := abi.ReadReply(frames[1], &p); err != nil || p.Status != 200 || p.BodyKind != abi.BodyValue {
		t.Errorf("the reply is %+v, %v", p, err)
	}
	if s, _ := p.Body.Get("hello").Text(); s != "Ada" {
		t.Errorf("the reply's value says %q", s)
	}
}
