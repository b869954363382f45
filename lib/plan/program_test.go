package plan

import (
	"math/rand/v2"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// program runs random system calls in a simulated tree below a shell.
type program struct {
	*kernel
	r    *rand.Rand
	root int32
	pids int32 // the largest
	how  habits
}

// habits are what a program does, besides.
type habits struct {
	signals bool // exit signals of all kinds
	share   bool
	exec    bool // execve(2)
	unshare bool // unshare(2)
	clear   bool // reapers may cease to be
}

func (g *program) tree() []*proc {
	if g.procs[g.root] == nil {
		return nil
	}
	list := []*proc{g.procs[g.root]}
	for i := 0; i < len(list); i++ {
		list = append(list, list[i].kids...)
	}
	return list
}

func (g *program) step() {
	var live []*proc
	all := g.tree()
	for _, p := range all {
		if !p.zombie {
			live = append(live, p)
		}
	}
	if len(live) == 0 {
		return
	}
	p := live[g.r.IntN(len(live))]
	switch n := g.r.IntN(100); {
	case n < 42:
		g.randomFork(p)
	case n < 52:
		_ = g.setsid(p.pid)
	case n < 66:
		to := []int32{p.pid, all[g.r.IntN(len(all))].pid, all[g.r.IntN(len(all))].pgid}[g.r.IntN(3)]
		_ = g.setpgid(p.pid, to)
	case n < 80:
		if p.pid != g.root {
			_ = g.end(p.pid, uint32(g.r.IntN(256))<<8)
		}
	case n < 88:
		for _, c := range p.kids {
			if c.zombie {
				_ = g.wait(p.pid, c.pid)
				break
			}
		}
	case n < 94:
		p.reaper = !g.how.clear || !p.reaper
	case n < 97 && g.how.exec: // what was shared is no more, all but directories
		p.exit = uint32(unix.SIGCHLD)
		g.fresh(p, unix.CLONE_FS)
	case n >= 97 && g.how.unshare:
		g.fresh(p, unix.CLONE_VM|unix.CLONE_SIGHAND)
	}
}

func (g *program) randomFork(p *proc) {
	var flags uint64
	exit := uint32(unix.SIGCHLD)
	if g.how.signals && g.r.IntN(8) == 0 {
		exit = []uint32{0, uint32(unix.SIGUSR1), 40}[g.r.IntN(3)]
	}
	if g.r.IntN(6) == 0 && p.pid != g.root {
		flags, exit = unix.CLONE_PARENT, 0
	}
	if g.how.share && g.r.IntN(2) == 0 {
		flags |= []uint64{unix.CLONE_VM, unix.CLONE_FILES, unix.CLONE_FS, unix.CLONE_VM | unix.CLONE_SIGHAND,
			unix.CLONE_FILES | unix.CLONE_FS, unix.CLONE_VM | unix.CLONE_FILES | unix.CLONE_FS | unix.CLONE_SIGHAND}[g.r.IntN(6)]
	}
	if _, err := g.fork(p.pid, g.free(g.pids), flags, exit); err != nil {
		panic(err)
	}
}

// begin makes a shell and the root, and runs a random program.
func begin(seed uint64, how habits) *program {
	g := &program{kernel: newKernel(), r: rand.New(rand.NewPCG(seed, 1)), pids: 60, how: how}
	shell := g.must(1)
	_ = g.setsid(shell.pid)
	job := g.must(shell.pid)
	if g.r.IntN(2) == 0 {
		_ = g.setpgid(job.pid, job.pid)
	}
	root := g.must(job.pid)
	g.root = root.pid
	if g.r.IntN(3) == 0 {
		root.reaper = true
	}
	for range 5 + g.r.IntN(60) {
		if len(g.tree()) < 40 {
			g.step()
		}
	}
	for _, p := range []*proc{job, shell} {
		if g.r.IntN(2) == 0 {
			_ = g.end(p.pid, 0)
			_ = g.wait(p.parent, p.pid)
		}
	}
	return g
}

func (g *program) must(parent int32) *proc {
	p, err := g.fork(parent, g.free(g.pids), 0, uint32(unix.SIGCHLD))
	if err != nil {
		panic(err)
	}
	return p
}

// records are what freeze says of the tree.
func (g *program) records() []*record.Task {
	tree := g.tree()
	in := map[int32]bool{}
	for _, p := range tree {
		in[p.pid] = true
	}
	outside := func(f func(*proc) bool) bool {
		for _, p := range g.procs {
			if !in[p.pid] && !p.zombie && f(p) {
				return true
			}
		}
		return false
	}
	var list []*record.Task
	for _, p := range tree {
		t := &record.Task{Pid: p.pid, Ppid: p.parent, Pgid: p.pgid, Sid: p.sid, ExitSignal: p.exit,
			MmId: p.objs[0], FilesId: p.objs[1], FsId: p.objs[2], SighandId: p.objs[3]}
		if p.zombie {
			t.State, t.ExitCode = record.Task_ZOMBIE, p.status
		}
		t.SessionGone = !in[p.sid] && !outside(func(o *proc) bool { return o.pid == p.sid || o.sid == p.sid && p.sid == tree[0].sid })
		t.GroupGone = !in[p.pgid] && !outside(func(o *proc) bool { return o.pid == p.pgid || o.pgid == p.pgid && p.pgid == tree[0].pgid })
		list = append(list, t)
	}
	return list
}
