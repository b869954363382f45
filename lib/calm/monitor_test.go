package calm

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMonitor looks at the thread that was found while this one works: it does
// nothing but sleep, and it may do so for long.
func TestMonitor(t *testing.T) {
	tid := monitor()
	if tid == "" {
		t.Fatal("no monitor found")
	}
	b, err := os.ReadFile("/proc/" + tid + "/timerslack_ns")
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 && strings.TrimSpace(string(b)) != slack {
		t.Errorf("thread %s may be %s ns late, want %s", tid, b, slack)
	}
	// The monitor is in nanosleep(2) while there is work to watch.
	asleep, nanosleep := 0, strconv.Itoa(unix.SYS_NANOSLEEP)+" "
	for end := time.Now().Add(10 * time.Second); asleep < 20 && time.Now().Before(end); {
		b, err := os.ReadFile("/proc/self/task/" + tid + "/syscall")
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(string(b), nanosleep) {
			asleep++
		}
	}
	if asleep < 20 {
		t.Errorf("thread %s is not the monitor: it does not sleep", tid)
	}
	if me, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err != nil || me > 1e6 {
		t.Errorf("this thread may be %d ns late too: %v", me, err)
	}
}
