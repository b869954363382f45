package lease

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Wrote is what a stage has added to the stream: what its end-of-stage record
// says too, but told to freeze directly.
type Wrote struct {
	Records, Bytes uint64
	CRC32C         uint32
}

// Entry is what one stage has written.
type Entry struct {
	Stage string
	Wrote
}

const (
	wroteLen = 24
	entryLen = nameLen + wroteLen
	// maxEntries keeps an answer in one packet of the smallest socket buffer.
	maxEntries = 100
)

func (w Wrote) put(b []byte) {
	le := binary.LittleEndian
	le.PutUint64(b, w.Records)
	le.PutUint64(b[8:], w.Bytes)
	le.PutUint32(b[16:], w.CRC32C)
}

func wrote(b []byte) Wrote {
	le := binary.LittleEndian
	return Wrote{le.Uint64(b), le.Uint64(b[8:]), le.Uint32(b[16:])}
}

// Wrote keeps what a stage has written. freeze calls it for its own records.
func (s *Server) Wrote(stage string, w Wrote) {
	if len(s.ledger) < maxEntries {
		s.ledger = append(s.ledger, Entry{stage, w})
	}
}

// answer sends the ledger to a socket that came with a question.
func (s *Server) answer(fds []int) {
	b := make([]byte, entryLen*len(s.ledger))
	for i, e := range s.ledger {
		at := b[i*entryLen:]
		copy(at[:nameLen], e.Stage)
		e.put(at[nameLen:])
	}
	for _, fd := range fds {
		_, _ = unix.SendmsgN(fd, b, nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
	}
}

// Ledger asks freeze what each stage has written. Those whose end a stage has
// read have told it before.
func (c *Client) Ledger() ([]Entry, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket for freeze's answer: %w", err)
	}
	defer unix.Close(pair[0])
	m := c.msg
	m.Kind = Ask
	err = c.send(m, unix.UnixRights(pair[1]))
	unix.Close(pair[1])
	if err != nil {
		return nil, err
	}
	var b [maxEntries*entryLen + 1]byte
	n, err := receive(pair[0], b[:])
	if err != nil || n == 0 || n%entryLen != 0 {
		return nil, ErrOver // freeze has ended, and did not read the question
	}
	var list []Entry
	for at := b[:n]; len(at) > 0; at = at[entryLen:] {
		list = append(list, Entry{stageName(at[:nameLen]), wrote(at[nameLen:])})
	}
	return list, nil
}

func receive(fd int, b []byte) (int, error) {
	for {
		n, _, err := unix.Recvfrom(fd, b, 0)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
