package stage

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"floe/lib/cli"
)

// File is an image that is written under a temporary name beside its own, which
// it gets when it is complete and on disk. Until then what had the name keeps it.
type File struct {
	*os.File
	dir  *os.File
	name string // within dir
	mu   sync.Mutex
	temp string // within dir; empty: it has its own name, or none
}

// partial ends the temporary name of a file. One that is left over is of a
// program that was killed.
const partial = ".partial"

// OpenFile is Create for a program's option -o; nil without it, or for -.
func OpenFile(path string, log *cli.Logger) (*File, error) {
	if path == "" || path == "-" {
		return nil, nil
	}
	return Create(path, log)
}

// Create begins the file for an image: mode 0600, and the caller's.
func Create(path string, log *cli.Logger) (*File, error) {
	name := filepath.Base(path)
	if strings.HasSuffix(path, "/") || name == "." || name == ".." {
		return nil, fmt.Errorf("%s: it is the name of a directory", path)
	}
	dir, err := os.OpenFile(filepath.Dir(path), os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	f := &File{dir: dir, name: name}
	if err = f.replaceable(); err == nil {
		err = f.create()
	}
	if err != nil {
		dir.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := f.private(log); err != nil {
		f.Abort()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// replaceable refuses a name of something that an image can't take the place of.
func (f *File) replaceable() error {
	var st unix.Stat_t
	err := unix.Fstatat(int(f.dir.Fd()), f.name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil
	} else if err != nil {
		return err
	}
	kinds := map[uint32]string{unix.S_IFDIR: "a directory", unix.S_IFLNK: "a symbolic link: give the name that it leads to", unix.S_IFIFO: "a fifo",
		unix.S_IFSOCK: "a socket", unix.S_IFCHR: "a device", unix.S_IFBLK: "a device"}
	switch kind := kinds[st.Mode&unix.S_IFMT]; {
	case kind != "":
		return fmt.Errorf("it is %s; -o makes regular files, and without -o the output goes to standard output", kind)
	case st.Uid != uint32(os.Geteuid()):
		return fmt.Errorf("there is a file of user %d of that name; remove it, or take another name", st.Uid)
	}
	return nil
}

// create makes the file under its temporary name.
func (f *File) create() error {
	const longest, tries = 255, 10 // NAME_MAX
	for n := 0; ; n++ {
		var r [4]byte
		_, _ = rand.Read(r[:])
		end := fmt.Sprintf(".%x%s", r, partial)
		temp := "." + f.name[:min(len(f.name), longest-1-len(end))] + end
		fd, err := unix.Openat(int(f.dir.Fd()), temp, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if errors.Is(err, unix.EEXIST) && n < tries {
			continue
		} else if err != nil {
			return fmt.Errorf("a new file beside it: %w", err)
		}
		f.File, f.temp = os.NewFile(uintptr(fd), filepath.Join(f.dir.Name(), temp)), temp
		return nil
	}
}

// private makes sure that the file is the caller's and nobody else's. A
// filesystem may have modes and owners of its own.
func (f *File) private(log *cli.Logger) error {
	if err := f.Chmod(0o600); err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	if st.Uid != uint32(os.Geteuid()) {
		return fmt.Errorf("the filesystem gives a new file to user %d, who could read what the processes hold; use another one", st.Uid)
	}
	if st.Mode&others != 0 {
		warn(log, "others can read the image, which will hold all that the processes hold: the filesystem does not keep the mode 0600")
	}
	return nil
}

// Commit gives the file its name, once it is on disk, and brings that to disk.
func (f *File) Commit() error {
	if err := f.Sync(); err != nil {
		return fmt.Errorf("the image may not be on disk: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.replaceable(); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	dir := int(f.dir.Fd())
	if err := unix.Renameat(dir, f.temp, dir, f.name); err != nil {
		return fmt.Errorf("%s: rename: %w", f.File.Name(), err)
	}
	f.temp = ""
	return syncDirectory(f.dir)
}

// Abort removes the file, unless it has its name.
func (f *File) Abort() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.temp != "" {
		_ = unix.Unlinkat(int(f.dir.Fd()), f.temp, 0)
		f.temp = ""
	}
}

// AbortOnSignal removes the file when a signal ends the program.
func (f *File) AbortOnSignal() {
	c := make(chan os.Signal, 1)
	for _, s := range []os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGXFSZ, unix.SIGXCPU} {
		if !signal.Ignored(s) {
			signal.Notify(c, s)
		}
	}
	go func() {
		s := <-c
		f.Abort()
		signal.Reset(s)
		_ = unix.Kill(os.Getpid(), s.(unix.Signal))
	}()
}
