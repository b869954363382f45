package procfs

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// kernels has what differs between the captures of testdata: see capture.c for
// the process that they are of.
var kernels = map[string]struct {
	pid, ppid, pgrp, session int
	flags                    uint64 // of stat
	start                    uint64
	stack, brk, args, env    uint64
	exec                     string // path of the program
	caps                     uint64
	nproc, pending, memlock  uint64 // limits; 0: unlimited
	nofile                   Limit
	softDirty                bool // CONFIG_MEM_SOFT_DIRTY
	pkeys                    bool // the processor has protection keys
	sealed, droppable        bool // mseal, MAP_DROPPABLE
	guard                    bool // MADV_GUARD_INSTALL leaves a flag
	onFault                  string
	special                  []string // names of the kernel's own areas and of the stack, in order
}{
	"5.10": {pid: 69, ppid: 1, start: 352, stack: 140736810968288, brk: 30539776, args: 140736810975194, env: 140736810975200,
		exec: "/init", caps: 0x1ffffffffff, nproc: 1871, pending: 1871, memlock: 64 << 10, nofile: Limit{1024, 4096},
		softDirty: true, pkeys: true, onFault: "??", special: []string{"[stack]", "[vvar]", "[vdso]"}},
	"6.1": {pid: 77, ppid: 1, start: 267, stack: 140725467786656, brk: 199720960, args: 140725467791322, env: 140725467791328,
		exec: "/init", caps: 0x1ffffffffff, nproc: 1841, pending: 1841, memlock: 8 << 20, nofile: Limit{1024, 4096},
		softDirty: true, pkeys: true, onFault: "??", special: []string{"[stack]", "[vvar]", "[vdso]"}},
	"6.12": {pid: 127, ppid: 1, start: 563, stack: 140722274234944, brk: 139669504, args: 140722274238426, env: 140722274238432,
		exec: "/init", caps: 0x1ffffffffff, nproc: 1823, pending: 1823, memlock: 8 << 20, nofile: Limit{1024, 4096},
		softDirty: true, pkeys: true, sealed: true, droppable: true, onFault: "lf", special: []string{"[vvar]", "[vdso]", "[stack]"}},
	"6.18": {pid: 226602, ppid: 226601, pgrp: 226596, session: 2958, start: 1757227, stack: 140722441812384, brk: 693919744,
		args: 140722441818084, env: 140722441818094, exec: "/tmp/init", caps: 0x1fffeffffff, nproc: 96365, pending: 96365,
		memlock: 8 << 20, nofile: Limit{20000, 20000}, sealed: true, droppable: true, guard: true, onFault: "lf",
		special: []string{"[vvar]", "[vvar_vclock]", "[vdso]", "[stack]", "[vsyscall]"}},
	"7.2": {pid: 94, ppid: 1, start: 441, stack: 140737187001008, brk: 934940672, args: 140737187004378, env: 140737187004384,
		exec: "/init", caps: 0x1ffffffffff, nproc: 1803, pending: 1803, memlock: 8 << 20, nofile: Limit{1024, 4096},
		softDirty: true, pkeys: true, sealed: true, droppable: true, guard: true, onFault: "lf",
		special: []string{"[vvar]", "[vvar_vclock]", "[vdso]", "[stack]"}},
}

// capture is the files of /proc in a capture, by name.
func capture(t *testing.T, kernel string) map[string][]byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + kernel + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, part := range bytes.Split(b, []byte("-- "))[1:] {
		name, text, ok := bytes.Cut(part, []byte(" --\n"))
		if !ok {
			t.Fatalf("no end of a name in %.40q", part)
		}
		files[string(name)] = text
	}
	return files
}

func each(t *testing.T, f func(t *testing.T, kernel string, files map[string][]byte)) {
	for kernel := range kernels {
		t.Run(kernel, func(t *testing.T) { f(t, kernel, capture(t, kernel)) })
	}
}

// same compares, and says what differs.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %+v\nwant %+v", what, got, want)
	}
}

func TestCapturedStat(t *testing.T) {
	each(t, func(t *testing.T, kernel string, files map[string][]byte) {
		k := kernels[kernel]
		got, err := ParseStat(files["stat"])
		if err != nil {
			t.Fatal(err)
		}
		same(t, "stat", *got, Stat{
			PID: k.pid, Comm: "a) R (b\n c", State: 'S', PPID: k.ppid, PGRP: k.pgrp, Session: k.session,
			TTY: 0, TTYPGRP: -1, Flags: 0x400140, Nice: 0, Threads: 1, StartTime: k.start,
			StartCode: 0x401000, EndCode: 0x47b871, StartStack: k.stack,
			StartData: 0x4a4698, EndData: 0x4aa290, StartBrk: k.brk,
			ArgStart: k.args, ArgEnd: k.env, EnvStart: k.env, EnvEnd: got.EnvEnd, ExitSignal: 17, ExitCode: 0,
		})
		if got.EnvEnd < got.EnvStart || got.EnvEnd-got.EnvStart > 100 {
			t.Errorf("environment ends at %#x", got.EnvEnd)
		}
		state, start, err := StateAndStart(files["stat"])
		if state != 'S' || start != k.start || err != nil {
			t.Errorf("%c %d %v", state, start, err)
		}
	})
}

