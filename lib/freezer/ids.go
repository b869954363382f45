package freezer

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Types of kcmp(2), <linux/kcmp.h>.
const (
	kcmpVM      = 1
	kcmpFiles   = 2
	kcmpFS      = 3
	kcmpSighand = 4
)

// What kcmp returns.
const (
	same = 0
	less = 1
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

// find looks for pid's object: i is where it is or would be, with the task that
// was the first to have it, or 0.
func (n *numbering) find(pid int) (i, with int, err error) {
	for end := len(n.tasks); i < end; {
		mid := int(uint(i+end) >> 1)
		c, err := kcmp(pid, n.tasks[mid], n.kind)
		switch {
		case err != nil:
			return 0, 0, err
		case c == same:
			return mid, n.tasks[mid], nil
		case c == less:
			end = mid
		default:
			i = mid + 1
		}
	}
	return i, 0, nil
}

// id is the number of pid's object; numbers begin with 1.
func (n *numbering) id(pid int) (uint64, error) {
	i, with, err := n.find(pid)
	switch {
	case err != nil:
		return 0, err
	case with != 0:
		return n.ids[i], nil
	}
	n.next++
	n.tasks = append(n.tasks, 0)
	n.ids = append(n.ids, 0)
	copy(n.tasks[i+1:], n.tasks[i:])
	copy(n.ids[i+1:], n.ids[i:])
	n.tasks[i], n.ids[i] = pid, n.next
	return n.next, nil
}
