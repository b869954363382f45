package inject

import (
	"fmt"
	"math"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"floe/lib/stub"
	"floe/lib/tracer"
)

// puppetOptions: nobody outlives restore. Newborns are traced from birth by
// CLONE_PTRACE: the options for that would stop the parent too, for each.
const puppetOptions = tracer.OptExitKill

// puppetMask blocks every signal in a puppet but SIGTRAP, which its code ends
// in: a forced signal that is blocked would lose its action.
const (
	trapSignal = unix.SIGTRAP
	puppetMask = ^uint64(1 << (trapSignal - 1))
)

// Seed is the first puppet: a process that waits, with the arena in it. All
// others are its descendants.
type Seed struct {
	TID    tracer.TID
	Arena  *Arena
	commit []byte
	pidfd  int // closed, and -1, once it has been waited for
}

// NewSeed starts the first puppet. Its descriptors are duplicates of those in
// inherit, numbered from 0, and no others.
func NewSeed(p *tracer.Ptrace, a *Arena, inherit ...int) (*Seed, error) {
	prog, seedAt := stub.SpawnELF()
	exe, err := memfd("floe-seed", prog)
	if err != nil {
		return nil, err
	}
	defer exe.Close()
	shared, err := memfd(commitName, a.commitPage())
	if err != nil {
		return nil, err
	}
	defer shared.Close()
	s := &Seed{Arena: a, pidfd: -1}
	s.commit, err = unix.Mmap(int(shared.Fd()), 0, stub.PageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap of the commit page: %w", err)
	}
	var files []uintptr
	for _, fd := range append(inherit, int(shared.Fd())) {
		files = append(files, uintptr(fd))
	}
	pid, err := syscall.ForkExec(fmt.Sprintf("/proc/self/fd/%d", exe.Fd()), []string{"floe-seed"}, &syscall.ProcAttr{
		Files: files,
		// Between here and PTRACE_SEIZE nothing else would end it with us.
		Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, PidFD: &s.pidfd},
	})
	if err != nil {
		return nil, fmt.Errorf("start of the first puppet: %w", err)
	}
	s.TID = tracer.TID(pid)
	if err := s.init(p, seedAt, len(inherit)); err != nil {
		s.Kill(p)
		return nil, err
	}
	return s, nil
}

func (s *Seed) init(p *tracer.Ptrace, seedAt uint64, commitFD int) error {
	if err := p.Seize(s.TID, puppetOptions); err != nil {
		return err
	}
	if err := p.Interrupt(s.TID); err != nil {
		return err
	}
	if err := awaitEventStop(p, s.TID); err != nil {
		return err
	}
	if err := p.SetSigMask(s.TID, puppetMask); err != nil {
		return err
	}
	if err := s.Arena.install(p, s.TID, seedAt, commitFD); err != nil {
		return err
	}
	// With the commit page's go those that this process's own caller left open.
	_, err := s.Arena.Run(p, s.TID, []stub.Call{{What: "close_range", Nr: unix.SYS_CLOSE_RANGE,
		Args: []stub.Arg{stub.I(commitFD), stub.I(uint32(math.MaxUint32)), stub.I(0)}}})
	return err
}

// Kill ends the first puppet and reaps it, once. The others don't depend on it.
func (s *Seed) Kill(p *tracer.Ptrace) {
	if s.pidfd < 0 {
		return
	}
	// It may have ended before, and its id be another's.
	err := unix.PidfdSendSignal(s.pidfd, unix.SIGKILL, nil, 0)
	for err == nil {
		var st tracer.Stop
		if st, err = p.Wait(s.TID); st.Gone() {
			break
		}
	}
	unix.Close(s.pidfd)
	s.pidfd = -1
}

// awaitEventStop waits for a task to be in the stop that Interrupt or its
// birth brings.
func awaitEventStop(p *tracer.Ptrace, tid tracer.TID) error {
	s, err := p.Wait(tid)
	if err != nil {
		return err
	}
	if s.Gone() {
		return &tracer.GoneError{TID: tid, Stop: s}
	}
	if s.Kind != tracer.EventStop {
		return fmt.Errorf("task %d: %s instead of an event stop", tid, s)
	}
	return nil
}

func memfd(name string, contents []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd %s: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.Write(contents); err != nil {
		f.Close()
		return nil, fmt.Errorf("memfd %s: %w", name, err)
	}
	return f, nil
}
