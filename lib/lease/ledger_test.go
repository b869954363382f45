package lease

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestLedger(t *testing.T) {
	s := newServer(t)
	want := []Entry{{"freeze", Wrote{3, 1 << 33, 1<<32 - 1}}, {"vmadump", Wrote{1, 2, 3}}}
	s.Wrote(want[0].Stage, want[0].Wrote)
	middle, err := Join(own(t, s), "vmadump")
	if err != nil {
		t.Fatal(err)
	}
	defer middle.Close()
	if err := middle.Done(want[1].Wrote); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan Outcome)
	go func() { ended <- s.Wait(ctx, long) }()
	for range 3 {
		if got, err := middle.Ledger(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
	}
	stop()
	<-ended
	s.Close()
	if got, err := middle.Ledger(); !errors.Is(err, ErrOver) {
		t.Errorf("freeze has ended: %v, %v", got, err)
	}
}

// A question that freeze does not live to read has an end.
func TestLedgerUnread(t *testing.T) {
	s, err := NewServer()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Join(own(t, s), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	time.AfterFunc(50*time.Millisecond, s.Close)
	if got, err := c.Ledger(); !errors.Is(err, ErrOver) {
		t.Errorf("%v, %v", got, err)
	}
}

// Descriptors that come with messages are not kept, whatever the message.
func TestDescriptorsClosed(t *testing.T) {
	s := newServer(t)
	c, err := Join(own(t, s), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s.drain()
	before := descriptors(t)
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []Kind{Hello, Ask, Final, Kind(99)} {
		m := c.msg
		m.Kind = k
		if err := c.send(m, unix.UnixRights(int(f.Fd()))); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	s.drain()
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
