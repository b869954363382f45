package plan

import (
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// TestAltstack: a thread without a signal stack may still have SS_AUTODISARM set.
func TestAltstack(t *testing.T) {
	for _, c := range []struct {
		stack record.AltStack
		want  int
	}{
		{record.AltStack{Flags: ssDisable}, 0},
		{record.AltStack{Flags: ssDisable | 1<<31}, 1},
		{record.AltStack{Sp: 4096, Size: 8192}, 1},
	} {
		calls, err := Thread(&record.Thread{Altstack: &c.stack, Creds: &record.Creds{}, Sched: &record.Sched{}}, 0)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, call := range calls {
			if call.Nr == unix.SYS_SIGALTSTACK {
				n++
			}
		}
		if n != c.want {
			t.Errorf("%+v: %d calls of sigaltstack", &c.stack, n)
		}
	}
}
