package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/extism"
	"github.com/edgeset/edgeset/host/rewrite"
)

// An inspection is what can be told of a plugin before it is deployed.
type inspection struct {
	Source    string          `json:"source"`
	Reference string          `json:"reference,omitempty"` // of one in a registry, with the digest of its manifest
	Digest    artifact.Digest `json:"digest"`
	Size      int             `json:"size"`
	Signer    string          `json:"signer,omitempty"` // id of the key that its signature is said to be of
	Verified  bool            `json:"verified"`         // that key is trusted, and has signed it

	// What it says of itself; nothing, of one that only knows extism:host/env.
	Name        string              `json:"name,omitempty"`
	Version     string              `json:"version,omitempty"`
	ABI         int                 `json:"abi,omitempty"`
	Schema      *schemaNote         `json:"schema,omitempty"`
	Grants      []grantNote         `json:"grants,omitempty"`
	Wants       []grantNote         `json:"wants,omitempty"` // grants that it can do without
	Credentials []map[string]string `json:"credentials,omitempty"`
	Routes      []routeNote         `json:"routes,omitempty"`
	Sockets     []socketNote        `json:"sockets,omitempty"`

	Imports []string `json:"imports,omitempty"`
	Exports []string `json:"exports,omitempty"` // functions
}

type schemaNote struct {
	Version  int  `json:"version"`
	Reads    int  `json:"reads"`
	Keeps    int  `json:"keeps"`
	Migrates bool `json:"migrates"`
}

type grantNote struct {
	Grant string `json:"grant"`
	For   string `json:"for"`
}

type routeNote struct {
	Method   string   `json:"method"`
	Pattern  string   `json:"pattern"`
	Write    bool     `json:"write"`
	Auth     []string `json:"auth,omitempty"`
	Optional bool     `json:"optional,omitempty"`
	Body     string   `json:"body,omitempty"`
	MaxBody  int      `json:"max_body,omitempty"`
	Deadline string   `json:"deadline,omitempty"`
	Stream   bool     `json:"stream,omitempty"`
}

type socketNote struct {
	Path   string      `json:"path"`
	Events []eventNote `json:"events"`
}

type eventNote struct {
	Name string   `json:"name"`
	Auth []string `json:"auth,omitempty"`
}

func pluginInspect(args []string) error {
	f := newFlags("plugin inspect", "tell what a plugin serves, and what it asks for: a file, \"embedded:NAME\", or \"oci://…\"")
	asJSON := f.Bool("json", false, "print it as JSON")
	cache := f.String("cache", "", "folder of compiled plugins; none: one of this user")
	trusted := f.String("plugin-keys", "", "file of minisign public keys, to tell whether one of them has signed it")
	rest, err := f.parseAnywhere(args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return misused("plugin inspect: want one source: a file, \"embedded:NAME\", or \"oci://…\"")
	}
	keys, err := readKeys(*trusted)
	if err != nil {
		return err
	}
	if *cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return misused("plugin inspect: --cache: want a folder, as this user has none for such things: %v", err)
		}
		*cache = filepath.Join(user, "edgeset")
	}
	ctx, stop := interruptible()
	defer stop()
	p, err := readSource(ctx, rest[0])
	if err != nil {
		return err
	}
	found := &inspection{Source: rest[0], Reference: p.Reference, Digest: artifact.DigestOf(p.Wasm), Size: len(p.Wasm)}
	if p.Signature != "" {
		if found.Signer, err = artifact.SignedBy(p.Signature); err != nil {
			return err
		}
	}
	if keys != nil {
		if _, err := keys.Verify(p.Wasm, p.Signature); err != nil {
			return fmt.Errorf("%s: %w", rest[0], err)
		}
		found.Verified = true
	}
	if err := found.describe(ctx, *cache, p.Wasm); err != nil {
		return err
	}
	if *asJSON {
		return printJSON(found)
	}
	return found.print(os.Stdout)
}

