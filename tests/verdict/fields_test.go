package verdict

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"floe/lib/record"
	"floe/tests/harness"
)

// live changes the first live task.
func live(f func(*record.Task)) func(*record.Record) bool {
	return func(r *record.Record) bool {
		t := r.GetTask()
		if t == nil || t.State == record.Task_ZOMBIE {
			return false
		}
		f(t)
		return true
	}
}

func thread(f func(*record.Thread)) func(*record.Record) bool {
	return func(r *record.Record) bool {
		if r.GetThread() != nil {
			f(r.GetThread())
		}
		return r.GetThread() != nil
	}
}

func file(mode uint32, f func(*record.File)) func(*record.Record) bool {
	return func(r *record.Record) bool {
		ok := r.GetFile() != nil && r.GetFile().Mode&0o170000 == mode
		if ok {
			f(r.GetFile())
		}
		return ok
	}
}

func space(f func(*record.Mm)) func(*record.Record) bool {
	return func(r *record.Record) bool {
		if r.GetMm() != nil {
			f(r.GetMm())
		}
		return r.GetMm() != nil
	}
}

func timer(p record.PosixTimer) func(*record.Record) bool {
	return live(func(t *record.Task) { t.PosixTimers = []*record.PosixTimer{&p} })
}

func siginfo(sig byte) *record.SigInfo {
	b := make([]byte, 128)
	b[0] = sig
	return &record.SigInfo{Raw: b}
}

