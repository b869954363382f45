package shapes

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// endsRoot tells whether a signal would end the root: there would be nothing to
// checkpoint.
func (t *tree) endsRoot(s Step) bool {
	switch sig := unix.Signal(s.Args[1]); sig {
	case unix.SIGCHLD, unix.SIGURG, unix.SIGWINCH, unix.SIGCONT:
		return false
	}
	to := int(atomic.LoadUint32(&t.c.slot[s.Args[0]].tgid))
	if ops[s.Code].name == "killpg" {
		if to != 1 && to != groupOf(t.root) {
			return false
		}
	} else if to != t.root {
		return false
	}
	bit := uint64(1) << (s.Args[1] - 1)
	for _, tid := range numbersIn(fmt.Sprintf("/proc/%d/task", t.root)) {
		m := signalSets(tid)
		if (m["SigBlk"]|m["SigIgn"]|m["SigCgt"])&bit == 0 {
			return true
		}
	}
	return false
}

func signalSets(tid int) map[string]uint64 {
	out := map[string]uint64{}
	for _, l := range strings.Split(string(readProc(fmt.Sprintf("/proc/%d/status", tid))), "\n") {
		name, v, _ := strings.Cut(l, ":\t")
		if strings.HasPrefix(name, "Sig") {
			out[name], _ = strconv.ParseUint(v, 16, 64)
		}
	}
	return out
}

func groupOf(pid int) int {
	g, _ := unix.Getpgid(pid)
	return g
}
