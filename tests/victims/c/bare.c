/* Signals that are pending without a siginfo, since no more could be queued when they
   came: for the process, for its first thread, and for another one. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static sigset_t all;

static void take(const char *who)
{
	siginfo_t s;
	struct timespec none = {0};
	for (int sig; (sig = sigtimedwait(&all, &s, &none)) > 0;)
		printf("%s: signal %d, code %d, pid %d, value %d\n", who, sig, s.si_code, s.si_pid, s.si_value.sival_int);
}

static int queue(int tid, int sig, int code, int value)
{
	siginfo_t s;
	memset(&s, 0, sizeof s);
	s.si_signo = sig;
	s.si_code = code;
	s.si_pid = 77;
	s.si_value.sival_int = value;
	if (tid)
		return syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, sig, &s);
	return syscall(SYS_rt_sigqueueinfo, getpid(), sig, &s);
}

static pthread_barrier_t ready, go;

static void *other(void *arg)
{
	if (queue(gettid(), SIGUSR2, SI_QUEUE, 9))
		printf("failed: %d\n", errno);
	pthread_barrier_wait(&ready);
	pthread_barrier_wait(&go);
	take("other thread");
	return arg;
}

int main(void)
{
	pthread_t t;
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	queue(0, SIGRTMIN + 5, SI_QUEUE, 5); /* this one is queued */
	struct rlimit l;
	getrlimit(RLIMIT_SIGPENDING, &l);
	l.rlim_cur = 0;
	setrlimit(RLIMIT_SIGPENDING, &l);
	if (queue(0, SIGUSR1, SI_QUEUE, 6) || kill(getpid(), SIGRTMIN + 1) || kill(getpid(), SIGRTMIN + 5) ||
	    queue(gettid(), SIGWINCH, SI_QUEUE, 7))
		return 80;
	pthread_barrier_init(&ready, NULL, 2);
	pthread_barrier_init(&go, NULL, 2);
	pthread_create(&t, NULL, other, NULL);
	pthread_barrier_wait(&ready);
	printf("begin\n");
	while (access("go", F_OK))
		usleep(20000);
	take("first thread");
	pthread_barrier_wait(&go);
	pthread_join(t, NULL);
	return 0;
}
