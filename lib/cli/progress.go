package cli

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Progress shows bytes, rate and time left, on a terminal, once the work has
// taken longer than a second.
type Progress struct {
	log   *Logger
	what  string
	total int64
	done  atomic.Int64
	start time.Time
	quit  chan struct{}
	once  sync.Once
	shown bool
}

// Progress starts one. total is in bytes, 0 when it isn't known.
func (l *Logger) Progress(what string, total int64) *Progress {
	p := &Progress{log: l, what: what, total: total, start: time.Now(), quit: make(chan struct{})}
	f, ok := l.w.(*os.File)
	if !ok || l.Quiet || !IsTerminal(f) {
		return p
	}
	go p.run()
	return p
}

// Add counts bytes; any goroutine may.
func (p *Progress) Add(n int) { p.done.Add(int64(n)) }

// Done ends it and wipes its line.
func (p *Progress) Done() {
	p.once.Do(func() { close(p.quit) })
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	p.wipe()
	p.log.live = nil
}

// wipe clears the line; the logger's lock is held.
func (p *Progress) wipe() {
	if p.shown {
		fmt.Fprint(p.log.w, "\r\x1b[K")
		p.shown = false
	}
}

func (p *Progress) run() {
	wait := time.Second
	for {
		select {
		case <-p.quit:
			return
		case <-time.After(wait):
		}
		wait = 200 * time.Millisecond
		p.log.mu.Lock()
		select {
		case <-p.quit:
		default:
			p.log.live, p.shown = p, true
			fmt.Fprintf(p.log.w, "\r\x1b[K%s: %s", p.log.name, p.text())
		}
		p.log.mu.Unlock()
	}
}

func (p *Progress) text() string {
	done, took := p.done.Load(), time.Since(p.start).Seconds()
	rate := float64(done) / took
	s := p.what + " " + bytesText(float64(done))
	if p.total > 0 {
		s += " of " + bytesText(float64(p.total))
	}
	s += ", " + bytesText(rate) + "/s"
	if p.total > done && rate > 0 {
		left := time.Duration(float64(p.total-done) / rate * float64(time.Second)).Round(time.Second)
		s += fmt.Sprintf(", %s left", left)
	}
	return s
}

func bytesText(n float64) string {
	for _, u := range []string{"B", "KiB", "MiB"} {
		if n < 1024 {
			return fmt.Sprintf("%.0f %s", n, u)
		}
		n /= 1024
	}
	return fmt.Sprintf("%.2f GiB", n)
}
