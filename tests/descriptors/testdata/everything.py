signal.signal(signal.SIGIO, signal.SIG_IGN)
for s in range(signal.SIGRTMIN, signal.SIGRTMAX): signal.signal(s, signal.SIG_IGN)
open("data", "w").write("x" * 5000); os.symlink("data", "link"); os.mkdir("folder"); os.mkfifo("fifo")
for i in range(100): open("folder/%03d" % i, "w")
os.chmod(".", 0o777)
LARGE = 0o100000

# Files: every flag that a description keeps.
n = 100
for flags in (0, os.O_WRONLY, os.O_RDWR, os.O_RDWR|os.O_APPEND, os.O_NONBLOCK, os.O_SYNC, os.O_DSYNC, os.O_DIRECT, os.O_NOATIME,
              os.O_NOFOLLOW, os.O_NOFOLLOW|os.O_RDWR|os.O_APPEND, os.O_ASYNC, os.O_ASYNC|os.O_NOFOLLOW|os.O_WRONLY, os.O_NOCTTY,
              os.O_RDWR|os.O_CREAT, os.O_RDWR|os.O_CREAT|os.O_TRUNC):
    name = "data" if not flags & os.O_TRUNC else "truncated"
    at(n, os.open(name, flags), n % 2 == 0); n += 1
at(n, os.open("created", os.O_RDWR|os.O_CREAT|os.O_EXCL)); n += 1
for pos in (1, 4999, 5000, 1 << 40, (1 << 43) - 1):
    at(n, os.open("data", os.O_RDONLY)); os.lseek(n, pos, 0); n += 1
for flags in (os.O_PATH, os.O_PATH|os.O_NOFOLLOW):
    for name in "data", "folder", "fifo", "/dev/null":
        at(n, os.open(name, flags)); n += 1
at(n, os.open("link", os.O_PATH|os.O_NOFOLLOW)); n += 1
at(n, os.open("folder", os.O_PATH|os.O_NOFOLLOW|os.O_DIRECTORY)); n += 1
at(n, os.open("folder", os.O_PATH|os.O_DIRECTORY)); n += 1

# Directories, one of them half read.
for flags in (0, os.O_DIRECTORY, os.O_DIRECTORY|os.O_NOFOLLOW, os.O_NONBLOCK, os.O_NOATIME, os.O_ASYNC):
    at(n, os.open("folder", flags)); n += 1
buf = ctypes.create_string_buffer(1000)
assert sys_(217, n - 1, buf, 1000) > 0
assert os.lseek(n - 1, 0, 1) != 0

# Devices.
for name, flags in ("/dev/null", os.O_RDWR), ("/dev/zero", 0), ("/dev/full", os.O_WRONLY|os.O_APPEND), ("/dev/urandom", os.O_NONBLOCK), ("/dev/random", os.O_NOFOLLOW), ("/dev/null", os.O_ASYNC):
    at(n, os.open(name, flags)); n += 1

# Who gets signals: of files too, of tasks that live and of those that have ended.
dead = os.fork()
if dead == 0:
    os.setpgid(0, 0); time.sleep(1000)
child = os.fork()
if child == 0:
    os.setpgid(0, 0); time.sleep(1000)
while os.getpgid(dead) != dead or os.getpgid(child) != child: time.sleep(0.001)
def data(): return os.open("data", os.O_RDONLY)
def reads():
    r, w = os.pipe(); at(n + 500, w)
    return r
for make in data, reads:
    for kind, pid in (0, os.getpid()), (1, os.getpid()), (2, os.getpgrp()), (1, child), (2, child), (0, dead), (1, dead), (2, dead), (1, 0), (2, 0):
        for uid in None, 65534:
            owner(at(n, make()), kind, pid, sig=signal.SIGRTMIN + n % 20 if n % 3 else 0, uid=uid,
                  flags=os.O_ASYNC if make == reads and n % 2 else 0)
            n += 1
    fcntl.fcntl(at(n, make()), F_SETSIG, signal.SIGUSR1); n += 1
    os.setresuid(12345, 12346, 0); fcntl.fcntl(at(n, make()), fcntl.F_SETOWN, os.getpid()); os.setresuid(0, 0, 0); n += 1
os.kill(dead, 9); os.waitpid(dead, 0)

# Pipes.
for flags in (0, os.O_NONBLOCK, os.O_DIRECT, os.O_CLOEXEC):
    r, w = os.pipe2(flags); at(n, r); at(n + 1, w); n += 2
    os.write(n - 1, b"abc"); os.write(n - 1, b"defg")
