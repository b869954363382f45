package kabi

import (
	"encoding/binary"
	"testing"
)

func TestFileStructs(t *testing.T) {
	for _, c := range []struct {
		name string
		got  int
		want int
	}{
		{"struct kcmp_epoll_slot", binary.Size(KcmpEpollSlot{}), 12},
		{"struct f_owner_ex", binary.Size(FOwnerEx{}), 8},
		{"struct epoll_params", binary.Size(EpollParams{}), 8},
		{"struct unix_diag_req", binary.Size(UnixDiagReq{}), 24},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d bytes, want %d", c.name, c.got, c.want)
		}
	}
	if TFD_IOC_SET_TICKS>>16&0x3fff != 8 {
		t.Errorf("TFD_IOC_SET_TICKS: the size in the request number is not 8")
	}
}
