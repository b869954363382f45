/* Signals interrupt calls of the vDSO. The handler naps (nap: on the same stack,
   alt: on another, nested: in a second handler within the first), or stays for
   ever once it has interrupted such a call (stay). */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static volatile int inside;
static volatile int stay;
static volatile int nested;

static void nap(void)
{
	struct timespec t = {0, 1000 * 1000};
	nanosleep(&t, NULL);
}

static void second(int sig) { nap(); }

static void on(int sig, siginfo_t *si, void *p)
{
	uint64_t rip = ((ucontext_t *)p)->uc_mcontext.gregs[REG_RIP];
	if (rip - getauxval(AT_SYSINFO_EHDR) < 8192) {
		inside = 1;
		if (stay) {
			for (;;) { /* whenever somebody begins to listen */
				write(1, "ok inside\n", 10);
				nap();
			}
		}
	}
	if (nested)
		raise(SIGUSR1);
	else
		nap();
	inside = 0;
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_sigaction = on, .sa_flags = SA_SIGINFO | SA_RESTART};
	static char stack[64 << 10];
	if (!strcmp(argv[1], "alt")) {
		stack_t ss = {.ss_sp = stack, .ss_size = sizeof stack};
		sigaltstack(&ss, NULL);
		sa.sa_flags |= SA_ONSTACK;
	}
	stay = !strcmp(argv[1], "stay");
	nested = !strcmp(argv[1], "nested");
	sigaction(SIGALRM, &sa, NULL);
	signal(SIGUSR1, second);
	for (int i = 0; i < 4; i++)
		printf("ok %p\n", (void *)&inside);
	fflush(stdout);
	struct itimerval it = {{0, 1500}, {0, 1500}};
	setitimer(ITIMER_REAL, &it, NULL);
	for (struct timespec last = {0}, t;; last = t) {
		clock_gettime(CLOCK_MONOTONIC, &t);
		if (t.tv_sec < last.tv_sec) {
			puts("bad: time went back");
			return 1;
		}
	}
}
