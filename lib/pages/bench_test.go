package pages

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// benchSize is the memory of the benchmarks' victim, bytes: FLOE_BENCH_MB, 512
// by default.
func benchSize() uint64 {
	mb, err := strconv.Atoi(os.Getenv("FLOE_BENCH_MB"))
	if err != nil {
		mb = 512
	}
	return uint64(mb) << 20
}

// bigChild has size bytes of memory that does not compress (or does, by half).
func bigChild(b *testing.B, size uint64, compressible bool) (*child, []space) {
	c := newChild(b)
	v := &record.Vma{MmId: 7, Start: base, End: base + size, Prot: prw}
	c.mmap(base, size/PageSize, prw, anon(), -1, 0)
	block := make([]byte, BlockSize)
	rng := rand.NewChaCha8([32]byte{})
	rng.Read(block)
	if compressible {
		for i := 0; i < BlockSize; i += 128 {
			copy(block[i+64:i+128], block[i:])
		}
	}
	t, iov := target{pid: c.pid}, iovecs{}
	for at := uint64(0); at < size; at += BlockSize {
		block[0] = byte(at >> 20)
		if err := t.write(&iov, []Run{{base + at, BlockPages}}, block); err != nil {
			b.Fatal(err)
		}
	}
	unix.Kill(c.pid, unix.SIGSTOP)
	return c, []space{{mm: 7, tids: []int{c.pid}, vmas: []*record.Vma{v}}}
}

// bestOf reports the best rate as well: the machine is noisy.
func bestOf(b *testing.B, size uint64) func(start time.Time) {
	best := 0.0
	return func(start time.Time) {
		best = max(best, float64(size)/time.Since(start).Seconds()/1e6)
		b.ReportMetric(best, "best-MB/s")
	}
}

func benchFile(b *testing.B, dir string) *os.File {
	f, err := os.CreateTemp(dir, "floe-bench-")
	if err != nil {
		b.Fatal(err)
	}
	os.Remove(f.Name())
	return f
}

func BenchmarkDump(b *testing.B) {
	size := benchSize()
	for _, lz := range []bool{false, true} {
		_, spaces := bigChild(b, size, lz)
		for _, dir := range []string{"/dev/shm", "/tmp", ""} {
			for _, workers := range []int{1, 2} {
				b.Run(fmt.Sprintf("lz4=%v/%s/workers=%d", lz, map[string]string{"/dev/shm": "tmpfs", "/tmp": "disk", "": "pipe"}[dir], workers), func(b *testing.B) {
					b.SetBytes(int64(size))
					best := bestOf(b, size)
					for b.Loop() {
						b.StopTimer()
						f, wait := benchOut(b, dir)
						b.StartTimer()
						start := time.Now()
						save(b, f, spaces, Options{Workers: workers, Compress: lz})
						if dir == "" {
							f.Close()
						}
						wait()
						b.StopTimer()
						best(start)
						f.Close() // its memory is the next one's
						b.StartTimer()
					}
				})
			}
		}
	}
}

// benchOut is a file, or a pipe that is read and forgotten.
func benchOut(b *testing.B, dir string) (*os.File, func()) {
	if dir != "" {
		return benchFile(b, dir), func() {}
	}
	pr, pw, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		buf := make([]byte, BlockSize)
		for {
			if _, err := pr.Read(buf); err != nil {
				break
			}
		}
		pr.Close()
		close(done)
	}()
	return pw, func() { <-done }
}

func BenchmarkLoad(b *testing.B) {
	size := benchSize()
	for _, lz := range []bool{false, true} {
		c, spaces := bigChild(b, size, lz)
		f := benchFile(b, "/dev/shm")
		save(b, f, spaces, Options{Compress: lz})
		unix.Kill(c.pid, unix.SIGKILL)
		b.Cleanup(func() { f.Close() })
		for _, pipe := range []bool{false, true} {
			for _, workers := range []int{1, 2} {
				b.Run(fmt.Sprintf("lz4=%v/pipe=%v/workers=%d", lz, pipe, workers), func(b *testing.B) {
					b.SetBytes(int64(size))
					best := bestOf(b, size)
					dst := newChild(b)
					for b.Loop() {
						b.StopTimer()
						dst.try(unix.SYS_MUNMAP, base, size)
						dst.mmap(base, size/PageSize, prw, anon(), -1, 0)
						opt := LoadOptions{Workers: workers, Target: func(uint64) (int, bool) { return dst.pid, true }}
						f.Seek(0, io.SeekStart)
						in, inFile := io.Reader(f), f
						if pipe {
							in, inFile = benchIn(b, f), nil
						}
						b.StartTimer()
						start := time.Now()
						if _, err := restore(in, inFile, spaces, opt); err != nil {
							b.Fatal(err)
						}
						best(start)
					}
				})
			}
		}
	}
}

func benchIn(b *testing.B, f *os.File) *os.File {
	pr, pw, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	unix.FcntlInt(pw.Fd(), unix.F_SETPIPE_SZ, BlockSize)
	go func() {
		buf := make([]byte, BlockSize)
		for {
			n, err := f.Read(buf)
			if err != nil {
				break
			}
			pw.Write(buf[:n])
		}
		pw.Close()
	}()
	b.Cleanup(func() { pr.Close() })
	return pr
}
