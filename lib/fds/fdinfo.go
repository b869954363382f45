package fds

import (
	"bytes"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// fdinfo is /proc/PID/fdinfo/FD: see proc_pid_fdinfo(5).
type fdinfo struct {
	pos     int64
	flags   uint32 // O_*, without O_CLOEXEC
	cloexec bool
	rest    []line // what is special to the kind of file
}

// line is one "key: value" line.
type line struct{ key, value string }

// parseFDInfo parses a file of /proc/PID/fdinfo.
func parseFDInfo(b []byte) (*fdinfo, error) {
	info := &fdinfo{}
	seen := 0
	for n := 1; len(b) > 0; n++ {
		var text []byte
		text, b, _ = bytes.Cut(b, []byte{'\n'})
		if len(text) == 0 {
			continue
		}
		key, value, ok := bytes.Cut(text, []byte{':'})
		if !ok {
			return nil, fmt.Errorf("line %d is malformed: %.40q", n, text)
		}
		value = bytes.TrimSpace(value)
		var err error
		switch string(key) {
		case "pos":
			seen++
			info.pos, err = strconv.ParseInt(string(value), 10, 64)
		case "flags":
			seen++
			var f uint64
			f, err = strconv.ParseUint(string(value), 8, 32)
			info.flags, info.cloexec = uint32(f)&^unix.O_CLOEXEC, f&unix.O_CLOEXEC != 0
		case "mnt_id", "ino":
		default:
			info.rest = append(info.rest, line{string(key), string(value)})
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if seen != 2 {
		return nil, fmt.Errorf("it has no position or no flags")
	}
	return info, nil
}

// get is the value of a key; empty when there is no such line.
func (i *fdinfo) get(key string) string {
	for _, l := range i.rest {
		if l.key == key {
			return l.value
		}
	}
	return ""
}

// uint is the value of a key as a number.
func (i *fdinfo) uint(key string, base, bits int) (uint64, error) {
	v, err := strconv.ParseUint(i.get(key), base, bits)
	if err != nil {
		return 0, fmt.Errorf("fdinfo: %s: %w", key, err)
	}
	return v, nil
}

// access is the access mode: O_RDONLY, O_WRONLY or O_RDWR.
func (i *fdinfo) access() int { return int(i.flags) & unix.O_ACCMODE }

func (i *fdinfo) reads() bool  { return i.access() != unix.O_WRONLY }
func (i *fdinfo) writes() bool { return i.access() != unix.O_RDONLY }
