package fds

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// directories saves the working and root directories of the tree.
func (c *collector) directories() error {
	seen := map[uint64]bool{}
	for _, t := range c.tree.Tasks {
		if t.State == record.Task_ZOMBIE || seen[t.FsId] {
			continue
		}
		seen[t.FsId] = true
		fs := &record.Fs{FsId: t.FsId, Umask: t.Umask}
		var err error
		if fs.RootFile, err = c.directory(t, "root", "root directory"); err == nil {
			fs.CwdFile, err = c.directory(t, "cwd", "working directory")
		}
		if err := c.noteTask(t, err); err != nil {
			return err
		}
		if err := c.tree.Add(&record.Record{Body: &record.Record_Fs{Fs: fs}}, nil); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) directory(t *record.Task, link, name string) (uint64, error) {
	link = fmt.Sprintf("/proc/%d/%s", t.Pid, link)
	path, err := os.Readlink(link)
	if err != nil {
		return 0, err
	}
	var st unix.Stat_t
	if err := unix.Stat(link, &st); err != nil {
		return 0, fmt.Errorf("%s: %w", link, err)
	}
	dir := statusOf(&st)
	refuse := func(what, hint string) error {
		return &Refusal{Pid: t.Pid, Comm: t.Comm, Fd: -1, What: "its " + name + ", " + what, Hint: hint}
	}
	if isAnon(path) {
		return 0, refuse(fmt.Sprintf("%q, which can't be reached by name,", path), "change it first")
	}
	if what, hint := c.reachable(path, &dir); what != "" {
		if hint == "" {
			hint = "change it first"
		}
		return 0, refuse(what, hint)
	}
	return c.file(path, &dir)
}
