package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/cli"
	"floe/lib/lease"
	"floe/lib/procfs"
	"floe/lib/record"
	"floe/lib/tracer"
)

// TestMain lets the test binary be the programs of a pipeline: a freeze, stages
// and a victim.
func TestMain(m *testing.M) {
	programs := map[string]func([]string) error{"fakefreeze": fakeFreeze, "fakestage": fakeStage, "victim": victim}
	if len(os.Args) < 2 || programs[os.Args[1]] == nil {
		os.Exit(m.Run())
	}
	var flags struct {
		Args []string `arg:"" optional:""`
	}
	name := os.Args[1]
	if name == "fakestage" {
		name = os.Args[2]
	}
	cli.Main(name, "", &flags, func(context.Context, *cli.Logger) error { return programs[os.Args[1]](os.Args[2:]) })
}

// victim has some threads that wait.
func victim(args []string) error {
	n, err := strconv.Atoi(args[0])
	for range n - 1 {
		go func() { runtime.LockOSThread(); _, _ = unix.Poll(nil, -1) }()
	}
	time.Sleep(time.Hour)
	return err
}

// fakeFreeze holds a process and writes what a freeze writes, no more of each
// record than stages look at. Then it says how the lease ended.
func fakeFreeze(args []string) error {
	pid, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	has := func(what string) bool { return strings.Contains(strings.Join(args[1:], " "), what) }
	t := tracer.New()
	server, err := lease.NewServer()
	if err != nil {
		return err
	}
	records, err := fakeRecords(pid, server.FD(), has("durable"))
	if err != nil {
		return err
	}
	if err := t.Do(func(p *tracer.Ptrace) error { return hold(p, pid) }); err != nil {
		return err
	}
	w := record.NewWriter(os.Stdout)
	for _, r := range records {
		if err := w.Add(r, nil); err != nil {
			return err
		}
	}
	if err := w.EndStage("freeze", "test"); err != nil {
		return err
	}
	server.Wrote("freeze", wrote(w.Ended()))
	if err := w.Mark(); err != nil {
		return err
	}
	idle := time.Minute
	if has("idle") {
		idle = 300 * time.Millisecond
	} else if has("patient") {
		idle = 2 * time.Second
	}
	o := server.Wait(context.Background(), lease.WaitOptions{Out: 1, Idle: idle})
	fmt.Fprintf(os.Stderr, "outcome: complete=%v disk=%v failure=%q\n", o.Complete, o.OnDisk, o.Failure)
	return nil
}

// hold stops all threads of a process.
func hold(p *tracer.Ptrace, pid int) error {
	tids, err := procfs.Threads(pid)
	if err != nil {
		return err
	}
	for _, tid := range tids {
		if err := errors.Join(p.Seize(tracer.TID(tid), 0), p.Interrupt(tracer.TID(tid))); err != nil {
			return err
		}
	}
	for _, tid := range tids {
		if _, err := p.Wait(tracer.TID(tid)); err != nil {
			return err
		}
	}
	return nil
}

// fakeRecords are a header, the task, and its threads.
func fakeRecords(pid, fd int, durable bool) (out []*record.Record, err error) {
	for range 100 {
		if out, err = recordsNow(pid, fd, durable); !errors.Is(err, os.ErrNotExist) {
			break // else a thread of this process has ended meanwhile
		}
	}
	return out, err
}

func recordsNow(pid, fd int, durable bool) ([]*record.Record, error) {
	own, err := procfs.StartTime(os.Getpid())
	if err != nil {
		return nil, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, err
	}
	var ns unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &ns); err != nil {
		return nil, err
	}
	start, err := procfs.StartTime(pid)
	if err != nil {
		return nil, err
	}
	h := &record.Header{Arch: runtime.GOARCH, BootId: string(bytes.TrimSpace(boot)), PidnsInode: ns.Ino, RootPid: int32(pid),
		Lease: &record.Lease{Pid: int32(os.Getpid()), StartTime: own, Fd: int32(fd), Durable: durable}}
	task := &record.Task{Pid: int32(pid), StartTime: start, MmId: 1, FilesId: 1, FsId: 1, SighandId: 1}
	out := []*record.Record{{Body: &record.Record_Header{Header: h}}, {Body: &record.Record_Task{Task: task}}}
	tids, err := procfs.Threads(pid)
	for _, tid := range tids {
		task.Tids = append(task.Tids, int32(tid))
		start, serr := procfs.StartTime(tid)
		err = errors.Join(err, serr)
		out = append(out, &record.Record{Body: &record.Record_Thread{Thread: &record.Thread{Pid: int32(pid), Tid: int32(tid), StartTime: start}}})
	}
	return out, err
}

// fakeStage is a stage that adds one record; its further arguments say what
// else it does.
func fakeStage(args []string) error {
	opt := Options{Name: args[0], Log: cli.NewLogger(os.Stderr, args[0]), Keep: func(r *record.Record) bool { return r.GetFs() != nil }}
	for _, a := range args[1:] {
		if needs, ok := strings.CutPrefix(a, "needs="); ok {
			opt.Needs = strings.Split(needs, ",")
		}
		opt.Last = opt.Last || a == "last"
	}
	return Run(context.Background(), opt, os.Stdin, os.Stdout, func(c *Context) error {
		for _, a := range args[1:] {
			if err := act(c, a); err != nil {
				return err
			}
		}
		// Records of a kind that nobody checks, of which each stage may add one.
		id := uint64(len(c.Image.Fs) + 1)
		return c.Writer.Add(&record.Record{Body: &record.Record_Fs{Fs: &record.Fs{FsId: id}}}, nil)
	})
}

func act(c *Context, what string) error {
	switch what {
	case "fail":
		return errors.New("it did not work")
	case "die":
		return unix.Kill(os.Getpid(), unix.SIGKILL)
	case "killvictim":
		if err := unix.Kill(int(c.Image.Tasks[0].Pid), unix.SIGKILL); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	case "killfreeze":
		if err := unix.Kill(int(c.Image.Header.Lease.Pid), unix.SIGKILL); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	case "hang":
		// As in a system call that does not return: nothing else of the stage does.
		_, _ = unix.Poll(nil, 4000)
	case "steps":
		for range 40 {
			time.Sleep(100 * time.Millisecond)
			c.Step()
		}
	case "records": // that stay in the buffer
		for id := range uint64(40) {
			time.Sleep(100 * time.Millisecond)
			if err := c.Writer.Add(&record.Record{Body: &record.Record_File{File: &record.File{FileId: id + 1}}}, nil); err != nil {
				return err
			}
		}
	case "slow":
		time.Sleep(500 * time.Millisecond)
	case "big":
		data := make([]byte, 1<<20)
		for id := range uint64(8) {
			if err := c.Writer.Add(&record.Record{Body: &record.Record_Pipe{Pipe: &record.Pipe{PipeId: id + 1}}}, data); err != nil {
				return err
			}
		}
	}
	return nil
}

// startVictim starts a process with n threads, that this one waits for.
func startVictim(t testing.TB, n int) int {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test traces processes: run it as root")
	}
	cmd := exec.Command("/proc/self/exe", "victim", strconv.Itoa(n))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		tids, err := procfs.Threads(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		// The runtime's own threads come and go in the beginning.
		if len(tids) >= n {
			time.Sleep(50 * time.Millisecond)
			return cmd.Process.Pid
		}
		if time.Now().After(deadline) {
			t.Fatalf("the victim has %d threads, want %d", len(tids), n)
		}
	}
}
