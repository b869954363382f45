package descriptors

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"floe/tests/harness"
)

// picture is all that the kernel shows of the descriptors of a tree: what was
// asked of which descriptor, and the answer.
type picture map[string]string

func take(t *testing.T, root int) picture {
	t.Helper()
	p := picture{}
	for _, pid := range harness.Tree(root) {
		names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			fd, err := strconv.Atoi(n.Name())
			if err != nil {
				t.Fatal(err)
			}
			if fd > 2 { // those are the caller's
				p.descriptor(t, pid, fd)
			}
		}
	}
	return p
}

func (p picture) descriptor(t *testing.T, pid, fd int) {
	t.Helper()
	at := func(what string) string { return fmt.Sprintf("task %d, fd %d: %s", pid, fd, what) }
	link := fmt.Sprintf("/proc/%d/fd/%d", pid, fd)
	name, err := os.Readlink(link)
	if err != nil {
		t.Fatal(err)
	}
	p[at("name")] = name
	var st unix.Stat_t
	if err := unix.Stat(link, &st); err != nil {
		t.Fatal(err)
	}
	p[at("status")] = fmt.Sprintf("%#o %d:%d, %d bytes, device %#x %#x, %d names", st.Mode, st.Uid, st.Gid, st.Size, st.Dev, st.Rdev, st.Nlink)
	p[at("inode")] = fmt.Sprint(st.Ino)
	info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", pid, fd))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for line := range strings.Lines(string(info)) {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			t.Fatalf("fdinfo: %q", line)
		}
		seen[key]++
		p[at(fmt.Sprintf("fdinfo %s %d", key, seen[key]))] = strings.Join(strings.Fields(value), " ")
	}
	own, err := duplicate(t, pid, fd)
	if err != nil {
		t.Fatalf("%s: %v", link, err)
	}
	defer unix.Close(own)
	for _, g := range getters {
		p[at(g.name)] = ask(own, g)
	}
	p[at("poll")] = events(own)
}

// different is a difference that there is no way around, or that is none.
type different struct {
	what    string // a pattern of what was asked
	of      string // a pattern of the descriptor's name
	because string
}

var allowed = []different{
	{`name|inode|fdinfo ino \d+`, `^pipe:`, "a pipe is a new one, whose number the kernel chooses"},
	{`inode|fdinfo ino \d+`, `pidfd`, "the kernel numbers tasks"},
	{`fdinfo eventfd-id \d+`, `eventfd`, "the kernel numbers eventfds"},
	{`fdinfo it_value \d+`, `timerfd`, "time goes on"},
	{`fdinfo lock \d+`, ``, "compared without their order"},
	{`fdinfo tfd \d+`, `eventpoll`, "compared without the inodes of pipes, and their order"},
	{`F_CREATED_QUERY`, `^/`, "a file that is there can't be created"},
}

// compare lists what is different and may not be.
func (p picture) compare(after picture) []string {
	var list []string
	keys := map[string]bool{}
	for k := range p {
		keys[k] = true
	}
	for k := range after {
		keys[k] = true
	}
	for k := range keys {
		if p[k] == after[k] {
			continue
		}
		at, what, _ := strings.Cut(k, ": ")
		name := p[at+": name"]
		if !slices.ContainsFunc(allowed, func(d different) bool {
			return regexp.MustCompile("^("+d.what+")$").MatchString(what) && regexp.MustCompile(d.of).MatchString(name)
		}) {
			list = append(list, fmt.Sprintf("%s (%s): %q, after the restore %q", k, name, p[k], after[k]))
		}
	}
	for _, key := range []string{"lock", "tfd"} {
		a, b := p.sorted(key), after.sorted(key)
		if !slices.Equal(a, b) {
			list = append(list, fmt.Sprintf("%s:\n  %s\nafter the restore\n  %s", key, strings.Join(a, "\n  "), strings.Join(b, "\n  ")))
		}
	}
	slices.Sort(list)
	return list
}

// sorted are lines of fdinfo whose order is the kernel's.
func (p picture) sorted(key string) []string {
	number := regexp.MustCompile(`^\d+: | ino:\w+| sdev:\w+`) // of the line; of a pipe
	var list []string
	for k, v := range p {
		if at, ok := strings.CutSuffix(k, k[strings.LastIndex(k, " "):]); ok && strings.HasSuffix(at, ": fdinfo "+key) {
			list = append(list, at+" "+number.ReplaceAllString(v, ""))
		}
	}
	slices.Sort(list)
	return list
}

// begin starts a python program that has a folder to itself.
func begin(t *testing.T, code string) *harness.Running {
	t.Helper()
	b, err := os.ReadFile("testdata/prelude.py")
	if err != nil {
		t.Fatal(err)
	}
	return harness.Launch(t, &harness.Victim{Name: "descriptors", Args: []string{"/usr/bin/python3", "-c", string(b) + code}}, nil)
}

// again checkpoints a victim, kills it, and brings it back.
func again(t *testing.T, v *harness.Running) {
	t.Helper()
	image := filepath.Join(v.Dir, "image")
	v.Checkpoint(t, image, "")
	v.Restore(t, image, "")
}
