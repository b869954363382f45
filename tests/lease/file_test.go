package lease

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/tests/harness"
)

// script runs a script in a folder, and says how it ended and what it said.
func script(t *testing.T, dir, text string) (harness.End, string) {
	t.Helper()
	p := harness.Start(t, nil, nil, "bash", "-c", "cd "+dir+"\n"+text)
	e := p.Wait(t)
	return e, p.Stderr.String()
}

// partials are the temporary files in a folder.
func partials(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, ".*.partial"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// older makes a file that an image is to take the place of.
func older(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Join(dir, "img")
	if err := os.WriteFile(name, []byte("older"), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// isOlder makes sure that it is still there, and no part of another one.
func isOlder(t *testing.T, name string) {
	t.Helper()
	if b, err := os.ReadFile(name); err != nil || string(b) != "older" {
		t.Errorf("what had the name is %q, %v", b, err)
	}
}

// TestFile makes images with -o: nobody else can read them, and until they are
// complete what had the name has it.
func TestFile(t *testing.T) {
	v := harness.Launch(t, light, nil)
	dir := t.TempDir()
	img := older(t, dir)
	reader, err := os.Open(img) // by somebody, before
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	p := harness.Start(t, nil, nil, "bash", "-c", fmt.Sprintf("umask 0; cd %s; freeze %d | vmadump | vdsoprobe | fddump | (sleep 1; cat) | pagedump -o img", dir, v.PID))
	frozen(t, v.PID)
	time.Sleep(500 * time.Millisecond)
	if l := partials(t, dir); len(l) != 1 || !regexp.MustCompile(`/\.img\.[0-9a-f]{8}\.partial$`).MatchString(l[0]) {
		t.Errorf("temporary files %v", l)
	} else if st, err := os.Stat(l[0]); err != nil || st.Mode() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	isOlder(t, img)
	if e := p.Wait(t); e.Code() != 0 || p.Stderr.Len() > 0 {
		t.Fatalf("%s: %s", e, p.Stderr)
	}
	st, err := os.Stat(img)
	if err != nil || st.Mode() != 0o600 || int(st.Sys().(*syscall.Stat_t).Uid) != os.Geteuid() || len(partials(t, dir)) > 0 {
		t.Errorf("%v, %v, %v", st, err, partials(t, dir))
	}
	if b, err := io.ReadAll(reader); err != nil || string(b) != "older" {
		t.Errorf("who had the older one open reads %q, %v", b, err)
	}
	harness.Bash(t, "imgcat --verify -q "+img)
}

// TestFileOfEachStage: any stage may be the last one.
func TestFileOfEachStage(t *testing.T) {
	v := harness.Launch(t, light, nil)
	dir := t.TempDir()
	for i, name := range stages {
		line := fmt.Sprintf("freeze %d", v.PID)
		for _, s := range stages[1 : i+1] {
			line += " | " + s
		}
		if i == 0 {
			line = fmt.Sprintf("freeze -o img %d", v.PID)
		} else {
			line += " -o img"
		}
		if e, said := script(t, dir, "set -o pipefail; "+line); e.Code() != 0 || said != "" {
			t.Errorf("%s: %s: %s", line, e, said)
		}
		e, said := script(t, dir, "imgcat img >/dev/null")
		if missing := regexp.MustCompile("missing.*" + strings.Join(stages[i+1:], ", ")); i < len(stages)-1 && (e.Code() != 3 || !missing.MatchString(said)) || i == len(stages)-1 && e.Code() != 0 {
			t.Errorf("%s: imgcat: %s: %s", name, e, said)
		}
		if st, err := os.Stat(filepath.Join(dir, "img")); err != nil || st.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, st, err)
		}
		if l := partials(t, dir); len(l) > 0 {
			t.Errorf("%s: %v", name, l)
		}
	}
	if left := harness.Trapped(v.PID); len(left) > 0 {
		t.Errorf("still held: %v", left)
	}
}

// TestFileFails ends pagedump in every way before its image is complete.
func TestFileFails(t *testing.T) {
	v := harness.Launch(t, light, nil)
	for what, left := range map[string]int{"kill -TERM": 0, "kill -INT": 0, "kill -HUP": 0, "kill -KILL": 1, "kill -KILL freeze": 0} {
		dir := t.TempDir()
		img := older(t, dir)
		_, said := script(t, dir, fmt.Sprintf(`trap "" TERM # not the shell's
			{ sh -c 'echo $$ >first; exec freeze --then kill %d' | vmadump | vdsoprobe | fddump | { sleep 1; cat; } | sh -c 'trap - TERM; echo $$ >last; exec pagedump -o img'; echo $? >status; } &
			sleep 0.7
			%s $(<%s)
			wait`, v.PID, strings.TrimSuffix(what, " freeze"), map[bool]string{false: "last", true: "first"}[strings.HasSuffix(what, "freeze")]))
		isOlder(t, img)
		if l := partials(t, dir); len(l) != left {
			t.Errorf("%s: temporary files %v\n%s", what, l, said)
		}
		if b, err := os.ReadFile(filepath.Join(dir, "status")); err != nil || string(b) == "0\n" {
			t.Errorf("%s: status %s, %v\n%s", what, b, err, said)
		}
		goesOn(t, v.PID)
		if s, ok := harness.ReadStat(v.PID); !ok || s.State == "Z" {
			t.Fatalf("%s: the tree is gone\n%s", what, said)
		}
	}
}

// TestFileRefused gives -o names that no image can have, and standard output
// files of other users.
func TestFileRefused(t *testing.T) {
	v := harness.Launch(t, light, nil)
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(other, int(harness.User.Uid), -1); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600), os.Symlink("new", filepath.Join(dir, "link")), os.Mkdir(filepath.Join(dir, "sub"), 0o700)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for to, want := range map[string]string{
		"-o other":             `pagedump: other: there is a file of user \d+ of that name; remove it`,
		"-o fifo":              "pagedump: fifo: it is a fifo; -o makes regular files",
		"-o link":              "pagedump: link: it is a symbolic link",
		"-o sub":               "pagedump: sub: it is a directory",
		"-o sub/":              "pagedump: sub/: it is the name of a directory",
		"-o /dev/stdout":       "pagedump: /dev/stdout: it is a symbolic link",
		"-o /dev/null":         "pagedump: /dev/null: it is a device",
		"-o nowhere/img":       "pagedump: open nowhere: no such file or directory",
		"> other":              `pagedump: standard output is a file of user \d+, who could read .*; -o FILE`,
		">> other":             `pagedump: standard output is a file of user \d+`,
		"-o " + veryLong + "x": "pagedump: .*: file name too long",
	} {
		e, said := script(t, dir, fmt.Sprintf("freeze --then kill %d | vmadump | vdsoprobe | fddump | pagedump %s", v.PID, to))
		if e.Code() != 1 || !regexp.MustCompile(want).MatchString(said) {
			t.Errorf("%s: %s: %s", to, e, said)
		}
	}
	if st, err := os.Stat(other); err != nil || st.Size() != 0 || len(partials(t, dir)) > 0 {
		t.Errorf("%v %v %v", st, err, partials(t, dir))
	}
	// The longest name that there is, and one with escapes in it.
	for _, name := range []string{veryLong, "it's \x1b[2J \xff"} {
		p := harness.Start(t, nil, nil, "checkpoint", "-z", "-o", filepath.Join(dir, name), fmt.Sprint(v.PID))
		if e := p.Wait(t); e.Code() != 0 {
			t.Errorf("%q: %s: %s", name, e, p.Stderr)
		}
		if e := harness.Start(t, nil, nil, "imgcat", "--verify", "-q", filepath.Join(dir, name)).Wait(t); e.Code() != 0 {
			t.Errorf("%q: imgcat: %s", name, e)
		}
	}
	e, said := script(t, dir, fmt.Sprintf("umask 022; freeze %d | vmadump | vdsoprobe | fddump | pagedump >plain", v.PID))
	if e.Code() != 0 || strings.Count(said, "\n") != 1 || !strings.Contains(said, "its mode is 0600 now, but who has it open still reads it (-o FILE") {
		t.Errorf("%s: %s", e, said)
	}
}

