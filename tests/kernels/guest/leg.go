package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/vdso"
	"floe/tests/kernels/job"
)

// patience is how long a victim may say nothing that is waited for. The
// processor is emulated, and there may be another guest beside this one.
const patience = 30 * time.Second

// victim is the process of a leg.
type victim struct {
	pid   int
	lines chan string
	r     *job.Result
}

func run(l job.Leg, r *job.Result) error {
	v, err := begin(l, r)
	if err != nil {
		return err
	}
	defer v.end()
	if err := v.progress(l.Lines); err != nil {
		return err
	}
	if l.Random {
		if err := v.random(); err != nil {
			return err
		}
	}
	if l.Quiet {
		if err := v.signal(unix.SIGUSR1, "quiet"); err != nil {
			return err
		}
	}
	if l.Dump == "" {
		return nil
	}
	from := time.Now()
	err = dump(v.pid, l.Dump, r)
	r.Dump = time.Since(from)
	return err
}

// begin starts or restores the process; what it says goes to us.
func begin(l job.Leg, r *job.Result) (*victim, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	v := &victim{r: r, lines: make(chan string, 1<<16)}
	go func() {
		defer close(v.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			v.lines <- s.Text()
		}
	}()
	defer in.Close()
	if l.Image == "" {
		err = v.start(l, in)
	} else {
		from := time.Now()
		err = v.restore(l.Image, in)
		r.Back = time.Since(from)
	}
	return v, err
}

func (v *victim) start(l job.Leg, out *os.File) error {
	// Ids that no other kernel's own threads have.
	if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(l.FirstID)), 0); err != nil {
		return err
	}
	cmd := exec.Command(l.Program[0], l.Program[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = l.Env, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := nicely(cmd.Start); err != nil {
		return err
	}
	v.pid = cmd.Process.Pid
	if v.pid < l.FirstID {
		return fmt.Errorf("the process has id %d, not one above %d", v.pid, l.FirstID)
	}
	if err := limit(v.pid); err != nil {
		return err
	}
	_, err := v.await("ready")
	return err
}

// nicely starts something with a lower priority: floe's programs, that have to
// begin while it is busy, would take twice as long on an emulated processor.
func nicely(start func() error) error {
	const nice = 10
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, nice); err != nil {
		return err
	}
	return errors.Join(start(), unix.Setpriority(unix.PRIO_PROCESS, 0, 0))
}

// limit gives a process the same limits on every machine: they depend on the
// machine's memory, and only a privilege that not all have could raise them.
func limit(pid int) error {
	for which, most := range map[int]uint64{unix.RLIMIT_NPROC: 1000, unix.RLIMIT_SIGPENDING: 1000, unix.RLIMIT_NOFILE: 1024, unix.RLIMIT_MEMLOCK: 65536} {
		l := unix.Rlimit{Cur: most, Max: most}
		if err := unix.Prlimit(pid, which, &l, nil); err != nil {
			return fmt.Errorf("limit %d: %w", which, err)
		}
	}
	return nil
}

func (v *victim) restore(image string, out *os.File) error {
	const pidfile = "/tmp/pid"
	// What leads out of the tree is restore's own afterwards.
	cmd := exec.Command("restore", "-d", "--cgroups", "here", "--pidfile", pidfile, image)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		v.rest()
		return fmt.Errorf("restore: %w: %s", err, strings.TrimSpace(v.r.Said))
	}
	var err error
	if v.pid, err = strconv.Atoi(text(pidfile)); err != nil {
		return err
	}
	v.r.Method, err = method(v.pid)
	return err
}

// method tells how a process got its vDSO.
func method(pid int) (string, error) {
	here, err := vdso.Here()
	if err != nil {
		return "", err
	}
	p, areas, done, err := vdso.OpenProcess(strconv.Itoa(pid))
	if err != nil {
		return "", err
	}
	defer done()
	proxy, doubt, err := vdso.FindProxy(p, areas, here)
	switch {
	case err != nil:
		return "", err
	case doubt != "":
		return "", fmt.Errorf("the mark of a proxy is in doubt: %s", doubt)
	case proxy != nil:
		return "proxy", nil
	}
	return "in place", nil
}

// hear keeps a line, and returns its first word.
func (v *victim) hear(line string) string {
	first, _, _ := strings.Cut(line, " ")
	switch first {
	case "random":
		v.r.Random = append(v.r.Random, line)
	case "restore:":
		v.r.Said += line + "\n"
	default:
		v.r.Lines = append(v.r.Lines, line)
	}
	return first
}

// rest hears what else there is to hear, after something went wrong.
func (v *victim) rest() {
	late := time.After(200 * time.Millisecond)
	for {
		select {
		case line, ok := <-v.lines:
			if !ok {
				return
			}
			v.hear(line)
		case <-late:
			return
		}
	}
}

