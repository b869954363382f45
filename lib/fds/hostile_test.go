package fds

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/image"
	"floe/lib/record"
)

// imageOf is an image with one task, these files and pipes, and these
// descriptions at its descriptors 0, 1, ….
func imageOf(t *testing.T, files []*record.File, pipes []*record.Pipe, data []byte, open ...*record.OpenFile) *image.Image {
	t.Helper()
	im := image.New()
	im.Header = &record.Header{}
	im.Tasks = []*record.Task{{Pid: 77, Comm: "victim", FilesId: 1}}
	add := func(rec *record.Record, payload []byte) {
		if err := im.Add(rec, payload); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range files {
		add(&record.Record{Body: &record.Record_File{File: f}}, nil)
	}
	for _, p := range pipes {
		add(&record.Record{Body: &record.Record_Pipe{Pipe: p}}, data)
	}
	for i, o := range open {
		o.OpenId = uint64(i + 1)
		add(&record.Record{Body: &record.Record_OpenFile{OpenFile: o}}, nil)
		add(&record.Record{Body: &record.Record_Fd{Fd: &record.Fd{FilesId: 1, Fd: int32(i), OpenId: o.OpenId}}}, nil)
	}
	return im
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestHostileImages(t *testing.T) {
	eventfd := func() *record.OpenFile {
		return &record.OpenFile{Object: &record.OpenFile_Eventfd{Eventfd: &record.OpenFile_EventFd{Count: 1}}}
	}
	path := func(id uint64) *record.OpenFile {
		return &record.OpenFile{Object: &record.OpenFile_Path_{Path: &record.OpenFile_Path{FileId: id}}}
	}
	pipe := &record.OpenFile{Object: &record.OpenFile_Pipe{Pipe: &record.OpenFile_PipeEnd{PipeId: 1}}}
	epoll := func(ts ...*record.OpenFile_Epoll_Target) *record.OpenFile {
		return &record.OpenFile{Object: &record.OpenFile_Epoll_{Epoll: &record.OpenFile_Epoll{Targets: ts}}}
	}
	file := func(path string, mode uint32, rdev uint64) []*record.File {
		return []*record.File{{FileId: 5, Path: []byte(path), Mode: mode, Rdev: rdev}}
	}
	for name, c := range map[string]struct {
		im   *image.Image
		want string
	}{
		"no object":       {imageOf(t, nil, nil, nil, eventfd(), &record.OpenFile{}), "of a kind that this version does not know"},
		"no file":         {imageOf(t, nil, nil, nil, path(5)), "file 5 is not in the image"},
		"relative":        {imageOf(t, file("etc/passwd", unix.S_IFREG, 0), nil, nil, path(5)), "not an absolute path"},
		"nul":             {imageOf(t, file("/etc\x00", unix.S_IFREG, 0), nil, nil, path(5)), "not an absolute path"},
		"fifo by name":    {imageOf(t, file("/dev/null", unix.S_IFIFO, 0), nil, nil, path(5)), "not opened by name"},
		"memory":          {imageOf(t, file("/dev/mem", unix.S_IFCHR, unix.Mkdev(1, 1)), nil, nil, path(5)), "not one that is opened by name"},
		"another device":  {imageOf(t, file("/dev/zero", unix.S_IFCHR, unix.Mkdev(1, 3)), nil, nil, path(5)), "it is device 1:5 now, and was 1:3"},
		"no pipe":         {imageOf(t, nil, nil, nil, pipe), "pipe 1 is not in the image"},
		"pipe too small":  {imageOf(t, nil, []*record.Pipe{{PipeId: 1, Capacity: 4096}}, make([]byte, 8192), pipe), "its size is 4096 bytes"},
		"packets":         {imageOf(t, nil, []*record.Pipe{{PipeId: 1, Packets: []uint32{9}}}, []byte("x"), pipe), "in its buffers"},
		"capacity":        {imageOf(t, nil, []*record.Pipe{{PipeId: 1, Capacity: 1 << 31}}, nil, pipe), "its size of 2147483648 bytes"},
		"stdio":           {imageOf(t, nil, nil, nil, &record.OpenFile{Object: &record.OpenFile_External_{External: &record.OpenFile_External{Stdio: 9}}}), "standard descriptor 9 does not exist"},
		"epoll target":    {imageOf(t, nil, nil, nil, epoll(&record.OpenFile_Epoll_Target{Fd: 3, OpenId: 9})), "open file 9 is not in the image"},
		"epoll number":    {imageOf(t, nil, nil, nil, epoll(&record.OpenFile_Epoll_Target{Fd: -3, OpenId: 1})), "out of range"},
		"epoll of itself": {imageOf(t, nil, nil, nil, epoll(&record.OpenFile_Epoll_Target{Fd: 3, OpenId: 1})), "epoll: adding fd 3: invalid argument"},
		"clock":           {imageOf(t, nil, nil, nil, &record.OpenFile{Object: &record.OpenFile_Timerfd{Timerfd: &record.OpenFile_TimerFd{Clock: 99}}}), "timerfd_create on clock 99"},
	} {
		t.Run(name, func(t *testing.T) {
			before := descriptors(t)
			s, err := Open(c.im, OpenOptions{})
			if err == nil {
				s.Close()
				t.Fatal("it was opened")
			}
			if msg := err.Error(); !strings.Contains(msg, c.want) || !strings.HasPrefix(msg, "task 77 (victim): fd ") {
				t.Errorf("%q, want %q", msg, c.want)
			}
			if after := descriptors(t); after != before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
		})
	}
}

// A mapped file on another boot: the same size and time, or the same build-id.
func TestMappedFileElsewhere(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("contents"), 0o600); err != nil {
		t.Fatal(err)
	}
	elf := "/usr/bin/python3.11"
	if p, err := filepath.EvalSymlinks("/usr/bin/python3"); err == nil {
		elf = p
	}
	describe := func(path string) *recordFile {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		h, err := unix.Open(path, unix.O_PATH, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(h)
		return &recordFile{FileId: 5, Path: []byte(path), Dev: 1, Ino: 1, Mode: st.Mode, Size: uint64(st.Size), MtimeNs: st.Mtim.Nano(), BuildId: buildID(h)}
	}
	for name, c := range map[string]struct {
		path   string
		change func(*recordFile)
		want   string
	}{
		"same":       {text, func(*recordFile) {}, ""},
		"modified":   {text, func(f *recordFile) { f.MtimeNs++ }, "it was modified since"},
		"grown":      {text, func(f *recordFile) { f.Size-- }, "its size is 8 bytes now, and was 7"},
		"elf copied": {elf, func(f *recordFile) { f.MtimeNs++ }, ""},
		"other elf":  {elf, func(f *recordFile) { f.MtimeNs++; f.BuildId = []byte("other") }, "its build-id is "},
	} {
		f := describe(c.path)
		c.change(f)
		fd, err := OpenFile(imageOf(t, []*recordFile{f}, nil, nil), 5, unix.O_RDONLY, OpenOptions{})
		if err == nil {
			unix.Close(fd)
		}
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if fd, err := OpenFile(imageOf(t, []*recordFile{f}, nil, nil), 5, unix.O_RDONLY, OpenOptions{ForceFiles: true}); err != nil {
			t.Errorf("%s, with --force-files: %v", name, err)
		} else {
			unix.Close(fd)
		}
	}
}

type recordFile = record.File
