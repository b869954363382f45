package plan

import (
	"golang.org/x/sys/unix"

	"floe/lib/stub"
)

// archMapVDSO64 is ARCH_MAP_VDSO_64 of <asm/prctl.h>: the kernel maps its vDSO
// at an address, which it takes as a hint.
const archMapVDSO64 = 0x2003

// mapVDSO has the kernel map its vDSO, the first area at address at.
func mapVDSO(at uint64) stub.Call {
	return stub.Call{What: "mapping of the vDSO", Nr: unix.SYS_ARCH_PRCTL, Args: []stub.Arg{stub.I(archMapVDSO64), stub.I(at)}}
}
