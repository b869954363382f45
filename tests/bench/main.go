// bench measures floe as its users run it, and prints one line a figure. It
// wants root, and a machine that does nothing else.
//
//	go run ./tests/bench [-mib 2048] [-dir FOLDER] [-rounds 21]
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

type bench struct {
	dir    string // for images
	mib    int
	rounds int
	tmp    string
}

func main() {
	b := bench{}
	flag.StringVar(&b.dir, "dir", "", "where images are written; a new folder by default")
	flag.IntVar(&b.mib, "mib", 2048, "size of the large process, MiB")
	flag.IntVar(&b.rounds, "rounds", 21, "rounds with a process of no size")
	flag.Parse()
	if err := b.run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) run() (err error) {
	if os.Geteuid() != 0 {
		return fmt.Errorf("it freezes, kills and restores real processes: run it as root")
	}
	// What restore leaves behind becomes our child, to be waited for.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.CloseRange(3, 1<<20, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return err
	}
	if b.tmp, err = os.MkdirTemp("", "floe-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.tmp)
	if b.dir == "" {
		b.dir = b.tmp
	}
	bin, err := filepath.Abs("bin")
	if err != nil {
		return err
	}
	if err := os.Setenv("PATH", bin+":"+os.Getenv("PATH")); err != nil {
		return err
	}
	unix.Umask(0o077)
	for _, name := range []string{"memory", "clock", "many"} {
		out, err := exec.Command("gcc", "-static", "-O2", "-o", filepath.Join(b.tmp, name), "tests/bench/testdata/"+name+".c").CombinedOutput()
		if err != nil {
			return fmt.Errorf("gcc: %w\n%s", err, out)
		}
	}
	empty := exec.Command("go", "build", "-o", filepath.Join(b.tmp, "empty"), "./tests/bench/empty")
	empty.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := empty.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("load %s\n", strings.Join(strings.Fields(string(load))[:3], " "))
	for _, f := range []func() error{b.small, b.large, b.many, b.clock} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// small times the whole pipeline with a process of no size.
func (b *bench) small() error {
	v, err := b.start("memory", "0")
	if err != nil {
		return err
	}
	defer v.kill()
	image := filepath.Join(b.dir, "small.img")
	var dump, durable, restore, nothing, alone series
	for range b.rounds {
		e := filepath.Join(b.tmp, "empty")
		n, err := shell(strings.Join([]string{e, e, e, e, e}, " | "))
		if err != nil {
			return err
		}
		nothing = append(nothing, n.Seconds()*1e3)
		one, err := shell(fmt.Sprintf("exec checkpoint %d >%s", v.pid, image))
		if err != nil {
			return err
		}
		alone = append(alone, one.Seconds()*1e3)
		d, err := v.checkpoint(image, false)
		if err != nil {
			return err
		}
		r, err := v.restore(image, "auto")
		if err != nil {
			return err
		}
		s, err := v.checkpoint(image, true)
		if err != nil {
			return err
		}
		if _, err := v.restore(image, "auto"); err != nil {
			return err
		}
		dump, durable, restore = append(dump, d.Seconds()*1e3), append(durable, s.Seconds()*1e3), append(restore, r.Seconds()*1e3)
	}
	fmt.Printf("%-40s %s ms\n%-40s %s ms\n%-40s %s ms\n%-40s %s ms\n%-40s %s ms\n", "for comparison: five empty Go programs", nothing, "a process of no size: checkpoint", dump, "the same by one program", alone, "the same, on disk, and kill", durable, "restore", restore)
	return nil
}

// large measures throughput and memory with a process of much memory.
func (b *bench) large() error {
	v, err := b.start("memory", fmt.Sprint(b.mib))
	if err != nil {
		return err
	}
	defer v.kill()
	image := filepath.Join(b.dir, "large.img")
	defer os.Remove(image)
	var dump, restore, plain series
	gb := float64(b.mib) * (1 << 20) / 1e9
	const rounds = 9
	zeros := filepath.Join(b.dir, "zeros")
	for range rounds {
		if err := b.warm(zeros); err != nil {
			return err
		}
		w, err := shell(fmt.Sprintf("dd if=/dev/zero of=%s bs=1M count=%d status=none", zeros, b.mib))
		if err != nil {
			return err
		}
		plain = append(plain, gb/w.Seconds())
	}
	os.Remove(zeros)
	for range rounds {
		if err := b.warm(image); err != nil {
			return err
		}
		d, err := v.save(image)
		if err != nil {
			return err
		}
		dump = append(dump, gb/d.Seconds())
	}
	for range rounds {
		v.kill()
		if err := b.warm(""); err != nil {
			return err
		}
		r, err := v.restore(image, "auto")
		if err != nil {
			return err
		}
		restore = append(restore, gb/r.Seconds())
	}
	fmt.Printf("%-40s %s GB/s\n%-40s %s GB/s\n%-40s %s GB/s\n", "for comparison: dd of zeros to a file", plain, fmt.Sprintf("a process of %d MiB: checkpoint", b.mib), dump, "restore", restore)
	return b.memory(v, image)
}

// warm removes what the last measurement has written, touches as much memory as
// the next one needs, and frees it. A virtual machine gives memory that nobody
// uses back to its host, and what is measured then is how fast the host returns
// it.
func (b *bench) warm(remove string) error {
	if remove != "" {
		os.Remove(remove)
	}
	m, err := unix.Mmap(-1, 0, (b.mib+512)<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	if err := unix.Madvise(m, unix.MADV_HUGEPAGE); err != nil && err != unix.EINVAL { // a kernel without them
		return fmt.Errorf("madvise: %w", err)
	}
	for i := 0; i < len(m); i += os.Getpagesize() {
		m[i] = 1
	}
	return unix.Munmap(m)
}

// memory is what each program had resident, MiB: those of the last checkpoint
// and of a restore through a pipe.
func (b *bench) memory(v *victim, image string) error {
	most, err := v.measured(image)
	if err != nil {
		return err
	}
	fmt.Printf("%-40s %s MiB\n", "most memory of a program:", most)
	return nil
}

// clock compares clock_gettime of this kernel's vDSO with that of a proxy, in
// one process.
func (b *bench) clock() error {
	v, err := b.start("clock")
	if err != nil {
		return err
	}
	defer v.kill()
	image := filepath.Join(b.dir, "clock.img")
	var native, proxied series
	for i := range 6 {
		to, mode := &native, "proxy"
		if i%2 == 1 {
			to, mode = &proxied, "inplace"
		}
		for range 3 {
			ns, err := v.number()
			if err != nil {
				return err
			}
			*to = append(*to, ns)
		}
		// It writes: it must be dead before it runs on.
		if _, err := v.checkpoint(image, true); err != nil {
			return err
		}
		if _, err := v.restore(image, mode); err != nil {
			return err
		}
	}
	fmt.Printf("%-40s %s ns\n%-40s %s ns\n", "clock_gettime: this kernel's", native, "through a proxy", proxied)
	return nil
}