// describe loads the plugin, without any grant, and asks it.
func (i *inspection) describe(ctx context.Context, cache string, wasm []byte) (err error) {
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler)
	e, err := engine.New(engine.Config{CacheDir: cache, Compiler: compileApart, Logger: quiet})
	if err != nil {
		return err
	}
	defer func() {
		if closed := e.Close(context.WithoutCancel(ctx)); err == nil {
			err = closed
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, compileTime)
	defer cancel()
	nobody := &edge.Plugin{Name: "inspect", Log: quiet}
	v, err := e.Load(ctx, wasm, engine.Options{
		Name: i.Source, Modules: []engine.Module{edge.Module{}, extism.Module()}, Instances: 1,
		Init: func() any {
			call := new(edge.Call)
			call.Start(context.WithoutCancel(ctx), nobody, "start")
			return call
		},
	})
	if err != nil {
		return err
	}
	if err := i.link(wasm); err != nil {
		return err
	}
	if !v.HasExport(abi.ExportCall) {
		return nil
	}
	ctx, cancel = context.WithTimeout(ctx, deploy.DefaultDeadline)
	defer cancel()
	desc, err := deploy.Describe(ctx, v, nobody)
	if err != nil {
		return fmt.Errorf("plugin %s: %w", i.Source, err)
	}
	i.note(desc)
	return nil
}

// link notes what the plugin imports and exports.
func (i *inspection) link(wasm []byte) error {
	m, err := rewrite.Parse(wasm)
	if err != nil {
		return err
	}
	for _, imp := range m.Imports {
		i.Imports = append(i.Imports, imp.Module+"."+imp.Name)
	}
	for _, x := range m.Exports {
		if x.Kind == functionKind {
			i.Exports = append(i.Exports, x.Name)
		}
	}
	slices.Sort(i.Imports)
	i.Imports = slices.Compact(i.Imports)
	slices.Sort(i.Exports)
	return nil
}

// functionKind marks the export of a function.
const functionKind = 0

// note takes over what the plugin says of itself.
func (i *inspection) note(d *abi.Description) {
	i.Name, i.Version, i.ABI = d.Name, d.Version, d.ABI
	if d.Schema.Version > 0 {
		i.Schema = &schemaNote{d.Schema.Version, d.Schema.Reads, d.Schema.Keeps, d.Schema.Migrates}
	}
	for _, g := range d.Grants {
		i.Grants = append(i.Grants, grantNote{g, purpose(g)})
	}
	for _, g := range d.Wants {
		i.Wants = append(i.Wants, grantNote{g, purpose(g)})
	}
	for _, c := range d.Credentials {
		source := map[string]string{"kind": c.Kind}
		for key, value := range map[string]string{"header": c.Header, "scheme": c.Scheme, "query": c.Query, "cookie": c.Cookie, "param": c.Param} {
			if value != "" {
				source[key] = value
			}
		}
		i.Credentials = append(i.Credentials, source)
	}
	for _, r := range d.Routes {
		note := routeNote{
			Method: r.Method, Pattern: r.Pattern, Write: r.Write, Auth: r.Auth, Optional: r.Optional,
			Body: string(r.Body), MaxBody: r.MaxBody, Stream: r.Stream,
		}
		if r.Deadline > 0 {
			note.Deadline = r.Deadline.Round(time.Millisecond).String()
		}
		i.Routes = append(i.Routes, note)
	}
	for _, s := range d.Sockets {
		note := socketNote{Path: s.Path}
		for _, e := range s.Events {
			note.Events = append(note.Events, eventNote{e.Name, e.Auth})
		}
		i.Sockets = append(i.Sockets, note)
	}
}

// purpose says what a grant lets a plugin do.
func purpose(grant string) string {
	switch grant {
	case abi.GrantKV:
		return "keep state, in a key space of its own"
	case abi.GrantPasswords:
		return "hash passwords, and check them"
	case abi.GrantEvents:
		return "have sockets and streams, and publish events to them"
	case abi.GrantBlobs:
		return "take files that are uploaded, make pictures, and keep blobs"
	case abi.GrantMail:
		return "send mail"
	}
	if name, ok := strings.CutPrefix(grant, abi.GrantRead); ok {
		return "read the state of plugin " + name
	}
	if name, ok := strings.CutPrefix(grant, abi.GrantWebhook); ok {
		return "call the webhook " + name + " of the manifest"
	}
	if host, ok := strings.CutPrefix(grant, abi.GrantEgress); ok {
		return "call " + host
	}
	return "something that this host does not know"
}

// A sheet is what is printed for people: rows of cells, in sections.
type sheet struct {
	out io.Writer
	tab *tabwriter.Writer
}

