package attr

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// Of <linux/mempolicy.h>.
const (
	policies    = 7                     // MPOL_DEFAULT up to MPOL_WEIGHTED_INTERLEAVE
	policyFlags = 1<<13 | 1<<14 | 1<<15 // MPOL_F_NUMA_BALANCING, _RELATIVE_NODES, _STATIC_NODES
	nodeBytes   = 128                   // 1024 nodes: MAX_NUMNODES at most
)

// memoryPolicy is the thread's NUMA policy, set_mempolicy(2). It goes on to
// children and through execve(2).
var memoryPolicy = Attr{
	Name: "memory policy",
	Thread: Part[record.Thread]{
		Ask: func(*Live, *record.Thread) []stub.Call {
			return []stub.Call{{What: "get_mempolicy", Nr: unix.SYS_GET_MEMPOLICY,
				Args: []stub.Arg{stub.D(make([]byte, 4)), stub.D(make([]byte, nodeBytes)), stub.I(8*nodeBytes + 1), stub.I(0), stub.I(0)}}}
		},
		Answer: func(a *Answers, t *record.Thread) error {
			if _, ok, err := a.Value(0, unix.ENOSYS); err != nil || !ok {
				return err
			}
			mode, err := a.Data(0, 0)
			if err != nil {
				return err
			}
			nodes, err := a.Data(0, 1)
			t.Attrs.MemoryPolicy = binary.LittleEndian.Uint32(mode)
			t.Attrs.MemoryNodes = bytes.Clone(bytes.TrimRight(nodes, "\x00"))
			return err
		},
		// Without nodes the mode says it all; with nodes no two threads are alike.
		Alike: func(_ *Live, first *record.Thread) []stub.Call {
			if len(first.Attrs.MemoryNodes) > 0 {
				return []stub.Call{call("gettid", unix.SYS_GETTID)}
			}
			return []stub.Call{{What: "get_mempolicy", Nr: unix.SYS_GET_MEMPOLICY, Args: []stub.Arg{stub.D(make([]byte, 4)), stub.I(0), stub.I(0)}}}
		},
		Check: func(t *record.Thread) error {
			if v := t.Attrs.MemoryPolicy; v&^policyFlags >= policies {
				return fmt.Errorf("%#x is not known to this version", v)
			}
			if n := len(t.Attrs.MemoryNodes); n > nodeBytes {
				return fmt.Errorf("%d bytes of nodes; limit is %d", n, nodeBytes)
			}
			return nil
		},
		Set: func(h *Here, t *record.Thread) []stub.Call {
			have, want := h.Thread.Attrs, t.Attrs
			if have.MemoryPolicy == want.MemoryPolicy && bytes.Equal(have.MemoryNodes, want.MemoryNodes) {
				return nil
			}
			nodes := make([]byte, nodeBytes)
			copy(nodes, want.MemoryNodes)
			c := stub.Call{What: "set_mempolicy", Nr: unix.SYS_SET_MEMPOLICY, Args: []stub.Arg{stub.I(want.MemoryPolicy), stub.D(nodes), stub.I(8*nodeBytes + 1)}}
			if len(want.MemoryNodes) == 0 {
				c.Args = c.Args[:1]
			}
			return []stub.Call{c}
		},
	},
}
