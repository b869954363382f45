package lease

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// kinds are the verdicts as the stage process below takes them.
var kinds = map[string]Kind{"done": Done, "final": Final, "complete": Complete, "ondisk": CompleteOnDisk, "failed": Failed, "cut": Cut,
	"moved": Moved, "busy": Busy, "input": WantsInput, "reader": WantsReader}

// TestMain lets the test binary be a stage: it joins the lease that its
// arguments name, then does what each line of its input says.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 || os.Args[1] != "stage" {
		os.Exit(m.Run())
	}
	var l record.Lease
	if _, err := fmt.Sscan(strings.Join(os.Args[3:], " "), &l.Pid, &l.StartTime, &l.Fd); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	c, err := Join(&l, os.Args[2])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("joined")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if err := c.Verdict(kinds[in.Text()], "because"); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("said")
	}
	os.Exit(0)
}

// own is this process's lease, as the header would have it.
func own(t *testing.T, s *Server) *record.Lease {
	t.Helper()
	start, err := StartTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	return &record.Lease{Pid: int32(os.Getpid()), StartTime: start, Fd: int32(s.FD())}
}

// stageProcess is a process that has joined a lease.
type stageProcess struct {
	t   *testing.T
	cmd *exec.Cmd
	in  *os.File
	out *bufio.Scanner
}

func startStage(t *testing.T, s *Server, name string) *stageProcess {
	t.Helper()
	l := own(t, s)
	p := &stageProcess{t: t, cmd: exec.Command("/proc/self/exe", "stage", name, fmt.Sprint(l.Pid), fmt.Sprint(l.StartTime), fmt.Sprint(l.Fd))}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in, p.cmd.Stdin, p.cmd.Stderr = w, r, os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait(); w.Close() })
	p.out = bufio.NewScanner(out)
	p.expect("joined")
	return p
}

func (p *stageProcess) expect(want string) {
	p.t.Helper()
	if p.out.Scan(); p.out.Text() != want {
		p.t.Fatalf("the stage says %q, want %q", p.out.Text(), want)
	}
}

// say lets it give a verdict.
func (p *stageProcess) say(verdict string) {
	p.t.Helper()
	fmt.Fprintln(p.in, verdict)
	p.expect("said")
}

// sayAfter lets it give a verdict while the test waits.
func (p *stageProcess) sayAfter(d time.Duration, verdict string) {
	time.AfterFunc(d, func() { fmt.Fprintln(p.in, verdict) })
}

// stop stops it by SIGSTOP.
func (p *stageProcess) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(unix.SIGSTOP); err != nil {
		p.t.Fatal(err)
	}
	for range 1000 {
		if b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid)); strings.Contains(string(b), ") T ") {
			return
		}
		time.Sleep(time.Millisecond)
	}
	p.t.Fatal("it does not stop")
}

// end lets it exit, and waits for it: nothing of it is left.
func (p *stageProcess) end() {
	p.t.Helper()
	p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		p.t.Fatal(err)
	}
}

func newServer(t *testing.T) *Server {
	t.Helper()
	s, err := NewServer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// long is an idle time that no test reaches.
var long = WaitOptions{Out: -1, Idle: time.Minute}

// wait is Wait, within a time far below long's.
func wait(t *testing.T, s *Server, ctx context.Context, opt WaitOptions) Outcome {
	t.Helper()
	start := time.Now()
	o := s.Wait(ctx, opt)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("the end of the lease was noticed after %s", took)
	}
	return o
}

func TestVerdicts(t *testing.T) {
	for verdict, want := range map[string]Outcome{
		"final":    {},
		"complete": {Complete: true},
		"ondisk":   {Complete: true, OnDisk: true},
		"failed":   {Failure: "vmadump failed: because"},
	} {
		for _, gone := range []bool{false, true} {
			s := newServer(t)
			p := startStage(t, s, "vmadump")
			p.say(verdict)
			if gone {
				p.end()
			}
			if got := wait(t, s, t.Context(), long); got != want {
				t.Errorf("%s (gone: %v): %+v, want %+v", verdict, gone, got, want)
			}
		}
	}
}

