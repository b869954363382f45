package record

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"floe/lib/record/recordpb"
)

var update = flag.Bool("update", false, "write the golden files anew")

const goldenFile = "testdata/every-kind.floe"

// goldenTasks are a process and its dead child.
func goldenTasks() []*Record {
	none := &SigInfo{Raw: make([]byte, 128)}
	none.Raw[0] = 10
	live := &Task{
		Pid: 100, Ppid: 1, Pgid: 100, Sid: 100, Tids: []int32{100, 102}, StartTime: 77, State: Task_STOPPED, StopSignal: 19, ExitSignal: 17,
		MmId: 1, FilesId: 1, FsId: 1, SighandId: 1, OomScoreAdj: -5, Pending: []*SigInfo{none},
		PosixTimers: []*PosixTimer{{Id: 0, Clock: 1, Notify: 4, Signo: 34, Sigval: 9, Tid: 102, ValueNs: 5e8, IntervalNs: 1e9, Overrun: 2}},
		Dumpable:    1, Comm: "victim", Umask: 0o22, Brk: 0x55000000a000,
		Attrs: &ProcessAttrs{CoredumpFilter: 0x33, ThpDisable: 1, MemoryMerge: true, Mdwe: 3, Membarrier: 16, FutexSlots: 16, TimerRestoreIds: true,
			AutogroupNice: 5, LoginUid: 1000, LoginSession: 7, Cgroups: []byte(":/a\n")},
	}
	for i := range 64 {
		live.Actions = append(live.Actions, &SigAction{Handler: uint64(i % 2), Flags: 0x4000000, Restorer: 0x400100})
	}
	for i := range 16 {
		live.Limits = append(live.Limits, &Limit{Cur: uint64(i), Max: 1<<64 - 1})
	}
	for range 3 {
		live.Itimers = append(live.Itimers, &Itimer{ValueUs: 1, IntervalUs: 2})
	}
	dead := &Task{Pid: 101, Ppid: 100, Pgid: 100, Sid: 100, Tids: []int32{101}, StartTime: 78, State: Task_ZOMBIE, ExitCode: 7 << 8, ExitSignal: 17, Comm: "dead",
		Attrs: &ProcessAttrs{Zombie: &Creds{Ruid: 9}}}
	list := []*Record{{Body: &Record_Task{live}}, {Body: &Record_Task{dead}}}
	for i, tid := range []int32{100, 102} {
		list = append(list, &Record{Body: &Record_Thread{&Thread{
			Pid: 100, Tid: tid, StartTime: 77, Comm: "victim", Regs: &RegsAmd64{Rip: 0x400010, Rsp: 0x7ffc00001000, OrigRax: 1<<64 - 1, Cs: 0x33, Ss: 0x2b, FsBase: 0x7f0000001000},
			Xstate: bytes.Repeat([]byte{byte(i)}, 576), Sigmask: 1 << 9, Altstack: &AltStack{Flags: 2}, RobustList: 0x7f0000001100, RobustListLen: 24,
			ClearChildTid: 0x7f0000001200, Rseq: &Rseq{Addr: 0x7f0000001300, Size: 32, Signature: 0x53053053},
			Restart: &Restart{Kind: Restart_BLOCK, Nr: 230, RemainingNs: 1e9}, Creds: &Creds{Ruid: 1, Groups: []uint32{4, 24}, CapBounding: 0xff},
			Sched: &Sched{Nice: 5, Affinity: []byte{3}}, TimerSlackNs: 50000, InSyscall: true,
			Attrs: &ThreadAttrs{Personality: 0x40000, MachineCheck: 2, DefaultSlackNs: 50000, MemoryPolicy: 2, MemoryNodes: []byte{1}, IoFlusher: true,
				Speculation: []uint32{3, 3, 8}, RequestKey: 4, Cgroups: []byte(":/b\n")},
		}}})
	}
	return append(list, &Record{Body: &Record_Pending{&Pending{Pid: 100, Tid: 102, Signals: []*SigInfo{none, none}}}},
		&Record{Body: &Record_Pending{&Pending{Pid: 100, Signals: []*SigInfo{none}}}})
}