// veryLong is a name of NAME_MAX bytes.
var veryLong = strings.Repeat("n", 255)

// TestForeignImage: what others may have written is not restored.
func TestForeignImage(t *testing.T) {
	v := harness.Launch(t, light, nil)
	img := filepath.Join(t.TempDir(), "it's img")
	if e := harness.Start(t, nil, nil, "checkpoint", "--then", "kill", "-o", img, fmt.Sprint(v.PID)).Wait(t); e.Code() != 0 {
		t.Fatal(e)
	}
	harness.WaitGone(t, []int{v.PID})
	for _, c := range []struct {
		uid  int
		mode os.FileMode
		want string
	}{{int(harness.User.Uid), 0o600, "belongs to user"}, {0, 0o620, "can be written by others"}, {0, 0o602, "can be written by others"}} {
		if err := os.Chmod(img, c.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(img, c.uid, -1); err != nil {
			t.Fatal(err)
		}
		for _, check := range []string{"", "--check"} {
			if e, said := script(t, filepath.Dir(img), fmt.Sprintf(`restore -d %s %q`, check, img)); e.Code() != 1 || !strings.Contains(said, c.want) {
				t.Errorf("%+v: %s: %s", c, e, said)
			}
			if e, said := script(t, filepath.Dir(img), fmt.Sprintf(`restore -d %s < %q`, check, img)); e.Code() != 1 || !strings.Contains(said, c.want) {
				t.Errorf("%+v on standard input: %s: %s", c, e, said)
			}
		}
		if e, said := script(t, filepath.Dir(img), fmt.Sprintf(`cat %q | restore --check`, img)); e.Code() != 0 {
			t.Errorf("%+v through a pipe: %s: %s", c, e, said)
		}
	}
	if err := os.Chmod(img, 0o644); err != nil {
		t.Fatal(err)
	}
	v.Restore(t, "'"+strings.ReplaceAll(img, "'", `'\''`)+"'", "")
}