func TestStageKilled(t *testing.T) {
	for _, waiting := range []bool{false, true} {
		s := newServer(t)
		other := startStage(t, s, "vmadump")
		other.say("done")
		p := startStage(t, s, "fddump")
		kill := func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() }
		if waiting {
			time.AfterFunc(100*time.Millisecond, kill)
		} else {
			kill()
		}
		want := fmt.Sprintf("fddump (task %d) died", p.cmd.Process.Pid)
		if got := wait(t, s, t.Context(), long); got.Failure != want || got.Complete {
			t.Errorf("waiting %v: %+v, want %s", waiting, got, want)
		}
	}
}

// TestCut: who had its input cut is not to blame, as long as another may be.
func TestCut(t *testing.T) {
	ctx := t.Context()
	s := newServer(t)
	a, b := startStage(t, s, "a"), startStage(t, s, "b")
	b.say("cut")
	time.AfterFunc(50*time.Millisecond, func() { _ = a.cmd.Process.Kill() })
	if o := wait(t, s, ctx, WaitOptions{Out: -1}); !strings.HasPrefix(o.Failure, "a (task ") || !strings.HasSuffix(o.Failure, ") died") {
		t.Errorf("killed: %+v", o)
	}
	s = newServer(t)
	a, b = startStage(t, s, "a"), startStage(t, s, "b")
	b.say("cut")
	a.sayAfter(50*time.Millisecond, "failed")
	if o := wait(t, s, ctx, WaitOptions{Out: -1}); o.Failure != "a failed: because" {
		t.Errorf("failed: %+v", o)
	}
	s = newServer(t)
	a, b = startStage(t, s, "a"), startStage(t, s, "b")
	b.say("cut")
	begin := time.Now()
	if o := wait(t, s, ctx, WaitOptions{Out: -1}); o.Failure != "b failed: because" || time.Since(begin) < grace {
		t.Errorf("at work: %+v after %s", o, time.Since(begin))
	}
	s = newServer(t)
	a, b = startStage(t, s, "a"), startStage(t, s, "b")
	a.say("done")
	b.say("cut")
	if o := wait(t, s, ctx, WaitOptions{Out: -1}); o.Failure != "b failed: because" {
		t.Errorf("done: %+v", o)
	}
}

// A stage in the middle may go once it is done.
func TestDoneStageMayGo(t *testing.T) {
	s := newServer(t)
	first, last := startStage(t, s, "vmadump"), startStage(t, s, "pagedump")
	first.say("done")
	first.end()
	last.sayAfter(200*time.Millisecond, "ondisk")
	if got := wait(t, s, t.Context(), long); !got.Complete || !got.OnDisk || got.Failure != "" {
		t.Errorf("%+v", got)
	}
}

// With tee there are several last stages: the lease ends with the slowest.
func TestFinalWaitsForTheOthers(t *testing.T) {
	s := newServer(t)
	slow, fast := startStage(t, s, "fddump"), startStage(t, s, "vdsoprobe")
	fast.say("final")
	const delay = 300 * time.Millisecond
	start := time.Now()
	slow.sayAfter(delay, "final")
	if got := wait(t, s, t.Context(), long); got != (Outcome{}) || time.Since(start) < delay {
		t.Errorf("%+v after %s", got, time.Since(start))
	}
}

func TestReaderGone(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	time.AfterFunc(100*time.Millisecond, func() { r.Close() })
	opt := long
	opt.Out = int(w.Fd())
	if got := wait(t, s, t.Context(), opt); got != (Outcome{}) {
		t.Errorf("nobody worked: %+v", got)
	}
	startStage(t, s, "fddump")
	if got := wait(t, s, t.Context(), opt); got.Failure != "nobody reads the stream any more" {
		t.Errorf("fddump is at work: %+v", got)
	}
}

