package plan

import (
	"fmt"
	"strings"
	"testing"

	"floe/lib/record"
)

// tk is a task: pid ppid pgid sid.
func tk(pid, ppid, pgid, sid int32) *record.Task {
	n := uint64(pid)
	return &record.Task{Pid: pid, Ppid: ppid, Pgid: pgid, Sid: sid, MmId: n, FilesId: n, FsId: n, SighandId: n}
}

func show(steps []Step) string {
	var s []string
	for _, st := range steps {
		switch st.Kind {
		case Fork:
			s = append(s, fmt.Sprintf("%d>%d", st.Task, st.Child.Pid))
		case Setsid:
			s = append(s, fmt.Sprintf("s%d", st.Task))
		case Bury:
			s = append(s, fmt.Sprintf("b%d:%d", st.Task, st.Child.Pid))
		case Setpgid:
			s = append(s, fmt.Sprintf("g%d:%d", st.Task, st.Pgid))
		}
	}
	return strings.Join(s, " ")
}

func TestTree(t *testing.T) {
	for _, c := range []struct {
		name  string
		tasks []*record.Task
		want  string // or the beginning of the error, after "!"
	}{
		{"a leader and its children", []*record.Task{tk(10, 1, 10, 10), tk(11, 10, 10, 10), tk(12, 11, 10, 10)}, "0>10 s10 10>11 11>12 g11:10 g12:10"},
		{"in the caller's session", []*record.Task{tk(10, 1, 5, 3), tk(11, 10, 5, 3)}, "0>10 10>11"},
		{"a job of its own", []*record.Task{tk(10, 1, 10, 3), tk(11, 10, 10, 3)}, "0>10 10>11 g10:10 g11:10"},
		{"job control inside", []*record.Task{tk(10, 1, 10, 10), tk(11, 10, 11, 10), tk(12, 10, 11, 10)}, "0>10 s10 10>11 10>12 g11:11 g12:11"},
		{"a session below", []*record.Task{tk(10, 1, 10, 10), tk(11, 10, 11, 11), tk(12, 11, 11, 11)}, "0>10 s10 10>11 s11 11>12 g12:11"},
		{"a child born before its parent's setsid", []*record.Task{tk(10, 1, 10, 10), tk(11, 10, 11, 11), tk(12, 11, 10, 10)}, "0>10 s10 10>11 11>12 s11 g12:10"},
		{"a foreign session", []*record.Task{tk(10, 1, 10, 10), tk(11, 10, 10, 99)}, "!task 10 is in session 99"},
		{"a group whose leader is gone", []*record.Task{tk(10, 1, 10, 10), tk(11, 10, 77, 10)}, "0>10 s10 10>11 11>77 g77:77 g11:77 b11:77"},
		{"a group of two without its leader", []*record.Task{tk(10, 1, 10, 10), tk(11, 10, 77, 10), tk(12, 10, 77, 10)}, "0>10 s10 10>11 10>12 11>77 g77:77 g11:77 g12:77 b11:77"},
		{"a group led from another session", []*record.Task{tk(10, 1, 10, 10), tk(11, 10, 11, 11), tk(12, 10, 11, 10)}, "!task 12 () is in process group 11"},
	} {
		t.Run(c.name, func(t *testing.T) {
			steps, err := Tree(c.tasks)
			got := show(steps)
			if err != nil {
				got = "!" + err.Error()
			}
			if want, isErr := strings.CutPrefix(c.want, "!"); isErr && !strings.HasPrefix(got, "!"+want) || !isErr && got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestSharing(t *testing.T) {
	a, b, c := tk(10, 1, 10, 10), tk(11, 10, 10, 10), tk(12, 11, 10, 10)
	b.FilesId, c.MmId = a.FilesId, a.MmId
	if _, err := NewSharing([]*record.Task{a, b, c}); err == nil {
		t.Error("memory shared with a grandparent only was accepted")
	}
	c.MmId = 12
	s, err := NewSharing([]*record.Task{a, b, c})
	if err != nil {
		t.Fatal(err)
	}
	if s.OwnsFiles(b) || !s.OwnsMM(b) || !s.OwnsFiles(a) {
		t.Error("wrong owners")
	}
	flags, err := shared(a, b)
	if err != nil || flags != 0x400 { // CLONE_FILES
		t.Errorf("flags %#x, %v", flags, err)
	}
}

func TestHole(t *testing.T) {
	used := []Span{{0x400000, 0x500000}, {0x100000, 0x200000}, {0x7fff00000000, 0x7fffff000000}}
	for _, c := range []struct{ size, want uint64 }{{0x1000, 0x200000}, {0x200000, 0x200000}, {0x300000, 0x500000}} {
		if got, err := Hole(used, c.size); err != nil || got != c.want {
			t.Errorf("hole of %#x at %#x, %v; want %#x", c.size, got, err, c.want)
		}
	}
	if _, err := Hole([]Span{{0, UserCeiling}}, 4096); err == nil {
		t.Error("a hole in a full address space")
	}
}
