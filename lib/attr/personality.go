package attr

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// tellPersonality makes personality(2) tell and not set.
const tellPersonality = 1<<32 - 1

// personality is of each thread. It is set when all is mapped: READ_IMPLIES_EXEC,
// which may be set when mappings exist, would make each new one executable.
var personality = Attr{
	Name:    "personality",
	Neutral: func() []stub.Call { return setPersonality(0) },
	Thread: Part[record.Thread]{
		Ask: func(*Live, *record.Thread) []stub.Call { return setPersonality(tellPersonality) },
		Answer: func(a *Answers, t *record.Thread) error {
			v, _, err := a.Value(0)
			t.Attrs.Personality = uint32(v)
			return err
		},
		Alike: func(*Live, *record.Thread) []stub.Call { return setPersonality(tellPersonality) },
		Check: func(t *record.Thread) error {
			if t.Attrs.Personality == tellPersonality {
				return fmt.Errorf("%#x: there is no such personality", t.Attrs.Personality)
			}
			return nil
		},
		Set: func(_ *Here, t *record.Thread) []stub.Call {
			if t.Attrs.Personality == 0 {
				return nil // Neutral has left it so
			}
			return setPersonality(t.Attrs.Personality)
		},
	},
}

func setPersonality(v uint32) []stub.Call {
	return []stub.Call{call("personality", unix.SYS_PERSONALITY, uint64(v))}
}
