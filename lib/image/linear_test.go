package image

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// many is how many records of a kind the checks get. If one of them were
// quadratic, the test would run into its time limit.
const many = 1_000_000

type adder func(body any)

// largeImages are images in which there is very much of one thing.
var largeImages = map[string]func(add adder){
	"locks": func(add adder) {
		for i := range many / 4 {
			add(&record.Fd{FilesId: 1, Fd: int32(i), OpenId: 1})
		}
		for i := range many * 3 / 4 {
			add(&record.FileLock{OpenId: 1, FilesId: 1, Fd: int32(i % (many / 4)), Start: uint64(i), Len: 1})
		}
	},
	"watched": func(add adder) {
		for i := range many / 2 {
			add(&record.Fd{FilesId: 1, Fd: int32(i), OpenId: 1})
		}
		for n := range uint64(10) {
			e := &record.OpenFile_Epoll{}
			for i := range many / 20 {
				e.Targets = append(e.Targets, &record.OpenFile_Epoll_Target{Fd: int32(i), OpenId: 1, FilesId: 1, Slot: int32(many/2 - 1 - i)})
			}
			add(&record.OpenFile{OpenId: n + 2, Object: &record.OpenFile_Epoll_{Epoll: e}})
		}
	},
	"open files, in any order": func(add adder) {
		for i := range uint64(many / 2) {
			add(&record.OpenFile{OpenId: i*7919%(many/2) + 2, Object: &record.OpenFile_Path_{Path: &record.OpenFile_Path{FileId: 1}}})
			add(&record.Fd{FilesId: 1, Fd: int32(i), OpenId: i + 2})
		}
	},
	"mappings cut by a vDSO's ranges": func(add adder) {
		v := &record.Vdso{MmId: 1}
		for i := range uint64(many) {
			add(&record.Vma{MmId: 1, Start: i << 14, End: (i + 1) << 14, Flags: []string{"rd", "wr", "mr", "mw", "me"}})
			if i < maxSpans {
				v.Floe = append(v.Floe, &record.Vdso_Span{Start: i<<14 + 4096, End: i<<14 + 8192})
				v.Areas = append(v.Areas, &record.Vdso_Area{Start: i<<14 + 4096, End: i<<14 + 8192, Code: i == 0})
			}
		}
		add(v)
		add(&record.Mm{MmId: 1, Pid: 1, ExeFile: 1, Vmas: many, StartCode: 4096, EndCode: 8192, StartData: 8192, EndData: 8192, StartBrk: 8192, Brk: 8192, StartStack: 8192,
			ArgStart: 8192, ArgEnd: 8192, EnvStart: 8192, EnvEnd: 8192})
	},
	"threads": func(add adder) {
		for i := range int32(many / 2) {
			add(&record.Thread{Pid: 1, Tid: i + 2, Regs: &record.RegsAmd64{Rip: 4096}, Creds: &record.Creds{}, Xstate: make([]byte, 64)})
		}
	},
}

func body(b any) *record.Record {
	switch b := b.(type) {
	case *record.Fd:
		return &record.Record{Body: &record.Record_Fd{Fd: b}}
	case *record.FileLock:
		return &record.Record{Body: &record.Record_FileLock{FileLock: b}}
	case *record.OpenFile:
		return &record.Record{Body: &record.Record_OpenFile{OpenFile: b}}
	case *record.Vma:
		return &record.Record{Body: &record.Record_Vma{Vma: b}}
	case *record.Mm:
		return &record.Record{Body: &record.Record_Mm{Mm: b}}
	case *record.Vdso:
		return &record.Record{Body: &record.Record_Vdso{Vdso: b}}
	case *record.Thread:
		return &record.Record{Body: &record.Record_Thread{Thread: b}}
	case *record.File:
		return &record.Record{Body: &record.Record_File{File: b}}
	case *record.Task:
		return &record.Record{Body: &record.Record_Task{Task: b}}
	case *record.Header:
		return &record.Record{Body: &record.Record_Header{Header: b}}
	}
	return nil
}

