# Runs a command with something set that the command's children inherit.
import ctypes, os, signal, struct, sys

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def call(*args):
    r = libc.syscall(*[a if isinstance(a, ctypes.Array) else ctypes.c_long(a) for a in args], *[ctypes.c_long(0)] * (7 - len(args)))
    if r == -1:
        raise SystemExit('under: %s: %s' % (args, os.strerror(ctypes.get_errno())))
    return r


def prctl(*args):
    return call(157, *args)


def write(path, text):
    with open(path, 'w') as f:
        f.write(str(text))


exec(sys.argv[1])
os.execvp(sys.argv[2], sys.argv[2:])
