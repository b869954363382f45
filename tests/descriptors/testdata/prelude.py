import os, sys, fcntl, struct, ctypes, signal, socket, time, select, errno
libc = ctypes.CDLL(None, use_errno=True)
def sys_(*a):
    r = libc.syscall(*a)
    if r < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return r
def at(n, fd, cloexec=True):
    if fd != n:
        os.dup2(fd, n, not cloexec); os.close(fd)
    else:
        os.set_inheritable(n, not cloexec)
    return n
F_SETSIG, F_SETOWN_EX, F_SET_RW_HINT, F_SETPIPE_SZ, F_NOTIFY = 10, 15, 1036, 1031, 1026
def owner(fd, kind, pid, sig=0, flags=0, uid=None):
    "kind: 0 thread, 1 process, 2 group"
    if uid is not None: os.seteuid(uid)
    fcntl.fcntl(fd, F_SETOWN_EX, struct.pack("ii", kind, pid))
    if uid is not None: os.seteuid(0)
    if sig: fcntl.fcntl(fd, F_SETSIG, sig)
    if flags: fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | flags)
def add(ep, fd, events, data):
    ev = struct.pack("<IQ", events & 0xffffffff, data)
    if libc.epoll_ctl(ep, 1, fd, ev) < 0: raise OSError(ctypes.get_errno(), "epoll_ctl")
def reported(ep):
    "the data of all entries that an epoll reports"
    ev = ctypes.create_string_buffer(12 * 64)
    n = libc.epoll_wait(ep, ev, 64, 0)
    return sorted(struct.unpack("<IQ", ev.raw[12*i:12*i+12])[1] for i in range(n))
IN, OUT, ONESHOT, ET = 1, 4, 1 << 30, 1 << 31
ticket = os.getcwd() + "/go"
def hold():
    "says that all is made, and waits for the test"
    print("begin", flush=True)
    while not os.path.exists(ticket): time.sleep(0.01)
    print("after", flush=True)
