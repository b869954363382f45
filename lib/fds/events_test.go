package fds

import (
	"encoding/binary"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func itoa(n int) string { return strconv.Itoa(n) }

func (o *opened) counter(fd int) uint64 {
	o.t.Helper()
	return binary.NativeEndian.Uint64([]byte(o.read(fd, 8)))
}

func TestEventFDs(t *testing.T) {
	v := python(t, `
os.dup2(os.eventfd(7) if hasattr(os, "eventfd") else sys_(290, 7, 0), 60)
os.dup2(sys_(290, 3, 1 | 0o4000), 61)
os.dup2(sys_(290, 0, 0), 62); os.write(62, struct.pack("Q", 2**64 - 2))
os.dup2(sys_(290, 0, 0), 63)
hold()
`)
	o := v.saveAndOpen()
	if got := o.counter(o.fd(0, 60)); got != 7 {
		t.Errorf("count %d, want 7", got)
	}
	if flagsOf(t, o.fd(0, 61))&unix.O_NONBLOCK == 0 {
		t.Error("the semaphore is not non-blocking")
	}
	for range 3 {
		if got := o.counter(o.fd(0, 61)); got != 1 {
			t.Errorf("the semaphore gave %d", got)
		}
	}
	if got := o.counter(o.fd(0, 62)); got != 1<<64-2 {
		t.Errorf("count %d", got)
	}
	if flagsOf(t, o.fd(0, 63))&unix.O_NONBLOCK != 0 {
		t.Error("eventfd 63 became non-blocking")
	}
}

func TestTimerFDs(t *testing.T) {
	v := python(t, `
TFD_CREATE, TFD_SET = 283, 286
def timer(n, clock, value, interval, flags=0):
    fd = sys_(TFD_CREATE, clock, 0)
    spec = struct.pack("qqqq", int(interval), int(interval % 1 * 1e9), int(value), int(value % 1 * 1e9))
    sys_(TFD_SET, fd, flags, spec, None)
    os.dup2(fd, n); os.close(fd)
timer(60, 1, 100, 0)
timer(61, 1, 0.001, 0)
timer(62, 1, 0.001, 0.02)
timer(63, 0, time.time() + 500, 0, 3)
timer(64, 1, time.monotonic() + 0.6, 0, 1)
os.dup2(sys_(TFD_CREATE, 7, 0o4000), 65)
time.sleep(0.1)
hold()
`)
	o := v.saveAndOpen()
	get := func(fd int32) *unix.ItimerSpec {
		it := new(unix.ItimerSpec)
		if err := unix.TimerfdGettime(o.fd(0, fd), it); err != nil {
			t.Fatal(err)
		}
		return it
	}
	near := func(fd int32, want, slack float64) {
		t.Helper()
		if got := float64(get(fd).Value.Nano()) / 1e9; got < want-slack || got > want {
			t.Errorf("timer %d has %v s left, want %v", fd, got, want)
		}
	}
	near(60, 100, 1)
	if got := o.counter(o.fd(0, 61)); got != 1 || get(61).Value.Nano() != 0 {
		t.Errorf("the spent timer has %d ticks, %v left", got, get(61).Value)
	}
	if got := o.counter(o.fd(0, 62)); got < 4 || get(62).Interval.Nano() != 2e7 {
		t.Errorf("the interval timer has %d ticks, interval %v", got, get(62).Interval)
	}
	time.Sleep(30 * time.Millisecond)
	if got := o.counter(o.fd(0, 62)); got < 1 || got > 20 {
		t.Errorf("the interval timer ticked %d times", got)
	}
	near(63, 500, 2)
	near(64, 0.6, 0.6)
	time.Sleep(600 * time.Millisecond)
	if got := o.counter(o.fd(0, 64)); got != 1 {
		t.Errorf("the absolute timer ticked %d times", got)
	}
	if flagsOf(t, o.fd(0, 65))&unix.O_NONBLOCK == 0 || get(65).Value.Nano() != 0 {
		t.Error("timer 65 is armed or blocking")
	}
}

func TestSignalFD(t *testing.T) {
	v := python(t, `
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGRTMAX])
mask = struct.pack("Q", 1 << (signal.SIGUSR1 - 1) | 1 << (signal.SIGRTMAX - 1))
os.dup2(sys_(289, -1, mask, 8, 0o4000), 60)
hold()
`)
	o := v.saveAndOpen()
	id := o.im.Fds[1][len(o.im.Fds[1])-1].OpenId
	if got, want := o.im.OpenFile(id).GetSignalfd().GetMask(), uint64(1<<9|1<<63); got != want {
		t.Errorf("mask %#x, want %#x", got, want)
	}
	info := infoOf(t, o.fd(0, 60))
	if mask, err := info.uint("sigmask", 16, 64); err != nil || mask != 1<<9|1<<63 || info.flags&unix.O_NONBLOCK == 0 {
		t.Errorf("restored: mask %#x, flags %#o, %v", mask, info.flags, err)
	}
}
