package plan

import (
	"encoding/binary"
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// Of <linux/securebits.h>: uid changes leave capabilities alone.
const secbitNoSetuidFixup = 1 << 2

// linuxCapabilityVersion3 of <linux/capability.h>.
const linuxCapabilityVersion3 = 0x20080522

// Credentials plans a thread's user, groups and capabilities, from all
// capabilities down. bounding is the bounding set that the puppets have: what
// it lacks can't be given back, which is an error here and not half way.
func Credentials(c *record.Creds, bounding uint64) ([]stub.Call, error) {
	if missing := (c.CapBounding | c.CapInheritable) &^ bounding; missing != 0 {
		return nil, fmt.Errorf("it may use capabilities %#x, which restore itself has not; run restore with them", missing)
	}
	prctl := func(what string, args ...stub.Arg) stub.Call {
		return stub.Call{What: what, Nr: unix.SYS_PRCTL, Args: append(args, make([]stub.Arg, 5-len(args))...)}
	}
	groups := make([]byte, 4*len(c.Groups))
	for i, g := range c.Groups {
		binary.LittleEndian.PutUint32(groups[4*i:], g)
	}
	calls := []stub.Call{
		prctl("securebits", stub.I(unix.PR_SET_SECUREBITS), stub.I(secbitNoSetuidFixup)),
		{What: "setgroups", Nr: unix.SYS_SETGROUPS, Args: []stub.Arg{stub.I(len(c.Groups)), stub.D(groups)}},
		ids("setresgid", unix.SYS_SETRESGID, c.Rgid, c.Egid, c.Sgid),
		ids("setfsgid", unix.SYS_SETFSGID, c.Fsgid),
		ids("setresuid", unix.SYS_SETRESUID, c.Ruid, c.Euid, c.Suid),
		ids("setfsuid", unix.SYS_SETFSUID, c.Fsuid),
		// What is inheritable may lie outside of the bounding set once it is, but
		// can't be made so then.
		capset(c.CapInheritable, c.CapPermitted|setpcap, c.CapPermitted|setpcap),
	}
	for b := range 64 {
		if bit := uint64(1) << b; bounding&bit != 0 && c.CapBounding&bit == 0 {
			calls = append(calls, prctl(fmt.Sprintf("drop of capability %d", b), stub.I(unix.PR_CAPBSET_DROP), stub.I(b)))
		}
	}
	calls = append(calls, prctl("clearing of ambient capabilities", stub.I(unix.PR_CAP_AMBIENT), stub.I(unix.PR_CAP_AMBIENT_CLEAR_ALL)))
	for b := range 64 {
		if c.CapAmbient>>b&1 != 0 {
			calls = append(calls, prctl(fmt.Sprintf("ambient capability %d", b), stub.I(unix.PR_CAP_AMBIENT), stub.I(unix.PR_CAP_AMBIENT_RAISE), stub.I(b)))
		}
	}
	// The securebits may forbid what comes before them, and need a capability
	// that the thread may not have.
	calls = append(calls,
		prctl("securebits", stub.I(unix.PR_SET_SECUREBITS), stub.I(c.Securebits)),
		capset(c.CapInheritable, c.CapPermitted, c.CapEffective))
	if c.NoNewPrivs {
		calls = append(calls, prctl("no_new_privs", stub.I(unix.PR_SET_NO_NEW_PRIVS), stub.I(1)))
	}
	return calls, nil
}

func ids(what string, nr uint64, ids ...uint32) stub.Call {
	c := stub.Call{What: what, Nr: nr}
	for _, id := range ids {
		c.Args = append(c.Args, stub.I(id))
	}
	return c
}

// setpcap is CAP_SETPCAP, which the last changes of the bounding set need.
const setpcap = 1 << unix.CAP_SETPCAP

// capset builds struct __user_cap_header_struct and two __user_cap_data_struct.
func capset(inheritable, permitted, effective uint64) stub.Call {
	le := binary.LittleEndian
	head := le.AppendUint32(nil, linuxCapabilityVersion3)
	head = le.AppendUint32(head, 0)
	var data []byte
	for shift := 0; shift < 64; shift += 32 {
		for _, set := range []uint64{effective, permitted, inheritable} {
			data = le.AppendUint32(data, uint32(set>>shift&math.MaxUint32))
		}
	}
	return stub.Call{What: "capset", Nr: unix.SYS_CAPSET, Args: []stub.Arg{stub.D(head), stub.D(data)}}
}
