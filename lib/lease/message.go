package lease

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
)

// Kind is what a message says.
type Kind uint32

// Kinds of message.
const (
	Hello          Kind = iota + 1 // the stage has begun
	Done                           // it has done its part and passes on
	Final                          // it was the last one; the stream is no whole image
	Complete                       // it was the last one, and wrote a whole image
	CompleteOnDisk                 // the same, to a regular file, fsynced
	Failed                         // it failed: see Text
)

const (
	messageMagic = 0x45534c46
	messageSize  = 256
	nameAt       = 24
	textAt       = 40
)

// Message is what a stage tells freeze.
type Message struct {
	Kind      Kind
	PID       int
	StartTime uint64
	Stage     string
	Text      string
}

func (m Message) marshal() []byte {
	b := make([]byte, messageSize)
	le := binary.LittleEndian
	le.PutUint32(b, messageMagic)
	le.PutUint32(b[4:], uint32(m.Kind))
	le.PutUint32(b[8:], uint32(m.PID))
	copy(b[nameAt:textAt], m.Stage)
	le.PutUint32(b[12:], uint32(copy(b[textAt:], m.Text)))
	le.PutUint64(b[16:], m.StartTime)
	return b
}

func unmarshal(b []byte) (Message, bool) {
	le := binary.LittleEndian
	if len(b) != messageSize || le.Uint32(b) != messageMagic || le.Uint32(b[12:]) > messageSize-textAt {
		return Message{}, false
	}
	name, _, _ := bytes.Cut(b[nameAt:textAt], []byte{0})
	return Message{
		Kind: Kind(le.Uint32(b[4:])), PID: int(int32(le.Uint32(b[8:]))), StartTime: le.Uint64(b[16:]),
		Stage: string(name), Text: string(b[textAt : textAt+le.Uint32(b[12:])]),
	}, true
}

// StartTime is when a process started, clock ticks since boot.
func StartTime(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	const startTime = 22 - 3 // fields after the comm
	i := bytes.LastIndexByte(b, ')')
	f := bytes.Fields(b[max(i+1, 0):])
	if i < 0 || len(f) <= startTime {
		return 0, fmt.Errorf("/proc/%d/stat: malformed", pid)
	}
	return strconv.ParseUint(string(f[startTime]), 10, 64)
}
