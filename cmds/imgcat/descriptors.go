package main

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/fds"
	"floe/lib/record"
)

// holder is a slot of a task's descriptor table.
type holder struct {
	task  *record.Task
	files uint64
	fd    int32
}

// descriptors prints directories, descriptor tables and locks.
func (t *table) descriptors() {
	t.directories()
	for _, task := range t.im.Tasks {
		if len(t.im.Fds[task.FilesId]) > 0 && isFirst(t.files[task.FilesId], task) {
			t.slots(task)
		}
	}
	if len(t.im.FileLocks) == 0 {
		return
	}
	t.Line("")
	t.Line("locks")
	for _, l := range t.im.FileLocks {
		t.Line("  %s", t.lock(l))
	}
}

// directories prints where the tasks are.
func (t *table) directories() {
	if len(t.im.Fs) > 0 {
		t.Line("")
	}
	for _, id := range sorted(t.im.Fs) {
		fs := t.im.Fs[id]
		root := ""
		if name := fileName(t.im, fs.RootFile); name != "/" {
			root = ", root " + name
		}
		t.Line("%s: in %s%s, umask %03o", owners(t.fs[id]), fileName(t.im, fs.CwdFile), root, fs.Umask)
	}
}

// slots prints the descriptor table of a task.
func (t *table) slots(task *record.Task) {
	list := t.im.Fds[task.FilesId]
	t.Line("")
	t.Line("descriptors of %s: %d", owners(t.files[task.FilesId]), len(list))
	t.Line("%6s %-7s %-18s %s", "FD", "CLOEXEC", "FLAGS", "WHAT")
	for _, f := range list {
		cloexec := ""
		if f.Cloexec {
			cloexec = "cloexec"
		}
		o := t.im.OpenFile(f.OpenId)
		if o == nil {
			t.Line("%6d %-7s %-18s open file %d, which is not there", f.Fd, cloexec, "", f.OpenId)
			continue
		}
		h, shared := t.first[f.OpenId]
		var what string
		switch {
		case !shared:
			t.first[f.OpenId] = holder{task, task.FilesId, f.Fd}
			what = fds.Show(t.im, o) + owner(o)
		case h.files == task.FilesId:
			what = fmt.Sprintf("the same as %d", h.fd)
		default:
			what = fmt.Sprintf("the same as %d of task %d (%s)", h.fd, h.task.Pid, h.task.Comm)
		}
		t.Line("%6d %-7s %-18s %s", f.Fd, cloexec, openFlags(o.Flags), what)
	}
}

// openFlags is what F_GETFL says, in short.
func openFlags(flags uint32) string {
	if flags&unix.O_PATH != 0 {
		return "path"
	}
	words := []string{[]string{"read", "write", "read-write", "ioctl"}[flags&unix.O_ACCMODE]}
	for _, f := range []struct {
		bit  uint32
		name string
	}{
		{unix.O_APPEND, "append"}, {unix.O_NONBLOCK, "nonblock"}, {unix.O_ASYNC, "async"}, {unix.O_DIRECT, "direct"},
		{unix.O_NOATIME, "noatime"}, {unix.O_DSYNC, "sync"},
	} {
		if flags&f.bit != 0 {
			words = append(words, f.name)
		}
	}
	return strings.Join(words, " ")
}

// owner is who gets the signals of an open file.
func owner(o *record.OpenFile) string {
	who := ""
	switch {
	case o.Owner > 0:
		who = fmt.Sprintf("task %d", o.Owner)
	case o.Owner < 0:
		who = fmt.Sprintf("process group %d", -int64(o.Owner))
	default:
		return ""
	}
	if o.OwnerSignal > 0 {
		return fmt.Sprintf(", %s to %s", signalName(int(o.OwnerSignal)), who)
	}
	return ", signals to " + who
}

// lock is a lock, and who holds it.
func (t *table) lock(l *record.FileLock) string {
	how, where := "shared", "all of it"
	if l.Exclusive {
		how = "exclusive"
	}
	switch {
	case l.Len > 0:
		where = fmt.Sprintf("%d bytes at %d", l.Len, l.Start)
	case l.Start > 0:
		where = fmt.Sprintf("from %d on", l.Start)
	}
	what := fmt.Sprintf("open file %d", l.OpenId)
	if id := fds.FileOf(t.im.OpenFile(l.OpenId)); id != 0 {
		what = fileName(t.im, id)
	}
	text := fmt.Sprintf("%s, %s lock on %s: %s", strings.ToLower(l.Kind.String()), how, what, where)
	if l.Kind == record.FileLock_POSIX {
		return fmt.Sprintf("%s, held through %d by %s", text, l.Fd, owners(t.files[l.FilesId]))
	}
	if h, ok := t.first[l.OpenId]; ok {
		text += fmt.Sprintf(", held by whoever has %d of task %d (%s)", h.fd, h.task.Pid, h.task.Comm)
	}
	return text
}
