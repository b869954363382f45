package freezer

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"floe/lib/image"
	"floe/lib/record"
	"floe/lib/tracer"
)

func needRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test needs root: it freezes processes")
	}
}

// compile builds testdata/NAME.c.
func compile(t testing.TB, name string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), name)
	out, err := exec.Command("gcc", "-O1", "-pthread", "-o", bin, "testdata/"+name+".c").CombinedOutput()
	if err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return bin
}

// victim is a program that says "ok …" as long as all is well with it.
type victim struct {
	t     testing.TB
	cmd   *exec.Cmd
	pid   int
	lines chan string
}

func start(t testing.TB, bin string, args ...string) *victim {
	t.Helper()
	v := &victim{t: t, cmd: exec.Command(bin, args...), lines: make(chan string, 1<<16)}
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v.pid = v.cmd.Process.Pid
	t.Cleanup(func() { _ = v.cmd.Process.Kill(); _ = v.cmd.Wait() })
	go func() {
		defer close(v.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			v.lines <- s.Text()
		}
	}()
	v.ok()
	return v
}

// ok waits until the victim has said that it is well after now.
func (v *victim) ok() {
	v.t.Helper()
	for len(v.lines) > 0 {
		if l, open := <-v.lines; open && !strings.HasPrefix(l, "ok") {
			v.t.Fatalf("the victim said %q", l)
		}
	}
	for range 2 {
		select {
		case l, open := <-v.lines:
			if !open || !strings.HasPrefix(l, "ok") {
				v.t.Fatalf("the victim said %q", l)
			}
		case <-time.After(20 * time.Second):
			v.t.Fatalf("the victim says nothing any more\n%s", tasks(v.pid))
		}
	}
}

// tasks shows the threads of a process.
func tasks(pid int) string {
	out, _ := exec.Command("sh", "-c", fmt.Sprintf("for t in /proc/%d/task/*; do cat $t/stat $t/wchan $t/stack $t/syscall; grep Tracer $t/status; done", pid)).CombinedOutput()
	return string(out)
}

// freeze freezes a tree, reads it, calls while if that is set, and lets it go.
func freeze(p *tracer.Ptrace, pid int, while func(*Tree, *image.Image) error) (*image.Image, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	tree, err := Freeze(ctx, p, pid)
	if err != nil {
		return nil, err
	}
	im := image.New()
	h, err := Header(pid, "test")
	if err == nil {
		err = im.Add(&record.Record{Body: &record.Record_Header{Header: h}}, nil)
	}
	if err == nil {
		err = tree.Collect(p, func(r *record.Record) error { return im.Add(r, nil) })
	}
	if err == nil && while != nil {
		err = while(tree, im)
	}
	if terr := tree.Thaw(p); err == nil {
		err = terr
	}
	return im, err
}

// freezeOnce is freeze with a tracer of its own.
func freezeOnce(t testing.TB, pid int) *image.Image {
	t.Helper()
	tr := tracer.New()
	defer tr.Close()
	var im *image.Image
	if err := tr.Do(func(p *tracer.Ptrace) (err error) {
		im, err = freeze(p, pid, nil)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return im
}

// untouched fails the test when a task of the process is stopped or traced, or
// when its memory map is not as before.
func untouched(t testing.TB, pid int, before string) {
	t.Helper()
	for end := time.Now().Add(2 * time.Second); ; time.Sleep(time.Millisecond) {
		out, err := exec.Command("sh", "-c", fmt.Sprintf("grep -hE 'State:.*[tT] |TracerPid:.*[1-9]' /proc/%d/task/*/status", pid)).Output()
		now := maps(pid)
		if err != nil && len(out) == 0 && (before == "" || now == before) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("left behind: %s\nmaps before\n%s\nmaps now\n%s", out, before, now)
		}
	}
}

// maps is a process's memory map.
func maps(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	return string(b)
}