// rootTask is a task that the checks take, with n threads.
func rootTask(n int32) *record.Task {
	t := &record.Task{Pid: 1, Pgid: 1, Sid: 1, MmId: 1, FilesId: 1, FsId: 1, SighandId: 1, Comm: "victim"}
	for i := range n {
		t.Tids = append(t.Tids, i+1)
	}
	for range resources {
		t.Limits = append(t.Limits, &record.Limit{})
	}
	for range signals {
		t.Actions = append(t.Actions, &record.SigAction{})
	}
	for range itimers {
		t.Itimers = append(t.Itimers, &record.Itimer{})
	}
	return t
}

func TestChecksAreLinear(t *testing.T) {
	for name, fill := range largeImages {
		t.Run(name, func(t *testing.T) {
			im := New()
			add := func(b any) {
				t.Helper()
				if err := im.Add(body(b), nil); err != nil {
					t.Fatal(err)
				}
			}
			// With time to spare in its account: the size of these records is not
			// the matter here.
			im.size.stream = 1 << 30
			threads := int32(1)
			if name == "threads" {
				threads = many/2 + 1
			}
			add(&record.Header{Arch: "amd64", PageSize: pageSize, RootPid: 1, Cpu: &record.Cpu{XsaveSize: 4096}})
			add(rootTask(threads))
			add(&record.Thread{Pid: 1, Tid: 1, Regs: &record.RegsAmd64{}, Creds: &record.Creds{}})
			add(&record.File{FileId: 1, Path: []byte("/x"), Mode: 0o100755})
			add(&record.OpenFile{OpenId: 1, Object: &record.OpenFile_Path_{Path: &record.OpenFile_Path{FileId: 1}}})
			fill(add)
			for _, check := range []func() error{im.checkHeader, im.checkTasks, im.checkThreads, im.checkFiles,
				im.checkOpenFiles, im.checkPipes, im.checkDescriptors, im.checkLocks} {
				if err := check(); err != nil {
					t.Fatal(err)
				}
			}
			if len(im.Mms) > 0 {
				for _, check := range []func() error{im.checkSpaces, im.checkVdsos} {
					if err := check(); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

func TestZombiesHaveNoChildren(t *testing.T) {
	im := New()
	for _, b := range []any{&record.Header{}, rootTask(1), &record.Task{Pid: 2, Ppid: 1, State: record.Task_ZOMBIE}} {
		if err := im.Add(body(b), nil); err != nil {
			t.Fatal(err)
		}
	}
	err := im.Add(body(&record.Task{Pid: 3, Ppid: 2, State: record.Task_ZOMBIE}), nil)
	if want := "task 3 is a child of task 2, which is a zombie: those have none"; err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

// Records that take more memory than bytes are refused before they have taken
// it, and the message gives the limit.
func TestMemoryIsBounded(t *testing.T) {
	im := New()
	if err := im.Add(body(&record.Header{}), nil); err != nil {
		t.Fatal(err)
	}
	if err := im.Add(body(rootTask(1)), nil); err != nil {
		t.Fatal(err)
	}
	for i := range int32(many) {
		err := im.Add(body(&record.Task{Pid: i + 2, Ppid: 1, Pgid: 1, Sid: 1, State: record.Task_ZOMBIE}), nil)
		if err == nil {
			continue
		}
		if !strings.Contains(err.Error(), "MiB of memory; the limit is 24 MiB and 5 times their size") {
			t.Error(err)
		}
		return
	}
	t.Error("a million tasks were taken")
}

func TestFlagsAreBounded(t *testing.T) {
	im := New()
	if err := im.Add(body(&record.Header{}), nil); err != nil {
		t.Fatal(err)
	}
	v := &record.Vma{MmId: 1, Start: 4096, End: 8192, Prot: unix.PROT_READ, Flags: make([]string, 65)}
	if err := im.Add(body(v), nil); err == nil || !strings.Contains(err.Error(), "has 65 flags; the limit is 64") {
		t.Error(err)
	}
}
