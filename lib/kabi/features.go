package kabi

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Feature is something that a kernel may lack, and what floe does with it.
type Feature struct {
	Name  string
	Since string // the first release of Linux that has it; empty: a build option
	For   string // what it is needed for
	Must  bool   // without it floe does not work at all

	once  sync.Once
	probe func() bool
	here  bool
}

// Here tells whether the running kernel has it, by trying.
func (f *Feature) Here() bool {
	f.once.Do(func() { f.here = f.probe() })
	return f.here
}

// The features that code asks for.
var (
	SetTID     = &Feature{Name: "clone3 with set_tid", Since: "5.5", Must: true, For: "the ids of restored tasks", probe: hasClone3}
	GetFD      = &Feature{Name: "pidfd_getfd", Since: "5.6", Must: true, For: "descriptors of saved and restored tasks", probe: hasPidfdGetfd}
	Kcmp       = &Feature{Name: "kcmp (CONFIG_KCMP)", Must: true, For: "what tasks share", probe: hasKcmp}
	SetMM      = &Feature{Name: "PR_SET_MM_MAP (CONFIG_CHECKPOINT_RESTORE)", Must: true, For: "what /proc says of restored memory", probe: hasSetMM}
	MapFiles   = &Feature{Name: "/proc/PID/map_files", Must: true, For: "the files behind mappings", probe: exists("/proc/self/map_files")}
	TimeNS     = &Feature{Name: "time namespaces (CONFIG_TIME_NS)", Since: "5.6", For: "clocks that go on after a reboot", probe: exists("/proc/self/ns/time")}
	ChildFiles = &Feature{Name: "/proc/PID/task/TID/children", For: "the children of each thread; without it the first one is given them", probe: exists("/proc/thread-self/children")}
	TaskTypes  = &Feature{Name: "types of the kernel (CONFIG_DEBUG_INFO_BTF)", For: "what is left of timed waits, and timers that have expired", probe: exists("/sys/kernel/btf/vmlinux")}
	EventfdTag = &Feature{Name: "eventfd-semaphore in fdinfo", Since: "6.5", For: "semaphore eventfds; without it none is taken for one", probe: hasEventfdTag}
	Scan       = &Feature{Name: "PAGEMAP_SCAN", Since: "6.7", For: "finding pages fast", probe: hasScan}
	Seals      = &Feature{Name: "mseal", Since: "6.10", For: "restoring sealed mappings", probe: hasSeals}
	Droppable  = &Feature{Name: "MAP_DROPPABLE", Since: "6.11", For: "restoring droppable memory (vgetrandom's states)", probe: hasDroppable}
	ProcmapAsk = &Feature{Name: "PROCMAP_QUERY", Since: "6.11", For: "finding a task's vDSO fast", probe: hasProcmapQuery}
	Guards     = &Feature{Name: "MADV_GUARD_INSTALL", Since: "6.13", For: "restoring guard regions", probe: func() bool { return guardBits() != 0 }}
	SeenGuards = &Feature{Name: "guard regions in pagemap", Since: "6.15", For: "saving guard regions", probe: func() bool { return guardBits() == 2 }}
	TimerIDs   = &Feature{Name: "PR_TIMER_CREATE_RESTORE_IDS", Since: "6.15", For: "POSIX timers of any id; without it restore counts up to them", probe: hasTimerIDs}
)

// Features lists all, oldest first.
func Features() []*Feature {
	return []*Feature{SetTID, GetFD, Kcmp, SetMM, MapFiles, TimeNS, ChildFiles, TaskTypes, EventfdTag, Scan, Seals, Droppable, ProcmapAsk, Guards, SeenGuards, TimerIDs}
}

func exists(path string) func() bool {
	return func() bool {
		_, err := os.Stat(path)
		return err == nil
	}
}

// hasClone3 makes nothing: no struct clone_args is so short.
func hasClone3() bool {
	_, _, e := unix.Syscall(unix.SYS_CLONE3, 0, 0, 0)
	return e != unix.ENOSYS
}

func hasPidfdGetfd() bool {
	_, err := unix.PidfdGetfd(-1, -1, 0)
	return !errors.Is(err, unix.ENOSYS)
}

func hasKcmp() bool {
	pid := uintptr(os.Getpid())
	_, _, e := unix.Syscall6(unix.SYS_KCMP, pid, pid, KCMP_VM, 0, 0, 0)
	return e == 0
}

func hasEventfdTag() bool {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_SEMAPHORE)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	b, _ := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
	return bytes.Contains(b, []byte("eventfd-semaphore:"))
}

// hasSeals seals nothing.
func hasSeals() bool {
	_, _, e := unix.Syscall(unix.SYS_MSEAL, 0, 0, 0)
	return e == 0
}

func hasDroppable() bool {
	b, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_ANONYMOUS|unix.MAP_DROPPABLE)
	if err != nil {
		return false
	}
	_ = unix.Munmap(b)
	return true
}

func hasTimerIDs() bool {
	const prTimerCreateRestoreIDs, get = 77, 2 // <linux/prctl.h>
	return unix.Prctl(prTimerCreateRestoreIDs, get, 0, 0, 0) == nil
}
