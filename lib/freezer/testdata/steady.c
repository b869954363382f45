/* A victim whose threads wait in every way that a freeze could disturb, and say
   so when one of them sees anything of it. Prints "ok N" ten times a second. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static void bad(const char *what, long got)
{
	printf("bad %s: %ld, %s\n", what, got, strerror(errno));
	fflush(stdout);
	_exit(1);
}

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static atomic_ulong turns[16];

/* A freezer that is killed can't hide the EINTR of calls that know no restart. */
static int tolerant;

enum { PIECE = 4000000 }; /* ns */

static _Noreturn void *sleeper(void *arg)
{
	for (;; turns[0]++) {
		struct timespec t = {0, PIECE}, rem = {0, 0};
		int64_t start = now();
		errno = 0;
		if (nanosleep(&t, &rem) != 0)
			bad("nanosleep", errno);
		if (now() - start < PIECE)
			bad("nanosleep woke early", now() - start);
	}
}

static _Noreturn void *poller(void *arg)
{
	int p[2];
	pipe(p);
	for (;; turns[1]++) {
		struct pollfd f = {p[0], POLLIN, 0};
		int64_t start = now();
		int n = poll(&f, 1, PIECE / 1000000);
		if (n != 0)
			bad("poll", n);
		if (now() - start < PIECE)
			bad("poll woke early", now() - start);
	}
}

static _Noreturn void *futexer(void *arg)
{
	static int word;
	for (;; turns[2]++) {
		struct timespec t = {0, PIECE};
		int64_t start = now();
		errno = 0;
		if (syscall(SYS_futex, &word, FUTEX_WAIT, 0, &t, NULL, 0) != -1 || errno != ETIMEDOUT)
			bad("futex", errno);
		if (now() - start < PIECE)
			bad("futex woke early", now() - start);
	}
}

static int line[2], epline[2];

static _Noreturn void *writer(void *arg)
{
	for (unsigned long i = 0;; i++) {
		struct timespec t = {0, 2000000};
		nanosleep(&t, NULL);
		if (write(line[1], &i, sizeof i) != sizeof i)
			bad("write", i);
		if (write(epline[1], &i, sizeof i) != sizeof i)
			bad("write", i);
	}
}

static _Noreturn void *reader(void *arg)
{
	unsigned long got;
	for (unsigned long i = 0;; i++, turns[3]++) {
		long n = read(line[0], &got, sizeof got);
		if (n != sizeof got || got != i)
			bad("read", n);
	}
}

static _Noreturn void *epoller(void *arg)
{
	int ep = epoll_create1(0);
	struct epoll_event e = {EPOLLIN, {.u64 = 7}};
	unsigned long got;
	epoll_ctl(ep, EPOLL_CTL_ADD, epline[0], &e);
	for (unsigned long i = 0;; i++, turns[4]++) {
		int n;
		while ((n = epoll_wait(ep, &e, 1, -1)) < 0 && errno == EINTR && tolerant)
			;
		if (n != 1)
			bad("epoll_wait", n);
		if (read(epline[0], &got, sizeof got) != sizeof got || got != i)
			bad("epoll read", got);
	}
}

/* Blocks all signals, and keeps a SIGURG, which is ignored, pending. */
static _Noreturn void *blocker(void *arg)
{
	sigset_t all, s;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	pthread_kill(pthread_self(), SIGURG);
	pthread_kill(pthread_self(), SIGWINCH);
	for (;; turns[5]++) {
		for (volatile int i = 0; i < 100000; i++)
			;
		sigpending(&s);
		if (!sigismember(&s, SIGURG) || !sigismember(&s, SIGWINCH))
			bad("pending signal lost", 0);
		pthread_sigmask(SIG_SETMASK, NULL, &s);
		if (!sigismember(&s, SIGTERM) || !sigismember(&s, 50))
			bad("mask lost", 0);
		struct timespec t = {0, 500000};
		nanosleep(&t, NULL);
	}
}

