/* Stands so near to a limit of its own that a byte more is refused: argument 1 is
   the limit, argument 2 how many bytes are left. It tries both, again and again,
   and says "ok" each time, or how it is not so. Argument 3: how many threads it
   has. With an argument 4 a child does that, in a process group of its own, which
   a terminal's signals may stop. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { page = 4096 };

static char text[8192];

/* field is a number of KiB in /proc/self/status. */
static long field(const char *name)
{
	int fd = open("/proc/self/status", O_RDONLY);
	long n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	char *at = strstr(text, name);
	return at ? atol(at + strlen(name)) : -1;
}

static void say(const char *s)
{
	if (write(1, s, strlen(s)) < 0)
		_exit(99);
}

static void *forever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static int can_map(long bytes)
{
	char *p = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return 0;
	munmap(p, bytes);
	return 1;
}

static char *pool;

static int can_lock(long bytes)
{
	if (mlock(pool, bytes))
		return 0;
	munlock(pool, bytes);
	return 1;
}

static int self;

/* mapping maps the same page of a file each time, so that none becomes one with
   its neighbour. */
static char *mapping(void)
{
	return mmap(0, page, PROT_READ, MAP_PRIVATE, self, 0);
}

/* can_split makes as many mappings more as bytes has pages. */
static int can_split(long bytes)
{
	long n = bytes / page, i = 0;
	static char *at[1024];
	for (; i < n; i++)
		if ((at[i] = mapping()) == MAP_FAILED)
			break;
	int all = i == n;
	while (i-- > 0)
		munmap(at[i], page);
	return all;
}

int main(int argc, char **argv)
{
	long room = atol(argv[2]);
	int (*can)(long) = can_map;
	if (argc > 4) {
		pid_t child = fork();
		if (child > 0) {
			waitpid(child, 0, 0);
			return 92;
		}
		setpgid(0, 0);
	}
	for (int i = argc > 3 ? atoi(argv[3]) : 1; i > 1; i--) {
		pthread_t t;
		pthread_attr_t a;
		pthread_attr_init(&a);
		pthread_attr_setstacksize(&a, 65536);
		if (pthread_create(&t, &a, forever, 0))
			return 98;
	}
	if (!strcmp(argv[1], "as") || !strcmp(argv[1], "data")) {
		int as = argv[1][0] == 'a';
		long now = field(as ? "VmSize:" : "VmData:") * 1024;
		struct rlimit l = {now + room, now + room};
		if (setrlimit(as ? RLIMIT_AS : RLIMIT_DATA, &l))
			return 97;
	} else if (!strcmp(argv[1], "memlock")) {
		pool = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		char *locked = mmap(0, 16 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (mlock(locked, 16 * page))
			return 96;
		struct rlimit l = {16 * page + room, 16 * page + room};
		if (setrlimit(RLIMIT_MEMLOCK, &l))
			return 95;
		can = can_lock;
	} else {
		static char *last[1024];
		long n = 0;
		char *at;
		can = can_split;
		self = open("/proc/self/exe", O_RDONLY);
		while ((at = mapping()) != MAP_FAILED)
			last[n++ % 1024] = at;
		for (long i = 0; i < room / page; i++)
			munmap(last[--n % 1024], page);
	}
	if ((room && !can(room)) || can(room + page))
		return 93;
	say("begin\n");
	for (;;) {
		struct timespec t = {0, 20000000};
		nanosleep(&t, 0);
		if (room && !can(room))
			say("less is left\n");
		else if (can(room + page))
			say("more is left\n");
		else
			say("ok\n");
	}
}
