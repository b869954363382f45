package freezer

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
	"floe/lib/tracer"
)

// bare are the signals that are pending without a siginfo: the queue has no entry of
// theirs. before is what was pending before the queue was read, and now reads it
// from what is pending afterwards: SIGCONT, which may come at any time, takes stop
// signals back, and they it.
func bare(tid int, before uint64, queue [][tracer.SigInfoSize]byte, now func(*procfs.Status) uint64) (uint64, error) {
	const never = 1<<(unix.SIGKILL-1) | 1<<(unix.SIGSTOP-1) // no limit keeps these out of the queue
	mask := before &^ never
	for _, info := range queue {
		mask &^= 1 << (binary.LittleEndian.Uint32(info[:]) - 1)
	}
	if mask == 0 {
		return 0, nil
	}
	s, err := procfs.ReadStatus(tid)
	if err != nil {
		return 0, err
	}
	return mask & now(s), nil
}
