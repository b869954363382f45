// goloop is a victim: goroutines, timers, channels, and an eventfd in an epoll
// loop of its own beside the runtime's.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	workers = 4
	rounds  = 400
	events  = 200
)

func main() {
	fmt.Println("begin")
	counted := make(chan uint64)
	go func() { counted <- eventLoop() }()
	sums := make([][32]byte, workers)
	beats := make(chan int, 10)
	var wg sync.WaitGroup
	for g := range workers {
		wg.Go(func() { sums[g] = hash(g, beats) })
	}
	total := make(chan int)
	go func() {
		n := 0
		for range beats {
			n++
		}
		total <- n
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	<-ctx.Done()
	wg.Wait()
	close(beats)
	fmt.Println(<-total, <-counted)
	fmt.Printf("%x\n", sums)
}

// hash does its work in steps that a ticker begins.
func hash(g int, beats chan<- int) (sum [32]byte) {
	t := time.NewTicker(7 * time.Millisecond)
	defer t.Stop()
	h := sha256.New()
	for i := range rounds {
		<-t.C
		for j := range 800 {
			fmt.Fprintf(h, "%d %d %d", g, i, j)
		}
		beats <- g
	}
	h.Sum(sum[:0])
	return sum
}

// eventLoop counts what a goroutine writes to an eventfd.
func eventLoop() uint64 {
	efd := must(unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC))
	ep := must(unix.EpollCreate1(unix.EPOLL_CLOEXEC))
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, efd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: 4711}); err != nil {
		panic(err)
	}
	go func() {
		for i := range events {
			time.Sleep(10 * time.Millisecond)
			var b [8]byte
			binary.NativeEndian.PutUint64(b[:], uint64(i+1))
			must(unix.Write(efd, b[:]))
		}
	}()
	var sum uint64
	for sum < events*(events+1)/2 {
		ev := make([]unix.EpollEvent, 4)
		n, err := unix.EpollWait(ep, ev, 5000)
		if err == unix.EINTR {
			continue
		}
		if must(n, err) != 1 || ev[0].Fd != 4711 {
			fmt.Println("epoll:", n, ev)
			os.Exit(1)
		}
		var b [8]byte
		must(unix.Read(efd, b[:]))
		sum += binary.NativeEndian.Uint64(b[:])
	}
	return sum
}

func must[T any](v T, err error) T {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	return v
}
