package memory

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"floe/tests/harness"
)

// TestFileChanged changes files that are mapped after the checkpoint, so that only
// their time of modification tells: their contents are the process's, and not in
// the image.
func TestFileChanged(t *testing.T) {
	r := launchMappings(t, "protections")
	image := filepath.Join(r.Dir, "image")
	r.Checkpoint(t, image, "")
	mapped, program := filepath.Join(r.Dir, "protections"), filepath.Join(r.Dir, "mappings")
	whole, err := os.ReadFile(mapped)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(mapped)
	if err != nil {
		t.Fatal(err)
	}
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(mapped, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(bytes.Repeat([]byte("z"), len(whole)))
	for _, how := range []string{"-d", "--check"} {
		var out bytes.Buffer
		p := harness.Start(t, nil, &out, "restore", how, image)
		if e := p.Wait(t); e.Code() != 1 || !strings.Contains(out.String()+p.Stderr.String(), "/protections: it was modified since: at ") {
			t.Errorf("restore %s: %s: %s%s", how, e, &out, p.Stderr)
		}
	}
	p := harness.Start(t, nil, nil, "restore", "--check", "--force-files", image)
	if e := p.Wait(t); e.Code() != 0 {
		t.Errorf("restore --check --force-files: %s: %s", e, p.Stderr)
	}
	// The same contents again. The program has a build-id, which tells more than
	// its time.
	write(whole)
	if err := os.Chtimes(mapped, time.Now(), st.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(program, time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
	r.Restore(t, image, "")
}
