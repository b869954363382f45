package plan

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// picture shows the tree, one task a line: objects are numbered as they come.
func picture(tasks []*record.Task, outerSession, outerGroup int32) string {
	var b strings.Builder
	seen := [kinds]map[uint64]int{{}, {}, {}, {}}
	for _, t := range tasks {
		sid, pgid := t.Sid, t.Pgid
		if sid == outerSession {
			sid = -1
		}
		if pgid == outerGroup {
			pgid = -1
		}
		exit := t.ExitSignal
		if t == tasks[0] {
			exit = 17
		}
		fmt.Fprintf(&b, "%d child of %d, session %d, group %d, signal %d", t.Pid, t.Ppid, sid, pgid, exit)
		if t.State != record.Task_ZOMBIE {
			for k, id := range []uint64{t.MmId, t.FilesId, t.FsId, t.SighandId} {
				if _, ok := seen[k][id]; !ok {
					seen[k][id] = len(seen[k])
				}
				fmt.Fprintf(&b, " %d", seen[k][id])
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// made carries out a plan and shows what it gives.
func made(tasks []*record.Task, steps []Step) (string, error) {
	k := newKernel()
	caller, err := k.fork(1, 1<<21, 0, uint32(unix.SIGCHLD))
	if err != nil {
		return "", err
	}
	_ = k.setsid(caller.pid)
	if err := k.carryOut(steps, caller); err != nil {
		return "", err
	}
	var list []*record.Task
	for _, t := range tasks {
		p := k.procs[t.Pid]
		if p == nil {
			return "", fmt.Errorf("task %d is not there", t.Pid)
		}
		ppid := p.parent
		if t == tasks[0] {
			if ppid != caller.pid {
				return "", fmt.Errorf("the root is a child of %d", ppid)
			}
			ppid = t.Ppid
		}
		list = append(list, &record.Task{Pid: p.pid, Ppid: ppid, Sid: p.sid, Pgid: p.pgid, ExitSignal: p.exit, State: t.State,
			MmId: p.objs[0], FilesId: p.objs[1], FsId: p.objs[2], SighandId: p.objs[3]})
	}
	if len(k.procs) != len(tasks)+2 {
		return "", fmt.Errorf("%d processes, the image has %d", len(k.procs)-2, len(tasks))
	}
	return picture(list, caller.sid, caller.pgid), nil
}

// outer finds what leads out of a tree.
func outer(tasks []*record.Task) (sid, pgid int32) {
	in := map[int32]bool{}
	for _, t := range tasks {
		in[t.Pid] = true
	}
	for _, t := range tasks {
		if !in[t.Sid] && !t.SessionGone {
			sid = t.Sid
		}
	}
	for _, t := range tasks {
		if t.Sid == sid && !in[t.Pgid] && !t.GroupGone {
			pgid = t.Pgid
		}
	}
	return sid, pgid
}

// Refusals that random programs may meet.
const (
	twoPlaces = "both lead out of the tree"
	// A session's leader with a special exit signal has executed something since
	// it forked siblings: nothing else changes the signal.
	changed = "has exit signal"
	// A task that has left by execve(2) what it shared, or has since shared
	// something else, may be the one that others have it from.
	sharing = "shares its"
	cycle   = "by its own descendant"
)

func TestRandomTrees(t *testing.T) {
	for _, c := range []struct {
		name    string
		how     habits
		allowed map[string]int // of 1000 trees
	}{
		{"plain", habits{exec: true}, map[string]int{twoPlaces: 5}},
		{"exit signals", habits{signals: true}, map[string]int{twoPlaces: 5}},
		{"exit signals and exec", habits{signals: true, exec: true}, map[string]int{twoPlaces: 5, changed: 5}},
		{"sharing", habits{share: true}, map[string]int{twoPlaces: 5, sharing: 5, cycle: 5}},
		{"sharing and exec", habits{share: true, exec: true}, map[string]int{twoPlaces: 5, sharing: 40, cycle: 10}},
		{"sharing and unshare", habits{share: true, unshare: true}, map[string]int{twoPlaces: 5, sharing: 40, cycle: 10}},
		{"all", habits{signals: true, share: true, exec: true, unshare: true}, map[string]int{twoPlaces: 5, changed: 5, sharing: 40, cycle: 10}},
	} {
		t.Run(c.name, func(t *testing.T) { randomTrees(t, c.how, c.allowed) })
	}
}

func randomTrees(t *testing.T, how habits, allowed map[string]int) {
	refused := map[string]int{}
	done, seed := 0, *shapesFrom
	for ; done < *shapes; seed++ {
		how.clear = seed%5 == 0
		tasks := begin(seed, how).records()
		if len(tasks) == 0 || tasks[0].State == record.Task_ZOMBIE {
			continue
		}
		done++
		steps, err := Tree(tasks)
		if err == nil {
			sid, pgid := outer(tasks)
			want := picture(tasks, sid, pgid)
			if got, err := made(tasks, steps); err != nil || got != want {
				t.Fatalf("seed %d: %v\ngot\n%swant\n%s%s", seed, err, got, want, show(steps))
			}
			continue
		}
		why := ""
		for s := range allowed {
			if strings.Contains(err.Error(), s) {
				why = s
			}
		}
		if refused[why]++; why == "" || refused[why] <= *shapesShow {
			t.Logf("seed %d: %v\n%s", seed, err, picture(tasks, -5, -5))
		}
	}
	t.Logf("%d trees, up to seed %d; refused: %v", done, seed, refused)
	for why, n := range refused {
		if n*1000 > max(allowed[why]*done, 2000*min(allowed[why], 1)) {
			t.Errorf("%d of %d trees are refused: %q", n, done, why)
		}
	}
}

var (
	shapes     = flag.Int("shapes", 2000, "how many random trees TestRandomTrees makes, of each sort")
	shapesFrom = flag.Uint64("shapes-from", 0, "the first seed of TestRandomTrees")
	shapesShow = flag.Int("shapes-show", 0, "how many refused trees of each sort TestRandomTrees shows")
)
