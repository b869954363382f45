// Package procfs parses the files of /proc, over io.Reader or bytes, into
// typed values; see proc(5). Its open functions add the path.
package procfs

import (
	"bytes"
	"fmt"
	"strconv"
)

// Stat is /proc/PID/stat.
type Stat struct {
	PID       int
	Comm      string
	State     byte // 'R', 'S', 'D', 'T', 't', 'Z', 'X'
	PPID      int
	PGRP      int
	Session   int
	TTY       int // device number, 0: none
	TTYPGRP   int
	Flags     uint64 // PF_*
	Nice      int
	Threads   int
	StartTime uint64 // clock ticks since boot

	StartCode, EndCode, StartStack uint64
	StartData, EndData, StartBrk   uint64
	ArgStart, ArgEnd               uint64
	EnvStart, EnvEnd               uint64
	ExitSignal                     int // sent to the parent at the end
	ExitCode                       int // wait(2) status
}

// PFKthread is PF_KTHREAD of <linux/sched.h>: a kernel thread.
const PFKthread = 0x00200000

// statFields is how many fields there are, 3.5 on.
const statFields = 52

// ParseStat parses the contents of a stat file. The comm may hold anything but
// a newline at its end, parentheses too.
func ParseStat(b []byte) (*Stat, error) {
	open, shut := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || shut < open {
		return nil, fmt.Errorf("stat: no comm in it")
	}
	f := bytes.Fields(b[shut+1:])
	if len(f) < statFields-2 {
		return nil, fmt.Errorf("stat: %d fields", len(f)+2)
	}
	p := &parser{what: "stat", fields: f, first: 3}
	s := &Stat{
		Comm: string(b[open+1 : shut]), State: f[0][0],
		PPID: p.int(4), PGRP: p.int(5), Session: p.int(6), TTY: p.int(7), TTYPGRP: p.int(8), Flags: p.uint(9),
		Nice: p.int(19), Threads: p.int(20), StartTime: p.uint(22),
		StartCode: p.uint(26), EndCode: p.uint(27), StartStack: p.uint(28),
		StartData: p.uint(45), EndData: p.uint(46), StartBrk: p.uint(47),
		ArgStart: p.uint(48), ArgEnd: p.uint(49), EnvStart: p.uint(50), EnvEnd: p.uint(51), ExitSignal: p.int(38), ExitCode: p.int(52),
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(b[:open])))
	if err != nil {
		return nil, fmt.Errorf("stat: pid: %w", err)
	}
	s.PID = pid
	return s, p.err
}

// parser takes numbers out of fields, which proc(5) numbers from first.
type parser struct {
	what   string
	fields [][]byte
	first  int
	err    error
}

func (p *parser) int(n int) int {
	v, err := strconv.ParseInt(string(p.fields[n-p.first]), 10, 64)
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("%s: field %d: %w", p.what, n, err)
	}
	return int(v)
}

func (p *parser) uint(n int) uint64 {
	v, err := strconv.ParseUint(string(p.fields[n-p.first]), 10, 64)
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("%s: field %d: %w", p.what, n, err)
	}
	return v
}

// ReadStat reads a task's stat; tid may be a thread's. A task that is not
// there is os.ErrNotExist.
func ReadStat(tid int) (*Stat, error) { return readStat(fmt.Sprintf("/proc/%d/stat", tid)) }

// ReadThreadStat reads the stat file of a thread of a process. ReadStat's, of the
// same thread, has sums over all threads of the process in it, and takes long
// where there are many.
func ReadThreadStat(pid, tid int) (*Stat, error) {
	return readStat(fmt.Sprintf("/proc/%d/task/%d/stat", pid, tid))
}

func readStat(path string) (*Stat, error) {
	b, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := ParseStat(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}