func (s *sheet) row(cells ...string) {
	for i := range cells {
		cells[i] = oneLine(cells[i])
	}
	fmt.Fprintln(s.tab, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
}

// field writes a row if there is something in it.
func (s *sheet) field(name, value string) {
	if value != "" {
		s.row(name, value)
	}
}

// section begins a section of n rows, if there are any.
func (s *sheet) section(title string, n int) {
	if n > 0 {
		_ = s.tab.Flush() // the last Flush has the same error
		fmt.Fprintf(s.out, "\n%s\n", title)
	}
}

// print writes it for people.
func (i *inspection) print(out io.Writer) error {
	s := &sheet{out, tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	i.printIdentity(s)
	i.printInterface(s)
	i.printLinks(s)
	return s.tab.Flush()
}

func (i *inspection) printIdentity(s *sheet) {
	s.field("name", i.Name)
	s.field("version", i.Version)
	if i.ABI > 0 {
		s.field("abi", fmt.Sprint(i.ABI))
	} else {
		s.field("abi", "extism:host/env, so the manifest has to name its routes")
	}
	s.field("source", i.Source)
	s.field("reference", i.Reference)
	s.field("digest", string(i.Digest))
	s.field("size", fmt.Sprintf("%d bytes", i.Size))
	switch {
	case i.Verified:
		s.field("signed", "by key "+i.Signer)
	case i.Signer != "":
		s.field("signed", "by key "+i.Signer+", as it says: not verified, without --plugin-keys")
	default:
		s.field("signed", "no")
	}
	if n := i.Schema; n != nil {
		text := fmt.Sprintf("%d; works with data from version %d on, and plugins from version %d on with what it writes", n.Version, n.Reads, n.Keeps)
		if n.Migrates {
			text += "; migrates"
		}
		s.field("schema", text)
	}
}

func (i *inspection) printInterface(s *sheet) {
	s.section("grants that it asks for", len(i.Grants))
	for _, g := range i.Grants {
		s.row("  "+g.Grant, "to "+g.For)
	}
	s.section("grants that it wants, and can do without", len(i.Wants))
	for _, g := range i.Wants {
		s.row("  "+g.Grant, "to "+g.For)
	}
	s.section("credentials that it checks", len(i.Credentials))
	for _, c := range i.Credentials {
		s.row("  "+c["kind"], place(c))
	}
	s.section("routes", len(i.Routes))
	for _, r := range i.Routes {
		s.row("  "+r.Method, r.Pattern, r.access(), allowed(r.Auth, r.Optional), r.body())
	}
	s.section("sockets", len(i.Sockets))
	for _, socket := range i.Sockets {
		s.row("  " + socket.Path)
		for _, e := range socket.Events {
			s.row("    "+e.Name, allowed(e.Auth, false))
		}
	}
}

func (i *inspection) printLinks(s *sheet) {
	s.section("imports", len(i.Imports))
	var modules []string // in order, as the imports are
	names := map[string][]string{}
	for _, imp := range i.Imports {
		module, name, _ := strings.Cut(imp, ".")
		if names[module] == nil {
			modules = append(modules, module)
		}
		names[module] = append(names[module], name)
	}
	for _, module := range modules {
		s.row("  "+module, strings.Join(names[module], " "))
	}
	if i.ABI == 0 { // else its routes say more
		s.section("exports", len(i.Exports))
		s.row("  " + strings.Join(i.Exports, " "))
	}
}

func (r *routeNote) access() string {
	switch {
	case r.Stream:
		return "streams"
	case r.Write:
		return "writes"
	}
	return "reads"
}

func (r *routeNote) body() string {
	text := r.Body
	if text != "" && r.MaxBody > 0 {
		text += fmt.Sprintf(" of %d bytes at most", r.MaxBody)
	}
	return text
}

// allowed says who may call.
func allowed(kinds []string, optional bool) string {
	switch {
	case len(kinds) == 0:
		return "anybody"
	case optional:
		return "anybody, or " + strings.Join(kinds, " or ")
	}
	return strings.Join(kinds, " or ")
}

// place says where a credential stands in a request.
func place(c map[string]string) string {
	var parts []string
	for _, key := range []string{"header", "scheme", "query", "cookie", "param"} {
		if c[key] != "" {
			parts = append(parts, key+" "+c[key])
		}
	}
	return strings.Join(parts, ", ")
}

// oneLine makes what a plugin says fit for a cell on a terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
