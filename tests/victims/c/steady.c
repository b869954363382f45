/* Works until a file called "stop" appears, and then says how far it came: three
   processes of three threads. Its map and its descriptors do not change after
   "begin", so that anything left behind in it can be seen. The test does the
   same sums again. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { processes = 3, threads = 3, chunk = 2000 };

static int ping[2];
static pthread_barrier_t ready;
static uint64_t count[threads], hash[threads];
static int process;

static void nap(long us)
{
	struct timespec t = {0, us * 1000};
	while (nanosleep(&t, &t) == -1)
		;
}

static void *work(void *arg)
{
	int id = (int)(intptr_t)arg;
	uint64_t h = (uint64_t)(process * threads + id + 1), n = 0;
	pthread_barrier_wait(&ready);
	do {
		for (int k = 0; k < chunk; k++)
			h = h * 6364136223846793005u + 1442695040888963407u + (h >> 33);
		n++;
		if (id == 0)
			nap(1500);
		if (id == 2 && n % 64 == 0)
			nap(2000);
		if (id == 1) {
			/* The byte that comes back need not be the one that went. */
			char c = 1;
			if (write(ping[1], &c, 1) != 1 || read(ping[0], &c, 1) != 1 || c != 1)
				abort();
			nap(300);
		}
	} while (access("stop", F_OK));
	count[id] = n;
	hash[id] = h;
	return 0;
}

int main(void)
{
	pthread_t t[threads];
	pid_t child[processes];
	int go[2];
	char line[256], c;
	if (pipe(ping) || pipe(go))
		return 90;
	for (process = 1; process < processes; process++)
		if ((child[process] = fork()) == 0)
			goto work;
	process = 0;
work:
	pthread_barrier_init(&ready, 0, threads + 1);
	for (intptr_t i = 0; i < threads; i++)
		if (pthread_create(&t[i], 0, work, (void *)i))
			return 91;
	pthread_barrier_wait(&ready);
	if (process > 0) {
		if (write(go[1], "", 1) != 1)
			return 92;
	} else {
		for (int i = 1; i < processes; i++)
			if (read(go[0], &c, 1) != 1)
				return 93;
		if (write(1, "begin\n", 6) != 6)
			return 94;
	}
	for (int i = 0; i < threads; i++)
		pthread_join(t[i], 0);
	for (int i = 0; i < threads; i++) {
		int n = snprintf(line, sizeof line, "%d %llu %016llx\n", process * threads + i + 1,
				 (unsigned long long)count[i], (unsigned long long)hash[i]);
		if (write(1, line, n) != n)
			return 95;
	}
	for (int i = 1; process == 0 && i < processes; i++) {
		int st;
		if (waitpid(child[i], &st, 0) != child[i] || st)
			return 96;
	}
	return 0;
}
