package fds

import (
	"strings"
	"testing"

	"floe/lib/record"
)

// small is open(2) by the 32-bit interface (int 0x80), which sets no O_LARGEFILE.
const small = `
import mmap
def small(name, flags=0):
    m = mmap.mmap(-1, 8192, flags=mmap.MAP_PRIVATE|mmap.MAP_ANONYMOUS|0x40, prot=7)  # MAP_32BIT
    at = ctypes.addressof(ctypes.c_char.from_buffer(m))
    m[4096:4096 + len(name) + 1] = name.encode() + b"\0"
    code = (b"\x53\xb8\x05\x00\x00\x00\xbb" + struct.pack("<I", at + 4096) + b"\xb9" + struct.pack("<I", flags)
            + b"\x31\xd2\xcd\x80\x5b\xc3")  # push rbx; mov eax,5; mov ebx,name; mov ecx,flags; xor edx,edx; int 0x80; pop rbx; ret
    m[:len(code)] = code
    fd = ctypes.CFUNCTYPE(ctypes.c_int)(at)()
    assert fd >= 0, fd
    return fd
`

// Everything that can't be saved is refused by name: the task, the descriptor,
// what it is, and what can be done.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct{ code, want string }{
		"tcp listening":      {`s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()`, "a TCP socket (127.0.0.1:"},
		"tcp connected":      {`l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen(); s = socket.create_connection(l.getsockname()); c = l.accept(); l.close()`, ", connected to 127.0.0.1:"},
		"udp 6":              {`s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)`, "a UDP socket ([::]:0)"},
		"raw":                {`s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)`, "an IP raw (protocol 1) socket"},
		"unix pair":          {`s, r = socket.socketpair()`, "a unix stream socket can't"},
		"unix named":         {`s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("sock")`, "a unix datagram socket (sock)"},
		"netlink":            {`s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)`, "a netlink socket"},
		"inotify":            {`sys_(294, 0)`, "an inotify instance"},
		"fanotify":           {`sys_(300, 0, 0)`, "a fanotify group"},
		"memfd":              {`os.memfd_create("secret")`, "a memfd (secret)"},
		"userfaultfd":        {`sys_(323, 1)`, "a userfaultfd"},
		"bpf map":            {`sys_(321, 0, struct.pack("IIII", 2, 4, 4, 1) + bytes(48), 64)`, "a BPF map"},
		"deleted":            {`f = open("gone", "w"); os.unlink("gone")`, "a deleted file (/"},
		"tmpfile":            {`f = tempfile.TemporaryFile(dir=".")`, "a deleted file (/"},
		"other name":         {`f = open("a", "w"); os.link("a", "b"); os.unlink("a")`, "a file that has lost the name it was opened by (/"},
		"deleted dir":        {`os.mkdir("d"); f = os.open("d", os.O_RDONLY); os.rmdir("d")`, "a deleted directory (/"},
		"pty master":         {`f = os.open("/dev/ptmx", os.O_RDWR|os.O_NOCTTY)`, "the master of a pseudo-terminal (/dev/"},
		"pty":                {`import pty; m, s = pty.openpty(); os.close(m)`, "a terminal that is not the tree's own (/dev/pts/"},
		"kmsg":               {`f = os.open("/dev/kmsg", os.O_RDONLY)`, "a character device (1:11, /dev/kmsg)"},
		"namespace":          {`f = os.open("/proc/self/ns/net", os.O_RDONLY)`, "a namespace (net)"},
		"own proc":           {`f = open("/proc/self/stat")`, "a file of /proc about a process (/proc/"},
		"lease":              {`open("l", "w"); f = os.open("l", os.O_RDONLY); fcntl.fcntl(f, 1024, 0)`, "a lease (F_SETLEASE) on /"},
		"pipe outwards":      {`f = os.open("/proc/%d/fd/0" % os.getpid(), os.O_RDONLY); r, w = os.pipe(); os.dup2(r, 0)`, "a pipe:["},
		"two numbers":        {`r, w = os.pipe(); os.dup2(r, 60); fcntl.fcntl(r, 10, 40); fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC)`, "which is open as 60 too"},
		"owner outside":      {`r, w = os.pipe(); fcntl.fcntl(r, fcntl.F_SETOWN, os.getppid())`, ", outside of the tree, can't"},
		"group outside":      {`g = os.getpgrp(); os.setpgid(0, 0); r, w = os.pipe(); fcntl.fcntl(r, fcntl.F_SETOWN, -g)`, ", outside of the tree, can't"},
		"dnotify":            {`signal.signal(signal.SIGIO, signal.SIG_IGN); f = os.open(".", os.O_RDONLY); fcntl.fcntl(f, 1026, 4)`, "a directory that may be watched with F_NOTIFY (/"},
		"signals of stdin":   {`signal.signal(signal.SIGIO, signal.SIG_IGN); fcntl.fcntl(0, fcntl.F_SETFL, os.O_ASYNC)`, "whose signals (O_ASYNC) would not come"},
		"path of a pipe":     {`r, w = os.pipe(); f = os.open("/proc/self/fd/%d" % r, os.O_PATH)`, "an O_PATH handle of pipe:["},
		"path of an eventfd": {`e = sys_(290, 0, 0); f = os.open("/proc/self/fd/%d" % e, os.O_PATH)`, "an O_PATH handle of anon_inode:[eventfd]"},
		"pressure":           {`f = os.open("/proc/pressure/cpu", os.O_RDWR)`, "a file of pressure information that may have a trigger (/proc/pressure/cpu)"},
		"small file":         {small + `open("f", "w"); f = small("f")`, "a file that was opened without O_LARGEFILE, as 32-bit programs do (/"},
		"small device":       {small + `f = small("/dev/null")`, "a file that was opened without O_LARGEFILE, as 32-bit programs do (/dev/null)"},
		"small fifo":         {small + `os.mkfifo("f"); f = small("f", os.O_RDWR)`, "a fifo (/"},
		"deleted cwd":        {`os.mkdir("d"); os.chdir("d"); os.rmdir("../d")`, "its working directory, a deleted directory (/"},
		"thread's table":     {`import threading; threading.Thread(target=lambda: (libc.unshare(0x400), time.sleep(60)), daemon=True).start(); time.sleep(0.1); os.system("")`, "which has a descriptor table of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			v := python(t, c.code+"\nhold()\n")
			tasks := v.freeze()
			tasks[0].Tids = threadsOf(t, tasks[0].Pid)
			_, err := collect(t, tasks)
			if err == nil {
				t.Fatal("it was saved")
			}
			msg := err.Error()
			if !strings.Contains(msg, c.want) {
				t.Errorf("%q, want %q", msg, c.want)
			}
			if strings.Contains(msg, "\n") || !strings.HasPrefix(msg, "task ") || !strings.Contains(msg, "can't be saved yet; ") {
				t.Errorf("the form of %q", msg)
			}
			t.Log(msg)
		})
	}
}

