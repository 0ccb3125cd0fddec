package main_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A usage is what a server has taken of the machine so far.
type usage struct {
	rss int64 // bytes, now
	cpu time.Duration
}

// usage asks the kernel; where there is no /proc it knows nothing.
func (s *server) usage() (u usage) {
	folder := fmt.Sprintf("/proc/%d/", s.process.Process.Pid)
	status, err := os.ReadFile(folder + "status")
	if err != nil {
		return u
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			u.rss = kib << 10
		}
	}
	stat, err := os.ReadFile(folder + "stat")
	if err != nil {
		return u
	}
	// The name, in parentheses, may have blanks. After it, fields 14 and 15 of
	// the line are user and system time in hundredths of a second.
	_, rest, _ := strings.Cut(string(stat), ") ")
	if fields := strings.Fields(rest); len(fields) > 12 {
		for _, f := range fields[11:13] {
			ticks, _ := strconv.ParseInt(f, 10, 64)
			u.cpu += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return u
}

// gauges are the metrics that would tell of a leak.
func (s *server) gauges() string {
	_, text := s.probe("/metrics")
	var found []string
	for line := range strings.Lines(text) {
		for _, name := range []string{"go_goroutines ", "go_memstats_heap_inuse_bytes ", "process_open_fds ", "edgeset_instances{",
			"edgeset_callers_waiting{", "edgeset_plugin_traps_total{", "edgeset_instance_evictions_total{"} {
			if strings.HasPrefix(line, name) {
				found = append(found, strings.TrimSpace(line))
			}
		}
	}
	return strings.Join(found, ", ")
}

// memory is the server's RSS over the time of a load.
type memory struct {
	rss []int64 // one sample each sampleEvery
}

const sampleEvery = 250 * time.Millisecond

// sample samples from begin to end.
func (m *memory) sample(s *server, begin, end time.Time) {
	for at := begin; at.Before(end); at = at.Add(sampleEvery) {
		time.Sleep(time.Until(at))
		if rss := s.usage().rss; rss > 0 {
			m.rss = append(m.rss, rss)
		}
	}
}

// warm is the median of the second quarter, end that of the last one.
func (m *memory) warm() int64 { return m.part(1, 4) }
func (m *memory) end() int64  { return m.part(3, 4) }

// part is the median of one of so many equal parts of the time.
func (m *memory) part(i, of int) int64 {
	n := len(m.rss)
	part := slices.Sorted(slices.Values(m.rss[i*n/of : (i+1)*n/of]))
	if len(part) == 0 {
		return 0
	}
	return part[len(part)/2]
}

// course is how it went, in MiB.
func (m *memory) course() string {
	const parts = 12
	var b strings.Builder
	for i := range parts {
		fmt.Fprintf(&b, " %.0f", mib(m.part(i, parts)))
	}
	return b.String()
}

func (m *memory) largest() int64 {
	if len(m.rss) == 0 {
		return 0
	}
	return slices.Max(m.rss)
}

// memorySlack is what the store's tables in memory, and a garbage collector
// between two collections, may add.
const memorySlack = 32 << 20

// check wants memory flat: once warm it grows by no more than a tenth and the
// slack. The first quarter of the time is for warming up.
func (m *memory) check() error {
	if warm, end := m.warm(), m.end(); end > warm+warm/10+memorySlack {
		return fmt.Errorf("the server's memory grew from %.1f MiB in the second quarter of the time to %.1f MiB in the last",
			mib(warm), mib(end))
	}
	return nil
}
