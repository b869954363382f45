package restorer

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/fds"
	"floe/lib/plan"
	"floe/lib/record"
)

// fdTable has what the puppets inherit: duplicates of this process's
// descriptors, not close-on-exec, all numbered from floor up, above every
// number that the image uses.
type fdTable struct {
	set   *fds.Set
	floor int
	open  map[uint64]int    // by open_id
	file  map[fileUse]int   // by file_id
	shm   map[uint64]int    // by shmem_id
	fs    map[uint64][2]int // by fs_id: cwd, root (-1: the caller's)
	im    fileSource
	opt   fds.OpenOptions
}

type fileUse struct {
	id       uint64
	writable bool
}

// fileSource opens a file of the image, checked for being the same one.
type fileSource func(fileID uint64, flags int) (int, error)

const (
	// minFloor leaves room below for restore's own descriptors.
	minFloor = 512
	// firstTable is how many descriptors a process has room for at first
	// (NR_OPEN_DEFAULT). To give one with threads more, the kernel waits for all
	// processors (synchronize_rcu), which takes longer than all else that a
	// small tree needs.
	firstTable = 64
	// ownMost is more than restore has open itself, besides what the tree has.
	ownMost = 24
)

// floorFor is where the duplicates begin, all of them above top. Those of a
// small tree fit in the first table.
func (r *Restorer) floorFor(top int32) int {
	type object struct {
		fileUse
		shmem uint64
	}
	mapped := map[object]bool{} // at least as many as there will be
	for _, list := range r.im.Vmas {
		for _, v := range list {
			mapped[object{fileUse{v.FileId, v.Kind == record.Vma_FILE_SHARED}, v.ShmemId}] = true
		}
	}
	n := len(r.im.OpenFiles) + len(mapped) + len(r.im.Mms) + 2*len(r.im.Fs)
	if low := firstTable - n; int(top) < low && ownMost+len(r.im.OpenFiles) <= low {
		return low
	}
	return max(minFloor, int(top)+1)
}

// open opens all that the tree has open or mapped.
func (r *Restorer) open() error {
	if err := r.planClocks(); err != nil {
		return err
	}
	opt := fds.OpenOptions{Clocks: r.frozenAt(), ForceFiles: r.opt.ForceFiles, StdinIsImage: r.opt.StdinIsImage, Warnf: r.opt.Warnf}
	t := &fdTable{open: map[uint64]int{}, file: map[fileUse]int{}, shm: map[uint64]int{}, fs: map[uint64][2]int{}, opt: opt}
	t.im = func(id uint64, flags int) (int, error) { return fds.OpenFile(r.im, id, flags, opt) }
	r.fds = t
	top := int32(-1)
	for _, list := range r.im.Fds {
		for _, f := range list {
			top = max(top, f.Fd)
		}
	}
	t.floor = r.floorFor(top)
	var err error
	if t.set, err = fds.Open(r.im, opt); err != nil {
		return err
	}
	if err := r.openMapped(); err != nil {
		return err
	}
	for id, fs := range r.im.Fs {
		if err := t.openFS(id, fs); err != nil {
			return err
		}
	}
	for id := range r.im.OpenFiles {
		fd, ok := t.set.FD(id)
		if !ok {
			return fmt.Errorf("open file %d was not opened", id)
		}
		if t.open[id], err = t.raise(fd); err != nil {
			return err
		}
	}
	return nil
}

// openMapped opens the files and makes the shared objects of all mappings, so
// that nothing is missing once the first puppet is there.
func (r *Restorer) openMapped() error {
	sizes := map[uint64]uint64{}
	for _, vmas := range r.im.Vmas {
		for _, v := range vmas {
			switch v.Kind {
			case record.Vma_FILE_PRIVATE, record.Vma_FILE_SHARED:
				writable := v.Kind == record.Vma_FILE_SHARED && v.MayProt&unix.PROT_WRITE != 0
				if _, err := r.fds.openFile(fileUse{v.FileId, writable}); err != nil {
					return fmt.Errorf("mapping %x-%x: %w", v.Start, v.End, err)
				}
			case record.Vma_ANON_SHARED:
				sizes[v.ShmemId] = max(sizes[v.ShmemId], v.ShmemSize, v.Offset+v.End-v.Start)
			}
		}
	}
	for id, size := range sizes {
		if err := r.fds.makeShmem(id, size); err != nil {
			return err
		}
	}
	for _, mm := range r.im.Mms {
		if _, err := r.fds.openFile(fileUse{mm.ExeFile, false}); err != nil {
			return fmt.Errorf("exe: %w", err)
		}
	}
	return nil
}

