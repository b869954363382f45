package vdso

import "golang.org/x/sys/unix"

// calls are the system calls that do what functions of the vDSO do: the same
// arguments, and minus an errno for a result, which is what the callers of the
// vDSO expect.
var calls = map[string]uint32{
	"clock_gettime": unix.SYS_CLOCK_GETTIME,
	"gettimeofday":  unix.SYS_GETTIMEOFDAY,
	"time":          unix.SYS_TIME,
	"getcpu":        unix.SYS_GETCPU,
	"clock_getres":  unix.SYS_CLOCK_GETRES,
	"getrandom":     unix.SYS_GETRANDOM,
}
