/* Waits of every sort, each in a thread of its own, made by system call
   instructions that stand alone: each must take as long as was asked for, by this
   process's own clock, return what it should, and keep all registers.

   waits all SECONDS        all of them
   waits signal SECONDS     one sleep, which SIGUSR1 ends */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long wrong;

/* A system call whose registers are looked at afterwards. */
static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	struct regs { long di, si, dx, r10, r8, r9, bx, r12, r13, r14, r15; } in = {a, b, c, d, e, f, 0x1111, 0x2222, 0x3333, 0x4444, 0x5555}, out;
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	register long r12 __asm__("r12") = 0x2222, r13 __asm__("r13") = 0x3333, r14 __asm__("r14") = 0x4444, r15 __asm__("r15") = 0x5555;
	long ret, bx = 0x1111;
	__asm__ volatile("syscall" : "=a"(ret), "+b"(bx), "+D"(a), "+S"(b), "+d"(c), "+r"(r10), "+r"(r8), "+r"(r9), "+r"(r12), "+r"(r13), "+r"(r14), "+r"(r15)
			 : "0"(nr) : "rcx", "r11", "memory");
	out = (struct regs){a, b, c, r10, r8, r9, bx, r12, r13, r14, r15};
	if (memcmp(&in, &out, sizeof in))
		__sync_fetch_and_add(&wrong, 1);
	return ret;
}

static int64_t now(clockid_t c)
{
	struct timespec t;
	clock_gettime(c, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static struct timespec seconds(double s) { return (struct timespec){(time_t)s, (long)((s - (time_t)s) * 1e9)}; }

static struct timespec later(clockid_t c, double s)
{
	int64_t t = now(c) + (int64_t)(s * 1e9);
	return (struct timespec){t / 1000000000, t % 1000000000};
}

static double length;
static int word;
static int pipes[2];

static long sleep_plain(void) { struct timespec t = seconds(length); return call(SYS_nanosleep, (long)&t, 0, 0, 0, 0, 0); }
static long sleep_rem(void) { struct timespec t = seconds(length), r = {77, 77}; return call(SYS_nanosleep, (long)&t, (long)&r, 0, 0, 0, 0); }
static long sleep_self(void) { struct timespec t = seconds(length); return call(SYS_nanosleep, (long)&t, (long)&t, 0, 0, 0, 0); }
static long clock_mono(void) { struct timespec t = seconds(length); return call(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, (long)&t, 0, 0, 0); }
static long clock_boot(void) { struct timespec t = seconds(length), r; return call(SYS_clock_nanosleep, CLOCK_BOOTTIME, 0, (long)&t, (long)&r, 0, 0); }
static long clock_real(void) { struct timespec t = seconds(length); return call(SYS_clock_nanosleep, CLOCK_REALTIME, 0, (long)&t, 0, 0, 0); }
static long poll_pipe(void) { struct pollfd p = {pipes[0], POLLIN, 0}; return call(SYS_poll, (long)&p, 1, (long)(length * 1000), 0, 0, 0); }
static long poll_none(void) { return call(SYS_poll, 0, 0, (long)(length * 1000), 0, 0, 0); }
static long futex_wait(void) { struct timespec t = seconds(length); return call(SYS_futex, (long)&word, FUTEX_WAIT, 0, (long)&t, 0, 0); }
static long futex_private(void) { struct timespec t = seconds(length); return call(SYS_futex, (long)&word, FUTEX_WAIT_PRIVATE, 0, (long)&t, 0, 0); }
static long ppoll_pipe(void) { struct pollfd p = {pipes[0], POLLIN, 0}; struct timespec t = seconds(length); return call(SYS_ppoll, (long)&p, 1, (long)&t, 0, 8, 0); }
static long pselect_none(void) { struct timespec t = seconds(length); return call(SYS_pselect6, 0, 0, 0, 0, (long)&t, 0); }
static long select_none(void) { struct timeval t = {(long)length, (long)((length - (long)length) * 1e6)}; return call(SYS_select, 0, 0, 0, 0, (long)&t, 0); }
static long abs_sleep(void) { struct timespec t = later(CLOCK_MONOTONIC, length); return call(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, (long)&t, 0, 0, 0); }
static long abs_futex(void) { struct timespec t = later(CLOCK_MONOTONIC, length); return call(SYS_futex, (long)&word, FUTEX_WAIT_BITSET, 0, (long)&t, 0, -1); }

static const struct wait { const char *name; long (*wait)(void); long want; } waits[] = {
	{"nanosleep", sleep_plain, 0}, {"nanosleep with rem", sleep_rem, 0}, {"nanosleep with rem in its place", sleep_self, 0},
	{"clock_nanosleep monotonic", clock_mono, 0}, {"clock_nanosleep boottime", clock_boot, 0}, {"clock_nanosleep realtime", clock_real, 0},
	{"poll", poll_pipe, 0}, {"poll of nothing", poll_none, 0}, {"futex", futex_wait, -ETIMEDOUT}, {"private futex", futex_private, -ETIMEDOUT},
	{"ppoll", ppoll_pipe, 0}, {"pselect", pselect_none, 0}, {"select", select_none, 0},
	{"clock_nanosleep until", abs_sleep, 0}, {"futex until", abs_futex, -ETIMEDOUT},
};
#define N (sizeof waits / sizeof *waits)

static pthread_barrier_t begun;
static struct { long ret; int64_t ms; } results[N];

static void *one(void *arg)
{
	size_t i = (size_t)arg;
	pthread_barrier_wait(&begun);
	int64_t from = now(CLOCK_MONOTONIC);
	results[i].ret = waits[i].wait();
	results[i].ms = (now(CLOCK_MONOTONIC) - from) / 1000000;
	return NULL;
}

static volatile int handled;
static void handler(int sig) { handled = sig; }

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 3 || pipe(pipes))
		return 80;
	length = atof(argv[2]);
	if (!strcmp(argv[1], "signal")) {
		struct sigaction a = {.sa_handler = handler};
		sigaction(SIGUSR1, &a, NULL);
		struct timespec t = seconds(length), rem = {-1, -1};
		printf("begin\n");
		int64_t from = now(CLOCK_MONOTONIC);
		long ret = call(SYS_nanosleep, (long)&t, (long)&rem, 0, 0, 0, 0);
		printf("returned %ld handled %d wrong %ld ms %ld rem %ld\n", ret, handled, wrong, (long)((now(CLOCK_MONOTONIC) - from) / 1000000),
		       (long)(rem.tv_sec * 1000 + rem.tv_nsec / 1000000));
		return 0;
	}
	pthread_t t[N];
	pthread_barrier_init(&begun, NULL, N + 1);
	for (size_t i = 0; i < N; i++)
		pthread_create(&t[i], NULL, one, (void *)i);
	pthread_barrier_wait(&begun);
	printf("begin\n");
	for (size_t i = 0; i < N; i++) {
		pthread_join(t[i], NULL);
		printf("%s: returned %ld ms %ld\n", waits[i].name, results[i].ret - waits[i].want, (long)results[i].ms);
	}
	printf("wrong %ld\n", wrong);
	return 0;
}
