/* POSIX timers with ids of every size: each must go off once, with its own
   value, and have the id that it had. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TIMER_CREATE_RESTORE_IDS 77 /* since Linux 6.15 */

static const int ids[] = {0, 3, 9000, 16384, 20000, 1000000, 0x7ffffffe};
#define N (int)(sizeof ids / sizeof *ids)

int main(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (prctl(TIMER_CREATE_RESTORE_IDS, 1, 0, 0, 0))
		return 80;
	for (int i = 0; i < N; i++) {
		int id = ids[i];
		struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 100 + i};
		if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &id) || id != ids[i])
			return 81;
		struct itimerspec t = {.it_value = {2, 100000000 * i}, .it_interval = {100000, 0}};
		if (syscall(SYS_timer_settime, id, 0, &t, NULL))
			return 82;
	}
	prctl(TIMER_CREATE_RESTORE_IDS, 0, 0, 0, 0);
	printf("begin\n");
	fflush(stdout);
	for (int i = 0; i < N; i++) {
		siginfo_t s;
		while (sigwaitinfo(&set, &s) < 0)
			if (errno != EINTR)
				return 83;
		printf("timer %d, value %d\n", s.si_timerid == ids[i] ? ids[i] : -1, s.si_value.sival_int);
	}
	for (int i = 0; i < N; i++) {
		struct itimerspec t;
		if (syscall(SYS_timer_gettime, ids[i], &t) || t.it_value.tv_sec < 90000 || t.it_interval.tv_sec != 100000)
			return 84;
		if (syscall(SYS_timer_delete, ids[i]))
			return 85;
	}
	int r = prctl(TIMER_CREATE_RESTORE_IDS, 2, 0, 0, 0);
	printf("ids are %s\n", r == 0 ? "the kernel's again" : "taken");
	return 0;
}
