package fds

import (
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"floe/lib/image"
	"floe/lib/kabi"
	"floe/lib/plan"
	"floe/lib/record"
)

// pidFD is the kind of pidfd_open(2). It refers to a task of the tree, or to one
// that has ended and been waited for, whose number is no longer known: that leads
// nowhere, in the tree or out of it, and a process that ends at once is as good.
type pidFD struct{ flagged }

// pidfdThread is PIDFD_THREAD, which a description shows as O_EXCL.
const pidfdThread = unix.O_EXCL

func (pidFD) takes(d *desc) bool { return anonName(d.link) == "pidfd" }

func (pidFD) fields() []string { return []string{"Pid", "NSpid"} }

func (pidFD) save(c *collector, d *desc) error {
	pid, err := strconv.ParseInt(d.info.get("Pid"), 10, 32)
	if err != nil {
		return fmt.Errorf("fdinfo: Pid: %w", err)
	}
	p := &record.OpenFile_PidFd{}
	d.rec.Object = &record.OpenFile_Pidfd{Pidfd: p}
	switch {
	case pid < 0:
		p.Gone = d.stat.Ino // before Linux 6.9 all have the same, and nothing tells them apart
		return c.exitCode(d, p)
	case pid == 0:
		return d.refuse("", "a pidfd of a task of another pid namespace")
	}
	for _, t := range c.tree.Tasks {
		if t.Pid == int32(pid) || d.info.flags&pidfdThread != 0 && slices.Contains(t.Tids, int32(pid)) {
			p.Pid = int32(pid)
			return nil
		}
	}
	return d.refuse("close it, or checkpoint a tree that has that task", "a pidfd of task %d (%s), outside of the tree,", pid, commOf(int(pid)))
}

// exitCode saves how a task ended that is gone: the kernel keeps it with the pidfd
// since Linux 6.15.
func (c *collector) exitCode(d *desc, p *record.OpenFile_PidFd) error {
	fd, err := c.dup(d)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	if ioctl(fd, unix.PIDFD_GET_INFO, &info) == nil && info.Mask&unix.PIDFD_INFO_EXIT != 0 {
		p.ExitCode = uint32(info.Exit_code)
	}
	if unix.WaitStatus(p.ExitCode).CoreDump() {
		return d.refuse("", "a pidfd of a task that has dumped core (only another core gives that status)")
	}
	return nil
}

func (pidFD) opens(_ *image.Image, o *record.OpenFile) bool { return o.GetPidfd() != nil }

func (pidFD) open(s *Set, o *record.OpenFile) (int, error) {
	p := o.GetPidfd()
	pid := int(p.Pid)
	if pid == 0 {
		var err error
		if pid, err = s.goneTask(p); err != nil {
			return -1, fmt.Errorf("a process that ends with status %#x: %w", p.ExitCode, err)
		}
	}
	fd, err := unix.PidfdOpen(pid, int(o.Flags)&(pidfdThread|unix.O_NONBLOCK))
	if err != nil {
		return -1, fmt.Errorf("pidfd_open of task %d: %w", pid, err)
	}
	if o.Flags&kabi.O_LARGEFILE == 0 {
		return fd, nil
	}
	defer unix.Close(fd) // it was opened again, through /proc
	return reopen(fd, openFlags(o))
}

// ended are the zombies that pidfds of tasks that are gone are opened of.
type ended map[uint64]int

// goneTask is a process for a task that is gone. It is waited for when all pidfds of
// it are there.
func (s *Set) goneTask(p *record.OpenFile_PidFd) (int, error) {
	zombies, ok := s.kept[pidFD{}].(ended)
	if !ok {
		zombies = ended{}
		s.kept[pidFD{}] = zombies
		s.undo = append(s.undo, func() { _ = zombies.wait() })
	}
	if pid, ok := zombies[p.Gone]; ok {
		return pid, nil
	}
	pid, err := forkToEnd(unix.WaitStatus(p.ExitCode))
	if err == nil {
		zombies[p.Gone] = pid
	}
	return pid, err
}

func (zombies ended) wait() error {
	for id, pid := range zombies {
		delete(zombies, id)
		if _, err := unix.Wait4(pid, nil, unix.WALL, nil); err != nil {
			return fmt.Errorf("wait for process %d: %w", pid, err)
		}
	}
	return nil
}

func (pidFD) complete(s *Set) error {
	if zombies, ok := s.kept[pidFD{}].(ended); ok {
		return zombies.wait()
	}
	return nil
}

func (pidFD) check(s *Set, o *record.OpenFile) error {
	p := o.GetPidfd()
	thread := o.Flags&pidfdThread != 0
	switch {
	case p.Pid == 0:
		if err := plan.CheckZombie(&record.Task{State: record.Task_ZOMBIE, ExitCode: p.ExitCode}); err != nil {
			return fmt.Errorf("a pidfd of a task that is gone: %w", err)
		}
		return nil
	case s.im.Task(p.Pid) != nil || thread && s.im.Thread(p.Pid) != nil:
		return nil
	}
	return fmt.Errorf("a pidfd of task %d, which is not in the image", p.Pid)
}

func (pidFD) show(_ *image.Image, o *record.OpenFile) string {
	p := o.GetPidfd()
	switch {
	case p.Pid == 0:
		return fmt.Sprintf("pidfd of a task that is gone, status %#x", p.ExitCode)
	case o.Flags&pidfdThread != 0:
		return fmt.Sprintf("pidfd of thread %d", p.Pid)
	}
	return fmt.Sprintf("pidfd of task %d", p.Pid)
}
