package shapes

import "golang.org/x/sys/unix"

// waiting are operations that are only part of the runs with -all: what they
// make can't be restored as it was, and isn't refused.
var waiting = map[string]bool{
	"setsid": true, "setpgid": true, "subreaper": true, "pdeathsig": true,
	"kill": true, "killpg": true, "tkill": true, "queue": true, "tqueue": true,
}

const laterStops = false

// plainFork leaves out sharing but by threads, and signals at the end.
func plainFork(flags, signal int64) (int64, int64) {
	if flags&unix.CLONE_THREAD == 0 {
		flags &^= unix.CLONE_VM | unix.CLONE_FILES | unix.CLONE_FS | unix.CLONE_SIGHAND | unix.CLONE_PARENT
	}
	if signal != 0 && flags&(unix.CLONE_THREAD|unix.CLONE_PARENT) == 0 {
		signal = int64(unix.SIGCHLD)
	}
	return flags, signal
}
