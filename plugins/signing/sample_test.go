package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// samples are the document's own, as its clients run them.
const samples = "../../cmd/edgeset/testdata/samples/"

// need returns the path of a program. Where everything is to be tested it must be
// there.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil && os.Getenv("EDGESET_REQUIRE_TOOLS") == "" {
		t.Skipf("%s is not installed, and EDGESET_REQUIRE_TOOLS is not set", program)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A sampleInput is a line for a sample.
type sampleInput struct {
	Fields   map[string]string `json:"fields"`
	Secret   string            `json:"secret"`
	Identity string            `json:"identity"`
	UDID     string            `json:"udid"`
}

// runSample has a sample sign all inputs, and returns what it would send.
func runSample(t *testing.T, inputs []sampleInput, program string, args ...string) []map[string]string {
	t.Helper()
	var in bytes.Buffer
	for _, input := range inputs {
		if err := json.NewEncoder(&in).Encode(input); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), need(t, program), args...)
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	var sent []map[string]string
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var answer struct{ Fields map[string]string }
		if err := json.Unmarshal(lines.Bytes(), &answer); err != nil {
			t.Fatalf("%s: %v", lines.Bytes(), err)
		}
		sent = append(sent, answer.Fields)
	}
	if len(sent) != len(inputs) {
		t.Fatalf("%d answers to %d lines", len(sent), len(inputs))
	}
	return sent
}

// accepted checks that the plugin takes what a sample has sent, just so and once.
func (b *bench) accepted(sent []map[string]string) {
	b.t.Helper()
	b.Host.Now = time.Now()
	for i, fields := range sent {
		f := url.Values{}
		for name, value := range fields {
			f.Set(name, value)
		}
		if err := b.try(f); err != nil {
			b.t.Fatalf("%q: %v", f, err)
		}
		if i%10 != 0 {
			continue
		}
		b.wants(b.try(f), "replayed")
		f.Set("city", f.Get("city")+"x")
		b.wants(b.try(f), "bad_signature")
	}
}

// randomText is of what trips signatures: nothing, what forms escape, characters
// of several bytes, digits that could be numbers.
func randomText(rng *rand.Rand) string {
	pieces := []string{"", "a", "B", "0", "007", "1e3", "-1", " ", "+", "%", "%20", "&", "=", ";", "/", "?", "#", "\"", "'", "\\", "<b>", "\n", "\r\n", "\t", "\x00", "ü", "é", "東京", "🚓", "ß", "yes", "\u2028", "oklahoma city"}
	var s strings.Builder
	for range rng.IntN(6) {
		s.WriteString(pieces[rng.IntN(len(pieces))])
	}
	return s.String()
}

// randomName is one that forms have: PHP sorts names that are numbers as numbers.
func randomName(rng *rand.Rand) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	const more = letters + "0123456789_-.:[] üé東"
	name := string(letters[rng.IntN(len(letters))])
	all := []rune(more)
	for range rng.IntN(5) {
		name += string(all[rng.IntN(len(all))])
	}
	switch name {
	case "hash", "authtoken", "identity", "timestamp":
		return "x" + name
	}
	return name
}

const sampleRuns = 2000

func TestSampleInJavaScriptSignsAsThePlugin(t *testing.T) {
	b := newBench(t)
	rng := rand.New(rand.NewPCG(1, 2))
	inputs := make([]sampleInput, sampleRuns)
	for i := range inputs {
		fields := map[string]string{"identity": b.app, "city": randomText(rng), "description": randomText(rng), "udid": random(8) + randomText(rng)}
		if rng.IntN(2) == 0 {
			fields["referrer"] = randomText(rng)
		}
		inputs[i] = sampleInput{Fields: fields, Secret: b.secret}
	}
	b.accepted(runSample(t, inputs, "node", samples+"form.js"))
}

func TestSampleInPHPSignsAsThePlugin(t *testing.T) {
	b := newBench(t)
	rng := rand.New(rand.NewPCG(3, 4))
	inputs := make([]sampleInput, sampleRuns)
	for i := range inputs {
		fields := map[string]string{}
		for range rng.IntN(12) {
			fields[randomName(rng)] = randomText(rng)
		}
		if rng.IntN(3) == 0 {
			fields["referrer"] = "yes"
		}
		inputs[i] = sampleInput{Fields: fields, Secret: b.secret, Identity: b.app, UDID: random(8) + randomText(rng)}
	}
	b.accepted(runSample(t, inputs, "php", samples+"myFormHandler.php"))
}

// The sample as it is printed has the month in place of the minutes. It is right
// in a minute of each hour, and is not made up for in the others.
func TestSampleInPHPAsItIsPrinted(t *testing.T) {
	b := newBench(t)
	b.Host.Now = time.Date(2026, 3, 1, 12, 45, 0, 0, time.UTC)
	printed := time.Date(2026, 3, 1, 12, 3, 0, 0, time.UTC) // date("Y-m-d H:m:s")
	b.wants(b.try(b.signed("timestamp", seconds(time.Duration(printed.UnixNano())))), "stale")
	b.Host.Now = time.Date(2026, 3, 1, 12, 8, 0, 0, time.UTC)
	b.wants(b.try(b.signed("timestamp", seconds(time.Duration(printed.UnixNano())))), "")
}
