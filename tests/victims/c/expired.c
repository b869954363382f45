/* POSIX timers that have expired while their signals were blocked, in all states, a
   timer of a thread's CPU time, and the id of the next timer. What it says must be the
   same with and without an interruption. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int make(clockid_t clock, int sig, int value, int tid)
{
	int id = -1;
	struct sigevent e = {.sigev_notify = tid ? SIGEV_THREAD_ID : SIGEV_SIGNAL, .sigev_signo = sig, .sigev_value.sival_int = value};
	e._sigev_un._tid = tid;
	if (syscall(SYS_timer_create, clock, &e, &id))
		printf("timer_create: %d\n", errno);
	return id;
}

static int64_t now(clockid_t c)
{
	struct timespec t;
	clock_gettime(c, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static struct timespec spec(int64_t ns) { return (struct timespec){ns / 1000000000, ns % 1000000000}; }

static void set(int id, int flags, int64_t value, int64_t interval)
{
	struct itimerspec t = {.it_value = spec(value), .it_interval = spec(interval)};
	if (syscall(SYS_timer_settime, id, flags, &t, NULL))
		printf("timer_settime %d: %d\n", id, errno);
}

static void queue(int sig, int value)
{
	union sigval v = {.sival_int = value};
	sigqueue(getpid(), sig, v);
}

static void burn(int ms)
{
	for (int64_t end = now(CLOCK_THREAD_CPUTIME_ID) + ms * 1000000LL; now(CLOCK_THREAD_CPUTIME_ID) < end;)
		;
}

static void take(const char *who, int sig, int least)
{
	sigset_t s;
	siginfo_t i;
	struct timespec none = {0};
	sigemptyset(&s);
	sigaddset(&s, sig);
	while (sigtimedwait(&s, &i, &none) > 0) {
		printf("%s: code %d, value %d", who, i.si_code, i.si_value.sival_int);
		if (i.si_code == SI_TIMER)
			printf(", timer %d, overrun %s", i.si_timerid, i.si_overrun >= least && i.si_overrun < least + 500 ? "as it should be" : "wrong");
		printf("\n");
		if (i.si_code == SI_TIMER && (i.si_overrun < least || i.si_overrun >= least + 500))
			printf("%d, not %d\n", i.si_overrun, least);
	}
}

static void pending(void)
{
	char line[256];
	FILE *f = fopen("/proc/thread-self/status", "r");
	while (fgets(line, sizeof line, f))
		if (!strncmp(line, "SigPnd", 6) || !strncmp(line, "ShdPnd", 6))
			fputs(line, stdout);
	fclose(f);
}

static pthread_barrier_t ready, go, burnt;
static int cpu;

static void *other(void *arg)
{
	int own = make(CLOCK_MONOTONIC, SIGRTMIN + 7, 70, gettid());
	cpu = make(CLOCK_THREAD_CPUTIME_ID, SIGRTMIN + 6, 60, 0);
	set(own, 0, 1000000, 0);
	set(cpu, 0, 300000000, 0);
	pthread_barrier_wait(&ready);
	pthread_barrier_wait(&go);
	pending();
	take("of the thread", SIGRTMIN + 7, 0);
	burn(350);
	pthread_barrier_wait(&burnt);
	return arg;
}

int main(void)
{
	sigset_t all;
	pthread_t t;
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (int i = 0; i < 5; i++)
		syscall(SYS_timer_delete, make(CLOCK_MONOTONIC, SIGUSR1, 0, 0));

	int periodic = make(CLOCK_MONOTONIC, SIGRTMIN, 10, 0), disarmed = make(CLOCK_MONOTONIC, SIGRTMIN + 1, 20, 0),
	    once = make(CLOCK_BOOTTIME, SIGRTMIN + 2, 30, 0), counted = make(CLOCK_REALTIME, SIGRTMIN + 3, 40, 0),
	    anew = make(CLOCK_MONOTONIC, SIGRTMIN + 4, 50, 0), plain = make(CLOCK_MONOTONIC, SIGUSR2, 80, 0);
	const int64_t hour = 3600 * 1000000000LL;
	queue(SIGRTMIN, 1);
	set(periodic, 0, 10000000, 10000000);
	set(disarmed, 0, 1000000, 0);
	set(once, 0, 1000000, 0);
	set(anew, 0, 1000000, 0);
	set(plain, 0, 1000000, hour);
	set(counted, TIMER_ABSTIME, now(CLOCK_REALTIME) - 10 * hour - hour / 2, hour);
	usleep(1200000);
	queue(SIGRTMIN, 2);
	set(disarmed, 0, 0, 0);
	set(anew, 0, hour, hour);
	take("counted", SIGRTMIN + 3, 10);

	pthread_barrier_init(&ready, NULL, 2);
	pthread_barrier_init(&go, NULL, 2);
	pthread_barrier_init(&burnt, NULL, 2);
	pthread_create(&t, NULL, other, NULL);
	pthread_barrier_wait(&ready);
	for (int i = 0; i < 3; i++)
		syscall(SYS_timer_delete, make(CLOCK_MONOTONIC, SIGUSR1, 0, 0));
	usleep(50000);
	printf("begin\n");
	while (access("go", F_OK))
		usleep(20000);

	pending();
	printf("getoverrun %ld, %ld\n", syscall(SYS_timer_getoverrun, counted), syscall(SYS_timer_getoverrun, periodic));
	burn(350);
	take("CPU time of another", SIGRTMIN + 6, 0);
	take("periodic", SIGRTMIN, 119);
	take("disarmed", SIGRTMIN + 1, 0);
	take("once", SIGRTMIN + 2, 0);
	take("counted again", SIGRTMIN + 3, 10);
	take("anew", SIGRTMIN + 4, 0);
	take("plain", SIGUSR2, 0);
	struct itimerspec s;
	syscall(SYS_timer_gettime, counted, &s);
	printf("counted: %s\n", s.it_value.tv_sec > 1700 && s.it_value.tv_sec <= 1800 && s.it_interval.tv_sec == 3600 ? "half an hour left" : "wrong");
	syscall(SYS_timer_gettime, anew, &s);
	printf("anew: %s\n", s.it_value.tv_sec > 3500 && s.it_interval.tv_sec == 3600 ? "an hour left" : "wrong");
	pthread_barrier_wait(&go);
	pthread_barrier_wait(&burnt);
	usleep(50000);
	take("CPU time", SIGRTMIN + 6, 0);
	printf("next timer %d\n", make(CLOCK_MONOTONIC, SIGUSR1, 0, 0));
	return 0;
}
