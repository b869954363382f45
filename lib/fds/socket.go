package fds

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// socketKind is the kind of sockets. Those that are the tree's stdin, stdout
// or stderr and lead out of it are the caller's, others can't be saved.
type socketKind struct{}

func (socketKind) takes(d *desc) bool { return d.format() == unix.S_IFSOCK }

func (socketKind) save(c *collector, d *desc) error {
	fd, err := c.dup(d)
	if errors.Is(err, unix.EBADF) { // O_PATH of a socket's name
		return d.refuse("", "a socket opened by its name (%s)", d.link)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if len(c.stdio(d)) > 0 {
		in, err := c.peerInside(fd, d)
		if err != nil {
			return err
		}
		if !in {
			c.external(d, false)
			return nil
		}
	}
	return d.refuse("", "%s", describeSocket(fd))
}

// peerInside tells whether a unix socket is connected to one of the tree.
func (c *collector) peerInside(fd int, d *desc) (bool, error) {
	if family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || family != unix.AF_UNIX {
		return false, err
	}
	peer, err := unixPeer(d.stat.Ino)
	if err != nil {
		return false, fmt.Errorf("looking for its peer: %w", err)
	}
	for _, other := range c.descs {
		if peer != 0 && other.format() == unix.S_IFSOCK && other.stat.Ino == peer {
			return true, nil
		}
	}
	return false, nil
}

var familyNames = map[int]string{
	unix.AF_UNIX: "unix", unix.AF_NETLINK: "netlink", unix.AF_PACKET: "packet", unix.AF_VSOCK: "vsock",
	unix.AF_ALG: "crypto (AF_ALG)", unix.AF_XDP: "XDP", unix.AF_BLUETOOTH: "bluetooth", unix.AF_CAN: "CAN", unix.AF_TIPC: "TIPC",
}

var typeNames = map[int]string{
	unix.SOCK_STREAM: "stream", unix.SOCK_DGRAM: "datagram", unix.SOCK_SEQPACKET: "seqpacket", unix.SOCK_RAW: "raw",
}

var protocolNames = map[int]string{
	unix.IPPROTO_TCP: "TCP", unix.IPPROTO_UDP: "UDP", unix.IPPROTO_SCTP: "SCTP", unix.IPPROTO_MPTCP: "MPTCP", unix.IPPROTO_UDPLITE: "UDP-Lite",
}

// describeSocket says what a socket is, for people: "a TCP socket
// (127.0.0.1:80)".
func describeSocket(fd int) string {
	get := func(opt int) int {
		v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, opt)
		if err != nil {
			return -1
		}
		return v
	}
	family, typ, proto := get(unix.SO_DOMAIN), get(unix.SO_TYPE), get(unix.SO_PROTOCOL)
	var name string
	switch {
	case family == unix.AF_INET || family == unix.AF_INET6:
		if name = protocolNames[proto]; name == "" {
			name = fmt.Sprintf("IP %s (protocol %d)", typeNames[typ], proto)
		}
	case familyNames[family] != "":
		name = familyNames[family]
		if family == unix.AF_UNIX {
			name += " " + typeNames[typ]
		}
	default:
		name = fmt.Sprintf("family-%d", family)
	}
	article := "a"
	if family == unix.AF_INET && name[0] == 'I' || family == unix.AF_INET6 && name[0] == 'I' || name[0] == 'X' {
		article = "an"
	}
	if at := socketAddresses(fd); at != "" {
		return fmt.Sprintf("%s %s socket (%s)", article, name, at)
	}
	return fmt.Sprintf("%s %s socket", article, name)
}

// socketAddresses is what a socket is bound and connected to.
func socketAddresses(fd int) string {
	own, peer := "", ""
	if sa, err := unix.Getsockname(fd); err == nil {
		own = addressText(sa)
	}
	if sa, err := unix.Getpeername(fd); err == nil {
		peer = addressText(sa)
	}
	switch {
	case peer == "":
		return own
	case own == "":
		return "connected to " + peer
	}
	return own + ", connected to " + peer
}

func addressText(sa unix.Sockaddr) string {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrUnix:
		if a.Name != "@" { // without a name
			return a.Name
		}
	}
	return ""
}
