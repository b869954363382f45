package freezer

import (
	"testing"

	"floe/lib/procfs"
)

// TestKernelThreads compares with what the kernel says of all tasks there are.
func TestKernelThreads(t *testing.T) {
	needRoot(t)
	k := kernelThreads()
	pids, err := procfs.Processes()
	if err != nil {
		t.Fatal(err)
	}
	known, others := 0, 0
	for _, pid := range pids {
		got := k.has(pid)
		s, err := procfs.ReadStat(pid)
		if err != nil {
			continue // it has ended
		}
		switch is := s.Flags&procfs.PFKthread != 0; {
		case got && !is:
			t.Errorf("task %d (%s) is no kernel thread", pid, s.Comm)
		case got:
			known++
		case !is:
			others++
		}
	}
	if others == 0 || k.parent != 0 && known == 0 {
		t.Errorf("%d kernel threads and %d other tasks were seen", known, others)
	}
}
