package mem

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/stub"
)

// mlockall(MCL_FUTURE) says of mappings to come that they are locked, and filled
// at once but for MCL_ONFAULT. The kernel shows it nowhere: a page that has just
// been mapped, and not been touched, tells.

func askFuture() []stub.Call {
	return []stub.Call{{What: "madvise", Nr: unix.SYS_MADVISE, Args: []stub.Arg{{Kind: stub.Spare}, stub.I(pageSize), stub.I(unix.MADV_DONTNEED)}}}
}

const pageSize = 4096

// answerFuture reads the result: of locked memory nothing can be given back.
func answerFuture(res []int64) (uint32, error) {
	switch e := failed(res[0]); e {
	case 0:
		return 0, nil
	case unix.EINVAL:
		return unix.MCL_FUTURE, nil
	default:
		return 0, fmt.Errorf("madvise of a page of floe's: %w", e)
	}
}

// AskFilled asks, where what is mapped is locked, whether it is filled too.
func AskFilled() []stub.Call {
	return []stub.Call{{What: "mincore", Nr: unix.SYS_MINCORE,
		Args: []stub.Arg{{Kind: stub.Spare, Val: stub.Untouched}, stub.I(pageSize), stub.D(make([]byte, 1))}}}
}

// AnswerFilled reads the result.
func AnswerFilled(res []int64, data func(call, arg int) ([]byte, error)) (uint32, error) {
	if e := failed(res[0]); e != 0 {
		return 0, fmt.Errorf("mincore of a page of floe's: %w", e)
	}
	there, err := data(0, 2)
	if err != nil {
		return 0, err
	}
	if there[0]&1 != 0 {
		return unix.MCL_FUTURE, nil
	}
	return unix.MCL_FUTURE | unix.MCL_ONFAULT, nil
}

// setFuture plans the last mapping's successor: all that is mapped later in the
// process is locked.
func setFuture(flags uint32) ([]stub.Call, error) {
	switch flags {
	case 0:
		return nil, nil
	case unix.MCL_FUTURE, unix.MCL_FUTURE | unix.MCL_ONFAULT:
		return []stub.Call{{What: "mlockall(MCL_FUTURE)", Nr: unix.SYS_MLOCKALL, Args: []stub.Arg{stub.I(flags)}}}, nil
	}
	return nil, fmt.Errorf("flags %#x of mlockall(2) are not known to this version", flags)
}
