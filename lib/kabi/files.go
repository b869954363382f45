package kabi

// TFD_IOC_SET_TICKS sets the expirations of a timerfd that were not read yet.
// include/uapi/linux/timerfd.h: _IOW('T', 0, __u64)
const TFD_IOC_SET_TICKS = 0x40085400

// FOwnerEx is struct f_owner_ex, of F_SETOWN_EX and F_GETOWN_EX.
// include/uapi/asm-generic/fcntl.h
type FOwnerEx struct {
	Type int32 // F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP
	Pid  int32
}

// Commands and owner types of fcntl(2) that x/sys lacks.
// include/uapi/asm-generic/fcntl.h
const (
	F_SETSIG     = 10
	F_GETSIG     = 11
	F_OWNER_TID  = 0
	F_OWNER_PID  = 1
	F_OWNER_PGRP = 2
	// F_GETOWNER_UIDS gives the real and the effective user that set the owner.
	F_GETOWNER_UIDS = 17
	// O_LARGEFILE as a 64-bit kernel has it in a description's flags; x/sys has what
	// a 64-bit program passes.
	O_LARGEFILE = 0o100000
)

// EpollParams is struct epoll_params, of EPIOCGPARAMS and EPIOCSPARAMS.
// include/uapi/linux/eventpoll.h
type EpollParams struct {
	BusyPollUsecs  uint32
	BusyPollBudget uint16
	PreferBusyPoll uint8
	Pad            uint8
}

// Majors of character devices. include/uapi/linux/major.h
const (
	MEM_MAJOR              = 1
	TTY_MAJOR              = 4
	TTYAUX_MAJOR           = 5
	UNIX98_PTY_SLAVE_MAJOR = 136 // and the seven after it
)

// Asking for unix sockets through NETLINK_SOCK_DIAG.
// include/uapi/linux/unix_diag.h
const (
	UDIAG_SHOW_PEER = 0x4
	UNIX_DIAG_PEER  = 2
)

// UnixDiagReq is struct unix_diag_req.
type UnixDiagReq struct {
	Family   uint8
	Protocol uint8
	Pad      uint16
	States   uint32
	Ino      uint32
	Show     uint32
	Cookie   [2]uint32
}
