package shapes

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
)

const pageSize = 4096

// contents are the digests of the pages that a process has in memory, and which
// pages are guards: by their addresses.
type contents struct {
	page  map[uint64]uint64
	guard map[uint64]bool
}

// takeContents reads what every process has in memory. What isn't there stays
// so: reading it would change what the dump sees. after reads besides all pages
// that were there before.
func takeContents(before map[int]*contents) map[int]*contents {
	out := map[int]*contents{}
	for _, pid := range processes() {
		if stateOf(pid) != 'Z' {
			out[pid] = readContents(pid, before[pid])
		}
	}
	return out
}

func readContents(pid int, before *contents) *contents {
	c := &contents{map[uint64]uint64{}, map[uint64]bool{}}
	dir := fmt.Sprintf("/proc/%d/", pid)
	maps, err := unix.Open(dir+"pagemap", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return c
	}
	defer unix.Close(maps)
	mem, err := unix.Open(dir+"mem", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return c
	}
	defer unix.Close(mem)
	for _, m := range mappings(readProc(dir + "smaps")) {
		// The vDSO and its data are the kernel's, the control file is the test's.
		if strings.HasPrefix(m.path, "[v") || m.from == controlAddr || slices.Contains(strings.Fields(m.flags), "dp") {
			continue
		}
		entries := make([]byte, (m.to-m.from)/pageSize*8)
		n, _ := unix.Pread(maps, entries, int64(m.from/pageSize*8))
		for i := 0; i+8 <= n; i += 8 {
			addr, e := m.from+uint64(i)/8*pageSize, binary.NativeEndian.Uint64(entries[i:])
			if e&kabi.PM_GUARD_REGION != 0 {
				c.guard[addr] = true
				continue
			}
			there := e&(kabi.PM_PRESENT|kabi.PM_SWAP) != 0
			if before != nil && !there {
				_, there = before.page[addr]
			}
			if there {
				c.page[addr] = digest(mem, addr)
			}
		}
	}
	return c
}

// digest is 0 for zeros, 1 for what can't be read.
func digest(mem int, addr uint64) uint64 {
	var b [pageSize]byte
	if n, err := unix.Pread(mem, b[:], int64(addr)); n != pageSize || err != nil {
		return 1
	}
	if b == [pageSize]byte{} {
		return 0
	}
	h := fnv.New64a()
	h.Write(b[:])
	return h.Sum64()
}

// compareContents tells in which pages two differ. A page that only the restored
// process has must be zeros, or from a file, as it would be on first use.
func compareContents(a, b map[int]*contents, fromFile func(pid int, addr uint64) bool) (out []string) {
	for pid, before := range a {
		after := b[pid]
		if after == nil {
			continue // the picture tells
		}
		for addr, x := range before.page {
			if y, ok := after.page[addr]; !ok || x != y {
				out = append(out, fmt.Sprintf("%d page %#x: contents differ (%x, %x)", pid, addr, x, y))
			}
		}
		for addr, y := range after.page {
			if _, ok := before.page[addr]; !ok && y != 0 && !fromFile(pid, addr) {
				out = append(out, fmt.Sprintf("%d page %#x: contents where nothing was", pid, addr))
			}
		}
		for addr := range before.guard {
			if !after.guard[addr] {
				out = append(out, fmt.Sprintf("%d page %#x: guard is gone", pid, addr))
			}
		}
		for addr := range after.guard {
			if !before.guard[addr] {
				out = append(out, fmt.Sprintf("%d page %#x: guard where none was", pid, addr))
			}
		}
	}
	slices.Sort(out)
	return out
}