func TestCapturedStatus(t *testing.T) {
	each(t, func(t *testing.T, kernel string, files map[string][]byte) {
		k := kernels[kernel]
		got, err := ParseStatus(files["status"])
		if err != nil {
			t.Fatal(err)
		}
		same(t, "status", *got, Status{
			State: 'S', Name: `a) R (b\n c`, TGID: k.pid, Groups: []uint32{4, 20, 4294967290}, NSPIDs: []int{k.pid},
			Umask: 0o27, NoNew: true, CapPrm: k.caps, CapEff: k.caps, CapBnd: k.caps, SigIgn: 1 << 11, // SIGUSR2
		})
		// Without one of the lines that all have, it is refused.
		for _, name := range needed {
			lines := bytes.SplitAfter(files["status"], []byte("\n"))
			less := slices.DeleteFunc(lines, func(l []byte) bool { return bytes.HasPrefix(l, []byte(name+":")) })
			if _, err := ParseStatus(bytes.Join(less, nil)); err == nil {
				t.Errorf("without %s it is taken", name)
			}
		}
	})
}

func TestCapturedLimits(t *testing.T) {
	const none = math.MaxUint64
	each(t, func(t *testing.T, kernel string, files map[string][]byte) {
		k := kernels[kernel]
		got, err := ParseLimits(files["limits"])
		if err != nil {
			t.Fatal(err)
		}
		same(t, "limits", got, []Limit{
			{none, none},           // CPU
			{none, none},           // FSIZE
			{none, none},           // DATA
			{8 << 20, none},        // STACK
			{0, none},              // CORE
			{none, none},           // RSS
			{k.nproc, k.nproc},     // NPROC
			k.nofile,               // NOFILE
			{k.memlock, k.memlock}, // MEMLOCK
			{none, none},           // AS
			{none, none},           // LOCKS
			{k.pending, k.pending}, // SIGPENDING
			{819200, 819200},       // MSGQUEUE
			{0, 0},                 // NICE
			{0, 0},                 // RTPRIO
			{none, none},           // RTTIME
		})
	})
}

func TestCapturedTimers(t *testing.T) {
	const signal, none = 0, 1
	each(t, func(t *testing.T, kernel string, files map[string][]byte) {
		got, err := ParseTimers(files["timers"])
		if err != nil {
			t.Fatal(err)
		}
		pid := kernels[kernel].pid
		same(t, "timers", got, []Timer{
			{ID: 2, Signo: 10, Sigval: 0x1234abcd, Notify: signal, TID: pid, Thread: true, Clock: 7},
			{ID: 1, Signo: 10, Sigval: 0x1234abcd, Notify: none, TID: pid, Clock: 0},
			{ID: 0, Signo: 10, Sigval: 0x1234abcd, Notify: signal, TID: pid, Clock: 1},
		})
	})
}

func TestCapturedAuxv(t *testing.T) {
	const phdr, pageSize, entry, secure = 3, 6, 9, 23
	each(t, func(t *testing.T, _ string, files map[string][]byte) {
		raw, err := hex.DecodeString(strings.TrimSpace(string(files["auxv"])))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseAuxv(raw)
		if err != nil || !bytes.HasPrefix(raw, got) {
			t.Fatalf("%v\n%x of\n%x", err, got, raw)
		}
		values := map[uint64]uint64{}
		for i := 0; i < len(got); i += auxEntry {
			values[binary.NativeEndian.Uint64(got[i:])] = binary.NativeEndian.Uint64(got[i+8:])
		}
		same(t, "its end", got[len(got)-auxEntry:], make([]byte, auxEntry))
		for key, want := range map[uint64]uint64{phdr: 0x400040, pageSize: 4096, entry: 0x401540, secure: 0} {
			if v, ok := values[key]; v != want || !ok {
				t.Errorf("entry %d: %#x, %t; want %#x", key, v, ok, want)
			}
		}
	})
}

func TestCapturedChildren(t *testing.T) {
	each(t, func(t *testing.T, kernel string, files map[string][]byte) {
		pid := kernels[kernel].pid
		got, err := parseChildren(files[fmt.Sprintf("task/%d/children", pid)])
		if err != nil || !slices.Equal(got, []int{pid + 1}) {
			t.Errorf("%d, %v", got, err)
		}
	})
}
