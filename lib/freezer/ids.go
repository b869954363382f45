package freezer

import (
	"fmt"
	"sort"

	"golang.org/x/sys/unix"
)

// Types of kcmp(2), <linux/kcmp.h>.
const (
	kcmpVM      = 1
	kcmpFiles   = 2
	kcmpFS      = 3
	kcmpSighand = 4
)

// kcmp compares kernel objects of two tasks: 0 the same, 1 less, 2 greater.
func kcmp(a, b, kind int) (int, error) {
	r, _, e := unix.Syscall6(unix.SYS_KCMP, uintptr(a), uintptr(b), uintptr(kind), 0, 0, 0)
	if e != 0 {
		return 0, fmt.Errorf("kcmp of tasks %d and %d: %w", a, b, e)
	}
	return int(r), nil
}

// numbering gives the same number to tasks that share an object of one kind.
// kcmp's order lets it keep one task of each object sorted.
type numbering struct {
	kind  int
	tasks []int // one for each object, in kcmp's order
	ids   []uint64
	next  uint64
}

// id is the number of pid's object; numbers begin with 1.
func (n *numbering) id(pid int) (uint64, error) {
	var failed error
	same := -1
	i := sort.Search(len(n.tasks), func(i int) bool {
		c, err := kcmp(pid, n.tasks[i], n.kind)
		if err != nil {
			failed = err
		}
		if c == 0 {
			same = i
		}
		return c == 0 || c == 1
	})
	switch {
	case failed != nil:
		return 0, failed
	case same >= 0:
		return n.ids[same], nil
	}
	n.next++
	n.tasks = append(n.tasks, 0)
	n.ids = append(n.ids, 0)
	copy(n.tasks[i+1:], n.tasks[i:])
	copy(n.ids[i+1:], n.ids[i:])
	n.tasks[i], n.ids[i] = pid, n.next
	return n.next, nil
}