// What a newer kernel says of a descriptor is not passed over.
func TestUnknownFields(t *testing.T) {
	task := &record.Task{Pid: 77, Comm: "victim"}
	for line, k := range map[string]kind{"eventfd-colour: 3": eventFD{}, "tfd: 3 events: 1 data: 0 pos:0 ino:1 sdev:1 colour:2": epollKind{}, "sigmask: 0": eventFD{}, "colour: 1": pathKind{}, "x: y": pipeKind{}} {
		info, err := parseFDInfo([]byte("pos:\t0\nflags:\t02\nmnt_id:\t1\nino:\t5\n" + line + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		d := &desc{slots: []*slot{{table: &table{task: task}, fd: 5}}, link: "it", info: info, kind: k, rec: &record.OpenFile{}}
		err = d.known()
		if _, epoll := k.(epollKind); epoll {
			_, err = watches(info)
		}
		if err == nil {
			t.Errorf("%q of %T is passed over", line, k)
		} else {
			t.Log(err)
		}
	}
}

func TestFDInfoIsChecked(t *testing.T) {
	for _, s := range []string{"", "pos:\t0\n", "flags:\t02\n", "pos:\tx\nflags:\t02\n", "pos:\t0\nflags:\t09\n", "pos:\t0\nflags:\t02\nnonsense\n"} {
		if _, err := parseFDInfo([]byte(s)); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

func FuzzFDInfo(f *testing.F) {
	f.Add([]byte("pos:\t0\nflags:\t02004002\nmnt_id:\t17\nino:\t1039\neventfd-count:                0\neventfd-id: 3\neventfd-semaphore: 0\n"))
	f.Add([]byte("pos:\t0\nflags:\t02000002\nmnt_id:\t17\nino:\t1039\ntfd:       17 events:       19 data:               11  pos:0 ino:40f sdev:10\n"))
	f.Add([]byte("pos:\t0\nflags:\t02\nclockid: 1\nticks: 0\nsettime flags: 01\nit_value: (0, 49406829)\nit_interval: (1, 0)\n"))
	f.Add([]byte("pos:\t0\nflags:\t02\nlock:\t1: POSIX  ADVISORY  WRITE 12345 08:01:1234 0 EOF\n"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		info, err := parseFDInfo(b)
		if err != nil {
			return
		}
		_, _ = watches(info)
		_, _ = parseTimer(info)
		for _, l := range info.rest {
			_, _ = parseLock(l.value)
		}
	})
}
