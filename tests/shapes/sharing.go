package shapes

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
)

// takeSharing adds what tasks share to a picture: of each kind, each task's
// first one that has the same.
func (p picture) takeSharing(tids []int) {
	kinds := map[string]int{"vm": kabi.KCMP_VM, "files": kabi.KCMP_FILES, "fs": kabi.KCMP_FS, "sighand": kabi.KCMP_SIGHAND}
	for name, kind := range kinds {
		var firsts []int
		for _, tid := range tids {
			first := tid
			for _, f := range firsts {
				if kcmp(f, tid, kind, 0, 0) {
					first = f
					break
				}
			}
			if first == tid {
				firsts = append(firsts, tid)
			}
			p[fmt.Sprintf("%d shares %s with", tid, name)] = strconv.Itoa(first)
		}
	}
}

// takeOpenFiles adds which descriptors of the processes are of one open file.
// Those of the tree and those of others are taken one by one: see normal.go.
func (p picture) takeOpenFiles(pids []int) {
	type place struct{ pid, fd int }
	firsts := map[string][]place{} // by what they lead to
	for _, pid := range pids {
		for _, fd := range numbersIn(fmt.Sprintf("/proc/%d/fd", pid)) {
			where := link(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
			here := place{pid, fd}
			first := here
			for _, f := range firsts[where] {
				if kcmp(f.pid, pid, kabi.KCMP_FILE, f.fd, fd) {
					first = f
					break
				}
			}
			if first == here {
				firsts[where] = append(firsts[where], here)
			}
			p[fmt.Sprintf("%d fd %d is", pid, fd)] = fmt.Sprintf("%d of %d", first.fd, first.pid)
		}
	}
}

func kcmp(a, b, kind, x, y int) bool {
	r, _, e := unix.Syscall6(unix.SYS_KCMP, uintptr(a), uintptr(b), uintptr(kind), uintptr(x), uintptr(y), 0)
	return e == 0 && r == 0
}
