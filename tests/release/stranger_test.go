package release

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"floe/tests/harness"
)

// crowded cuts the stream when the tree is half made and every id that is free
// has been given to a stranger: in a pid namespace of its own, so that those are
// few, and the first puppet's is among them.
const crowded = `
set -e
mkfifo stream tell
restore -d <stream 2>error & restore=$!
exec 3>stream
head -c "$2" "$1" >&3
until [ -d /proc/$3 ]; do sleep 0.01; done
sleep 0.3 # all are made, and it waits for more
./crowd live 2 400 <tell >said 3>&- & crowd=$!
exec 4>tell
until grep -q ready said; do sleep 0.01; done
exec 3>&-
status=0; wait $restore || status=$?
echo >&4
wait $crowd
echo "restore: $status $(cat error)"
cat said
`

// TestStranger: a restore that fails kills its own tasks, and nobody who has got
// the id of one that has ended.
func TestStranger(t *testing.T) {
	v := harness.Launch(t, harness.Steady, nil)
	image := filepath.Join(v.Dir, "image")
	v.Checkpoint(t, image, "")
	st, err := os.Stat(image)
	if err != nil {
		t.Fatal(err)
	}
	harness.CompiledC("crowd")(t, v.Dir)
	script := filepath.Join(v.Dir, "script")
	if err := os.WriteFile(script, []byte("cd "+v.Dir+"\n"+crowded), 0o644); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	p := harness.Start(t, nil, &out, "unshare", "--pid", "--fork", "--mount-proc", "bash", script, image, fmt.Sprint(st.Size()*3/4), fmt.Sprint(v.PID))
	if e := p.Wait(t); e.Code() != 0 {
		t.Fatalf("%s %s\n%s", e, p.Stderr, out.String())
	}
	said := out.String()
	if !strings.Contains(said, "restore: 3 restore: the stream ends early") || !strings.Contains(said, "\nend\n") {
		t.Errorf("it went otherwise:\n%s", said)
	}
	if strings.Contains(said, "died") {
		t.Errorf("strangers were killed:\n%s", said)
	}
}