r, w = os.pipe(); at(n, r); at(n + 1, w); n += 2
PIPE = n - 2
for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR|os.O_SYNC, os.O_RDONLY|os.O_NONBLOCK):
    at(n, os.open("/proc/self/fd/%d" % PIPE, flags)); n += 1
fcntl.fcntl(PIPE, F_SETPIPE_SZ, 1 << 18)
fcntl.fcntl(PIPE, F_SET_RW_HINT, struct.pack("Q", 3))
r, w = os.pipe(); os.close(w); at(n, r); n += 1
r, w = os.pipe(); os.close(r); at(n, w); n += 1
for flags in (os.O_RDWR, os.O_RDONLY, os.O_WRONLY, os.O_RDWR|os.O_NOFOLLOW, os.O_RDONLY|os.O_NOFOLLOW|os.O_NONBLOCK, os.O_WRONLY|os.O_SYNC):
    at(n, os.open("fifo", flags)); n += 1

# What data is expected to live.
for hint in 1, 5:
    name = "hint%d" % hint
    at(n, os.open(name, os.O_RDWR|os.O_CREAT)); fcntl.fcntl(n, F_SET_RW_HINT, struct.pack("Q", hint)); n += 1

# Locks.
at(n, os.open("data", os.O_RDWR)); fcntl.lockf(n, fcntl.LOCK_EX, 10, 20); n += 1
at(n, os.open("data", os.O_RDWR)); fcntl.flock(n, fcntl.LOCK_SH); n += 1
at(n, os.open("created", os.O_RDWR)); fcntl.flock(n, fcntl.LOCK_EX); n += 1
at(n, os.open("created", os.O_RDWR)); fcntl.fcntl(n, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 5, 7, 0)); n += 1

# Events.
for flags in (0, 1, 0o4000, 0o2000000):
    at(n, sys_(290, 5, flags)); n += 1
for clock in (0, 1, 7):
    for flags in (0, 0o4000):
        at(n, sys_(283, clock, flags)); n += 1
        if flags: sys_(286, n - 1, 0, struct.pack("qqqq", 1000, 0, 2000, 5), None)
at(n, sys_(283, 1, 0)); sys_(286, n, 0, struct.pack("qqqq", 0, 0, 0, 1), None); n += 1   # it has expired
at(n, sys_(289, -1, struct.pack("Q", 0x4200), 8, 0o4000)); n += 1
fcntl.fcntl(n - 1, fcntl.F_SETFL, os.O_APPEND|os.O_NOATIME)
EVENT = n
at(EVENT, sys_(290, 1, 0)); at(n + 1, sys_(290, 0, 0)); n += 2

# Tasks: that live, that have ended, that are gone; threads.
def pidfd(pid, flags=0):
    global n
    at(n, sys_(434, pid, flags)); n += 1
zombie = os.fork()
if zombie == 0: os._exit(3)
os.waitid(os.P_PID, zombie, os.WEXITED|os.WNOWAIT)
gone = os.fork()
if gone == 0: os._exit(5)
import threading
ready = threading.Event()
def work():
    ready.set(); time.sleep(1000)
thread = threading.Thread(target=work, daemon=True); thread.start(); ready.wait()
for pid in os.getpid(), child, zombie, gone:
    for flags in 0, 0o4000: pidfd(pid, flags)
THREADS = True
try: pidfd(os.getpid(), 0o200)
except OSError: THREADS = False # before Linux 6.9
if THREADS:
    pidfd(thread.native_id, 0o200); pidfd(zombie, 0o4200)
os.waitpid(gone, 0)
DEAD = n
at(DEAD, sys_(434, zombie, 0)); n += 1

# Epolls.
at(n, sys_(291, 0)); add(n, EVENT, IN|ET, 1); add(n, EVENT + 1, IN|OUT, 2); add(n, PIPE, IN, 3); n += 1
at(n, sys_(291, 0)); add(n, EVENT, IN|OUT|ET, 1); assert reported(n) == [1]; n += 1
try: fcntl.ioctl(n - 1, 0x40088A01, struct.pack("IHBB", 50, 16, 1, 0))
except OSError as e: assert e.errno in (errno.ENOTTY, errno.EINVAL), e
at(n, sys_(291, 0)); add(n, DEAD, IN|ET, 1); assert reported(n) == [1]; n += 1
at(n, sys_(291, 0)); add(n, n - 1, IN|ET, 9); fcntl.fcntl(n, fcntl.F_SETFL, os.O_NONBLOCK|os.O_APPEND); n += 1

# Nothing outside is open by another number.
for low in range(3, 100):
    try: os.close(low)
    except OSError: pass
if os.fork() == 0: # a child that shares all of it
    time.sleep(1000)
hold()
