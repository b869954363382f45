package procfs

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Limit is a resource limit; math.MaxUint64 is none.
type Limit struct{ Cur, Max uint64 }

// limitNames are the lines of /proc/PID/limits, by RLIMIT_* number.
var limitNames = []string{
	"Max cpu time", "Max file size", "Max data size", "Max stack size", "Max core file size", "Max resident set",
	"Max processes", "Max open files", "Max locked memory", "Max address space", "Max file locks",
	"Max pending signals", "Max msgqueue size", "Max nice priority", "Max realtime priority", "Max realtime timeout",
}

// ParseLimits parses the contents of a limits file; limits are indexed by
// RLIMIT_*.
func ParseLimits(b []byte) ([]Limit, error) {
	out := make([]Limit, len(limitNames))
	seen := 0
	for line := range bytes.Lines(b) {
		for r, name := range limitNames {
			rest, ok := strings.CutPrefix(string(line), name+" ")
			if !ok {
				continue
			}
			f := strings.Fields(rest)
			if len(f) < 2 {
				return nil, fmt.Errorf("limits: line %q", line)
			}
			var err [2]error
			out[r].Cur, err[0] = limit(f[0])
			out[r].Max, err[1] = limit(f[1])
			if err[0] != nil || err[1] != nil {
				return nil, fmt.Errorf("limits: line %q", line)
			}
			seen++
		}
	}
	if seen != len(limitNames) {
		return nil, fmt.Errorf("limits: %d of %d lines", seen, len(limitNames))
	}
	return out, nil
}

func limit(s string) (uint64, error) {
	if s == "unlimited" {
		return math.MaxUint64, nil
	}
	return strconv.ParseUint(s, 10, 64)
}

// ReadLimits reads a process's limits. prlimit(2) would need its uids.
func ReadLimits(pid int) ([]Limit, error) {
	b, err := read(pid, "limits")
	if err != nil {
		return nil, err
	}
	l, err := ParseLimits(b)
	if err != nil {
		return nil, fmt.Errorf("/proc/%d/%w", pid, err)
	}
	return l, nil
}

// MaxMapCount is how many mappings a process may have, about: vm.max_map_count.
func MaxMapCount() (int, error) {
	const name = "/proc/sys/vm/max_map_count"
	b, err := ReadFile(name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(b)))
	if err != nil {
		return 0, fmt.Errorf("%s: %q", name, b)
	}
	return n, nil
}
