/* many KIND N: has N threads, mappings or child processes; then it says so and
   waits. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void *rest(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static int threads(int n)
{
	pthread_attr_t a;
	pthread_t t;
	if (pthread_attr_init(&a) || pthread_attr_setstacksize(&a, 64 << 10))
		return 1;
	for (int i = 0; i < n; i++)
		if (pthread_create(&t, &a, rest, NULL))
			return 1;
	return 0;
}

/* Each has one page, touched, and other rights than its neighbours. */
static int mappings(int n)
{
	size_t page = 4096;
	char *p = mmap(NULL, n * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return 1;
	for (int i = 0; i < n; i++) {
		p[i * page] = 1;
		if (i % 2 && mprotect(p + i * page, page, PROT_READ))
			return 1;
	}
	return 0;
}

static int processes(int n)
{
	for (int i = 0; i < n; i++)
		switch (fork()) {
		case -1:
			return 1;
		case 0:
			rest(NULL);
		}
	return 0;
}

int main(int argc, char **argv)
{
	int n = atoi(argv[2]), failed = 1;
	if (!strcmp(argv[1], "threads"))
		failed = threads(n);
	else if (!strcmp(argv[1], "mappings"))
		failed = mappings(n);
	else if (!strcmp(argv[1], "processes"))
		failed = processes(n);
	if (failed)
		return 1;
	puts("ready");
	fflush(stdout);
	rest(NULL);
}
