package shapes

import "golang.org/x/sys/unix"

// waiting are operations that are only part of the runs with -all: what they
// make can't be restored as it was, and isn't refused.
var waiting = map[string]bool{
	"setsid": true, "setpgid": true, "subreaper": true, "pdeathsig": true,
	"lock": true, "unlock": true, "lock_all": true, "unlock_all": true, "guard": true,
	"kill": true, "killpg": true, "tkill": true, "queue": true, "tqueue": true,
	"altstack": true, "nice": true, "bound": true,
}

func later(name string, v []int64) bool {
	if waiting[name] {
		return true
	}
	switch name {
	case "map", "map_file", "map_fd":
		return v[3]&unix.MAP_LOCKED != 0
	case "timer":
		return v[5] > 100 || v[2] == 4
	case "action":
		return v[0] == int64(unix.SIGTRAP)
	case "policy":
		return v[0] > 0xff
	case "setfl":
		return v[1] != 0
	case "personality":
		return v[0] != 0
	}
	return false
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