func goldenMemory() []*Record {
	mm := &Mm{
		MmId: 1, Pid: 100, StartCode: 0x400000, EndCode: 0x401000, StartData: 0x402000, EndData: 0x402100, StartBrk: 0x550000000000, Brk: 0x55000000a000,
		StartStack: 0x7ffc00001000, ArgStart: 0x7ffc00001800, ArgEnd: 0x7ffc00001810, EnvStart: 0x7ffc00001810, EnvEnd: 0x7ffc00001820,
		Auxv: make([]byte, 32), ExeFile: 1,
	}
	vmas := []*Vma{
		{Start: 0x400000, End: 0x401000, Prot: 5, Kind: Vma_FILE_PRIVATE, FileId: 1, Flags: []string{"rd", "ex", "mr", "mw", "me"}, Name: "/bin/victim", MayProt: 7},
		{Start: 0x402000, End: 0x403000, Prot: 3, Kind: Vma_FILE_PRIVATE, FileId: 1, Offset: 0x1000, Flags: []string{"rd", "wr", "mr", "mw", "me"}, Name: "/bin/victim", MayProt: 7},
		{Start: 0x550000000000, End: 0x55000000a000, Prot: 3, Kind: Vma_ANON_PRIVATE, Flags: []string{"rd", "wr", "mr", "mw", "me"}, Name: "[heap]", MayProt: 7},
		{Start: 0x7f0000000000, End: 0x7f0000004000, Prot: 3, Kind: Vma_ANON_SHARED, ShmemId: 1, ShmemSize: 0x4000, Flags: []string{"rd", "wr", "sh"}, Name: "/dev/zero (deleted)", MayProt: 3},
		{Start: 0x7f0000008000, End: 0x7f0000009000, Prot: 1, Kind: Vma_FILE_SHARED, FileId: 2, Flags: []string{"rd", "sh"}, Name: "/var/cache/x", MayProt: 1},
		{Start: 0x7ffc00000000, End: 0x7ffc00002000, Prot: 3, Kind: Vma_ANON_PRIVATE, Flags: []string{"rd", "wr", "gd"}, Name: "[stack]", MayProt: 7},
		{Start: 0x7ffc00010000, End: 0x7ffc00014000, Prot: 1, Kind: Vma_SPECIAL, Flags: []string{"rd", "pf"}, Name: "[vvar]", MayProt: 1},
		{Start: 0x7ffc00014000, End: 0x7ffc00016000, Prot: 5, Kind: Vma_SPECIAL, Flags: []string{"rd", "ex"}, Name: "[vdso]", MayProt: 7},
		{Start: 0xffffffffff600000, End: 0xffffffffff601000, Prot: 4, Kind: Vma_VSYSCALL, Name: "[vsyscall]"},
	}
	mm.Vmas = uint64(len(vmas))
	list := []*Record{
		{Body: &Record_File{&File{FileId: 1, Path: []byte("/bin/victim"), Dev: 2049, Ino: 11, Mode: 0o100755, Size: 8192, MtimeNs: 1e18, BuildId: []byte{1, 2, 3}}}},
		{Body: &Record_File{&File{FileId: 2, Path: []byte("/var/cache/\xff"), Dev: 2049, Ino: 12, Mode: 0o100644, Size: 4096, Deleted: true, Uid: 1}}},
		{Body: &Record_Mm{mm}},
	}
	for _, v := range vmas {
		v.MmId = 1
		list = append(list, &Record{Body: &Record_Vma{v}})
	}
	return list
}

func goldenVdso() *Record {
	return &Record{Body: &Record_Vdso{&Vdso{
		MmId: 1, BuildId: []byte{9, 9}, LinuxVersion: 0x061200, Image: []byte("\x7fELF, more or less"),
		Areas:   []*Vdso_Area{{Name: "[vvar]", Start: 0x7ffc00010000, End: 0x7ffc00014000}, {Name: "[vdso]", Start: 0x7ffc00014000, End: 0x7ffc00016000, Code: true}},
		Symbols: []*Vdso_Symbol{{Name: "clock_gettime", Version: "LINUX_2.6", Offset: 0xaf0, Size: 5, Weak: true, Type: 2}},
	}}}
}

