package engine

import (
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A memfile is a content in a file that exists in memory only. Memories map it
// copy-on-write: what no guest writes to is there once, for all of them, and a
// page that one writes to becomes its own.
type memfile struct {
	fd    int    // -1 if the content is all zeros
	data  []byte // mapped, for reading; whole pages
	total uint64
}

// newContent copies the content of a memory.
func newContent(b []byte) (_ content, err error) {
	f := &memfile{fd: -1, total: uint64(len(b))}
	b = trim(b)
	if len(b) == 0 {
		return f, nil
	}
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	if f.fd, err = unix.MemfdCreate("edgeset", flags|unix.MFD_NOEXEC_SEAL); err == unix.EINVAL {
		f.fd, err = unix.MemfdCreate("edgeset", flags) // before Linux 6.3
	}
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	size := roundUp(uint64(len(b)), osPage)
	if err = unix.Ftruncate(f.fd, int64(size)); err != nil {
		return nil, os.NewSyscallError("ftruncate", err)
	}
	if err = writePages(f.fd, b); err != nil {
		return nil, err
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err = unix.FcntlInt(uintptr(f.fd), unix.F_ADD_SEALS, seals); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	// Older kernels refuse a shared mapping of a sealed file, even for reading.
	if f.data, err = unix.Mmap(f.fd, 0, int(size), unix.PROT_READ, unix.MAP_PRIVATE); err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return f, nil
}

// writePages writes b to a file that is all zeros, many pages at a time. Pages that are
// all zeros are left out, and take no memory.
func writePages(fd int, b []byte) error {
	for at := 0; at < len(b); {
		end := at
		for end < len(b) && len(trim(b[end:min(end+osPage, len(b))])) > 0 {
			end = min(end+osPage, len(b))
		}
		for from := at; from < end; {
			n, err := unix.Pwrite(fd, b[from:end], int64(from))
			if err != nil {
				return os.NewSyscallError("pwrite", err)
			}
			from += n
		}
		at = end + osPage // the page at end, if there is one, is all zeros
	}
	return nil
}

var osPage = os.Getpagesize()

func roundUp(n uint64, to int) uint64 { return (n + uint64(to) - 1) / uint64(to) * uint64(to) }

func (f *memfile) bytes() []byte { return f.data }
func (f *memfile) size() uint64  { return f.total }

func (f *memfile) close() {
	if f.data != nil {
		_ = unix.Munmap(f.data) // fails only for what is not mapped
	}
	if f.fd >= 0 {
		_ = unix.Close(f.fd)
	}
	*f = memfile{fd: -1}
}

// open implements content. It reserves addresses for all that the memory can
// grow to, so that it never moves, and maps the file at their beginning.
func (f *memfile) open(limit uint64) (memory, error) {
	reserved := uintptr(max(roundUp(limit, osPage), uint64(osPage)))
	base, err := unix.MmapPtr(-1, 0, nil, reserved, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	m := &mapped{from: f, base: base, reserved: reserved}
	// A huge page would be filled at the first touch, and be private as a whole.
	// Kernels without them say no.
	_ = unix.Madvise(m.slice(0, reserved), unix.MADV_NOHUGEPAGE)
	if n := uintptr(len(f.data)); n > 0 {
		_, err := unix.MmapPtr(f.fd, 0, base, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED)
		if err != nil {
			m.close()
			return nil, os.NewSyscallError("mmap", err)
		}
	}
	return m, nil
}

// A mapped is a memory in a region of addresses of its own.
type mapped struct {
	from     *memfile
	base     unsafe.Pointer
	reserved uintptr // size of the region
	size     uintptr // of the memory, at the beginning of the region
}

func (m *mapped) slice(from, to uintptr) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(m.base, from)), to-from)
}

