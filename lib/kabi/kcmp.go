package kabi

// Types of comparison of kcmp(2). include/uapi/linux/kcmp.h
const (
	KCMP_FILE      = 0
	KCMP_VM        = 1
	KCMP_FILES     = 2
	KCMP_FS        = 3
	KCMP_SIGHAND   = 4
	KCMP_IO        = 5
	KCMP_SYSVSEM   = 6
	KCMP_EPOLL_TFD = 7
)

// KcmpEpollSlot is struct kcmp_epoll_slot: an entry of an epoll.
type KcmpEpollSlot struct {
	Efd  uint32 // the epoll's descriptor
	Tfd  uint32 // the number that the entry was added under
	Toff uint32 // which of the entries with that number, from 0
}
