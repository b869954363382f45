package freezer

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"floe/lib/image"
	"floe/lib/tracer"
)

// TestVictimFeelsNothing freezes a program whose threads wait in all ways that
// a freeze could disturb, very often.
func TestVictimFeelsNothing(t *testing.T) {
	needRoot(t)
	v := start(t, compile(t, "steady"))
	before := maps(v.pid)
	tr := tracer.New()
	defer tr.Close()
	const rounds = 300
	var frozen time.Duration
	if err := tr.Do(func(p *tracer.Ptrace) error {
		for i := range rounds {
			start := time.Now()
			im, err := freeze(p, v.pid, nil)
			if err != nil {
				return fmt.Errorf("round %d: %w", i, err)
			}
			if len(im.Tasks[0].Tids) != 13 {
				return fmt.Errorf("round %d: %d threads", i, len(im.Tasks[0].Tids))
			}
			frozen += time.Since(start)
			time.Sleep(time.Duration(rand.IntN(5000)) * time.Microsecond)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	t.Logf("13 threads frozen, read and let go in %s", frozen/rounds)
	v.ok()
	untouched(t, v.pid, before)
}

// TestVictimSurvivesFreeze kills freezers at random moments.
func TestVictimSurvivesFreeze(t *testing.T) {
	needRoot(t)
	v := start(t, compile(t, "steady"), "tolerant")
	before := maps(v.pid)
	const rounds = 200
	for i := range rounds {
		c := exec.Command("/proc/self/exe", "-test.run=TestHelperFreezer$")
		c.Env = append(os.Environ(), fmt.Sprintf("FLOE_FREEZE=%d", v.pid))
		c.Stderr = os.Stderr
		in, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		_, _ = bufio.NewReader(in).ReadString('\n') // it has begun
		time.Sleep(time.Duration(rand.IntN(8000)) * time.Microsecond)
		_ = c.Process.Kill()
		_ = c.Wait()
		if c.ProcessState.Exited() {
			t.Fatalf("round %d: the freezer ended by itself: %v", i, c.ProcessState)
		}
		if i%20 == 0 {
			v.ok()
		}
	}
	v.ok()
	untouched(t, v.pid, before)
	// What they left in the vDSO is no hindrance, and gone afterwards.
	freezeOnce(t, v.pid)
	v.ok()
	untouched(t, v.pid, before)
}

// TestHelperFreezer is the freezer that TestVictimSurvivesFreeze kills.
func TestHelperFreezer(t *testing.T) {
	var pid int
	if n, _ := fmt.Sscan(os.Getenv("FLOE_FREEZE"), &pid); n != 1 {
		return
	}
	fmt.Println("begun")
	tr := tracer.New()
	err := tr.Do(func(p *tracer.Ptrace) error {
		for {
			if _, err := freeze(p, pid, func(*Tree, *image.Image) error {
				time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
				return nil
			}); err != nil {
				return err
			}
		}
	})
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
