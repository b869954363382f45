package attributes

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// differ are the getters whose value is another after a restore, and why.
var differ = map[string]string{
	"status VmPeak":                     "sizes of memory: tests/shapes compares the mappings",
	"status VmSize":                     "",
	"status VmHWM":                      "",
	"status VmRSS":                      "",
	"status RssAnon":                    "",
	"status RssFile":                    "",
	"status RssShmem":                   "",
	"status VmData":                     "",
	"status VmExe":                      "",
	"status VmLib":                      "",
	"status VmPTE":                      "",
	"status VmStk":                      "",
	"status VmSwap":                     "",
	"status PPid":                       "restore is the parent, or who takes its orphans",
	"status SigQ":                       "counts the signals of all processes of the user",
	"status voluntary_ctxt_switches":    "a count of the kernel's, which can't be set",
	"status nonvoluntary_ctxt_switches": "",
	"sessionid 0":                       "the kernel numbers logins",
	"status FDSize":                     "room in the kernel's table, a power of two",
}

// compare fails on every getter that gives something else than before.
func compare(t *testing.T, before, after map[string]string) {
	t.Helper()
	var names []string
	for name := range before {
		names = append(names, name)
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		_, short, _ := strings.Cut(name, ": ")
		if _, ok := differ[short]; !ok && before[name] != after[name] {
			t.Errorf("%s: it was %q, it is %q", name, before[name], after[name])
		}
	}
}

// kept are what a process and one of its threads set, in Python.
var kept = map[string]struct{ process, thread string }{
	"nothing":              {"pass", "pass"},
	"nothing, one thread":  {"pass", "-"},
	"membarrier":           {"must(call(324, 4)); must(call(324, 16)); must(call(324, 64)); must(call(324, 256))", "-"},
	"membarrier, private":  {"must(call(324, 16))", "pass"},
	"MDWE":                 {"must(prctl(65, 1))", "pass"},
	"MDWE, not inherited":  {"must(prctl(65, 3))", "-"},
	"THP disable":          {"must(prctl(41, 1))", "-"},
	"THP except advised":   {"must(prctl(41, 1, 2))", "pass"},
	"coredump filter":      {"write('/proc/self/coredump_filter', '0x1ab')", "-"},
	"no coredump":          {"write('/proc/self/coredump_filter', '0')", "-"},
	"memory policy":        {"setpolicy(2, b'\\x01')", "setpolicy(3 | 1 << 15, b'\\x01')"},
	"local policy":         {"setpolicy(4)", "setpolicy(1 | 1 << 14, b'\\x01')"},
	"memory merge":         {"must(prctl(67, 1))", "pass"},
	"machine check policy": {"must(prctl(33, 1, 1))", "must(prctl(33, 1, 0))"},
	"timer slack":          {"must(prctl(29, 70000))", "must(prctl(29, 90000))"},
	"no timer slack":       {"must(prctl(29, 1))", "-"},
	"loginuid":             {"write('/proc/self/loginuid', 1234)", "-"},
	"I/O priority":         {"must(call(251, 1, 0, 2 << 13 | 3))", "must(call(251, 1, 0, 3 << 13))"},
	"autogroup":            {"write('/proc/self/autogroup', 7)", "-"},
	"futex hash":           {"must(prctl(78, 1, 64))", "pass"},
	"timers' ids":          {"must(prctl(77, 1))", "-"},
	"request_key":          {"must(call(250, 14, 4))", "must(call(250, 14, 5))"},
	"personality":          {"must(call(135, 0x0040000))", "must(call(135, 0x0020000 | 8))"},
	"READ_IMPLIES_EXEC":    {"must(call(135, 0x0400000))", "pass"},
	"keep_caps":            {"must(prctl(8, 1))", "must(prctl(28, 1 << 5))"},
	"no_new_privs":         {"must(prctl(38, 1))", "pass"},
	"subreaper, dumpable":  {"must(prctl(36, 1)); must(prctl(4, 0))", "pass"},
	"TSC":                  {"pass", "must(prctl(26, 1))"},
	"SCHED_RR":             {"os.nice(-3); setattr_(2, prio=5)", "setattr_(1, flags=1, prio=7)"},
	"SCHED_DEADLINE":       {"setattr_(6, flags=1 | 2 | 4, runtime=1000000, deadline=50000000, period=60000000)", "-"},
	"SCHED_BATCH":          {"setattr_(3, nice=4)", "setattr_(5)"},
	"ignored signals":      {"signal.signal(signal.SIGHUP, signal.SIG_IGN); os.umask(0o77)", "pass"},
	"oom_score_adj":        {"write('/proc/self/oom_score_adj', 300)", "-"},
}

// TestKept: after a restore every getter says what it said before.
func TestKept(t *testing.T) {
	for name, k := range kept {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := launch(t, k.process, k.thread)
			before := v.look(t)
			image := filepath.Join(v.Dir, "image")
			v.Checkpoint(t, image, "")
			v.Restore(t, image, "")
			compare(t, before, v.look(t))
		})
	}
}
