package procfs

import (
	"errors"
	"os"
	"testing"
)

func TestStartTime(t *testing.T) {
	s, err := ReadStat(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := StartTime(os.Getpid()); err != nil || got != s.StartTime {
		t.Errorf("%d, %v; want %d", got, err, s.StartTime)
	}
	const never = 1 << 30
	if _, err := StartTime(never); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want that there is no such task", err)
	}
}

func TestStateAndStart(t *testing.T) {
	for _, test := range []struct {
		stat  string
		state byte
		start uint64
		bad   bool
	}{
		{stat: "7 (a) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 2\n", state: 'S', start: 12345},
		{stat: "7 (x) Z (y) t 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 18446744073709551615 1 2\n", state: 't', start: 1<<64 - 1},
		{stat: "", bad: true},
		{stat: "7 (a)", bad: true},
		{stat: "7 (a) ", bad: true},
		{stat: "7 (a) S 1 7", bad: true},
		{stat: "7 (a) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 x 1 2\n", bad: true},
	} {
		state, start, err := StateAndStart([]byte(test.stat))
		if (err != nil) != test.bad || err == nil && (state != test.state || start != test.start) {
			t.Errorf("%q: %c %d %v", test.stat, state, start, err)
		}
	}
}

func FuzzStateAndStart(f *testing.F) {
	f.Add([]byte("7 (a) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 2\n"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _, _ = StateAndStart(b) })
}

func BenchmarkStart(b *testing.B) {
	b.Run("StartTime", func(b *testing.B) {
		for b.Loop() {
			_, _ = StartTime(os.Getpid())
		}
	})
	b.Run("ReadStat", func(b *testing.B) {
		for b.Loop() {
			_, _ = ReadStat(os.Getpid())
		}
	})
	var buf [1024]byte
	b.Run("status", func(b *testing.B) {
		for b.Loop() {
			_, _ = ReadInto("/proc/self/status", buf[:])
		}
	})
	b.Run("thread stat", func(b *testing.B) {
		for b.Loop() {
			_, _ = ReadInto("/proc/thread-self/stat", buf[:])
		}
	})
}
