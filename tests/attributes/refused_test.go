package attributes

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"floe/tests/harness"
)

// sandbox has a task restrict itself with Landlock: it makes no more sockets of
// the file system.
const sandbox = `
rules = ctypes.create_string_buffer(struct.pack('Q', 1 << 9))
fd = must(call(444, rules, 8, 0))
must(prctl(38, 1))
must(call(446, fd, 0))
`

// refused are what freeze refuses by name.
var refused = map[string]struct{ process, thread, say string }{
	"a Landlock domain":             {sandbox, "-", "has restricted itself (landlock_restrict_self), which can't be restored"},
	"a Landlock domain of a thread": {"pass", sandbox, "has restricted itself (landlock_restrict_self)"},
	"a Landlock domain of a user":   {"os.setgroups([]); os.setresgid(34568, 34568, 34568); os.setresuid(34567, 34567, 34567)\n" + sandbox, "-", "has restricted itself (landlock_restrict_self)"},
	"a thread keyring":              {"pass", "must(call(250, 0, -1, 1))", "has a thread keyring"},
	"a process keyring":             {"must(call(250, 0, -2, 1))", "-", "has a process keyring"},
}

func TestRefused(t *testing.T) {
	for name, r := range refused {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := launch(t, "os.chmod('.', 0o777)\n"+r.process, r.thread)
			p := harness.Start(t, nil, nil, "freeze", fmt.Sprint(v.PID))
			if e := p.Wait(t); e.Code() != 1 || !strings.Contains(p.Stderr.String(), r.say) {
				t.Errorf("%s: %s", e, p.Stderr)
			}
			v.look(t) // it runs on
		})
	}
}

// TestUser: one of a user who is not in any domain is not refused.
func TestUser(t *testing.T) {
	v := launch(t, "os.chmod('.', 0o777); os.setgroups([7]); os.setresgid(34568, 34568, 34568); os.setresuid(34567, 34567, 34567)", "pass")
	before := v.look(t)
	image := filepath.Join(v.Dir, "image")
	v.Checkpoint(t, image, "")
	v.Restore(t, image, "")
	compare(t, before, v.look(t))
}

// TestLandlockOfRestore: restore does not run in a domain.
func TestLandlockOfRestore(t *testing.T) {
	v := launch(t, "pass", "-")
	image := filepath.Join(v.Dir, "image")
	v.Checkpoint(t, image, "")
	set := strings.ReplaceAll(sandbox, "must(", "(")
	p := harness.Start(t, nil, nil, "python3", filepath.Join(v.Dir, "under.py"), set, "restore", "-d", "--inherit", "no_new_privs", image)
	if e := p.Wait(t); e.Code() != 1 || !strings.Contains(p.Stderr.String(), "restore runs in a Landlock domain") {
		t.Errorf("%s: %s", e, p.Stderr)
	}
	v.Restore(t, image, "")
}