// TestIdle: the lease ends when nothing moves, and the one to blame is named.
func TestIdle(t *testing.T) {
	const idle = 300 * time.Millisecond
	for _, test := range []struct {
		name string
		do   func(a, b, c *stageProcess)
		want string
	}{
		{"done", func(a, b, c *stageProcess) { a.say("done"); b.say("done"); c.say("done") }, "no stage has worked for 300ms since c (task C) was done"},
		{"stopped", func(a, b, c *stageProcess) { c.say("input"); b.stop() }, "b (task B) is stopped: nothing has moved for 300ms"},
		{"hangs", func(a, b, c *stageProcess) { a.say("reader"); b.say("busy"); c.say("input") }, "b (task B) hangs: it has got no further for 300ms"},
		{"reader", func(a, b, c *stageProcess) { a.say("reader"); b.say("reader"); c.say("input") }, "b (task B) is stuck: nobody has read what it writes for 300ms"},
		{"input", func(a, b, c *stageProcess) { a.say("done"); b.say("input"); c.say("input") }, "b (task B) has waited for the rest of its input for 300ms"},
		{"two ends", func(a, b, c *stageProcess) { a.say("done"); b.say("ondisk"); c.stop() }, "c (task C) is stopped: nothing has moved for 300ms"},
	} {
		s := newServer(t)
		a, b, c := startStage(t, s, "a"), startStage(t, s, "b"), startStage(t, s, "c")
		test.do(a, b, c)
		want := test.want
		for name, p := range map[string]*stageProcess{"A": a, "B": b, "C": c} {
			want = strings.ReplaceAll(want, "task "+name, fmt.Sprint("task ", p.cmd.Process.Pid))
		}
		start := time.Now()
		if got := wait(t, s, t.Context(), WaitOptions{Out: -1, Idle: idle}); got.Failure != want || time.Since(start) < idle {
			t.Errorf("%s: %+v after %s, want %s", test.name, got, time.Since(start), want)
		}
	}
	if got := wait(t, newServer(t), t.Context(), WaitOptions{Out: -1, Idle: idle}); got.Failure != "no stage has worked for 300ms" {
		t.Errorf("nobody: %+v", got)
	}
}

// TestMoving: a stage that goes on keeps the lease, and one that only says what
// it waits for does not.
func TestMoving(t *testing.T) {
	const idle, work = 300 * time.Millisecond, 900 * time.Millisecond
	s := newServer(t)
	p := startStage(t, s, "vmadump")
	for d := time.Duration(0); d < work; d += idle / 3 {
		p.sayAfter(d, "moved")
	}
	p.sayAfter(work, "done")
	for d := work + idle/3; d < 3*work; d += idle / 3 {
		p.sayAfter(d, "input")
	}
	start := time.Now()
	got := wait(t, s, t.Context(), WaitOptions{Out: -1, Idle: idle})
	if took := time.Since(start); !strings.HasPrefix(got.Failure, "no stage has worked for 300ms since vmadump") || took < idle+work || took > 2*work {
		t.Errorf("%+v after %s", got, took)
	}
}

