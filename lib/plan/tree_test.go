package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// tk is a task: pid ppid pgid sid.
func tk(pid, ppid, pgid, sid int32) *record.Task {
	n := uint64(pid)
	return &record.Task{Pid: pid, Ppid: ppid, Pgid: pgid, Sid: sid, MmId: n, FilesId: n, FsId: n, SighandId: n, ExitSignal: uint32(unix.SIGCHLD)}
}

// gone says that the leader of a task's session, or group, is nowhere.
func gone(t *record.Task) *record.Task {
	t.SessionGone, t.GroupGone = true, true
	return t
}

func files(t *record.Task, id uint64) *record.Task {
	t.FilesId = id
	return t
}

func zombie(t *record.Task, status uint32) *record.Task {
	t.State, t.ExitCode = record.Task_ZOMBIE, status
	return t
}

func show(steps []Step) string {
	var s []string
	for _, st := range steps {
		parent := ""
		if st.Flags&unix.CLONE_PARENT != 0 {
			parent = "^"
		}
		switch st.Kind {
		case Fork:
			s = append(s, fmt.Sprintf("%d>%s%d", st.Task, parent, st.Child))
		case Setsid:
			s = append(s, fmt.Sprintf("s%d", st.Task))
		case Bury:
			s = append(s, fmt.Sprintf("b%d:%d", st.Task, st.Child))
		case Setpgid:
			s = append(s, fmt.Sprintf("g%d:%d", st.Task, st.Pgid))
		case Leave:
			s = append(s, fmt.Sprintf("u%d:%#x", st.Task, st.Flags))
		case Adopt:
			s = append(s, fmt.Sprintf("a%d:%v", st.Task, st.On))
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
		{"a leader and its children", []*record.Task{tk(10, 1, 10, 10), tk(11, 10, 10, 10), tk(12, 11, 10, 10)}, "0>^10 s10 10>11 11>12"},
		{"in the caller's session", []*record.Task{tk(10, 1, 5, 3), tk(11, 10, 5, 3)}, "0>^10 10>11"},
		{"a job of its own", []*record.Task{tk(10, 1, 10, 3), tk(11, 10, 10, 3)}, "0>^10 10>11 g10:10 g11:10"},
		{"job control inside", []*record.Task{tk(10, 1, 10, 10), tk(11, 10, 11, 10), tk(12, 10, 11, 10)}, "0>^10 s10 10>11 10>12 g11:11 g12:11"},
		{"a session below", []*record.Task{tk(10, 1, 10, 10), tk(11, 10, 11, 11), tk(12, 11, 11, 11)}, "0>^10 s10 10>11 s11 11>12"},
		{"a child born before its parent's setsid", []*record.Task{tk(10, 1, 10, 10), tk(11, 10, 11, 11), tk(12, 11, 10, 10)}, "0>^10 s10 10>11 11>12 s11"},
		{"a daemon", []*record.Task{tk(10, 1, 10, 10), gone(tk(11, 10, 99, 99))}, "0>^10 s10 10>99 s99 99>^11 b10:99"},
		{"a daemon, its leader not waited for", []*record.Task{tk(10, 1, 10, 10), zombie(tk(98, 10, 98, 98), 0), tk(11, 10, 98, 98)}, "0>^10 s10 10>98 s98 98>^11"},
		{"daemons of two reapers", []*record.Task{tk(10, 1, 10, 10), tk(11, 10, 11, 11), gone(tk(12, 10, 99, 99)), gone(tk(13, 11, 99, 99))},
			"0>^10 s10 10>11 s11 11>99 s99 99>-1 -1>12 a10:true b99:-1 a10:false 99>^13 b11:99"},
		{"a root without its leader", []*record.Task{gone(tk(10, 1, 9, 9))}, "0>^9 s9 9>^10 b0:9"},
		{"a group whose leader is gone", []*record.Task{tk(10, 1, 10, 10), tk(11, 10, 77, 10)}, "0>^10 s10 10>11 11>77 g77:77 g11:77 b11:77"},
		{"a group of two without its leader", []*record.Task{tk(10, 1, 10, 10), tk(11, 10, 77, 10), tk(12, 10, 77, 10)}, "0>^10 s10 10>11 10>12 11>77 g77:77 g11:77 g12:77 b11:77"},
		{"two that swapped groups", []*record.Task{tk(10, 1, 10, 10), tk(11, 10, 12, 10), tk(12, 10, 11, 10)}, "0>^10 s10 10>11 10>12 g12:12 g11:11 12>-1 g12:11 g11:12 b12:-1"},
		{"a child that shares with its grandparent", []*record.Task{tk(10, 1, 10, 10), tk(11, 10, 10, 10), files(tk(12, 11, 10, 10), 10)}, "0>^10 s10 10>11 11>12 u11:0x400"},
		{"siblings that share", []*record.Task{tk(10, 1, 10, 10), tk(11, 10, 10, 10), files(tk(12, 10, 10, 10), 11)}, "0>^10 s10 10>11 11>^12"},
		{"siblings of two sessions that share", []*record.Task{tk(10, 1, 10, 10), tk(11, 10, 10, 10), gone(files(tk(12, 10, 99, 99), 11))}, "0>^10 s10 10>11 11>^99 s99 99>^12 b10:99"},
		{"a group led from another session", []*record.Task{tk(10, 1, 10, 10), tk(11, 10, 11, 11), tk(12, 10, 11, 10)}, "!task 12 () is in process group 11"},
		{"two foreign sessions", []*record.Task{tk(10, 1, 5, 3), tk(11, 10, 99, 99)}, "!task 11 () is in session 99, and other tasks in session 3"},
		{"a zombie with a child", []*record.Task{tk(10, 1, 10, 10), zombie(tk(11, 10, 10, 10), 0), tk(12, 11, 10, 10)}, "!task 12 () is a child of task 11, which is a zombie"},
		{"a root that is its own parent", []*record.Task{tk(10, 10, 10, 10), tk(11, 10, 10, 10)}, "0>^10 s10 10>11"},
		{"a root that is its descendant's child", []*record.Task{tk(10, 11, 10, 10), tk(11, 10, 10, 10)}, "0>^10 s10 10>11"},
		{"two that are each other's children", []*record.Task{tk(10, 1, 10, 10), tk(11, 12, 10, 10), tk(12, 11, 10, 10)}, "!task 11 () comes before its parent 12"},
		{"a zombie that dumped core", []*record.Task{tk(10, 1, 10, 10), zombie(tk(11, 10, 10, 10), 0x8b)}, "!task 11 (): a zombie that dumped core"},
		{"a zombie ended by SIGCHLD", []*record.Task{tk(10, 1, 10, 10), zombie(tk(11, 10, 10, 10), 17)}, "!task 11 (): a zombie of status 0x11"},
		{"a stopped zombie", []*record.Task{tk(10, 1, 10, 10), zombie(tk(11, 10, 10, 10), 0x137f)}, "!task 11 (): a zombie of status 0x137f"},
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

// TestCallersOwn: a session that has lost its leader is the caller's own, when
// the caller is in it.
func TestCallersOwn(t *testing.T) {
	steps, err := TreeFor([]*record.Task{gone(tk(10, 1, 9, 9)), tk(11, 10, 11, 9)}, Caller{Session: 9, Group: 9})
	if got, want := show(steps), "0>^10 10>11 g11:11"; err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

// TestLinear needs no more than seconds for the worst trees that an image of some
// megabytes can have.
func TestLinear(t *testing.T) {
	const n = 30000
	for name, task := range map[string]func(i int32) *record.Task{
		"a chain":           func(i int32) *record.Task { return tk(i, i-1, 1, 1) },
		"daemons":           func(i int32) *record.Task { return gone(tk(i, 1, i+n, i+n)) },
		"deep daemons":      func(i int32) *record.Task { return gone(tk(i, i-1, i+n, i+n)) },
		"groups":            func(i int32) *record.Task { return gone(tk(i, 1, i+n, 1)) },
		"a ring of groups":  func(i int32) *record.Task { return tk(i, 1, 2+(i-1)%(n-1), 1) },
		"one gone session":  func(i int32) *record.Task { return gone(tk(i, i-1+i%2*(2-i), 9*n, 9*n)) },
		"a chain of leader": func(i int32) *record.Task { return tk(i, i-1, i, i) },
		"nested zombies":    func(i int32) *record.Task { return zombie(tk(i, i-1, 1, 1), 0) },
		"siblings": func(i int32) *record.Task {
			x := tk(i, 1, 1, 1)
			x.FilesId, x.FsId = 1, uint64(i/2)
			return x
		},
		"cousins": func(i int32) *record.Task {
			x := tk(i, i-1-i%2, 1, 1)
			x.FilesId = uint64(1 + i%2)
			return x
		},
	} {
		t.Run(name, func(t *testing.T) {
			tasks := []*record.Task{tk(1, 0, 1, 1)}
			for i := int32(2); i <= n; i++ {
				tasks = append(tasks, task(i))
			}
			begin := time.Now()
			_, err := Tree(tasks)
			t.Logf("%v, %v", time.Since(begin), err)
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// FuzzTree: whatever an image says, there is an end, and a plan that is accepted
// gives just what was asked for.
func FuzzTree(f *testing.F) {
	f.Add([]byte{10, 1, 10, 10, 0, 0, 11, 10, 99, 99, 1, 0, 12, 11, 10, 10, 2, 7})
	f.Fuzz(func(t *testing.T, b []byte) {
		var tasks []*record.Task
		for ; len(b) >= 6 && len(tasks) < 40; b = b[6:] {
			x := tk(int32(b[0])+2, int32(b[1])+2, int32(b[2])+2, int32(b[3])+2) // 1 is the simulated init
			if len(tasks) > 0 && b[4]&0x80 != 0 {                               // mostly trees
				x.Ppid = tasks[int(b[1])%len(tasks)].Pid
			}
			x.SessionGone, x.GroupGone = b[4]&1 != 0, b[4]&2 != 0
			if b[4]&4 != 0 && len(tasks) > 0 {
				zombie(x, uint32(b[5]))
			} else if b[4]&8 != 0 {
				x.FilesId, x.MmId, x.SighandId = uint64(b[5]&3)+1, uint64(b[5]>>2&3)+1, uint64(b[5]>>2&3)+1
			}
			if b[4]&16 != 0 {
				x.ExitSignal = uint32(b[5] & 63)
			}
			tasks = append(tasks, x)
		}
		steps, err := Tree(tasks)
		if err != nil {
			return
		}
		sid, pgid := outer(tasks)
		for _, x := range tasks {
			if x.Pgid == sid { // the simulated caller's session has no other group of that number
				return
			}
		}
		want := picture(tasks, sid, pgid)
		if got, err := made(tasks, steps); err != nil || got != want {
			t.Fatalf("%v\ngot\n%swant\n%s%s", err, got, want, show(steps))
		}
	})
}
