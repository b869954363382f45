/* crowd PROCESSES THREADS: that many, asleep; the first says "ok" all the time. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static void *nap(void *arg)
{
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	int processes = atoi(argv[1]), threads = atoi(argv[2]);
	pid_t root = getpid();
	for (int i = 1; i < processes; i++)
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
	for (int i = 1; i < threads; i++) {
		pthread_t t;
		pthread_attr_t a;
		pthread_attr_init(&a);
		pthread_attr_setstacksize(&a, 32 << 10);
		pthread_create(&t, &a, nap, NULL);
	}
	for (;;) {
		if (getpid() == root)
			puts("ok"), fflush(stdout);
		usleep(100000);
	}
}
