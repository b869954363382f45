package fds

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// events waits on an epoll; by data.
func (o *opened) events(ep int) map[uint64]uint32 {
	o.t.Helper()
	got := map[uint64]uint32{}
	evs := make([]unix.EpollEvent, 16)
	n, err := unix.EpollWait(ep, evs, 0)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, e := range evs[:n] {
		got[uint64(uint32(e.Fd))|uint64(uint32(e.Pad))<<32] = e.Events
	}
	return got
}

// epollPrelude adds with data of 64 bits, which python's own module can't.
const epollPrelude = `
def add(ep, fd, events, data):
    sys_(233, ep, 1, fd, struct.pack("<IQ", events, data))
def at(n, fd):
    os.dup2(fd, n); os.close(fd)
IN, OUT, ET, ONESHOT = 1, 4, 1 << 31, 1 << 30
`

func TestEpoll(t *testing.T) {
	v := python(t, epollPrelude+`
r, w = os.pipe(); at(60, r); at(61, w)
at(62, sys_(290, 0, 0))
at(70, sys_(291, 0))
add(70, 60, IN, 0x1234567890abcdef)
add(70, 62, IN | ET, 62)
at(71, sys_(291, 0)); add(71, 70, IN, 70)  # an epoll in an epoll
hold()
`)
	o := v.saveAndOpen()
	ep := o.fd(0, 70)
	if got := o.events(ep); len(got) != 0 {
		t.Fatalf("events before anything happened: %v", got)
	}
	if _, err := unix.Write(o.fd(0, 61), []byte("x")); err != nil {
		t.Fatal(err)
	}
	if got := o.events(o.fd(0, 71)); got[70] != unix.EPOLLIN {
		t.Errorf("outer epoll: %v", got)
	}
	if got := o.events(ep); len(got) != 1 || got[0x1234567890abcdef] != unix.EPOLLIN {
		t.Errorf("epoll: %v", got)
	}
	if len(o.calls) != 0 {
		t.Errorf("left for tasks: %v", o.calls)
	}
}

func TestEpollKeepsItsNumbers(t *testing.T) {
	v := python(t, epollPrelude+`
at(70, sys_(291, 0))
for i in range(2):               # two entries under one number, both files moved since
    r, w = os.pipe(); at(60, r); at(61 + i, w)
    add(70, 60, IN, 100 + i)
    os.dup2(60, 80 + i)
at(60, os.open("/dev/null", os.O_RDONLY))
r, w = os.pipe(); at(40, r); at(41, w); os.dup2(40, 3); add(70, 3, IN, 3)   # a number that restore uses itself
hold()
`)
	o := v.saveAndOpen()
	ep := o.fd(0, 70)
	for i := range int32(2) {
		if _, err := unix.Write(o.fd(0, 61+i), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if got := o.events(ep); len(got) != 2 || got[100] != unix.EPOLLIN || got[101] != unix.EPOLLIN {
		t.Errorf("events %v", got)
	}
	if got := epollNumbers(t, ep); got[60] != 2 || got[3] != 1 || len(got) != 2 {
		t.Errorf("numbers %v", got)
	}
}

// epollNumbers counts the entries of an epoll of this process by number.
func epollNumbers(t testing.TB, ep int) map[int32]int {
	t.Helper()
	list, err := watches(infoOf(t, ep))
	if err != nil {
		t.Fatal(err)
	}
	got := map[int32]int{}
	for _, w := range list {
		got[w.fd]++
	}
	return got
}

func TestEpollOneShot(t *testing.T) {
	v := python(t, epollPrelude+`
at(70, sys_(291, 0))
r, w = os.pipe(); at(60, r); at(61, w); os.write(61, b"x")
add(70, 60, IN | ONESHOT, 60)
ev = ctypes.create_string_buffer(24); assert sys_(232, 70, ev, 2, 0) == 1   # spent, with data
r, w = os.pipe(); at(62, r); at(63, w); os.write(63, b"x")
add(70, 62, IN | ONESHOT, 62)
assert sys_(232, 70, ev, 2, 0) == 1; os.read(62, 1)                         # spent, without
r, w = os.pipe(); at(64, r); at(65, w)
add(70, 64, IN | ONESHOT, 64)                                               # armed
hold()
`)
	o := v.saveAndOpen()
	for _, fd := range []int32{61, 63, 65} {
		if _, err := unix.Write(o.fd(0, fd), []byte("y")); err != nil {
			t.Fatal(err)
		}
	}
	if got := o.events(o.fd(0, 70)); len(got) != 1 || got[64] != unix.EPOLLIN {
		t.Errorf("events %v, want the armed one's only", got)
	}
}

func TestEpollOfSignals(t *testing.T) {
	v := python(t, epollPrelude+`
at(70, sys_(291, 0))
at(60, sys_(289, -1, struct.pack("Q", 1 << 9), 8, 0))
add(70, 60, IN, 99)
hold()
`)
	o := v.saveAndOpen()
	calls := slices.Collect(o.Calls(1))
	if len(calls) != 1 || calls[0].Nr != unix.SYS_EPOLL_CTL || calls[0].Args[0].Val != 70 || calls[0].Args[2].Val != 60 ||
		// The kernel adds errors and hang-ups to what is asked for.
		string(calls[0].Args[3].Bytes) != "\x19\x00\x00\x00\x63\x00\x00\x00\x00\x00\x00\x00" {
		t.Errorf("left for tasks: %+v", calls)
	}
}

func TestEpollOfClosedFile(t *testing.T) {
	v := python(t, epollPrelude+`
at(70, sys_(291, 0))
r, w = os.pipe()
add(70, r, IN, 0)
pid = os.fork()        # keeps the pipe's end, outside of the tree
if pid == 0: os.close(70); time.sleep(20)
os.close(r); os.close(w)
ready(); print(pid, flush=True); wait()
`)
	other := v.line()
	_, err := collect(t, v.freeze())
	v.pids = append(v.pids, atoi(t, other))
	if err == nil || !strings.Contains(err.Error(), "fd 70: an epoll that watches a file (added as fd ") {
		t.Errorf("error %v", err)
	}
}
