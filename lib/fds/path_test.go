package fds

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRegularFiles(t *testing.T) {
	v := python(t, `
open("data", "w").write("0123456789")
open("log", "w").write("first\n")
def at(n, fd):
    if fd != n: os.dup2(fd, n); os.close(fd)
at(50, os.open("data", os.O_RDONLY))
os.lseek(50, 4, 0)
os.dup2(50, 51)                       # shares the offset
at(52, os.open("data", os.O_RDONLY))  # does not
at(53, os.open("log", os.O_WRONLY|os.O_APPEND|os.O_CREAT))
at(54, os.open("data", os.O_RDWR|os.O_NONBLOCK|os.O_SYNC|os.O_NOATIME))
os.set_inheritable(54, False)
at(55, os.open("excl", os.O_RDWR|os.O_CREAT|os.O_EXCL))
hold()
`)
	o := v.saveAndOpen()
	if got := o.read(o.fd(0, 50), 2); got != "45" {
		t.Errorf("fd 50 read %q, want 45", got)
	}
	if got := o.read(o.fd(0, 51), 2); got != "67" {
		t.Errorf("fd 51 shares fd 50's offset, read %q, want 67", got)
	}
	if got := o.read(o.fd(0, 52), 2); got != "01" {
		t.Errorf("fd 52 has an offset of its own, read %q, want 01", got)
	}
	if !same(t, o.fd(0, 50), o.fd(0, 51)) || same(t, o.fd(0, 50), o.fd(0, 52)) {
		t.Error("the descriptions are not shared as they were")
	}
	if _, err := unix.Write(o.fd(0, 53), []byte("second\n")); err != nil {
		t.Error(err)
	}
	if b, _ := os.ReadFile(filepath.Join(v.cmd.Dir, "log")); string(b) != "first\nsecond\n" {
		t.Errorf("log: %q", b)
	}
	want := unix.O_RDWR | unix.O_NONBLOCK | unix.O_SYNC | unix.O_NOATIME
	if got := flagsOf(t, o.fd(0, 54)) &^ unix.O_LARGEFILE & 0o17777777; got&want != want {
		t.Errorf("fd 54: flags %#o, want %#o", got, want)
	}
	for _, f := range o.im.Fds[1] {
		if f.Fd == 50 && f.Cloexec || f.Fd == 54 && !f.Cloexec {
			t.Errorf("fd %d: close-on-exec is %t", f.Fd, f.Cloexec)
		}
	}
}

func TestDirectoryGoesOn(t *testing.T) {
	v := python(t, `
for i in range(40): open("entry%02d" % i, "w")
fd = os.open(".", os.O_RDONLY|os.O_DIRECTORY)
buf = ctypes.create_string_buffer(256)
n = sys_(217, fd, buf, 256)
os.dup2(fd, 60)
def names(b):
    out = []
    while b:
        l = struct.unpack("H", b[16:18])[0]
        out.append(b[19:l].split(b"\0")[0].decode()); b = b[l:]
    return out
print_first = names(buf.raw[:n])
ready(); wait()
rest = []
while True:
    n = sys_(217, fd, buf, 256)
    if n == 0: break
    rest += names(buf.raw[:n])
print(" ".join(rest), flush=True)
wait()
`)
	im := v.save()
	o := reopenImage(t, im, OpenOptions{})
	got := readNames(t, o.fd(0, 60))
	v.thaw()
	v.say("go on")
	if want := strings.Fields(v.line()); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the restored directory goes on with %v, the victim's with %v", got, want)
	}
}

func readNames(t testing.TB, fd int) []string {
	t.Helper()
	var names []string
	buf := make([]byte, 4096)
	for {
		n, err := unix.Getdents(fd, buf)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return names
		}
		for b := buf[:n]; len(b) > 0; {
			l := int(b[16]) | int(b[17])<<8
			names = append(names, strings.TrimRight(strings.SplitN(string(b[19:l]), "\x00", 2)[0], "\x00"))
			b = b[l:]
		}
	}
}

func TestPathHandles(t *testing.T) {
	v := python(t, `
open("data", "w").write("x"); os.symlink("data", "link")
os.dup2(os.open("data", os.O_PATH), 60)
os.dup2(os.open("link", os.O_PATH|os.O_NOFOLLOW), 61)
os.dup2(os.open(".", os.O_PATH|os.O_DIRECTORY), 62)
os.dup2(os.open("/dev/null", os.O_PATH), 63)
os.dup2(os.open("/dev/urandom", os.O_RDONLY), 64)
os.dup2(os.open("/dev/null", os.O_WRONLY), 65)
os.dup2(os.open("/proc/cpuinfo", os.O_RDONLY), 66)
hold()
`)
	o := v.saveAndOpen()
	for fd, format := range map[int32]uint32{60: unix.S_IFREG, 61: unix.S_IFLNK, 62: unix.S_IFDIR, 63: unix.S_IFCHR} {
		var st unix.Stat_t
		if err := unix.Fstat(o.fd(0, fd), &st); err != nil || st.Mode&unix.S_IFMT != format {
			t.Errorf("fd %d: %v, %s", fd, err, formatName(st.Mode))
		}
		if flagsOf(t, o.fd(0, fd))&unix.O_PATH == 0 {
			t.Errorf("fd %d is not an O_PATH handle", fd)
		}
	}
	if got := o.read(o.fd(0, 64), 16); len(got) != 16 {
		t.Errorf("urandom gave %d bytes", len(got))
	}
	if _, err := unix.Write(o.fd(0, 65), []byte("x")); err != nil {
		t.Error(err)
	}
	if got := o.read(o.fd(0, 66), 9); got != "processor" {
		t.Errorf("cpuinfo: %q", got)
	}
}

func TestChangedFiles(t *testing.T) {
	for name, c := range map[string]struct {
		change func(path string) error
		want   string
		force  bool // --force-files helps
	}{
		"grown":     {func(p string) error { return os.WriteFile(p, []byte("longer"), 0o600) }, "size is 6 bytes now, and was 4", true},
		"replaced":  {func(p string) error { return os.WriteFile(p+"2", []byte("same"), 0o600) }, "another file has its name", true},
		"gone":      {os.Remove, "no such file", false},
		"directory": {func(p string) error { return os.Remove(p) }, "it is a directory now", false},
		"symlink":   {os.Remove, "it is a symbolic link now", false},
	} {
		t.Run(name, func(t *testing.T) {
			v := python(t, `open("f", "w").write("four"); os.dup2(os.open("f", os.O_RDONLY), 60); hold()`)
			im := v.save()
			v.end()
			path := filepath.Join(v.cmd.Dir, "f")
			if err := c.change(path); err != nil {
				t.Fatal(err)
			}
			switch name {
			case "replaced":
				_ = os.Rename(path+"2", path)
			case "directory":
				_ = os.Mkdir(path, 0o700)
			case "symlink":
				_ = os.Symlink("/etc/passwd", path)
			}
			_, err := Open(im, OpenOptions{})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Fatalf("error %v, want %q and the file's name", err, c.want)
			}
			s, err := Open(im, OpenOptions{ForceFiles: true})
			if (err == nil) != c.force {
				t.Errorf("with --force-files: %v", err)
			}
			if err == nil {
				s.Close()
			}
		})
	}
}
