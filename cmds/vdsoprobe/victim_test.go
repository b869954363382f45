package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"floe/lib/record"
	"floe/lib/vdso"
)

// victim starts testdata/victim.c, which works on its vDSO and then waits.
func victim(t *testing.T, how string) int {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "victim"), how)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the victim: %v", err)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the victim says %q, %v", line, err)
	}
	return cmd.Process.Pid
}

// programs builds the stages and the victim.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "floe-vdsoprobe")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", dir, "floe/cmds/freeze", "floe/cmds/vmadump", "floe/cmds/vdsoprobe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	cmd = exec.Command("gcc", "-O2", "-static", "-Wall", "-o", filepath.Join(dir, "victim"), "testdata/victim.c")
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("gcc: %w: %s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	if dir, err := programs(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(status)
}

// pipeline runs the stages up to vdsoprobe on a process.
func pipeline(t *testing.T, pid int) (img []byte, stderr string, err error) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test needs root")
	}
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "part")
	cmd := exec.Command("sh", "-c", fmt.Sprintf("umask 077; freeze %d | vmadump | vdsoprobe > %s", pid, name))
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	err = cmd.Run()
	img, rerr := os.ReadFile(name)
	if rerr != nil {
		t.Fatal(rerr)
	}
	return img, errs.String(), err
}

// vdsoRecords are those of a part of an image.
func vdsoRecords(t *testing.T, img []byte) []*record.Vdso {
	t.Helper()
	r, err := record.NewReader(bytes.NewReader(img))
	if err != nil {
		t.Fatal(err)
	}
	var out []*record.Vdso
	for {
		f, err := r.Next()
		if err != nil {
			if err != io.EOF && !strings.Contains(err.Error(), "EOF") {
				t.Fatal(err)
			}
			return out
		}
		if v := f.Record.GetVdso(); v != nil {
			out = append(out, v)
		}
	}
}

func TestFilter(t *testing.T) {
	here, err := vdso.Here()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		how   string
		kind  vdso.Kind
		areas int
		warns string
	}{
		{"native", vdso.InPlace, len(here.Areas), ""},
		{"moved", vdso.InPlace, len(here.Areas), ""},
		{"torn", vdso.Proxy, 1, "its vDSO is not whole"},
	} {
		pid := victim(t, test.how)
		img, stderr, err := pipeline(t, pid)
		if err != nil {
			t.Errorf("%s: %v: %s", test.how, err, stderr)
			continue
		}
		if test.warns == "" && strings.Contains(stderr, "vdsoprobe") || !strings.Contains(stderr, test.warns) {
			t.Errorf("%s: it says %q", test.how, stderr)
		}
		recs := vdsoRecords(t, img)
		if len(recs) != 1 || len(recs[0].Areas) != test.areas {
			t.Errorf("%s: %d records, %v", test.how, len(recs), recs)
			continue
		}
		areas, code, err := vdso.Read(fmt.Sprint(pid))
		if err != nil {
			t.Fatal(err)
		}
		if a := recs[0].Areas[0]; a.Start != areas[0].Start || a.End != areas[0].End || !bytes.Equal(code, recs[0].Image) {
			t.Errorf("%s: the record is not what the process has: %v", test.how, areas)
		}
		if got, err := vdso.CompareHere(recs[0]); err != nil || got.Kind != test.kind {
			t.Errorf("%s: %v, %v", test.how, got, err)
		}
	}
}

func TestFilterChanged(t *testing.T) {
	pid := victim(t, "changed")
	_, stderr, err := pipeline(t, pid)
	want := fmt.Sprintf("vdsoprobe: task %d (victim): its vDSO is not as this kernel made it (it differs at 0xff0); it can't be saved yet\n", pid)
	if err == nil || !strings.Contains(stderr, want) {
		t.Errorf("%v, %q, want %q", err, stderr, want)
	}
}

func TestShowProcess(t *testing.T) {
	for how, want := range map[string]string{
		"native":  "\nnative\n",
		"moved":   "\nmoved: the kernel had put it at ",
		"torn":    "\nnot whole: [vdso] stands where this kernel has [vvar]\n",
		"changed": "\nchanged: it differs at 0xff0\n",
		"none":    "none\n",
	} {
		got, status, err := runIt(t, flags{PID: victim(t, how)})
		if status != 0 || err != nil || !strings.Contains(got, want) {
			t.Errorf("status %d, %v, want %q in\n%s", status, err, want, got)
		}
	}
}
