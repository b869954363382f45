package large

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"floe/tests/harness"
)

// Names are bytes: a task's that is cut in the middle of a character, and a
// file's that is Latin-1, open and mapped.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	v := launch(t, "names", dir)
	const comm = "abcdefgh\xc3\xa4\xc3\xb6\xc3\xbc\xc3"
	look := func() string {
		t.Helper()
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", v.pid))
		if err != nil {
			t.Fatal(err)
		}
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/3", v.pid))
		if err != nil {
			t.Fatal(err)
		}
		maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", v.pid))
		if err != nil {
			t.Fatal(err)
		}
		mapped := ""
		for line := range strings.Lines(string(maps)) {
			if strings.HasSuffix(line, "/caf\xe9\n") {
				mapped = line[strings.IndexByte(line, '/'):]
			}
		}
		return string(b) + link + "\n" + mapped
	}
	before := look()
	if want := comm + "\n" + dir + "/caf\xe9\n" + dir + "/caf\xe9\n"; before != want {
		t.Fatalf("%q, want %q", before, want)
	}
	v.save(t)
	v.restore(t)
	if after := look(); after != before {
		t.Errorf("%q, want %q", after, before)
	}

	out, _ := output(t, 0, "imgcat", v.image())
	json, _ := output(t, 0, "imgcat", "--json", v.image())
	for _, w := range []struct {
		in, want string
	}{{out, `abcdefghäöü\xc3`}, {out, `/caf\xe9`}, {json, `"comm":"abcdefghäöü\udcc3"`}, {json, `/caf\udce9"`}} {
		if !strings.Contains(w.in, w.want) {
			t.Errorf("imgcat does not show %s:\n%s", w.want, w.in)
		}
	}
	// Python makes the bytes of it again.
	harness.Bash(t, `imgcat --json `+v.image()+` | /usr/bin/python3 -c '
import json, os, sys
paths = [os.fsencode(r["file"]["path"]) for r in map(json.loads, sys.stdin) if "file" in r]
assert any(p.endswith(b"/caf\xe9") for p in paths), paths
'`)
}

// A message names them escaped.
func TestNamesInMessages(t *testing.T) {
	dir := t.TempDir()
	v := launch(t, "names", dir)
	if err := os.Remove(filepath.Join(dir, "caf\xe9")); err != nil {
		t.Fatal(err)
	}
	_, stderr := output(t, 1, "bash", "-c", fmt.Sprintf("freeze %d | vmadump > /dev/null", v.pid))
	for _, want := range []string{fmt.Sprintf(`task %d (abcdefghäöü\xc3)`, v.pid), `/caf\xe9 has been deleted`} {
		if !strings.Contains(stderr, want) {
			t.Errorf("no %s in %s", want, stderr)
		}
	}
}
