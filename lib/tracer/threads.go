package tracer

import (
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
)

// leaderPatience is how long a wait for one task lasts before somebody looks
// whether it can end at all.
const leaderPatience = 200 * time.Millisecond

// waiting is the wait for one task that the ptrace thread is in.
type waiting struct {
	word  atomic.Uint64 // number of the wait, and the task in the lower half; or 0
	count uint64
}

// begin is for the ptrace thread alone.
func (w *waiting) begin(tid TID) {
	w.count++
	w.word.Store(w.count<<32 | uint64(uint32(tid)))
}

func (w *waiting) end() { w.word.Store(0) }

// MindThreads must be called before a process with several threads is waited
// for. The kernel tells of a leader's end only when no other thread of its
// process is left, and a traced thread is left until its tracer has waited for
// it: a Wait for the leader would last for ever if the process were killed
// meanwhile. From here on the threads of a dead leader are waited for as well.
func (p *Ptrace) MindThreads() {
	if p.t.minded {
		return
	}
	p.t.minded = true
	go p.t.mindThreads()
}

func (t *Tracer) mindThreads() {
	tick := time.NewTicker(leaderPatience)
	defer tick.Stop()
	var before uint64
	for {
		select {
		case <-t.closed:
			return
		case <-tick.C:
		}
		now := t.waiting.word.Load()
		if now != 0 && now == before {
			buryThreads(int(uint32(now)))
		}
		before = now
	}
}

// buryThreads waits for the threads of a dead leader. Any thread of this process
// may.
func buryThreads(leader int) {
	if stat, err := procfs.ReadStat(leader); err != nil || stat.State != 'Z' {
		return
	}
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", leader))
	if err != nil {
		return
	}
	for _, e := range list {
		if tid, err := strconv.Atoi(e.Name()); err == nil && tid != leader {
			_, _ = unix.Wait4(tid, nil, unix.WALL|unix.WNOHANG, nil)
		}
	}
}
