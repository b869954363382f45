package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sampled is about how many faults of a program make test tries.
var sampled = map[string]int{"restore": 100, "freeze": 40, "vmadump": 30, "vdsoprobe": 30, "fddump": 30, "pagedump": 30}

// faults are all faults at the points, in order.
func faults(list []point) []fault {
	var out []fault
	for i, p := range list {
		if !afterExec(list[:i], p) {
			for _, e := range p.errors() {
				out = append(out, fault{p, e})
			}
		}
		out = append(out, fault{p, killed})
	}
	return out
}

// afterExec tells whether a call is the read by which package syscall learns that
// a child has called exec. It takes an error, which a pipe never gives, for the
// child's, and waits for the child's end.
func afterExec(before []point, p point) bool {
	const calls = 4 // that may come between
	return p.nr == unix.SYS_READ && slices.ContainsFunc(before[max(0, len(before)-calls):], func(b point) bool {
		return b.who == "child" && b.nr == unix.SYS_EXECVE
	})
}

// chosen are the faults to try: all, every k-th, or those that -only names.
func chosen(t *testing.T, program string, all []fault) []fault {
	t.Helper()
	want := sampled[program]
	var out []fault
	if *only != "" {
		for _, f := range all {
			if strings.Contains(f.String(), *only) {
				out = append(out, f)
			}
		}
		return out
	}
	if *everything {
		return all
	}
	if want == 0 {
		return nil
	}
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(os.Getpid()) + uint64(time.Now().UnixNano())
	}
	step := max(1, len(all)/want)
	start := int(rand.New(rand.NewPCG(seed, 0)).Int64N(int64(step)))
	for i := start; i < len(all); i += step {
		out = append(out, all[i])
	}
	t.Logf("every %d-th of %d faults from number %d on (-seed %d)", step, len(all), start, seed)
	return out
}

// tally counts what became of the faults.
type tally map[unix.Errno]*[3]int

func (y tally) add(e unix.Errno, o outcome) {
	if y[e] == nil {
		y[e] = &[3]int{}
	}
	y[e][o]++
}

func (y tally) log(t *testing.T, program string, points int) {
	t.Helper()
	t.Logf("%s: %d system calls", program, points)
	for _, e := range []unix.Errno{unix.ENOMEM, unix.EPERM, unix.EMFILE, unix.ENOSPC, unix.EAGAIN, unix.EINTR, killed} {
		name := unix.ErrnoName(e)
		if e == killed {
			name = "SIGKILL"
		}
		if n := y[e]; n != nil {
			t.Logf("%-8s %5d faults: %d times nothing was left, %d times everything was there, %d times the call did not come", name, n[0]+n[1]+n[2], n[0], n[1], n[2])
		}
	}
}

// sweep tries faults at the points of a run.
func sweep(t *testing.T, program string, list []point, try func(*testing.T, *fault) outcome) {
	t.Helper()
	y := tally{}
	for _, f := range chosen(t, program, faults(list)) {
		ok := t.Run(name(f), func(t *testing.T) {
			o := notReached
			for range 3 { // Go's threads run in any order
				if o = try(t, &f); o != notReached {
					break
				}
			}
			y.add(f.errno, o)
		})
		if !ok {
			fmt.Fprintf(os.Stderr, "fault: %s\n", f)
		}
	}
	y.log(t, program, len(list))
}

// name is a fault's name as a test.
func name(f fault) string {
	return strings.NewReplacer(" ", "_", ":", "", ",", "", "/", "-").Replace(f.String())
}