// fields are values that no task has, each in the first record that fits.
var fields = map[string]struct {
	change func(*record.Record) bool
	say    string
}{
	"stop signal":       {live(func(t *record.Task) { t.State, t.StopSignal = record.Task_STOPPED, 10 }), "was stopped by signal 10, which stops nothing"},
	"root's own child":  {live(func(t *record.Task) { t.Ppid = t.Pid }), "has a parent that is in its own tree"},
	"exit signal":       {live(func(t *record.Task) { t.ExitSignal = 65 }), "signal 65: there is no such signal"},
	"oom_score_adj":     {live(func(t *record.Task) { t.OomScoreAdj = 1001 }), "oom_score_adj 1001"},
	"dumpable":          {live(func(t *record.Task) { t.Dumpable = 3 }), "dumpable 3"},
	"limit":             {live(func(t *record.Task) { t.Limits[3] = &record.Limit{Cur: 2, Max: 1} }), "limit 3 is 2, above its hard limit 1"},
	"pending SIGKILL":   {live(func(t *record.Task) { t.Pending = []*record.SigInfo{siginfo(9)} }), "SIGKILL is pending"},
	"pending signal 65": {live(func(t *record.Task) { t.Pending = []*record.SigInfo{siginfo(65)} }), "signal 65 is pending"},
	"timer id":          {timer(record.PosixTimer{Id: -1, Notify: 1}), "timer -1"},
	"timer's thread":    {timer(record.PosixTimer{Tid: 1, Notify: 4, Signo: 10}), "signals thread 1"},
	"timer's notice":    {timer(record.PosixTimer{Notify: 3, Signo: 10}), "notifies in way 3"},
	"timer's signal":    {timer(record.PosixTimer{Signo: 0}), "there is no such signal"},
	"timer's clock":     {timer(record.PosixTimer{Clock: 99, Notify: 1}), "clock 99"},

	"death signal":     {thread(func(t *record.Thread) { t.PdeathSignal = 99 }), "signal 99: there is no such signal"},
	"TSC mode":         {thread(func(t *record.Thread) { t.TscMode = 9 }), "TSC mode 9"},
	"robust list":      {thread(func(t *record.Thread) { t.RobustList, t.RobustListLen = 4096, 7 }), "robust futexes with a head of 7 bytes"},
	"rseq":             {thread(func(t *record.Thread) { t.Rseq = &record.Rseq{Addr: 4097, Size: 32} }), "rseq area"},
	"signal stack":     {thread(func(t *record.Thread) { t.Altstack = &record.AltStack{Sp: 4096, Size: 7} }), "signal stack of 7 bytes"},
	"user":             {thread(func(t *record.Thread) { t.Creds.Fsuid = 1<<32 - 1 }), "there is none"},
	"group":            {thread(func(t *record.Thread) { t.Creds.Groups = []uint32{1<<32 - 1} }), "there is none"},
	"effective":        {thread(func(t *record.Thread) { t.Creds.CapPermitted, t.Creds.CapEffective = 0, 1 }), "in effect and not permitted"},
	"ambient":          {thread(func(t *record.Thread) { t.Creds.CapInheritable, t.Creds.CapAmbient = 0, 1 }), "ambient capabilities"},
	"policy":           {thread(func(t *record.Thread) { t.Sched.Policy = 4 }), "scheduling policy 4"},
	"priority":         {thread(func(t *record.Thread) { t.Sched.Policy, t.Sched.Priority = 1, 100 }), "there is no such thing"},
	"nice":             {thread(func(t *record.Thread) { t.Sched.Nice = 20 }), "nice 20"},
	"deadline":         {thread(func(t *record.Thread) { t.Sched.Policy, t.Sched.Runtime, t.Sched.Deadline = 6, 2, 1 }), "there is no such thing"},
	"I/O priority":     {thread(func(t *record.Thread) { t.Sched.Ioprio = 4 << 13 }), "I/O priority"},
	"rseq in a hole":   {thread(func(t *record.Thread) { t.Rseq = &record.Rseq{Addr: 1 << 20, Size: 32} }), "is not within memory that can be written"},
	"securebits":       {thread(func(t *record.Thread) { t.Creds.Securebits = 1 << 31 }), "securebits"},
	"I/O class":        {thread(func(t *record.Thread) { t.Sched.Ioprio = 4 }), "I/O priority"},
	"code segment":     {thread(func(t *record.Thread) { t.Regs.Cs = 0x23 }), "not a 64-bit program"},
	"data segment":     {thread(func(t *record.Thread) { t.Regs.Ds = 0x10 }), "is no selector of a program's"},
	"instruction":      {thread(func(t *record.Thread) { t.Regs.Rip = 1 << 63 }), "no user address"},
	"xsave area":       {thread(func(t *record.Thread) { t.Xstate = t.Xstate[:100] }), "bytes of extended state"},
	"xsave components": {thread(func(t *record.Thread) { t.Xstate[512+7] |= 0x20 }), "extended state is in use and not in the image"},

	"written program": {func(r *record.Record) bool {
		v := r.GetVma()
		if v.GetKind() == record.Vma_FILE_PRIVATE {
			v.Kind, v.MayProt = record.Vma_FILE_SHARED, 7
			return true
		}
		return false
	}, "is mapped to be written, and runs"},
	"relative path":    {file(0o100000, func(f *record.File) { f.Path = []byte("etc/passwd") }), "no absolute path"},
	"program":          {file(0o100000, func(f *record.File) { f.Mode = 0o20644 }), "no regular file"},
	"directory":        {file(0o40000, func(f *record.File) { f.Mode = 0o100644 }), "no directory"},
	"program break":    {space(func(m *record.Mm) { m.Brk = m.StartBrk - 4096 }), "heap ends before it starts"},
	"code":             {space(func(m *record.Mm) { m.EndCode = m.StartCode }), "code ends before it starts"},
	"environment at 0": {space(func(m *record.Mm) { m.EnvStart = 0 }), "0x0 is no user address"},
	"code at 1":        {space(func(m *record.Mm) { m.StartCode = 1 }), "0x1 is no user address"},
	"umask": {func(r *record.Record) bool {
		f := r.GetFs()
		if f != nil {
			f.Umask = 0o7777
		}
		return f != nil
	}, "umask 07777"},
	"owner": {func(r *record.Record) bool {
		f := r.GetOpenFile()
		if f != nil {
			f.OwnerType = 9
		}
		return f != nil
	}, "owner of type 9"},
	"temporary file": {func(r *record.Record) bool {
		f := r.GetOpenFile()
		if f.GetPath() != nil {
			f.Flags |= 0o20000000
			return true
		}
		return false
	}, "O_TMPFILE"},
}

// TestFields gives imgcat --verify and restore images in which one field has a
// value that no task has, with right checksums.
func TestFields(t *testing.T) {
	v := harness.Launch(t, harness.Steady, nil)
	image := filepath.Join(v.Dir, "image")
	v.Checkpoint(t, image, "")
	whole, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(v.Dir, "bad")
	for name, c := range fields {
		t.Run(name, func(t *testing.T) {
			done := false
			b := harness.Rewritten(t, whole, func(r *record.Record) bool {
				done = done || c.change(r)
				return true
			})
			if !done {
				t.Fatal("no record is like this")
			}
			if err := os.WriteFile(bad, b, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"imgcat", "--verify", bad}, {"restore", "-d", bad}} {
				p := harness.Start(t, nil, nil, args[0], args[1:]...)
				if e := p.Wait(t); e.Code() != 3 || !strings.Contains(p.Stderr.String(), c.say) {
					t.Errorf("%v: %s: %s", args, e, p.Stderr)
				}
			}
		})
	}
	v.Restore(t, image, "")
	v.Stop(t)
}
