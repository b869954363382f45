package shapes

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/tracer"
)

// Limit is how long one seed may take.
const Limit = 30 * time.Second

// job is what a worker is asked, one JSON value a line.
type job struct {
	Program string
	Plain   bool // no checkpoint: does it stay the same by itself?
}

// worker is the first process of its pid namespace. It alone waits for
// children there, on one goroutine.
type worker struct {
	dir    string // victim, control and the files of the run
	bin    string // the programs under test
	tracer *tracer.Tracer
	ended  map[int]unix.WaitStatus
}

// Worker serves jobs from in until it ends. It needs a pid and a mount
// namespace of its own, dir with a victim in it, and the programs in bin.
func Worker(in io.Reader, out io.Writer, dir, bin string) error {
	if os.Getpid() != 1 {
		return fmt.Errorf("process %d is not the first of its pid namespace", os.Getpid())
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if _, err := unix.Setsid(); err != nil {
		return fmt.Errorf("setsid: %w", err)
	}
	unix.Umask(0o22)
	signal.Notify(make(chan os.Signal, 1), unix.SIGHUP) // and nobody reads it: see pipeline
	w := &worker{dir: dir, bin: bin, tracer: tracer.New()}
	if err := os.Chdir(dir); err != nil {
		return err
	}
	jobs := bufio.NewScanner(in)
	jobs.Buffer(nil, 1<<24)
	answers := json.NewEncoder(out)
	for jobs.Scan() {
		var j job
		if err := json.Unmarshal(jobs.Bytes(), &j); err != nil {
			return err
		}
		if err := answers.Encode(w.serve(j)); err != nil {
			return err
		}
	}
	return jobs.Err()
}

// clear ends all that is left of a run, and removes what it wrote.
func (w *worker) clear() error {
	for {
		_ = unix.Kill(-1, unix.SIGKILL) // all of the namespace but this process
		if _, err := unix.Wait4(-1, nil, unix.WALL, nil); err == unix.ECHILD {
			break
		}
	}
	w.ended = map[int]unix.WaitStatus{}
	names, err := filepath.Glob(filepath.Join(w.dir, "*"))
	for _, n := range names {
		if filepath.Base(n) != "victim" {
			if err := os.RemoveAll(n); err != nil {
				return err
			}
		}
	}
	return err
}

// spawn starts a program with its three standard descriptors.
func (w *worker) spawn(std [3]*os.File, attr *unix.SysProcAttr, argv ...string) (int, error) {
	p, err := os.StartProcess(argv[0], argv, &os.ProcAttr{
		Files: std[:], Env: []string{"PATH=" + w.bin + ":/usr/bin:/bin", "LC_ALL=C"}, Sys: attr,
	})
	if err != nil {
		return 0, err
	}
	pid := p.Pid
	return pid, p.Release()
}

// reap waits for a child's end, whoever else ends meanwhile.
func (w *worker) reap(pid int) unix.WaitStatus {
	for {
		if s, ok := w.ended[pid]; ok {
			return s
		}
		var s unix.WaitStatus
		got, err := unix.Wait4(-1, &s, unix.WALL, nil)
		if err == unix.ECHILD {
			return 0xff00 // it was none
		}
		if err == nil {
			w.ended[got] = s
		}
	}
}

// sweep waits for all that has ended.
func (w *worker) sweep() {
	for {
		var s unix.WaitStatus
		got, err := unix.Wait4(-1, &s, unix.WALL|unix.WNOHANG, nil)
		if err != nil && err != unix.EINTR || got == 0 {
			return
		}
		if got > 0 {
			w.ended[got] = s
		}
	}
}