func (t *fdTable) openFile(u fileUse) (int, error) {
	if fd, ok := t.file[u]; ok {
		return fd, nil
	}
	flags := unix.O_RDONLY
	if u.writable {
		flags = unix.O_RDWR
	}
	fd, err := t.im(u.id, flags|unix.O_CLOEXEC)
	if err != nil {
		return 0, err
	}
	high, err := t.raise(fd)
	unix.Close(fd)
	if err == nil {
		t.file[u] = high
	}
	return high, err
}

// makeShmem makes a shared anonymous object like the one that the kernel makes
// for MAP_SHARED|MAP_ANONYMOUS. The mapping's own file is the only handle to
// it.
func (t *fdTable) makeShmem(id, size uint64) error {
	fd, err := anonymousObject(size)
	if err != nil {
		return fmt.Errorf("shared memory of %d bytes: %w", size, err)
	}
	defer unix.Close(fd)
	t.shm[id], err = t.raise(fd)
	return err
}

func (t *fdTable) openFS(id uint64, fs *record.Fs) error {
	cwd, err := t.im(fs.CwdFile, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if err != nil {
		return fmt.Errorf("working directory: %w", err)
	}
	defer unix.Close(cwd)
	pair := [2]int{-1, -1}
	if pair[0], err = t.raise(cwd); err != nil {
		return err
	}
	root, err := t.im(fs.RootFile, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if err != nil {
		return fmt.Errorf("root directory: %w", err)
	}
	defer unix.Close(root)
	same, err := sameAsOwnRoot(root)
	if err != nil {
		return err
	}
	if !same {
		if pair[1], err = t.raise(root); err != nil {
			return err
		}
	}
	t.fs[id] = pair
	return nil
}

func sameAsOwnRoot(fd int) (bool, error) {
	var a, b unix.Stat_t
	if err := unix.Fstat(fd, &a); err != nil {
		return false, fmt.Errorf("root directory: %w", err)
	}
	if err := unix.Stat("/", &b); err != nil {
		return false, fmt.Errorf("root directory: %w", err)
	}
	return a.Dev == b.Dev && a.Ino == b.Ino, nil
}

// raise makes the duplicate of fd that the puppets inherit.
func (t *fdTable) raise(fd int) (int, error) {
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD, t.floor)
	if err != nil {
		return 0, fmt.Errorf("dup of descriptor %d above %d: %w; raise the limit of open files (ulimit -n)", fd, t.floor, err)
	}
	return high, nil
}

// File, Shmem and Open make an fdTable a plan.FDs.
func (t *fdTable) File(id uint64, writable bool) (int, error) {
	return lookup(t.file, fileUse{id, writable}, "mapped file")
}
func (t *fdTable) Shmem(id uint64) (int, error) { return lookup(t.shm, id, "shared object") }
func (t *fdTable) Open(id uint64) (int, error)  { return lookup(t.open, id, "open file") }

var _ plan.FDs = (*fdTable)(nil)

func (t *fdTable) shmem(id uint64) (int, bool) {
	fd, ok := t.shm[id]
	return fd, ok
}

func lookup[K comparable](m map[K]int, k K, what string) (int, error) {
	if fd, ok := m[k]; ok {
		return fd, nil
	}
	return 0, fmt.Errorf("%s %v is not in the image", what, k)
}

func (t *fdTable) close() {
	for _, fd := range t.file {
		unix.Close(fd)
	}
	for _, fd := range t.shm {
		unix.Close(fd)
	}
	for _, fd := range t.open {
		unix.Close(fd)
	}
	for _, p := range t.fs {
		for _, fd := range p {
			if fd >= 0 {
				unix.Close(fd)
			}
		}
	}
	if t.set != nil {
		t.set.Close()
	}
}
