/* large KIND N [M]: a process, or a tree, that has very much of one thing.
   It says "ready" and waits. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static const long page = 4096;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Mappings that can't be merged, each with all advice that can stand together. */
static void mappings(int n)
{
	char *p = mmap(0, n * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		die("mmap");
	int advice[] = { MADV_DONTFORK, MADV_DONTDUMP, MADV_WIPEONFORK, MADV_MERGEABLE, MADV_NOHUGEPAGE };
	for (unsigned i = 0; i < sizeof advice / sizeof *advice; i++)
		if (madvise(p, n * page, advice[i]) && errno != EINVAL)
			die("madvise");
	for (int i = 0; i < n; i++) {
		p[i * page] = i;
		if (madvise(p + i * page, page, i % 2 ? MADV_SEQUENTIAL : MADV_RANDOM))
			die("madvise");
	}
}

static void *sleeper(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void threads(int n)
{
	pthread_attr_t a;
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 16384);
	/* Two to a mapping would do; 20,000 stacks with guards are 40,000 mappings. */
	pthread_attr_setguardsize(&a, 0);
	for (int i = 1; i < n; i++) {
		pthread_t t;
		if ((errno = pthread_create(&t, &a, sleeper, 0)))
			die("pthread_create");
	}
}

static void descriptors(int n)
{
	/* Of eight, seven are the same: restore must have all that differ open. */
	for (int i = 3; i < n; i++)
		if ((i % 8 ? dup(i - 1) : open(i % 16 ? "/dev/null" : "/proc/self/exe", O_RDONLY)) < 0)
			die("descriptor");
}

static void guards(int n)
{
	char *p = mmap(0, 2L * n * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		die("mmap");
	for (int i = 0; i < n; i++)
		if (madvise(p + 2L * i * page, page, MADV_GUARD_INSTALL))
			die("guard");
}

static void children(int n, int each)
{
	for (int i = 1; i < n; i++) {
		pid_t pid = fork();
		if (pid < 0)
			die("fork");
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			descriptors(each);
			sleeper(0);
		}
	}
	descriptors(each);
}

static void pipes(int n, int size)
{
	char *b = malloc(size);
	for (int i = 0; i < size; i++)
		b[i] = i * 2654435761u >> 24;
	for (int i = 0; i < n; i++) {
		int p[2];
		if (pipe2(p, O_NONBLOCK))
			die("pipe");
		if (size > 65536 && fcntl(p[1], F_SETPIPE_SZ, size) < 0)
			die("F_SETPIPE_SZ");
		if (write(p[1], b, size) != size)
			die("write");
	}
	free(b);
}

static void queued(int n)
{
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGRTMIN + 3);
	sigprocmask(SIG_BLOCK, &s, 0);
	for (int i = 0; i < n; i++) {
		union sigval v = { .sival_int = i };
		if (sigqueue(getpid(), SIGRTMIN + 3, v))
			die("sigqueue");
	}
}

/* A name that is cut in the middle of a character, and a file's that is
   Latin-1, open and mapped. */
static void names(const char *dir)
{
	char path[4096];
	prctl(PR_SET_NAME, "abcdefgh\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4");
	snprintf(path, sizeof path, "%s/caf\xe9", dir);
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, page))
		die(path);
	if (mmap(0, page, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		die("mmap");
}

int main(int argc, char **argv)
{
	const char *kind = argv[1];
	int n = argc > 2 ? atoi(argv[2]) : 0, m = argc > 3 ? atoi(argv[3]) : 0;
	if (!strcmp(kind, "mappings"))
		mappings(n);
	else if (!strcmp(kind, "threads"))
		threads(n);
	else if (!strcmp(kind, "children"))
		children(n, m);
	else if (!strcmp(kind, "guards"))
		guards(n);
	else if (!strcmp(kind, "pipes"))
		pipes(n, m);
	else if (!strcmp(kind, "queued"))
		queued(n);
	else if (!strcmp(kind, "names"))
		names(argv[2]);
	else
		return 2;
	puts("ready");
	fflush(stdout);
	sleeper(0);
	return 0;
}