// TestReport: what moved is told for as long as it moves, and what a stage waits
// for once.
func TestReport(t *testing.T) {
	s := newServer(t)
	c, err := Join(own(t, s), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s.drain()
	var looks atomic.Int32
	stop := c.Report(func() Kind {
		return []Kind{Moved, Moved, WantsInput, WantsInput, Busy, WantsReader, WantsReader, Moved}[min(looks.Add(1), 8)-1]
	})
	var said []Kind
	for looks.Load() < 10 {
		time.Sleep(ReportEvery / 10)
		s.drain()
		if k := s.members[origins{os.Getpid(), "x"}].state; k != Hello && (len(said) == 0 || k != said[len(said)-1]) {
			said = append(said, k)
		}
	}
	stop()
	if want := []Kind{Moved, WantsInput, Busy, WantsReader, Moved}; !slices.Equal(said, want) {
		t.Errorf("%v, want %v", said, want)
	}
	s.drain()
	time.Sleep(2 * ReportEvery)
	if s.drain() {
		t.Error("it goes on after its end")
	}
}

func TestInterrupted(t *testing.T) {
	s := newServer(t)
	startStage(t, s, "vmadump")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(100*time.Millisecond, func() { cancel(errors.New("interrupted by signal: hangup")) })
	if got := wait(t, s, ctx, long); got.Failure != "interrupted by signal: hangup" {
		t.Errorf("%+v", got)
	}
	// What a stage has said counts more.
	s = newServer(t)
	startStage(t, s, "vmadump").say("failed")
	if got := wait(t, s, ctx, long); got.Failure != "vmadump failed: because" {
		t.Errorf("%+v", got)
	}
}

func TestCommand(t *testing.T) {
	opt := long
	opt.Command = true
	for _, verdict := range []string{"final", "complete", "ondisk"} {
		s := newServer(t)
		p := startStage(t, s, "pagedump")
		p.say(verdict)
		p.end()
		ctx, cancel := context.WithCancelCause(t.Context())
		const delay = 300 * time.Millisecond
		start := time.Now()
		time.AfterFunc(delay, func() { cancel(ErrCommandEnded) })
		want := Outcome{Complete: verdict != "final", OnDisk: verdict == "ondisk"}
		if got := wait(t, s, ctx, opt); got != want || time.Since(start) < delay {
			t.Errorf("%s: %+v after %s", verdict, got, time.Since(start))
		}
	}
	s := newServer(t)
	startStage(t, s, "pagedump").say("failed")
	if got := wait(t, s, t.Context(), opt); got.Failure != "pagedump failed: because" {
		t.Errorf("%+v", got)
	}
	// The image is out; how long its receiver takes is its own affair.
	s = newServer(t)
	startStage(t, s, "pagedump").say("complete")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(500*time.Millisecond, func() { cancel(ErrCommandEnded) })
	if got := wait(t, s, ctx, WaitOptions{Out: -1, Idle: 100 * time.Millisecond, Command: true}); got != (Outcome{Complete: true}) {
		t.Errorf("%+v", got)
	}
}

// Nothing but a stage's own word counts.
func TestForgedMessages(t *testing.T) {
	s := newServer(t)
	start, err := StartTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	send := func(b []byte) {
		t.Helper()
		if err := unix.Sendmsg(s.FD(), b, nil, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	verdict := Message{Kind: CompleteOnDisk, Stage: "pagedump", StartTime: start}.marshal()
	send(verdict) // no hello before it
	send([]byte("x"))
	send(make([]byte, 1<<16))
	send(verdict[:textAt-1])
	send(append([]byte("nope"), verdict[4:]...))
	send(Message{Kind: 99, Stage: "pagedump", StartTime: start}.marshal())
	send(Message{Kind: Hello, StartTime: start}.marshal())
	rights := unix.UnixRights(0)
	if err := unix.Sendmsg(s.FD(), verdict, rights, nil, 0); err != nil {
		t.Fatal(err)
	}
	before := openFiles(t)
	p := startStage(t, s, "vmadump")
	send(verdict) // this process is not that stage
	if got := wait(t, s, t.Context(), WaitOptions{Out: int(brokenPipe(t).Fd()), Idle: time.Minute}); got.Complete || got.Failure != "nobody reads the stream any more" {
		t.Errorf("%+v", got)
	}
	if len(s.members) != 1 {
		t.Errorf("%d members, want the one stage", len(s.members))
	}
	p.say("done")
	p.end()
	if got := openFiles(t); got > before+3 {
		t.Errorf("%d descriptors are open, %d were: somebody's descriptor was taken in", got, before)
	}
}

func brokenPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	t.Cleanup(func() { w.Close() })
	return w
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// A pid that another process has by now is not the stage that spoke.
func TestPidReused(t *testing.T) {
	s := newServer(t)
	start, err := StartTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	hello := Message{Kind: Hello, Stage: "vmadump", StartTime: start - 1}
	if err := unix.Sendmsg(s.FD(), hello.marshal(), nil, nil, 0); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("vmadump (task %d) died", os.Getpid())
	if got := wait(t, s, t.Context(), long); got.Failure != want {
		t.Errorf("%+v, want %s", got, want)
	}
}
