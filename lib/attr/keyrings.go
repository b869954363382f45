package attr

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// Default keyrings of request_key(2), <linux/keyctl.h>.
const (
	requestThread      = 1 // KEY_REQKEY_DEFL_THREAD_KEYRING
	requestProcess     = 2
	requestUserSession = 5
	requestNoChange    = -1
	keySpecThread      = -1
	keySpecProcess     = -2
)

// keyrings: keys can't be read back from the kernel, so a thread with a keyring of
// its own is refused. The session keyring is restore's: to ask for it would make
// one. What request_key(2) does by default is kept.
var keyrings = Attr{
	Name: "keyrings",
	Thread: Part[record.Thread]{
		Ask:   func(*Live, *record.Thread) []stub.Call { return askKeyrings() },
		Alike: func(*Live, *record.Thread) []stub.Call { return askKeyrings() },
		Answer: func(a *Answers, t *record.Thread) error {
			for i, what := range [...]string{"thread", "process"} {
				if _, ok, err := a.Value(i, unix.ENOKEY, unix.ENOSYS); err != nil {
					return err
				} else if ok {
					return fmt.Errorf("thread %d has a %s keyring (keyctl), which can't be saved: the kernel does not give keys away", t.Tid, what)
				}
			}
			v, _, err := a.Value(2, unix.ENOSYS)
			t.Attrs.RequestKey = uint32(v)
			return err
		},
		Check: func(t *record.Thread) error {
			if v := t.Attrs.RequestKey; v > requestUserSession || v == requestThread || v == requestProcess {
				return fmt.Errorf("default %d of request_key: there is no such keyring", v)
			}
			return nil
		},
		Set: func(h *Here, t *record.Thread) []stub.Call {
			if t.Attrs.RequestKey == h.Thread.Attrs.RequestKey {
				return nil
			}
			return []stub.Call{call("default of request_key", unix.SYS_KEYCTL, unix.KEYCTL_SET_REQKEY_KEYRING, uint64(t.Attrs.RequestKey))}
		},
	},
}

func askKeyrings() []stub.Call {
	keyctl := func(what string, args ...uint64) stub.Call { return call(what, unix.SYS_KEYCTL, args...) }
	// Numbers of keyrings are 32 bits.
	id := func(n int32) uint64 { return uint64(uint32(n)) }
	return []stub.Call{
		keyctl("thread keyring", unix.KEYCTL_GET_KEYRING_ID, id(keySpecThread), 0),
		keyctl("process keyring", unix.KEYCTL_GET_KEYRING_ID, id(keySpecProcess), 0),
		keyctl("default of request_key", unix.KEYCTL_SET_REQKEY_KEYRING, id(requestNoChange)),
	}
}