static _Noreturn void *waiter(void *arg)
{
	sigset_t s;
	siginfo_t si;
	sigemptyset(&s);
	sigaddset(&s, SIGRTMIN + 2);
	for (int i = 0;; i++, turns[6]++) {
		int n;
		while ((n = sigwaitinfo(&s, &si)) < 0 && errno == EINTR && tolerant)
			;
		if (n != SIGRTMIN + 2 || si.si_value.sival_int != i)
			bad("sigwaitinfo", si.si_value.sival_int);
	}
}

static _Noreturn void *queuer(void *arg)
{
	for (int i = 0;; i++) {
		union sigval v = {.sival_int = i};
		struct timespec t = {0, 3000000};
		nanosleep(&t, NULL);
		if (sigqueue(getpid(), SIGRTMIN + 2, v) != 0)
			bad("sigqueue", i);
	}
}

static atomic_ulong ticks;
static void tick(int s) { ticks++; }

/* Waits for signals in sigsuspend: every one must end it. */
static _Noreturn void *suspender(void *arg)
{
	sigset_t s, open;
	sigemptyset(&s);
	sigaddset(&s, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &s, &open);
	sigdelset(&open, SIGALRM);
	struct itimerval it = {{0, 1700}, {0, 1700}};
	setitimer(ITIMER_REAL, &it, NULL);
	for (;; turns[7]++) {
		unsigned long before = ticks;
		sigsuspend(&open);
		if (ticks == before)
			bad("sigsuspend ended without a signal", before);
	}
}

static _Noreturn void *clocker(void *arg)
{
	for (;; turns[8]++) {
		int64_t last = now();
		for (int i = 0; i < 2000; i++) {
			int64_t t = now();
			if (t < last)
				bad("clock went back", t - last);
			last = t;
		}
		struct timespec t = {0, 200000};
		nanosleep(&t, NULL);
	}
}

static _Noreturn void *sums(void *arg)
{
	for (;; turns[9]++) {
		double x = 0;
		uint64_t h = 1469598103934665603ULL;
		for (int i = 1; i < 20000; i++) {
			x += 1.0 / i;
			h = (h ^ i) * 1099511628211ULL;
		}
		static double x0;
		static uint64_t h0;
		if (!h0)
			x0 = x, h0 = h;
		if (x != x0 || h != h0)
			bad("sum", h);
		struct timespec t = {0, 100000};
		nanosleep(&t, NULL);
	}
}

int main(int argc, char **argv)
{
	tolerant = argc > 1;
	void *(*all[])(void *) = {sleeper, poller, futexer, reader, epoller, blocker, waiter, suspender, clocker, sums, writer, queuer};
	enum { WATCHED = 10 };
	sigset_t s;
	struct sigaction sa = {.sa_handler = tick}; /* no SA_RESTART */
	sigaction(SIGALRM, &sa, NULL);
	sigemptyset(&s);
	sigaddset(&s, SIGALRM);
	sigaddset(&s, SIGRTMIN + 2);
	pthread_sigmask(SIG_BLOCK, &s, NULL);
	pipe(line);
	pipe(epline);
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
		pthread_t t;
		pthread_create(&t, NULL, all[i], NULL);
	}
	for (unsigned long n = 0;; n++) {
		struct timespec t = {0, 100000000};
		unsigned long before[WATCHED];
		for (int i = 0; i < WATCHED; i++)
			before[i] = turns[i];
		nanosleep(&t, NULL);
		for (int tries = 0; tries < 100; tries++) {
			int still = 0;
			for (int i = 0; i < WATCHED; i++)
				still += turns[i] == before[i];
			if (!still)
				break;
			if (tries == 99)
				for (int i = 0; i < WATCHED; i++)
					if (turns[i] == before[i])
						bad("hangs: thread", i);
			nanosleep(&t, NULL);
		}
		printf("ok %lu\n", n);
		fflush(stdout);
	}
}