// goldenOpen are open files of every sort: 1 to 7 in the order of the oneof,
// the other end of the pipe, and what came later.
func goldenOpen() []*OpenFile {
	return []*OpenFile{
		{OpenId: 1, Flags: 0o100001, Pos: 99, Object: &OpenFile_Path_{&OpenFile_Path{FileId: 1 << 32}}},
		{OpenId: 2, Object: &OpenFile_Pipe{&OpenFile_PipeEnd{PipeId: 1}}},
		{OpenId: 3, Flags: 2, Object: &OpenFile_Eventfd{&OpenFile_EventFd{Count: 3, Semaphore: true}}},
		{OpenId: 4, Flags: 2, Object: &OpenFile_Epoll_{&OpenFile_Epoll{Targets: []*OpenFile_Epoll_Target{{Fd: 5, OpenId: 3, Events: 1, Data: 5, FilesId: 1, Slot: 5}}}}},
		{OpenId: 5, Flags: 2, Object: &OpenFile_Timerfd{&OpenFile_TimerFd{Clock: 1, Ticks: 2, ValueNs: 1e9, IntervalNs: 1e9}}},
		{OpenId: 6, Flags: 2, Object: &OpenFile_Signalfd{&OpenFile_SignalFd{Mask: 1 << 14}}},
		{OpenId: 7, Flags: 2, Object: &OpenFile_External_{&OpenFile_External{Stdio: 1, What: "/dev/pts/3", Tty: true}}},
		{OpenId: 8, Flags: 1, Owner: 100, OwnerSignal: 29, Object: &OpenFile_Pipe{&OpenFile_PipeEnd{PipeId: 1}}},
		{OpenId: 9, Flags: 2, Object: &OpenFile_Pidfd{&OpenFile_PidFd{Pid: 100}}},
	}
}

func goldenDescriptors(add func(*Record, []byte)) {
	add(&Record{Body: &Record_File{&File{FileId: 1 << 32, Path: []byte("/var/log/x"), Dev: 2049, Ino: 13, Mode: 0o100644, Size: 99}}}, nil)
	add(&Record{Body: &Record_File{&File{FileId: 1<<32 + 1, Path: []byte("/"), Dev: 2049, Ino: 2, Mode: 0o40755}}}, nil)
	add(&Record{Body: &Record_Fs{&Fs{FsId: 1, CwdFile: 1<<32 + 1, RootFile: 1<<32 + 1, Umask: 0o22}}}, nil)
	add(&Record{Body: &Record_Pipe{&Pipe{PipeId: 1, Capacity: 65536, Uid: 1, Gid: 1, Mode: 0o10600, Packets: []uint32{3, 2}, Buffers: []uint32{1<<31 | 3, 1<<31 | 2}}}}, []byte("hello"))
	for _, o := range goldenOpen() {
		add(&Record{Body: &Record_OpenFile{o}}, nil)
	}
	for fd, open := range []uint64{7, 7, 1, 2, 8, 3, 4, 5, 6, 9} {
		add(&Record{Body: &Record_Fd{&Fd{FilesId: 1, Fd: int32(fd), OpenId: open, Cloexec: fd > 2}}}, nil)
	}
	add(&Record{Body: &Record_FileLock{&FileLock{OpenId: 1, Kind: FileLock_POSIX, Exclusive: true, Len: 10, FilesId: 1, Fd: 2, Pid: 100}}}, nil)
}

// lz4Of4096A is an lz4 block of 4096 times the letter A: one letter, 4090 times
// the letter before, five letters.
func lz4Of4096A() []byte {
	b := []byte{0x1f, 'A', 1, 0}
	b = append(b, bytes.Repeat([]byte{0xff}, 15)...)
	return append(b, 246, 0x50, 'A', 'A', 'A', 'A', 'A')
}

