# Four threads hash, with a log file open and a seeded random state; each thread
# also checks a digest that it could not get right by luck.
import hashlib, random, sys, threading, time

random.seed(42)
state = random.getstate()
log = open("hash.log", "w")
lock = threading.Lock()
results = [None] * 4


def work(n):
    h = hashlib.sha256(b"%d" % n)
    r = random.Random(n)
    for i in range(800000):
        h.update(b"%d %d" % (i, r.getrandbits(64)))
        if i % 20000 == 0:
            with lock:
                log.write("%d %d %s\n" % (n, i, h.hexdigest()))
                log.flush()
            time.sleep(0.01)
    results[n] = h.hexdigest()


threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
print("begin", flush=True)
for t in threads:
    t.start()
for t in threads:
    t.join()
log.close()
lines = sorted(open("hash.log").read().splitlines())
print(len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest())
print(random.getstate() == state, random.random())
print(hashlib.sha256(" ".join(results).encode()).hexdigest())
