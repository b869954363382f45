package lease

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"floe/tests/harness"
)

// TestCommandEnvironment: what freeze runs gets the environment that freeze got,
// to the last variable.
func TestCommandEnvironment(t *testing.T) {
	victim := harness.Start(t, nil, nil, "sleep", "1000")
	defer victim.Kill()
	image, got := filepath.Join(t.TempDir(), "img"), filepath.Join(t.TempDir(), "got")
	stages := fmt.Sprintf("env -0 | sort -z >%s; vmadump | vdsoprobe | fddump | pagedump >%s", got, image)
	for _, extra := range []string{"", "GOMAXPROCS=2", "GOMAXPROCS="} {
		want := filepath.Join(t.TempDir(), "want")
		harness.Bash(t, fmt.Sprintf(`same() { env -i PATH="$PATH" A=1 B= %s C='x y' "$@"; }
			same sh -c 'env -0 | sort -z >%s'
			same freeze --then thaw %d -- sh -c '%s'`, extra, want, victim.Cmd.Process.Pid, stages))
		w, err := os.ReadFile(want)
		if err != nil {
			t.Fatal(err)
		}
		if g, err := os.ReadFile(got); err != nil || string(g) != string(w) {
			t.Errorf("%q: %v\n%q, want\n%q", extra, err, g, w)
		}
	}
}
