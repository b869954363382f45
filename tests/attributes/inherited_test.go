package attributes

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"floe/tests/harness"
)

// passedOn are what restore may be started under, in Python, and what its tree
// would inherit. Those that can't be cleared are refused, with these words.
var passedOn = map[string]struct{ set, refused string }{
	"no_new_privs":         {"prctl(38, 1)", "restore runs with no_new_privs set, which the tree would inherit; run restore without, or accept it: --inherit no_new_privs"},
	"seccomp":              {seccompAll, "restore runs under a seccomp filter, which the tree would inherit"},
	"MDWE":                 {"prctl(65, 1)", "with PR_SET_MDWE"},
	"MDWE, not inherited":  {"prctl(65, 3)", ""},
	"THP disable":          {"prctl(41, 1)", ""},
	"THP except advised":   {"prctl(41, 1, 2)", ""},
	"coredump filter":      {"write('/proc/self/coredump_filter', '0x1')", ""},
	"memory policy":        {"call(238, 2, ctypes.create_string_buffer(b'\\x01' + bytes(127)), 1025)", ""},
	"memory merge":         {"prctl(67, 1)", ""},
	"machine check policy": {"prctl(33, 1, 1)", ""},
	"timer slack":          {"prctl(29, 77777)", ""},
	"loginuid":             {"write('/proc/self/loginuid', 4321)", ""},
	"I/O priority":         {"call(251, 1, 0, 2 << 13 | 6)", ""},
	"nice":                 {"os.nice(5)", ""},
	"SCHED_BATCH":          {"os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))", ""},
	"SCHED_RR":             {"os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(3))", ""},
	"affinity":             {"os.sched_setaffinity(0, [0])", ""},
	"request_key":          {"call(250, 14, 4)", ""},
	"personality":          {"call(135, 0x0400000 | 0x0020000)", ""},
	"ignored signals":      {"[signal.signal(s, signal.SIG_IGN) for s in (signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD)]", ""},
	"blocked signals":      {"signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGRTMIN])", ""},
	"umask":                {"os.umask(0o77)", ""},
	"limits":               {"import resource; resource.setrlimit(resource.RLIMIT_CORE, (4096, resource.getrlimit(resource.RLIMIT_CORE)[1]))", ""},
	"oom_score_adj":        {"write('/proc/self/oom_score_adj', 500)", ""},
	"subreaper":            {"prctl(36, 1)", ""},
	"groups":               {"os.setgroups([1, 2, 3])", ""},
	"keep_caps":            {"prctl(28, 1 << 4)", ""},
	"securebits":           {"prctl(28, 1 << 6)", ""},
	"securebits, locked":   {"prctl(28, 1 << 7)", "with securebits 0x80, some of them locked"},
	"working directory":    {"os.chdir('/')", ""},
	"autogroup":            {"os.setsid() if os.getpid() != os.getsid(0) else 0; write('/proc/self/autogroup', 9)", ""},
}

// seccompAll is a filter that allows everything.
const seccompAll = `
insn = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0x7fff0000))
prog = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', 1, ctypes.addressof(insn)))
prctl(22, 2, prog)
`

// TestInherited: restore started under something passes nothing of it on, or
// says that it can't help it.
func TestInherited(t *testing.T) {
	for name, p := range passedOn {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := launch(t, "pass", "pass")
			before := v.look(t)
			image := filepath.Join(v.Dir, "image")
			v.Checkpoint(t, image, "")
			prefix := fmt.Sprintf("python3 %s \"%s\" ", filepath.Join(v.Dir, "under.py"), strings.ReplaceAll(p.set, `"`, `\"`))
			if p.refused != "" {
				e := harness.Start(t, nil, nil, "bash", "-c", prefix+"restore -d "+image)
				if end := e.Wait(t); end.Code() != 1 || !strings.Contains(e.Stderr.String(), p.refused) {
					t.Fatalf("%s: %s", end, e.Stderr)
				}
				v.Restore(t, image, "")
			} else {
				v.Restore(t, image, prefix)
			}
			compare(t, before, v.look(t))
		})
	}
}

// TestAccepted: the tree may be told to live with it.
func TestAccepted(t *testing.T) {
	v := launch(t, "pass", "pass")
	before := v.look(t)
	image := filepath.Join(v.Dir, "image")
	v.Checkpoint(t, image, "")
	p := harness.Start(t, nil, nil, "restore", "-d", "--inherit", "sekkomp", image)
	if e := p.Wait(t); e.Code() != 2 || !strings.Contains(p.Stderr.String(), "no_new_privs, seccomp") {
		t.Errorf("%s: %s", e, p.Stderr)
	}
	p = harness.Start(t, nil, nil, "python3", filepath.Join(v.Dir, "under.py"), "prctl(38, 1)", "restore", "-d", "--inherit", "no_new_privs", image)
	if e := p.Wait(t); e.Code() != 0 {
		t.Fatalf("%s: %s", e, p.Stderr)
	}
	after := v.look(t)
	for name := range after {
		if strings.HasSuffix(name, "PR_NO_NEW_PRIVS") || strings.HasSuffix(name, "status NoNewPrivs") {
			if after[name] != "1" {
				t.Errorf("%s: %s", name, after[name])
			}
			delete(before, name)
			delete(after, name)
		}
	}
	compare(t, before, after)
}
