package fds

import (
	"os"
	"strconv"
	"testing"
	"time"
)

func atoi(t testing.TB, s string) int32 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return int32(n)
}

// infoOf is the fdinfo of a descriptor of this process.
func infoOf(t testing.TB, fd int) *fdinfo {
	t.Helper()
	b, err := os.ReadFile("/proc/self/fdinfo/" + itoa(fd))
	if err != nil {
		t.Fatal(err)
	}
	info, err := parseFDInfo(b)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestSharingAcrossTasks(t *testing.T) {
	v := python(t, `
open("f", "w").write("0123456789")
os.dup2(os.open("f", os.O_RDONLY), 60)
kids = []
for i in range(3):
    pid = os.fork()
    if pid == 0:
        if i == 1: os.dup2(os.open("f", os.O_RDONLY), 60)   # its own now
        os.chdir("/tmp" if i == 2 else ".")
        time.sleep(60)
    kids.append(pid)
# One that shares the table itself.
pid = libc.syscall(56, 0x400 | 17, 0, 0, 0, 0)
if pid == 0:
    libc.syscall(35, struct.pack("qq", 60, 0), 0); os._exit(0)
os.umask(0o27)
time.sleep(0.2)
ready(*kids, pid); wait()
`)
	tasks := v.freeze()
	for _, task := range tasks {
		task.Umask = 0o27
	}
	im, err := collect(t, tasks)
	if err != nil {
		t.Fatal(err)
	}
	v.end()
	o := reopenImage(t, im, OpenOptions{})
	root := o.fd(0, 60)
	for i, want := range []bool{true, true, false, true, true} {
		if got := same(t, root, o.fd(i, 60)); got != want {
			t.Errorf("task %d shares fd 60 with the root: %t, want %t", i, got, want)
		}
	}
	if len(im.Fds) != 4 || tasks[4].FilesId != tasks[0].FilesId {
		t.Errorf("%d tables, want 4: a shared one is saved once", len(im.Fds))
	}
	if len(im.Fs) != 5 {
		t.Errorf("%d sets of directories", len(im.Fs))
	}
	fs := im.Fs[tasks[3].FsId]
	if got := string(im.File(fs.CwdFile).Path); got != "/tmp" || fs.Umask != 0o27 {
		t.Errorf("working directory %q, umask %#o", got, fs.Umask)
	}
	if got := string(im.File(im.Fs[1].CwdFile).Path); got != v.cmd.Dir {
		t.Errorf("working directory %q", got)
	}
}

// 200 processes that have each opened the same files themselves: the worst
// case for telling descriptions apart.
func TestManyTasks(t *testing.T) {
	v := python(t, `
open("f", "w").write("0123456789")
kids = []
for i in range(200):
    pid = os.fork()
    if pid == 0:
        for n in range(60, 70): os.dup2(os.open("f", os.O_RDONLY), n)
        time.sleep(60)
    kids.append(pid)
time.sleep(1)
ready(*kids); wait()
`)
	tasks := v.freeze()
	start := time.Now()
	im, err := collect(t, tasks)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d descriptions in %v", len(im.OpenOrder), time.Since(start))
	if got := len(im.OpenOrder); got != 2003 {
		t.Errorf("%d descriptions", got)
	}
	v.end()
	start = time.Now()
	reopenImage(t, im, OpenOptions{})
	t.Logf("opened in %v", time.Since(start))
}
