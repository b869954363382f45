package fds

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
)

// unixPeer asks sock_diag(7) for the inode of the peer of the unix socket with
// an inode; 0 when it has none, or is in another network namespace.
func unixPeer(ino uint64) (uint64, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, fmt.Errorf("sock_diag: %w", err)
	}
	defer unix.Close(fd)
	const all = ^uint32(0)
	req := kabi.UnixDiagReq{Family: unix.AF_UNIX, States: all, Ino: uint32(ino), Show: kabi.UDIAG_SHOW_PEER, Cookie: [2]uint32{all, all}}
	var b bytes.Buffer
	head := unix.NlMsghdr{Len: unix.SizeofNlMsghdr + uint32(binary.Size(req)), Type: unix.SOCK_DIAG_BY_FAMILY, Flags: unix.NLM_F_REQUEST}
	for _, v := range []any{head, req} {
		_ = binary.Write(&b, binary.NativeEndian, v) // a Buffer doesn't fail
	}
	if err := unix.Sendto(fd, b.Bytes(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, fmt.Errorf("sock_diag: %w", err)
	}
	reply := make([]byte, 8192)
	n, _, err := unix.Recvfrom(fd, reply, 0)
	if err != nil {
		return 0, fmt.Errorf("sock_diag: %w", err)
	}
	peer, err := peerOf(reply[:n])
	if errors.Is(err, unix.ENOENT) {
		return 0, nil
	}
	return peer, err
}

// peerOf reads the answer: a header, struct unix_diag_msg, attributes.
func peerOf(b []byte) (uint64, error) {
	const diagMsg = 16
	if len(b) < unix.SizeofNlMsghdr+4 {
		return 0, fmt.Errorf("sock_diag: an answer of %d bytes", len(b))
	}
	if binary.NativeEndian.Uint16(b[4:]) == unix.NLMSG_ERROR {
		return 0, fmt.Errorf("sock_diag: %w", unix.Errno(-int32(binary.NativeEndian.Uint32(b[unix.SizeofNlMsghdr:]))))
	}
	b = b[min(len(b), unix.SizeofNlMsghdr+diagMsg):]
	for len(b) >= unix.SizeofRtAttr {
		n, typ := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if n < unix.SizeofRtAttr || n > len(b) {
			break
		}
		if typ == kabi.UNIX_DIAG_PEER && n >= unix.SizeofRtAttr+4 {
			return uint64(binary.NativeEndian.Uint32(b[unix.SizeofRtAttr:])), nil
		}
		b = b[min(len(b), (n+3)&^3):]
	}
	return 0, nil
}
