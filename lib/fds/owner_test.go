package fds

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
)

func TestOwners(t *testing.T) {
	v := python(t, `
signal.signal(signal.SIGRTMIN, signal.SIG_IGN); signal.signal(signal.SIGIO, signal.SIG_IGN)
r, w = os.pipe(); os.dup2(r, 60); os.dup2(w, 61); os.close(r); os.close(w)
fcntl.fcntl(60, 15, struct.pack("ii", 1, os.getpid()))  # F_SETOWN_EX
fcntl.fcntl(60, 10, int(signal.SIGRTMIN))               # F_SETSIG
fcntl.fcntl(60, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
fcntl.fcntl(61, fcntl.F_SETOWN, -os.getpgrp())
hold()
`)
	im := v.save()
	o := reopenImage(t, im, OpenOptions{})
	if got := flagsOf(t, o.fd(0, 60)); got&unix.O_ASYNC != 0 {
		t.Error("O_ASYNC is set before the tasks exist")
	}
	if err := o.SetOwners(); err != nil {
		t.Fatal(err)
	}
	if own, err := getOwner(o.fd(0, 60)); err != nil || own != (kabi.FOwnerEx{Type: kabi.F_OWNER_PID, Pid: v.pids[0]}) {
		t.Errorf("owner %+v, %v", own, err)
	}
	if sig, _ := unix.FcntlInt(uintptr(o.fd(0, 60)), kabi.F_GETSIG, 0); sig != 34 {
		t.Errorf("signal %d, want 34", sig)
	}
	if got := flagsOf(t, o.fd(0, 60)); got&unix.O_ASYNC == 0 || got&unix.O_NONBLOCK == 0 {
		t.Errorf("flags %#o", got)
	}
	if own, err := getOwner(o.fd(0, 61)); err != nil || own.Type != kabi.F_OWNER_PGRP || int(own.Pid) != unix.Getpgrp() {
		t.Errorf("owner %+v, %v", own, err)
	}
}

func TestOwnerThatIsGone(t *testing.T) {
	v := python(t, `
pid = os.fork()
if pid == 0: time.sleep(60)
r, w = os.pipe(); os.dup2(r, 60); os.dup2(w, 61); fcntl.fcntl(60, fcntl.F_SETOWN, pid)
os.close(r); os.close(w)
ready(pid); wait()
`)
	im := v.save()
	v.end()
	awaitGone(t, v.pids[1])
	o := reopenImage(t, im, OpenOptions{})
	// A zombie still has its id, until somebody has waited for it.
	if err := o.SetOwners(); err != nil && !errors.Is(err, unix.ESRCH) {
		t.Error(err)
	}
}