// golden is a small complete image with a record of every kind, every sort of
// open file, and a kind from the future that is optional.
func golden(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out)
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	add := func(r *Record, payload []byte) { t.Helper(); ok(w.Add(r, payload)) }
	add(&Record{Body: &Record_Header{&Header{
		Arch: "amd64", PageSize: 4096, KernelRelease: "6.18.0", KernelVersion: "#1", BootId: "b", PidnsInode: 4026531836, ToolVersion: "1", Hostname: "h",
		RootPid: 100, Clocks: &Clocks{RealtimeNs: 1e18, MonotonicNs: 5, BoottimeNs: 6}, Lease: &Lease{Pid: 50, StartTime: 70, Fd: 3, Durable: true},
		Cpu: &Cpu{Vendor: "V", Flags: []string{"sse", "avx"}, Xcr0: 7, XsaveSize: 832, Xsave: []*XsaveComponent{{Number: 2, Offset: 576, Size: 256}}}, VdsoBuildId: []byte{9, 9},
	}}}, nil)
	for _, r := range goldenTasks() {
		add(r, nil)
	}
	ok(w.EndStage("freeze", "1"))
	for _, r := range goldenMemory() {
		add(r, nil)
	}
	ok(w.EndStage("vmadump", "1"))
	add(goldenVdso(), nil)
	future := &Record{Optional: true, unknown: protowire.AppendString(protowire.AppendTag(nil, 120, protowire.BytesType), "from the future")}
	add(future, []byte("its payload"))
	ok(w.EndStage("vdsoprobe", "1"))
	goldenDescriptors(add)
	ok(w.EndStage("fddump", "1"))
	index := &Index{}
	pages := func(p *Pages, payload []byte, align int) {
		t.Helper()
		index.Blocks = append(index.Blocks, &Index_PageBlock{MmId: p.MmId, ShmemId: p.ShmemId, Offset: uint64(w.Offset()), Vaddr: p.Runs[0].Vaddr, Pages: p.Runs[0].Pages})
		ok(w.AddAligned(&Record{Body: &Record_Pages{p}}, payload, align))
	}
	pages(&Pages{MmId: 1, Runs: []*Pages_Run{{Vaddr: 0x402000, Pages: 1}}}, bytes.Repeat([]byte("raw."), 1024), 4096)
	pages(&Pages{MmId: 1, Runs: []*Pages_Run{{Vaddr: 0x550000000000, Pages: 1}}, Encoding: Pages_LZ4}, lz4Of4096A(), 1)
	pages(&Pages{MmId: 1, Runs: []*Pages_Run{{Vaddr: 0x550000001000, Pages: 8}}, Encoding: Pages_ZERO}, nil, 1)
	pages(&Pages{MmId: 1, Runs: []*Pages_Run{{Vaddr: 0x550000009000, Pages: 1}}, Encoding: Pages_GUARD}, nil, 1)
	pages(&Pages{ShmemId: 1, Runs: []*Pages_Run{{Vaddr: 0x2000, Pages: 1}}, Encoding: Pages_LZ4}, lz4Of4096A(), 1)
	ok(w.EndStage("pagedump", "1"))
	ok(w.End(index))
	return out.Bytes()
}

func TestGolden(t *testing.T) {
	b := golden(t)
	if *update {
		if err := os.WriteFile(goldenFile, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, want) {
		t.Fatalf("%s has other bytes than the writer now writes: the format has changed", goldenFile)
	}
}

// TestGoldenHasEveryKind makes sure that a new kind of record gets into the
// golden file.
func TestGoldenHasEveryKind(t *testing.T) {
	b, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int32]bool{}
	readFrames(t, b, func(f *Frame) { seen[f.body] = true })
	fields := (*recordpb.Record)(nil).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if d := fields.Get(i); d.Number() >= firstBody && d.Name() != "mark" && !seen[int32(d.Number())] {
			t.Errorf("the golden file has no %s record", d.Name())
		}
	}
	open := (*recordpb.OpenFile)(nil).ProtoReflect().Descriptor().Oneofs().ByName("object").Fields()
	if want := len(goldenOpen()) - 1; open.Len() != want {
		t.Errorf("the golden file has %d sorts of open files, the format %d", want, open.Len())
	}
}
