package shapes

import "golang.org/x/sys/unix"

// adjustFork makes flags that the kernel takes, mostly those of plain children
// and of threads. A thread that isn't the first makes threads only: whose child
// a task is among the threads of its parent is not kept.
func adjustFork(g *generator, t *task, v []int64) bool {
	if len(g.tasks) >= g.most {
		return false
	}
	v[0] = int64(len(g.tasks))
	switch g.IntN(8) {
	case 0, 1, 2:
		v[1] = 0
	case 3:
		v[1] |= unix.CLONE_THREAD
	case 4:
		v[1] |= unix.CLONE_VM
	}
	if t.slot != t.leader {
		v[1] |= unix.CLONE_THREAD
	}
	if v[1]&unix.CLONE_THREAD != 0 {
		v[1] = v[1]&^unix.CLONE_VFORK | unix.CLONE_SIGHAND
		if g.IntN(80) > 0 {
			v[1] |= unix.CLONE_FS | unix.CLONE_FILES // other threads are refused
		}
	}
	if v[1]&unix.CLONE_SIGHAND != 0 {
		v[1] = v[1]&^unix.CLONE_CLEAR_SIGHAND | unix.CLONE_VM
	}
	if g.weight["block"] == 0 || g.IntN(8) > 0 {
		v[1] &^= unix.CLONE_VFORK
	}
	if g.IntN(3) > 0 {
		v[2] = int64(unix.SIGCHLD)
	}
	if v[1]&(unix.CLONE_THREAD|unix.CLONE_PARENT) != 0 {
		v[2] = 0
	}
	c := t.clone(v[0], v[1])
	g.tasks = append(g.tasks, c)
	t.blocked = t.blocked || v[1]&unix.CLONE_VFORK != 0
	return true
}

// adjustUnshare is for processes, mostly: a thread with something of its own is
// refused.
func adjustUnshare(g *generator, t *task, v []int64) bool {
	for _, o := range g.tasks {
		if o != t && o.leader == t.leader && g.IntN(80) > 0 {
			return false
		}
	}
	return true
}

func adjustEnd(g *generator, t *task, v []int64) bool {
	if t.leader == 0 {
		return false // the root stays
	}
	for _, o := range g.tasks {
		o.gone = o.gone || o.leader == t.leader
	}
	for _, o := range g.tasks {
		if o.slot == t.parent { // it may have waited for its vfork child
			o.blocked = o.blocked && g.weight["block"] > 0
		}
	}
	return true
}

func adjustExitThread(g *generator, t *task, v []int64) bool {
	if t.slot == 0 {
		return false
	}
	t.gone = true
	return true
}

func adjustExec(g *generator, t *task, v []int64) bool {
	if t.slot != t.leader {
		return false
	}
	for _, o := range g.tasks {
		o.gone = o.gone || o.leader == t.leader && o != t
	}
	t.space = &space{}
	t.table = &table{t.table.kind}
	return true
}

func isChild(c, t *task) bool { return c.parent == t.leader && c.slot == c.leader }

// adjustSlot makes an argument the slot of a task that fits.
func adjustSlot(i int, fits func(other, t *task) bool) func(*generator, *task, []int64) bool {
	return func(g *generator, t *task, v []int64) bool {
		o := g.someTask(func(o *task) bool { return fits(o, t) })
		if o != nil {
			v[i] = o.slot
		}
		return o != nil
	}
}

// adjustSetpgid moves itself or a child, into its own group or anybody's.
func adjustSetpgid(g *generator, t *task, v []int64) bool {
	v[0] = t.leader
	if o := g.someTask(func(o *task) bool { return isChild(o, t) }); o != nil && g.IntN(2) == 0 {
		v[0] = o.slot
	}
	v[1] = v[0]
	if o := g.someTask(func(o *task) bool { return o.slot == o.leader }); o != nil && g.IntN(2) == 0 {
		v[1] = o.slot
	}
	return true
}

// adjustBlock waits for what doesn't come: a descriptor that it has.
func adjustBlock(g *generator, t *task, v []int64) bool {
	if t.slot == 0 {
		return false
	}
	kinds := map[int64][]string{1: {aPipe, anEvent, aTimer, aSignal}, 2: {anything}, 3: {anEpoll}, 8: {aFile}, 9: {aFile}, 11: {aPipe}, 12: {anything}}
	if want := kinds[v[0]]; want != nil {
		n, ok := g.fd(t, want...)
		if !ok || v[0] == 3 && g.edge {
			return false
		}
		v[1] = n
	}
	t.blocked = true
	return true
}

// adjustSignal sends to anybody in the tree, and rarely what ends it. Stops come
// later, see Program.Stops. SIGCONT is theirs.
func adjustSignal(g *generator, t *task, v []int64) bool {
	o := g.someTask(func(o *task) bool { return !o.gone })
	v[0] = o.slot
	switch s := unix.Signal(v[1]); s {
	case unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGCONT:
		return false
	case unix.SIGKILL:
		return o.leader != 0 && g.IntN(4) == 0
	}
	return true
}

// adjustAction leaves the signals of job control as they are.
func adjustAction(g *generator, t *task, v []int64) bool {
	switch unix.Signal(v[0]) {
	case unix.SIGSTOP, unix.SIGKILL, unix.SIGCONT:
		return false
	}
	v[3] &^= 1 << (unix.SIGCONT - 1)
	return true
}

func adjustMask(g *generator, t *task, v []int64) bool {
	if g.IntN(2) == 0 {
		v[1] &= g.Int64() // fewer
	}
	v[1] &^= 1 << (unix.SIGCONT - 1)
	return true
}

// adjustTimer makes ids rarely high: that takes a while.
func adjustTimer(g *generator, t *task, v []int64) bool {
	if g.IntN(8) > 0 {
		v[5] = g.Int64N(5)
	}
	return true
}

// adjustIDs chooses among a few ids, mostly root's.
func adjustIDs(g *generator, t *task, v []int64) bool {
	ids := []int64{0, 0, -1, 1, 1000, 34567, 60000}
	for i := range v {
		v[i] = ids[g.IntN(len(ids))]
	}
	return true
}

// adjustLimit leaves what the victim itself needs.
func adjustLimit(g *generator, t *task, v []int64) bool {
	least := map[int64]int64{unix.RLIMIT_CPU: 1000, unix.RLIMIT_FSIZE: 1 << 21, unix.RLIMIT_DATA: 1 << 22, unix.RLIMIT_STACK: 1 << 20,
		unix.RLIMIT_NPROC: 1000, unix.RLIMIT_NOFILE: lastFD + 60, unix.RLIMIT_AS: 1 << 24, unix.RLIMIT_RTTIME: 1 << 30}
	for i := 1; i <= 2; i++ {
		if g.IntN(2) == 0 {
			v[i] = least[v[0]] + g.Int64N(10000)
		}
		v[i] = max(v[i], least[v[0]])
		if v[0] == unix.RLIMIT_CPU || v[0] == unix.RLIMIT_RTTIME {
			v[i] = min(v[i], 1<<32) // the kernel counts in ns, and overflows
		}
		if g.IntN(4) == 0 {
			v[i] = -1
		}
	}
	return true
}
