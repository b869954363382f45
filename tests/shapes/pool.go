package shapes

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Pool are workers that wait for programs.
type Pool struct {
	idle    chan *remote
	workers int
	scratch string
	bin     string
}

// remote is the test's end of a worker.
type remote struct {
	dir string
	cmd *exec.Cmd
	in  *json.Encoder
	out *bufio.Reader
}

// workerEnv tells the test's binary that it is a worker: its folder, and that
// of the programs.
const workerEnv, workerBin = "SHAPES_WORKER", "SHAPES_BIN"

// NewPool starts n workers below a folder.
func NewPool(n int, scratch, bin, victim string) (*Pool, error) {
	p := &Pool{idle: make(chan *remote, n), workers: n, scratch: scratch, bin: bin}
	program, err := os.ReadFile(victim)
	if err != nil {
		return nil, err
	}
	for i := range n {
		dir := filepath.Join(scratch, fmt.Sprintf("worker%d", i))
		if err := os.Mkdir(dir, 0o777); err != nil {
			return nil, err
		}
		if err := os.Chmod(dir, 0o777); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, "victim"), program, 0o755); err != nil {
			return nil, err
		}
		r, err := p.startWorker(dir)
		if err != nil {
			return nil, err
		}
		p.idle <- r
	}
	return p, nil
}

func (p *Pool) startWorker(dir string) (*remote, error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), workerEnv+"="+dir, workerBin+"="+p.bin)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &remote{dir, cmd, json.NewEncoder(in), bufio.NewReaderSize(out, 1<<16)}, nil
}

// Run runs a program in a worker that is idle. A worker that dies of it is
// replaced.
func (p *Pool) Run(prog *Program, plain bool) *Result {
	r := <-p.idle
	result := &Result{}
	err := r.in.Encode(job{prog.String(), plain})
	if err == nil {
		err = json.NewDecoder(r.out).Decode(result)
	}
	if err != nil {
		_ = r.cmd.Process.Kill()
		result = &Result{Outcome: Broken, Reason: fmt.Sprintf("the worker is gone: %v, %v", err, r.cmd.Wait())}
		if again, err := p.startWorker(r.dir); err == nil {
			r = again
		}
	}
	p.idle <- r
	return result
}

// Close ends the workers, and with them all that is in their namespaces.
func (p *Pool) Close() {
	for range p.workers {
		r := <-p.idle
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
	}
}
