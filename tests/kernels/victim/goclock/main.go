// goclock is a victim: a Go program, whose runtime has kept the addresses of
// the vDSO's functions since its start, asks for the time from goroutines that
// sleep, work and collect garbage. It says "ready", then ten times a second
// "ok" and how far each of them is, or what is WRONG.
package main

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"sync/atomic"
	"time"
)

const goroutines = 4

var (
	rounds [goroutines]atomic.Uint64
	wrong  atomic.Pointer[string]
)

func main() {
	fmt.Println("ready")
	for g := range goroutines {
		go work(g)
	}
	for range time.Tick(100 * time.Millisecond) {
		if what := wrong.Load(); what != nil {
			fmt.Println("WRONG", *what)
			return
		}
		line := "ok"
		for g := range rounds {
			line += fmt.Sprint(" ", rounds[g].Load())
		}
		fmt.Println(line)
	}
}

// work makes a chain of hashes, and once in a while makes it again.
func work(g int) {
	var seed, last [32]byte
	started, previous := time.Now(), time.Duration(0)
	for i := 0; ; i++ {
		rounds[g].Add(1)
		if passed := time.Since(started); passed < previous {
			fail("the monotonic clock went back by %s", previous-passed)
		} else {
			previous = passed
		}
		if i%64 == 0 {
			if _, err := rand.Read(seed[:]); err != nil || seed == last {
				fail("random bytes: %v", err)
			}
			last = seed
		}
		if a, b := chain(seed), chain(seed); a != b {
			fail("sums differ: %x, %x", a, b)
		}
		if g%2 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

func chain(seed [32]byte) [32]byte {
	sum := seed
	for range 16 {
		sum = sha256.Sum256(append(make([]byte, 0, 64), sum[:]...))
	}
	return sum
}

func fail(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	wrong.CompareAndSwap(nil, &s)
}