// Reallocate implements experimental.LinearMemory.
func (m *mapped) Reallocate(size uint64) []byte {
	from, to := max(m.size, uintptr(len(m.from.data))), uintptr(max(size, m.from.total))
	if to > from {
		if err := unix.Mprotect(m.slice(from, to), unix.PROT_READ|unix.PROT_WRITE); err != nil {
			if m.size == 0 {
				panic(fmt.Errorf("memory of %d bytes: %w", to, os.NewSyscallError("mprotect", err)))
			}
			return nil // the guest is told that it cannot grow
		}
	}
	m.size = to
	return m.bytes()
}

// Free implements experimental.LinearMemory.
func (m *mapped) Free() {}

func (m *mapped) bytes() []byte { return m.slice(0, m.size) }

func (m *mapped) close() {
	if m.base != nil {
		_ = unix.MunmapPtr(m.base, m.reserved) // fails only for what is not mapped
		m.base = nil
	}
}

// keptPages is how many pages of its own a memory may keep through a reset. To
// copy a page back is several times cheaper than to drop it and have the guest
// fault it in again, but those that are dropped give their memory back.
const keptPages = 256

// reset implements memory.
func (m *mapped) reset() bool {
	if uint64(m.size) > m.from.total {
		return false
	}
	s := scans.Get().(*scan)
	defer scans.Put(s)
	if s.private(m) {
		for _, r := range s.found {
			m.restore(r.start-uintptr(m.base), r.end-uintptr(m.base))
		}
		return true
	}
	return unix.Madvise(m.bytes(), unix.MADV_DONTNEED) == nil
}

// restore copies a part of the content back.
func (m *mapped) restore(from, to uintptr) {
	n := uintptr(0)
	if data := m.from.data; from < uintptr(len(data)) {
		n = uintptr(copy(m.slice(from, to), data[from:]))
	}
	clear(m.slice(from+n, to))
}

// A scan asks the kernel which pages of a memory are its own: those that were
// written to. Linux can tell since version 6.7.
type scan struct {
	arg     scanArg
	regions [64]region
	found   []region
}

// scanArg is struct pm_scan_arg, and region struct page_region.
type scanArg struct {
	size, flags, start, end, walkEnd, vec, vecLen, maxPages uint64
	inverted, mask, anyOf, result                           uint64
}

type region struct {
	start, end uintptr
	_          uint64
}

const (
	pagemapScan = 0xc0606610 // _IOWR('f', 16, struct pm_scan_arg)
	pageFile    = 1 << 2
	pagePresent = 1 << 3
	pageSwapped = 1 << 4
	pageZero    = 1 << 5
)

var scans = sync.Pool{New: func() any { return new(scan) }}

// pagemap is what to ask, -1 if the kernel does not let us.
var pagemap = sync.OnceValue(func() int {
	fd, err := unix.Open("/proc/self/pagemap", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
})

// private finds the pages that a memory has of its own. It fails if they are too
// many to be kept, or if the kernel does not say.
func (s *scan) private(m *mapped) bool {
	fd := pagemap()
	if fd < 0 {
		return false
	}
	s.found = s.found[:0]
	at, end := uint64(uintptr(m.base)), uint64(uintptr(m.base)+m.size)
	left := uint64(keptPages + 1)
	for at < end {
		s.arg = scanArg{
			size: uint64(unsafe.Sizeof(s.arg)), start: at, end: end, maxPages: left,
			vec: uint64(uintptr(unsafe.Pointer(&s.regions))), vecLen: uint64(len(s.regions)),
			// Neither of the file nor the page of zeros that all share.
			inverted: pageFile | pageZero, mask: pageFile | pageZero,
			anyOf: pagePresent | pageSwapped, result: pagePresent | pageSwapped,
		}
		n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), pagemapScan, uintptr(unsafe.Pointer(&s.arg)))
		if errno != 0 {
			return false
		}
		for _, r := range s.regions[:n] {
			left -= min(left, uint64(r.end-r.start)/uint64(osPage))
			s.found = append(s.found, r)
		}
		if left == 0 {
			return false
		}
		at = s.arg.walkEnd
	}
	return true
}
