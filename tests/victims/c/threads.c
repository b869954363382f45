/* A process of 500 threads: each computes, sleeps, takes a lock, meets the
   others at barriers, and has its own name, signal mask and thread-local state. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { threads = 499, rounds = 100 };

static pthread_barrier_t barrier;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t total;
static int wrong;
static __thread uint64_t local;

static void *run(void *arg)
{
	uint64_t id = (uint64_t)(uintptr_t)arg;
	char name[16], now[16];
	sigset_t set, old;
	snprintf(name, sizeof name, "t%d", (int)id);
	pthread_setname_np(pthread_self(), name);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1 + (int)(id % 20));
	pthread_sigmask(SIG_BLOCK, &set, 0);
	local = id;
	for (int r = 0; r < rounds; r++) {
		for (int k = 0; k < 8000; k++)
			local = local * 6364136223846793005u + 1442695040888963407u + (local >> 33);
		struct timespec t = {0, 60000000};
		while (nanosleep(&t, &t) == -1)
			;
		pthread_mutex_lock(&lock);
		total += local;
		pthread_mutex_unlock(&lock);
		if (r % 8 == 7)
			pthread_barrier_wait(&barrier);
	}
	pthread_getname_np(pthread_self(), now, sizeof now);
	pthread_sigmask(SIG_BLOCK, 0, &old);
	if (strcmp(name, now) || !sigismember(&old, SIGRTMIN + 1 + (int)(id % 20)) ||
	    sigismember(&old, SIGRTMIN + 1 + (int)((id + 1) % 20)))
		__atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
	return 0;
}

int main(void)
{
	static pthread_t t[threads];
	pthread_attr_t a;
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 65536);
	pthread_barrier_init(&barrier, 0, threads);
	for (uintptr_t i = 0; i < threads; i++)
		if (pthread_create(&t[i], &a, run, (void *)(i + 1)))
			return 90;
	puts("begin");
	fflush(stdout);
	for (int i = 0; i < threads; i++)
		pthread_join(t[i], 0);
	printf("%016llx wrong %d\n", (unsigned long long)total, wrong);
	return wrong != 0;
}
