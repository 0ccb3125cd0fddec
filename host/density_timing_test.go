package host

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/wasmtest"
	"github.com/edgeset/edgeset/store/badgerstore"
)

// densityPlugins are those of each deployment.
var densityPlugins = []string{"posts", "sharing", "signing", "status"}

// BenchmarkDensity starts hosts with one deployment and with a hundred of all four
// plugins, and reports what each deployment adds: time to start, memory, and files,
// mappings and goroutines, of which a process has only so many. Plugins have been
// compiled before, as on a node that is started again.
func BenchmarkDensity(b *testing.B) {
	if testing.Short() {
		b.Skip("starts 400 plugins")
	}
	dir := b.TempDir()
	for _, name := range densityPlugins {
		check(b, os.WriteFile(filepath.Join(dir, name+".wasm"), wasmtest.Build(b, "plugins/"+name), 0o600))
	}
	startDensity(b, dir, 1) // compiles what was not
	const many = 100
	one, all := startDensity(b, dir, 1), startDensity(b, dir, many)
	b.Logf("%3d deployment:  %v", 1, one)
	b.Logf("%3d deployments: %v", many, all)
	const mb = 1 << 20
	b.ReportMetric(all.start.Seconds(), "s-start")
	b.ReportMetric(float64(all.cpu.Milliseconds())/many, "ms-CPU/deployment")
	b.ReportMetric(float64(all.memory)/mb, "MB")
	b.ReportMetric(float64(all.memory-one.memory)/mb/(many-1), "MB/deployment")
	b.ReportMetric(float64(all.fds-one.fds)/(many-1), "files/deployment")
	b.ReportMetric(float64(all.mappings-one.mappings)/(many-1), "mappings/deployment")
	b.ReportMetric(ms(all.first), "ms-first-request")
	b.ReportMetric(0, "ns/op")
}

// A footprint is what a host takes that has been started and has answered each of
// its plugins' first requests.
type footprint struct {
	start, cpu time.Duration // until the first request could come
	first      time.Duration // of the first requests, the median
	loaded     int           // memory before those, in bytes
	memory     int           // what all mappings share counts once: PSS
	rss        int
	heap       uint64
	fds        int
	mappings   int
	goroutines int
}

func (f footprint) String() string {
	return fmt.Sprintf("start %v (CPU %v), first request %v, %d MB of memory (%d before them; RSS %d MB), Go heap %d MB, %d files, %d mappings, %d goroutines",
		f.start.Round(time.Millisecond), f.cpu.Round(time.Millisecond), f.first.Round(10*time.Microsecond),
		f.memory>>20, f.loaded>>20, f.rss>>20, f.heap>>20, f.fds, f.mappings, f.goroutines)
}

func startDensity(b *testing.B, dir string, deployments int) (f footprint) {
	b.Helper()
	manifest := &deploy.Manifest{}
	for n := range deployments {
		spec := deploy.DefaultManifest(densityPlugins...).Deployments[0]
		spec.Name, spec.Hosts = fmt.Sprintf("d%d", n), []string{fmt.Sprintf("d%d.example", n)}
		manifest.Deployments = append(manifest.Deployments, spec)
	}
	debug.FreeOSMemory()
	ctx, cancel := context.WithCancel(b.Context())
	began, used := time.Now(), cpuTime(b)
	h, err := New(ctx, Config{
		Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Data: b.TempDir(), Cache: wasmtest.CacheDir(b),
		Durability: badgerstore.Process, Manifest: manifest, Embedded: os.DirFS(dir),
		Drain: time.Second, Log: slog.New(slog.DiscardHandler),
	})
	check(b, err)
	f.start, f.cpu = time.Since(began), cpuTime(b)-used
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	defer func() {
		cancel()
		check(b, <-done)
	}()
	debug.FreeOSMemory()
	f.loaded, _ = memory(b)
	var times []time.Duration
	for n := range deployments {
		for _, path := range []string{"/1.0/posts/none", "/v2/invites/none?next=0", "/v2/account/login", "/v1/status/none"} {
			times = append(times, firstRequest(b, h.Addr().String(), fmt.Sprintf("d%d.example", n), path))
		}
	}
	slices.Sort(times)
	f.first = times[len(times)/2]
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.memory, f.rss = memory(b)
	f.heap, f.goroutines = m.HeapAlloc, runtime.NumGoroutine()
	fds, err := os.ReadDir("/proc/self/fd")
	check(b, err)
	maps, err := os.ReadFile("/proc/self/maps")
	check(b, err)
	f.fds, f.mappings = len(fds), strings.Count(string(maps), "\n")
	return f
}

func firstRequest(b *testing.B, addr, host, path string) time.Duration {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+addr+path, nil)
	check(b, err)
	req.Host = host
	began := time.Now()
	resp, err := http.DefaultClient.Do(req)
	check(b, err)
	took := time.Since(began)
	_, err = io.Copy(io.Discard, resp.Body)
	check(b, err)
	check(b, resp.Body.Close())
	if resp.StatusCode >= 500 {
		b.Fatalf("%s %s: %s", host, path, resp.Status)
	}
	return took
}

// memory returns how many bytes of memory the process has. In rss, a page that many
// instances share counts once for each of them.
func memory(b *testing.B) (pss, rss int) {
	b.Helper()
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		b.Skip(err)
	}
	for name, n := range map[string]*int{"\nPss:": &pss, "\nRss:": &rss} {
		_, rest, _ := strings.Cut(string(text), name)
		_, err := fmt.Sscan(rest, n)
		check(b, err)
		*n <<= 10
	}
	return pss, rss
}

// cpuTime returns how much the process has computed.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	check(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
