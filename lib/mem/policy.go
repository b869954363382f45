package mem

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// Memory policies of mappings, mbind(2). /proc/PID/numa_maps shows them too, but
// counts all pages for that, and shows the thread's policy for a mapping that has
// none of its own. (The home node of set_mempolicy_home_node(2) is shown nowhere.)

const (
	policyOfAddress = 2               // MPOL_F_ADDR, <linux/mempolicy.h>
	maskBytes       = 128             // of nodes: more than any kernel has
	maskBits        = maskBytes*8 + 1 // as the kernel counts them
	policySize      = 4               // an int
	maskWord        = 8               // masks are of longs
	defaultPolicy   = 0               // MPOL_DEFAULT
)

// Range is a mapping's range of addresses.
type Range struct{ Start, End uint64 }

func askPolicy(at uint64, mask, bits stub.Arg) stub.Call {
	return stub.Call{What: "get_mempolicy", Nr: unix.SYS_GET_MEMPOLICY,
		Args: []stub.Arg{stub.D(make([]byte, policySize)), mask, bits, stub.I(at), stub.I(policyOfAddress)}}
}

// AskPolicies asks for the policies of mappings.
func AskPolicies(list []Range) []stub.Call {
	calls := make([]stub.Call, 0, len(list))
	for _, r := range list {
		calls = append(calls, askPolicy(r.Start, stub.I(0), stub.I(0)))
	}
	return calls
}

// AnswerPolicies lists the mappings that have a policy, without its nodes.
func AnswerPolicies(list []Range, res []int64, data func(call, arg int) ([]byte, error)) ([]*record.MemPolicy, error) {
	var found []*record.MemPolicy
	for i, r := range list {
		if e := failed(res[i]); e == unix.ENOSYS {
			return nil, nil // a kernel without CONFIG_NUMA
		} else if e != 0 {
			return nil, fmt.Errorf("get_mempolicy of %x-%x: %w", r.Start, r.End, e)
		}
		b, err := data(i, 0)
		if err != nil {
			return nil, err
		}
		if mode := binary.LittleEndian.Uint32(b); mode != defaultPolicy {
			found = append(found, &record.MemPolicy{Start: r.Start, End: r.End, Mode: mode})
		}
	}
	return found, nil
}

// AskNodes asks for the nodes of policies.
func AskNodes(list []*record.MemPolicy) []stub.Call {
	var calls []stub.Call
	for _, m := range list {
		calls = append(calls, askPolicy(m.Start, stub.D(make([]byte, maskBytes)), stub.I(maskBits)))
	}
	return calls
}

// AnswerNodes puts them into the policies.
func AnswerNodes(list []*record.MemPolicy, res []int64, data func(call, arg int) ([]byte, error)) error {
	for i, m := range list {
		if e := failed(res[i]); e != 0 {
			return fmt.Errorf("get_mempolicy of %x-%x: %w", m.Start, m.End, e)
		}
		b, err := data(i, 1)
		if err != nil {
			return err
		}
		n := len(bytes.TrimRight(b, "\x00"))
		m.Nodes = bytes.Clone(b[:(n+maskWord-1)/maskWord*maskWord])
	}
	return nil
}

// Joined is the list with mappings that touch and have one policy as one.
func Joined(list []*record.MemPolicy) []*record.MemPolicy {
	out := list[:0]
	for _, m := range list {
		if n := len(out); n > 0 && out[n-1].End == m.Start && out[n-1].Mode == m.Mode && bytes.Equal(out[n-1].Nodes, m.Nodes) {
			out[n-1].End = m.End
			continue
		}
		out = append(out, m)
	}
	return out
}

func checkPolicies(list []*record.MemPolicy) error {
	for _, m := range list {
		if len(m.Nodes) > maskBytes || len(m.Nodes)%maskWord != 0 || m.Start >= m.End {
			return fmt.Errorf("a memory policy of %x-%x with %d bytes of nodes", m.Start, m.End, len(m.Nodes))
		}
	}
	return nil
}

// Policies plans them, once all is mapped and before there are contents: where
// these are put is what a policy is about.
func Policies(a *record.MmAttrs) iter.Seq[stub.Call] {
	return func(yield func(stub.Call) bool) {
		for _, m := range a.GetPolicies() {
			c := stub.Call{What: "mbind", Nr: unix.SYS_MBIND,
				Args: []stub.Arg{stub.I(m.Start), stub.I(m.End - m.Start), stub.I(m.Mode), stub.D(m.Nodes), stub.I(8*len(m.Nodes) + 1), stub.I(0)}}
			if !yield(c) {
				return
			}
		}
	}
}