// await waits for a line that begins with a word. What is wrong ends it.
func (v *victim) await(word string) (string, error) {
	late := time.After(patience)
	for {
		select {
		case line, ok := <-v.lines:
			if !ok {
				return "", fmt.Errorf("it has ended: %s", v.fate())
			}
			if first := v.hear(line); first == word {
				return line, nil
			} else if !slices.Contains([]string{"ready", "ok", "quiet", "random", "restore:"}, first) {
				v.rest()
				return "", errors.New(strings.Join(v.r.Lines[slices.Index(v.r.Lines, line):], "\n"))
			}
		case <-late:
			return "", fmt.Errorf("no line of %q in %s; %s", word, patience, v.state())
		}
	}
}

// progress waits for lines of "ok", and that every number in them has grown.
func (v *victim) progress(lines int) error {
	if lines == 0 {
		return nil
	}
	first, err := v.await("ok")
	if err != nil {
		return err
	}
	until := time.Now().Add(patience)
	for n := 1; ; n++ {
		line, err := v.await("ok")
		if err != nil {
			return err
		}
		stuck := standing(first, line)
		if n >= lines && stuck < 0 {
			return nil
		}
		if time.Now().After(until) {
			return fmt.Errorf("thread %d does not go on: %q, then %q; %s", stuck, first, line, v.state())
		}
	}
}

// standing is the first column that has not grown, or -1.
func standing(a, b string) int {
	old, now := strings.Fields(a), strings.Fields(b)
	for i := 1; i < len(old); i++ {
		x, _ := strconv.ParseUint(old[i], 10, 64)
		y, _ := strconv.ParseUint(now[i], 10, 64)
		if y <= x {
			return i - 1
		}
	}
	return -1
}

// random asks for random bytes.
func (v *victim) random() error {
	if err := unix.Kill(v.pid, unix.SIGUSR2); err != nil {
		return err
	}
	const threads = 4
	for range threads {
		if _, err := v.await("random"); err != nil {
			return err
		}
	}
	return v.progress(1)
}

func (v *victim) signal(s unix.Signal, answer string) error {
	if err := unix.Kill(v.pid, s); err != nil {
		return err
	}
	_, err := v.await(answer)
	return err
}

// fate is how the process ended.
func (v *victim) fate() string {
	var ws unix.WaitStatus
	if _, err := unix.Wait4(v.pid, &ws, 0, nil); err != nil {
		return err.Error()
	}
	v.pid = 0
	if ws.Signaled() {
		return "signal " + ws.Signal().String()
	}
	return fmt.Sprintf("exit status %d", ws.ExitStatus())
}

// state is where its threads stand.
func (v *victim) state() string {
	var b strings.Builder
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", v.pid))
	for _, t := range tasks {
		dir := fmt.Sprintf("/proc/%d/task/%s/", v.pid, t.Name())
		stat := text(dir + "stat")
		_, stat, _ = strings.Cut(stat, ") ")
		fmt.Fprintf(&b, "task %s: %.1s %s %s; ", t.Name(), stat, text(dir+"wchan"), text(dir+"syscall"))
	}
	return b.String()
}

// end kills what is left, and takes its ids back.
func (v *victim) end() {
	if v.pid == 0 {
		return
	}
	_ = unix.Kill(v.pid, unix.SIGKILL)
	var ws unix.WaitStatus
	_, _ = unix.Wait4(v.pid, &ws, 0, nil)
}

// dump runs the pipeline.
func dump(pid int, image string, r *job.Result) error {
	file, err := os.OpenFile(image, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	var said bytes.Buffer
	var cmds []*exec.Cmd
	var in *os.File
	stages := [][]string{{"freeze", "--then", "kill", strconv.Itoa(pid)}, {"vmadump"}, {"vdsoprobe"}, {"fddump"}, {"pagedump"}}
	saying, said0, err := os.Pipe()
	if err != nil {
		return err
	}
	for i, args := range stages {
		cmd := exec.Command(args[0], args[1:]...)
		if in != nil {
			cmd.Stdin = in
		}
		cmd.Stderr = said0
		var out, next *os.File
		if i < len(stages)-1 {
			if next, out, err = os.Pipe(); err != nil {
				return err
			}
		} else {
			out = file
		}
		cmd.Stdout = out
		if err := cmd.Start(); err != nil {
			return err
		}
		if in != nil {
			in.Close()
		}
		if out != file {
			out.Close()
		}
		in = next
		cmds = append(cmds, cmd)
	}
	said0.Close()
	_, _ = said.ReadFrom(saying)
	var failed error
	for i, cmd := range cmds {
		if err := cmd.Wait(); err != nil && failed == nil {
			failed = fmt.Errorf("%s: %w", stages[i][0], err)
		}
	}
	r.Said += said.String()
	if failed != nil {
		return fmt.Errorf("dump: %w: %s", failed, strings.TrimSpace(said.String()))
	}
	return nil
}
