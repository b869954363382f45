package pages

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain makes the test binary its own victim: a process that runs the
// system calls it is told on stdin, so that tests can give it any memory.
func TestMain(m *testing.M) {
	if os.Getenv("FLOE_PAGES_CHILD") != "" {
		end := make(chan bool)
		go serve(end)
		<-end
		unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0) // of this thread alone
	}
	if job := os.Getenv("FLOE_PAGES_MEASURE"); job != "" {
		measure(job)
		return
	}
	if os.Getuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests need root: they read other processes' memory")
		os.Exit(1)
	}
	runtime.UnlockOSThread()
	os.Exit(m.Run())
}

// init keeps the main goroutine on the first thread.
func init() { runtime.LockOSThread() }

func serve(endLeader chan bool) {
	signal.Ignore(syscall.SIGINT)
	defer os.Exit(0)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var n [7]uintptr
		fmt.Sscan(in.Text(), &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6])
		if n[0] == unix.SYS_EXIT {
			close(endLeader)
			fmt.Println(0, 0)
			continue
		}
		r, _, e := unix.Syscall6(n[0], n[1], n[2], n[3], n[4], n[5], n[6])
		fmt.Println(r, int(e))
	}
}

// child is such a process.
type child struct {
	t   testing.TB
	pid int
	in  io.Writer
	out *bufio.Reader
	mem *os.File
}

func newChild(t testing.TB) *child {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "FLOE_PAGES_CHILD=1", "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, pid: cmd.Process.Pid, in: in, out: bufio.NewReader(out)}
	if c.mem, err = os.OpenFile(fmt.Sprintf("/proc/%d/mem", c.pid), os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		c.mem.Close()
	})
	return c
}

// try runs a system call in the child.
func (c *child) try(nr uintptr, args ...uint64) (uint64, error) {
	c.t.Helper()
	fmt.Fprintln(c.in, nr, strings.Trim(fmt.Sprint(append(args, make([]uint64, 6-len(args))...)), "[]"))
	var r uint64
	var e int
	if _, err := fmt.Fscan(c.out, &r, &e); err != nil {
		c.t.Fatalf("the child is gone: %v", err)
	}
	if e != 0 {
		return 0, unix.Errno(e)
	}
	return r, nil
}

func (c *child) sys(nr uintptr, args ...uint64) uint64 {
	c.t.Helper()
	r, err := c.try(nr, args...)
	if err != nil {
		c.t.Fatalf("child: system call %d%#x: %v", nr, args, err)
	}
	return r
}

// mmap maps pages at addr; flags come on top of MAP_FIXED_NOREPLACE.
func (c *child) mmap(addr, pages uint64, prot, flags int, fd int, off uint64) {
	c.t.Helper()
	c.sys(unix.SYS_MMAP, addr, pages*PageSize, uint64(prot), uint64(flags|unix.MAP_FIXED_NOREPLACE), uint64(fd), off)
}

// write writes into the child, whatever the protection.
func (c *child) write(addr uint64, b []byte) {
	c.t.Helper()
	if _, err := c.mem.WriteAt(b, int64(addr)); err != nil {
		c.t.Fatal(err)
	}
}

// touch writes a word to a page.
func (c *child) touch(addr uint64) { c.write(addr, []byte(fmt.Sprintf("page %x", addr))) }

func (c *child) read(addr uint64, n uint64) []byte {
	c.t.Helper()
	b := make([]byte, n)
	if _, err := c.mem.ReadAt(b, int64(addr)); err != nil {
		c.t.Fatalf("read of %#x: %v", addr, err)
	}
	return b
}

// open opens a file in the child; the path is put at addr, which must be mapped.
func (c *child) open(addr uint64, path string, flags int) int {
	c.t.Helper()
	c.write(addr, append([]byte(path), 0))
	return int(c.sys(unix.SYS_OPENAT, ^uint64(99), addr, uint64(flags), 0))
}

// shareFile opens in c the file that an area of another child maps.
func (c *child) shareFile(a *area) int {
	c.t.Helper()
	const scratch = base - 0x10000
	c.mmap(scratch, 1, prw, anon(), -1, 0)
	return c.open(scratch, a.path, unix.O_RDWR)
}
