package large

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"floe/lib/record"
	"floe/tests/harness"
)

// Images that are made to fill memory: as many records as short as can be.
var hostile = map[string]func(i int) *record.Record{
	"zombies": func(i int) *record.Record {
		return &record.Record{Body: &record.Record_Task{Task: &record.Task{Pid: int32(i + 2), Ppid: 1, Pgid: 1, Sid: 1, State: record.Task_ZOMBIE}}}
	},
	"mappings": func(i int) *record.Record {
		return &record.Record{Body: &record.Record_Vma{Vma: &record.Vma{MmId: 1, Start: uint64(i+1) << 12, End: uint64(i+2) << 12}}}
	},
	"descriptors": func(i int) *record.Record {
		return &record.Record{Body: &record.Record_Fd{Fd: &record.Fd{FilesId: 1, Fd: int32(i), OpenId: 1}}}
	},
	"open files, last first": func(i int) *record.Record {
		return &record.Record{Body: &record.Record_OpenFile{OpenFile: &record.OpenFile{OpenId: uint64(hostileRecords - i)}}}
	},
	"threads": func(i int) *record.Record {
		return &record.Record{Body: &record.Record_Thread{Thread: &record.Thread{Pid: 1, Tid: int32(i + 2)}}}
	},
	"locks": func(int) *record.Record {
		return &record.Record{Body: &record.Record_FileLock{FileLock: &record.FileLock{OpenId: 1}}}
	},
	"queued signals": func(int) *record.Record {
		p := &record.Pending{Pid: 1}
		for range 1000 {
			p.Signals = append(p.Signals, &record.SigInfo{})
		}
		return &record.Record{Body: &record.Record_Pending{Pending: p}}
	},
}

const hostileRecords = 1_000_000

// A hostile image takes ten times its own size at most, above the limit.
func TestHostileImages(t *testing.T) {
	for name, make := range hostile {
		t.Run(name, func(t *testing.T) {
			v := &victim{dir: t.TempDir()}
			f, err := os.Create(filepath.Join(v.dir, "image"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			b := bufio.NewWriter(f)
			w := record.NewWriter(b)
			add := func(r *record.Record) {
				t.Helper()
				if err := w.Add(r, nil); err != nil {
					t.Fatal(err)
				}
			}
			add(&record.Record{Body: &record.Record_Header{Header: &record.Header{Arch: "amd64", PageSize: 4096, RootPid: 1}}})
			add(&record.Record{Body: &record.Record_Task{Task: &record.Task{Pid: 1, Pgid: 1, Sid: 1, MmId: 1, FilesId: 1, FsId: 1}}})
			for i := range hostileRecords {
				if add(make(i)); w.Offset() > 20<<20 {
					break
				}
			}
			for _, err := range []error{w.EndStage("freeze", "test"), w.Flush(), b.Flush()} {
				if err != nil {
					t.Fatal(err)
				}
			}
			limit := harness.MemoryLimit + 10*int(w.Offset()>>10)
			for program, args := range map[string]string{"restore": "--check", "imgcat": "-q"} {
				p := harness.Start(t, nil, nil, "sh", "-c", fmt.Sprintf("exec %s > /dev/null", v.measured(t, program, args+" "+v.image())))
				if e := p.Wait(t); e.Code() != 3 {
					t.Errorf("%s: %s: %s", program, e, p.Stderr)
				}
				n := v.peaks(t)[program]
				t.Logf("%-8s %6d KiB of %d, for %d KiB: %.120s", program, n, limit, w.Offset()>>10, p.Stderr)
				if n > limit {
					t.Errorf("%s took %d KiB; the limit is %d", program, n, limit)
				}
			}
		})
	}
}
