// Package clocks knows a boot's clocks, whatever time namespace it is asked in.
//
// A time namespace shifts CLOCK_MONOTONIC and CLOCK_BOOTTIME of the processes in
// it by an offset each, counted from the initial namespace. CLOCK_REALTIME is
// the same in all.
package clocks

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
	"floe/lib/record"
)

// Offsets are those of a time namespace, nanoseconds; zeros in the initial one.
type Offsets struct{ Monotonic, Boottime int64 }

// ReadOffsets reads the offsets that the children of a process get; pid is as
// /proc has it: "self", too. A kernel without time namespaces has none.
func ReadOffsets(pid string) (Offsets, error) {
	var o Offsets
	b, err := procfs.ReadFile("/proc/" + pid + "/timens_offsets")
	if errors.Is(err, os.ErrNotExist) {
		return o, nil
	} else if err != nil {
		return o, err
	}
	var names [2]string
	var sec, nsec [2]int64
	if _, err := fmt.Sscan(string(b), &names[0], &sec[0], &nsec[0], &names[1], &sec[1], &nsec[1]); err != nil {
		return o, fmt.Errorf("/proc/%s/timens_offsets: %q: %w", pid, b, err)
	}
	for i, name := range names {
		switch name {
		case "monotonic":
			o.Monotonic = sec[i]*1e9 + nsec[i]
		case "boottime":
			o.Boottime = sec[i]*1e9 + nsec[i]
		default:
			return o, fmt.Errorf("/proc/%s/timens_offsets: unknown clock %s", pid, name)
		}
	}
	return o, nil
}

// WriteOffsets sets the offsets of the new time namespace that a process has
// made for its children, before there are any.
func WriteOffsets(pid int, o Offsets) error {
	f, err := procfs.Open("/proc/"+strconv.Itoa(pid)+"/timens_offsets", unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	line := func(name string, ns int64) string {
		sec, nsec := ns/1e9, ns%1e9
		if nsec < 0 { // the kernel wants it positive
			sec, nsec = sec-1, nsec+1e9
		}
		return fmt.Sprintf("%s %d %d\n", name, sec, nsec)
	}
	if _, err := f.WriteString(line("monotonic", o.Monotonic) + line("boottime", o.Boottime)); err != nil {
		return fmt.Errorf("%w (setting clocks needs CAP_SYS_TIME)", err)
	}
	return nil
}

// Namespaces tells whether the kernel has time namespaces.
func Namespaces() bool {
	_, err := os.Stat("/proc/self/timens_offsets")
	return err == nil
}

// Own is what this process's clocks differ by from the boot's.
func Own() (Offsets, error) { return ReadOffsets("self") }

// Now reads the boot's clocks, those of the initial time namespace.
func Now() (*record.Clocks, error) {
	own, err := Own()
	if err != nil {
		return nil, err
	}
	c := &record.Clocks{}
	for clock, to := range map[int32]*int64{
		unix.CLOCK_REALTIME: &c.RealtimeNs, unix.CLOCK_MONOTONIC: &c.MonotonicNs, unix.CLOCK_BOOTTIME: &c.BoottimeNs,
	} {
		var ts unix.Timespec
		if err := unix.ClockGettime(clock, &ts); err != nil {
			return nil, fmt.Errorf("clock %d: %w", clock, err)
		}
		*to = ts.Nano()
	}
	c.MonotonicNs -= own.Monotonic
	c.BoottimeNs -= own.Boottime
	return c, nil
}

// BootID identifies a boot.
func BootID() (string, error) { return bootID() }

// bootID reads it once: it is asked for with every file, and a boot keeps it.
var bootID = sync.OnceValues(func() (string, error) {
	b, err := procfs.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(b)), nil
})
