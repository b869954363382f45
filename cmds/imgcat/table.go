package main

import (
	"fmt"
	"strings"
	"time"

	"floe/lib/cli"
	"floe/lib/record"
)

// table prints what is in an image.
type table struct {
	*cli.Printer
	*source
	saved *tally
	// The tasks that have something in common, by its number.
	mms, files, fs map[uint64][]*record.Task
	first          map[uint64]holder // by open_id: where it was printed
}

// printTable prints all that is in an image, or as much as there is.
func printTable(p *cli.Printer, s *source, saved *tally) {
	t := &table{
		Printer: p, source: s, saved: saved, first: map[uint64]holder{},
		mms: map[uint64][]*record.Task{}, files: map[uint64][]*record.Task{}, fs: map[uint64][]*record.Task{},
	}
	for _, task := range s.im.Tasks {
		if task.State != record.Task_ZOMBIE {
			t.mms[task.MmId] = append(t.mms[task.MmId], task)
			t.files[task.FilesId] = append(t.files[task.FilesId], task)
			t.fs[task.FsId] = append(t.fs[task.FsId], task)
		}
	}
	t.header()
	printTree(p, s.im)
	for _, task := range s.im.Tasks {
		if mm := s.im.Mms[task.MmId]; mm != nil && isFirst(t.mms[task.MmId], task) {
			t.space(mm)
		}
	}
	t.objects()
	t.descriptors()
	t.total()
}

func (t *table) header() {
	h := t.im.Header
	when := "at an unknown time"
	if ns := h.GetClocks().GetRealtimeNs(); ns != 0 {
		when = time.Unix(0, ns).UTC().Format("2006-01-02 15:04:05 UTC")
	}
	t.Line("image of task %d on %s, %s", h.RootPid, orUnknown(h.Hostname), when)
	t.Line("kernel %s, %s, floe %s", orUnknown(h.KernelRelease), orUnknown(h.Arch), orUnknown(h.ToolVersion))
}

func orUnknown(s string) string {
	if s == "" {
		return "?"
	}
	return s
}

// total prints the last line.
func (t *table) total() {
	n, bytes := t.saved.total, t.saved.total[data]*pageSize
	parts := []string{cli.Count(t.records, "record"), cli.Bytes(uint64(t.pos)), cli.Bytes(bytes) + " of pages saved"}
	if t.saved.stored != bytes {
		parts[2] += " in " + cli.Bytes(t.saved.stored)
	}
	parts = append(parts, cli.Count(n[zero], "zero page"))
	if n[guard] > 0 {
		parts = append(parts, cli.Count(n[guard], "guard page"))
	}
	if t.unknown > 0 {
		parts = append(parts, cli.Count(t.unknown, "record")+" that this version does not know")
	}
	t.Line("")
	t.Line("total: %s", strings.Join(parts, ", "))
}

// isFirst tells whether a task is the one that stands for those that have
// something in common. A zombie has nothing, whatever an image says.
func isFirst(tasks []*record.Task, task *record.Task) bool {
	return len(tasks) > 0 && tasks[0] == task
}

// owners names the tasks that have something in common, the first few of them.
func owners(tasks []*record.Task) string {
	if len(tasks) == 0 {
		return "no task"
	}
	text := fmt.Sprintf("task %d (%s)", tasks[0].Pid, tasks[0].Comm)
	for _, t := range tasks[1:min(len(tasks), maxShown)] {
		text += fmt.Sprintf(", %d", t.Pid)
	}
	if n := len(tasks) - maxShown; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}
