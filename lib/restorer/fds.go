package restorer

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/fds"
	"floe/lib/plan"
	"floe/lib/record"
)

// Nothing outside of restore is touched before the whole image has been
// verified: until then only regular files are opened, those that are mapped
// (mapped). What the tree has open, fifos and devices and locks too, comes after
// (held). The tasks fetch duplicates of both.

// mapped has this process's descriptors of all that the tree has mapped.
type mapped struct {
	file map[fileUse]int // by file_id
	shm  map[uint64]int  // by shmem_id
}

type fileUse struct {
	id       uint64
	writable bool
}

// held has this process's descriptors of all that the tree has open.
type held struct {
	set  *fds.Set
	fs   map[uint64][2]int // by fs_id: cwd, root (-1: the caller's)
	dirs map[uint64]int    // their descriptors, by file_id
}

// openMapped opens the files and makes the shared objects of all mappings, so
// that nothing is missing once the first puppet is there.
func (r *Restorer) openMapped() error {
	r.mapped = &mapped{file: map[fileUse]int{}, shm: map[uint64]int{}}
	sizes := map[uint64]uint64{}
	for _, vmas := range r.im.Vmas {
		for _, v := range vmas {
			switch v.Kind {
			case record.Vma_FILE_PRIVATE, record.Vma_FILE_SHARED:
				if err := r.openFile(useOf(v)); err != nil {
					return fmt.Errorf("mapping %x-%x: %w", v.Start, v.End, err)
				}
			case record.Vma_ANON_SHARED:
				sizes[v.ShmemId] = max(sizes[v.ShmemId], v.ObjectSize())
			}
		}
	}
	for id, size := range sizes {
		fd, err := anonymousObject(size)
		if err != nil {
			return fmt.Errorf("shared memory of %d bytes: %w", size, err)
		}
		r.mapped.shm[id] = fd
	}
	for _, mm := range r.im.Mms {
		if err := r.openFile(fileUse{mm.ExeFile, false}); err != nil {
			return fmt.Errorf("exe: %w", err)
		}
	}
	return nil
}

// useOf is how a mapping of a file uses it.
func useOf(v *record.Vma) fileUse {
	return fileUse{v.FileId, v.Kind == record.Vma_FILE_SHARED && v.MayProt&unix.PROT_WRITE != 0}
}

func (r *Restorer) openFile(u fileUse) error {
	if _, ok := r.mapped.file[u]; ok {
		return nil
	}
	fd, err := fds.OpenMapped(r.im, u.id, u.writable, r.openOptions())
	if err == nil {
		r.mapped.file[u] = fd
	}
	return err
}

func (r *Restorer) openOptions() fds.OpenOptions {
	return fds.OpenOptions{Clocks: r.frozenAt(), ForceFiles: r.opt.ForceFiles, StdinIsImage: r.opt.StdinIsImage, Warnf: r.opt.Warnf}
}

// shmem is the descriptor of a shared object, for its contents.
func (m *mapped) shmem(id uint64) (int, bool) {
	fd, ok := m.shm[id]
	return fd, ok
}

func (m *mapped) close() {
	if m == nil {
		return
	}
	m.closeFiles()
	for _, fd := range m.shm {
		unix.Close(fd)
	}
	clear(m.shm)
}

// closeFiles closes what is not needed once all is mapped.
func (m *mapped) closeFiles() {
	for _, fd := range m.file {
		unix.Close(fd)
	}
	clear(m.file)
}

// handles numbers what an address space maps, as the task that maps it has it.
// It is a plan.FDs.
type handles struct {
	*mapped
	list   []int       // this process's descriptors, as the task fetches them
	number map[int]int // of each of them in the task
}

// handlesOf lists what an address space maps.
func (r *Restorer) handlesOf(mmID uint64) *handles {
	h := &handles{mapped: r.mapped, number: map[int]int{}}
	h.add(h.file[fileUse{r.im.Mms[mmID].ExeFile, false}])
	for _, v := range r.im.Vmas[mmID] {
		switch v.Kind {
		case record.Vma_FILE_PRIVATE, record.Vma_FILE_SHARED:
			h.add(h.file[useOf(v)])
		case record.Vma_ANON_SHARED:
			h.add(h.shm[v.ShmemId])
		}
	}
	return h
}

func (h *handles) add(fd int) {
	if _, ok := h.number[fd]; !ok {
		h.list = append(h.list, fd)
		h.number[fd] = plan.Guide + len(h.list)
	}
}

// File is the number of a mapped file.
func (h *handles) File(id uint64, writable bool) (int, error) {
	fd, ok := h.file[fileUse{id, writable}]
	return h.numberOf(fd, ok, "mapped file", id)
}

// Shmem is the number of a shared object.
func (h *handles) Shmem(id uint64) (int, error) {
	fd, ok := h.shm[id]
	return h.numberOf(fd, ok, "shared object", id)
}

func (h *handles) numberOf(fd int, known bool, what string, id uint64) (int, error) {
	if n, ok := h.number[fd]; ok && known {
		return n, nil
	}
	return 0, fmt.Errorf("%s %d is not in the image", what, id)
}

// openHeld opens all that the tree has open. The image has been verified.
func (r *Restorer) openHeld() error {
	r.held = &held{fs: map[uint64][2]int{}, dirs: map[uint64]int{}}
	var err error
	if r.held.set, err = fds.Open(r.im, r.openOptions()); err != nil {
		return err
	}
	for id, fs := range r.im.Fs {
		if err := r.openFS(id, fs); err != nil {
			return err
		}
	}
	return nil
}

func (r *Restorer) openFS(id uint64, fs *record.Fs) error {
	cwd, err := r.openDirectory(fs.CwdFile)
	if err != nil {
		return fmt.Errorf("working directory: %w", err)
	}
	root, err := r.openDirectory(fs.RootFile)
	if err != nil {
		return fmt.Errorf("root directory: %w", err)
	}
	same, err := sameAsOwnRoot(root)
	if err != nil {
		return err
	}
	if same {
		root = -1
	}
	r.held.fs[id] = [2]int{cwd, root}
	return nil
}

// openDirectory opens each directory once: most processes of a tree have the same.
func (r *Restorer) openDirectory(id uint64) (int, error) {
	const how = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC
	if fd, ok := r.held.dirs[id]; ok {
		return fd, nil
	}
	fd, err := fds.OpenFile(r.im, id, how, r.openOptions())
	if err == nil {
		r.held.dirs[id] = fd
	}
	return fd, err
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

// open is the descriptor of an open file description; -1 when there is none.
func (h *held) open(id uint64) int {
	if fd, ok := h.set.FD(id); ok {
		return fd
	}
	return -1
}

func (h *held) close() {
	if h == nil {
		return
	}
	for _, fd := range h.dirs {
		unix.Close(fd)
	}
	if h.set != nil {
		h.set.Close()
	}
}
