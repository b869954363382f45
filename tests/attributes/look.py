# Sets what its argument says, of its process and of a second thread, and then
# writes what each of the two sees of itself whenever it is asked to.
import ctypes, errno, fcntl, os, re, signal, struct, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def call(*args):
    ctypes.set_errno(0)
    r = libc.syscall(*[a if isinstance(a, ctypes.Array) else ctypes.c_long(a) for a in args],
                     *[ctypes.c_long(0)] * (7 - len(args)))
    e = ctypes.get_errno()
    return r if r != -1 or e == 0 else errno.errorcode.get(e, str(e))


def prctl(*args):
    return call(157, *args)


def must(r):
    if isinstance(r, str):
        raise SystemExit('set: ' + r)
    return r


def write(path, text):
    with open(path, 'w') as f:
        f.write(str(text))


def setattr_(policy, flags=0, nice=0, prio=0, runtime=0, deadline=0, period=0):
    b = ctypes.create_string_buffer(struct.pack('IIQiIQQQ', 48, policy, flags, nice, prio, runtime, deadline, period))
    return must(call(314, 0, b, 0))


def setpolicy(mode, nodes=b''):
    b = ctypes.create_string_buffer(nodes + bytes(128 - len(nodes)))
    return must(call(238, mode, b if nodes else 0, 1025 if nodes else 0))


# prctl(2): the getters that return a value, and those that write one.
VALUES = {'DUMPABLE': 3, 'KEEPCAPS': 7, 'FPEMU': 9, 'TIMING': 13, 'SECCOMP': 21, 'SECUREBITS': 27, 'TIMERSLACK': 30, 'MCE_KILL': 34,
          'NO_NEW_PRIVS': 39, 'THP_DISABLE': 42, 'FP_MODE': 46, 'SVE_VL': 51, 'TAGGED_ADDR': 56, 'IO_FLUSHER': 58, 'PAC_KEYS': 61,
          'SME_VL': 64, 'MDWE': 66, 'MEMORY_MERGE': 68, 'RISCV_V': 70, 'PPC_DEXCR': 72, 'SHADOW_STACK': 74}
POINTERS = {'PDEATHSIG': 2, 'UNALIGN': 5, 'FPEXC': 11, 'ENDIAN': 19, 'TSC': 25, 'CHILD_SUBREAPER': 37, 'TID_ADDRESS': 40}
OTHERS = {'SPEC_STORE_BYPASS': (52, 0), 'SPEC_INDIRECT_BRANCH': (52, 1), 'SPEC_L1D_FLUSH': (52, 2), 'TIMER_RESTORE_IDS': (77, 2),
          'FUTEX_HASH': (78, 2), 'FUTEX_IMMUTABLE': (78, 3)}
NEWEST = 79  # of the operations that this test knows


def look(tid):
    out = []

    def say(name, value):
        out.append('%s: %s' % (name, value))

    for name, op in VALUES.items():
        say('PR_' + name, prctl(op))
    for name, op in POINTERS.items():
        b = ctypes.create_string_buffer(8)
        r = prctl(op, b)
        say('PR_' + name, b.raw.hex() if r == 0 else r)
    for name, args in OTHERS.items():
        say('PR_' + name, prctl(*args))
    for cap in range(64):
        say('PR_CAPBSET_READ %d' % cap, prctl(23, cap))
        say('PR_CAP_AMBIENT %d' % cap, prctl(47, 1, cap))
    b = ctypes.create_string_buffer(16)
    prctl(16, b)
    say('PR_GET_NAME', b.raw)
    b = ctypes.create_string_buffer(4096)
    say('PR_GET_AUXV', prctl(0x41555856, b, 4096))
    b = ctypes.create_string_buffer(8)
    say('PR_SCHED_CORE', prctl(62, 0, tid, 0, b))
    for op in range(NEWEST + 1, NEWEST + 40):
        say('prctl %d' % op, prctl(op, -1, -1, -1, -1))
    slack = prctl(30)
    prctl(29, 0)
    say('default timer slack', prctl(30))
    if slack:
        prctl(29, slack)
    b = ctypes.create_string_buffer(56)
    r = call(315, 0, b, 56, 0)
    say('sched_getattr', b.raw.hex() if r == 0 else r)
    b = ctypes.create_string_buffer(128)
    call(204, 0, 128, b)
    say('affinity', b.raw.hex())
    say('ioprio_get', call(252, 1, 0))
    say('getpriority', call(140, 0, 0))
    mode, nodes = ctypes.create_string_buffer(4), ctypes.create_string_buffer(128)
    call(239, mode, nodes, 1025, 0, 0)
    say('get_mempolicy', mode.raw.hex() + ' ' + nodes.raw.hex())
    say('membarrier', call(324, 1 << 9, 0, 0))
    for cmd in 8, 32, 128:
        say('membarrier %d' % cmd, call(324, cmd, 0, 0))
    say('thread keyring', call(250, 0, -1, 0))
    say('process keyring', call(250, 0, -2, 0))
    say('request_key', call(250, 14, -1))
    say('arch_prctl ARCH_GET_CPUID', call(158, 0x1011))
    say('arch_prctl ARCH_CET_STATUS', call(158, 0x3001, ctypes.create_string_buffer(32)))
    b = ctypes.create_string_buffer(24)
    call(131, 0, b)
    say('sigaltstack', b.raw.hex())
    for which in range(3):
        say('getitimer %d' % which, call(36, which, ctypes.create_string_buffer(32)))
    say('personality', call(135, 0xffffffff))
    with open('/proc/self/maps') as f:
        say('executable files', sum(line.split()[1][2] == 'x' and '/' in line for line in f))
    dir = '/proc/self/task/%d/' % tid
    for name in ('limits', 'oom_score_adj', 'autogroup', 'coredump_filter', 'timerslack_ns', 'setgroups', 'uid_map', 'gid_map', 'projid_map',
                 'loginuid', 'sessionid', 'cgroup', 'personality', 'comm', 'cpuset', 'timens_offsets'):
        for at in (dir, '/proc/self/'):
            try:
                with open(at + name) as f:
                    for n, line in enumerate(f):
                        say('%s %d' % (name, n), re.sub('autogroup-[0-9]+', 'autogroup-N', line.strip()))
                break
            except OSError as e:
                say(name, errno.errorcode[e.errno])
    with open(dir + 'status') as f:
        for line in f:
            name, value = line.rstrip('\n').split(':', 1)
            say('status ' + name, value.strip())
    return '\n'.join(out) + '\n'


PROCESS, THREAD = sys.argv[1], sys.argv[2]


def main(tid, code, ready):
    exec(code, globals())
    ready.wait()
    if tid == os.getpid():
        print('begin', flush=True)
    done = 0
    while True:
        time.sleep(0.02)
        if os.path.exists('ask%d' % (done + 1)):
            done += 1
            name = 'look%d.%s' % (done, 'process' if tid == os.getpid() else 'thread')
            write(name + '.part', look(tid))
            os.rename(name + '.part', name)


ready = threading.Barrier(2 if THREAD != '-' else 1)
if THREAD != '-':
    threading.Thread(target=lambda: main(threading.get_native_id(), THREAD, ready), daemon=True).start()
main(os.getpid(), PROCESS, ready)
