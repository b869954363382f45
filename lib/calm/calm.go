// Package calm prepares Go's runtime for programs that start five at a time, on
// few processors, and live for some milliseconds. To import it is all there is to
// do: it must come before the other packages have prepared themselves. Three
// things take as long there as the work itself:
//
//   - Goroutines that the runtime starts for itself get a thread each, on another
//     processor: the one that the next program of the pipeline is about to use
//     (entry_amd64.s).
//   - While a program starts, works, or waits in a system call, the runtime's
//     monitor thread sleeps 20 µs at a time, and each time wakes a processor up
//     (monitor.go).
//   - A stack that grows is copied at each step (stack.go).
package calm

import (
	"runtime"
	"syscall" // no more than these: what has few dependencies is initialised early
)

func init() {
	calmMonitor()
	GrowStack()
}

// entered says that the program came through floe_start, its entry point (the
// linker's flag -E, see the Makefile). A program that was linked without it works
// as well.
var entered uint32

// variable is what floe_start adds to the environment, unless there is a
// GOMAXPROCS in it. The number is 1, in a form that nobody else writes.
const variable = "GOMAXPROCS=01"

// Widen lets a program that has work for several threads run on all processors
// that it may.
func Widen() {
	if entered == 1 && !crowded {
		runtime.SetDefaultGOMAXPROCS()
	}
}

// crowded says that Crowd has been called.
var crowded bool

// Crowd prepares a program of which n goroutines wait in system calls most of
// the time: the runtime takes a processor from such a one only when its monitor
// looks, which may be after 10 ms (see slack). So it gets one for each.
func Crowd(n int) {
	if entered == 1 {
		runtime.GOMAXPROCS(n)
		crowded = true
	}
}

// Environ is os.Environ without what floe_start has added: for programs that
// this one starts. It is never nil, which os/exec takes for all there is.
func Environ() []string {
	env := []string{}
	for _, s := range syscall.Environ() {
		if entered == 0 || s != variable {
			env = append(env, s)
		}
	}
	return env
}
