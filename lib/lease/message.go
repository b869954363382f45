package lease

import (
	"bytes"
	"encoding/binary"
	"strings"

	"floe/lib/procfs"
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
	Cut                            // its input ended early: another has failed, or died
	Ask                            // what has each stage written? The answer goes to the socket that comes with it

	// Before the verdict, while the stage works. See Client.Report.
	Moved       // it has got further
	Busy        // it has not, and waits for nobody
	WantsInput  // it waits for the stage before
	WantsReader // it waits for whoever reads its output
)

const (
	messageMagic = 0x45534c46
	nameAt       = 16
	nameLen      = 16
	wroteAt      = nameAt + nameLen
	textAt       = wroteAt + wroteLen
	maxText      = 1024
)

// Message is what a stage tells freeze.
type Message struct {
	Kind      Kind
	StartTime uint64 // of the sender
	Stage     string
	Wrote     Wrote // with Done
	Text      string
}

func (m Message) marshal() []byte {
	text := m.Text
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText-len("…")], "") + "…"
	}
	b := make([]byte, textAt+len(text))
	le := binary.LittleEndian
	le.PutUint32(b, messageMagic)
	le.PutUint32(b[4:], uint32(m.Kind))
	le.PutUint64(b[8:], m.StartTime)
	copy(b[nameAt:wroteAt], m.Stage)
	m.Wrote.put(b[wroteAt:])
	copy(b[textAt:], text)
	return b
}

func unmarshal(b []byte) (Message, bool) {
	le := binary.LittleEndian
	if len(b) < textAt || len(b) > textAt+maxText || le.Uint32(b) != messageMagic {
		return Message{}, false
	}
	m := Message{Kind: Kind(le.Uint32(b[4:])), StartTime: le.Uint64(b[8:]), Wrote: wrote(b[wroteAt:]), Text: string(b[textAt:])}
	m.Stage = stageName(b[nameAt:wroteAt])
	return m, m.Kind >= Hello && m.Kind <= WantsReader && m.Stage != ""
}

// stageName is a name padded with zeros.
func stageName(b []byte) string {
	name, _, _ := bytes.Cut(b, []byte{0})
	return string(name)
}

// StartTime is when a process started, clock ticks since boot.
func StartTime(pid int) (uint64, error) { return procfs.StartTime(pid) }
