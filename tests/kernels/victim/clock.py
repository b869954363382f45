# A victim: python asks for the time and for random bytes from several threads,
# and does sums that have to come out.
import _thread
import posix
import sys
import time

THREADS = 3
TAI = round(time.clock_gettime(time.CLOCK_TAI) - time.time())
rounds = [0] * THREADS
wrong = []


def sums(seed):
    h = seed
    for i in range(200):
        h = (h * 6364136223846793005 + i) & 0xFFFFFFFFFFFFFFFF
    return h


def work(n):
    last, random = time.monotonic_ns(), b""
    while True:
        now = time.monotonic_ns()
        if now < last:
            wrong.append("the monotonic clock went back from %d to %d" % (last, now))
        last = now
        a, t, b = time.time(), time.clock_gettime(time.CLOCK_TAI) - TAI, time.time()
        if a <= b < a + 1 and not a - 1 <= t <= b + 1:
            wrong.append("the time is %r, not %r to %r" % (t, a, b))
        made = posix.urandom(32)
        if made == random:
            wrong.append("random bytes came twice")
        random = made
        if sums(now) != sums(now):
            wrong.append("a sum came out in two ways")
        rounds[n] += 1


print("ready", sys.version.split()[0], flush=True)
for n in range(THREADS):
    _thread.start_new_thread(work, (n,))
while not wrong:
    time.sleep(0.1)
    print("ok", *rounds, flush=True)
print("WRONG", wrong[0], flush=True)
