// locked makes memory of the kinds that its arguments name, each locked in some
// way, and writes what it sees of all its memory: the flags of every page, and
// the contents of its own. When there is a file "go" it writes that once more.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096UL
#define GUARD_INSTALL 102
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define ONFAULT 1

static struct area { const char *name; char *at; size_t pages; } areas[256];
static int nareas;

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

// Neighbours must not be one mapping with it: a page is free on either side.
static char *map(const char *name, size_t pages, int prot, int flags, int fd)
{
	char *room = mmap(NULL, (pages + 2) * PAGE, PROT_NONE, ANON, -1, 0);
	if (room == MAP_FAILED || munmap(room, PAGE) || munmap(room + (pages + 1) * PAGE, PAGE))
		die("room");
	char *a = mmap(room + PAGE, pages * PAGE, prot, flags | MAP_FIXED, fd, 0);
	if (a == MAP_FAILED)
		die(name);
	areas[nareas++] = (struct area){name, a, pages};
	return a;
}

static void touch(char *a, size_t page) { memset(a + page * PAGE, 'a' + page % 26, 100); }

static void protect(char *a, size_t pages, int prot)
{
	if (mprotect(a, pages * PAGE, prot))
		die("mprotect");
}

static void guard(char *a, size_t page, size_t pages)
{
	if (madvise(a + page * PAGE, pages * PAGE, GUARD_INSTALL))
		die("guard");
}

// lock may say ENOMEM: what can't be populated is locked all the same.
static void lock(char *a, size_t pages, int how)
{
	if (mlock2(a, pages * PAGE, how) && errno != ENOMEM)
		die("mlock2");
}

static int file(const char *name, size_t bytes)
{
	int fd = open(name, O_RDWR | O_CREAT, 0600);
	for (size_t i = 0; i < bytes; i++)
		if (write(fd, i % PAGE ? "y" : "x", 1) != 1)
			die(name);
	return fd;
}

static void *wait_for_ever(void *arg) { for (;;) pause(); return arg; }

static void threads(void)
{
	for (int i = 0; i < 3; i++) {
		pthread_t t;
		if (pthread_create(&t, NULL, wait_for_ever, NULL))
			die("thread");
	}
}

static void plain(int how)
{
	char *a = map("plain", 8, RW, ANON, -1);
	touch(a, 1);
	touch(a, 6);
	lock(a, 8, how);
	a = map("a part", 8, RW, ANON, -1);
	touch(a, 0);
	lock(a + 2 * PAGE, 3, how);
	lock(map("no access", 4, PROT_NONE, ANON, -1), 4, how);
	lock(map("to read", 4, PROT_READ, ANON, -1), 4, how);
	lock(map("to write", 4, PROT_WRITE, ANON, -1), 4, how);
	lock(map("to execute", 4, PROT_EXEC, ANON, -1), 4, how);
	a = map("no swap space", 8, RW, ANON | MAP_NORESERVE, -1);
	touch(a, 3);
	lock(a, 8, how);
}

static void protected(int how)
{
	static const int prots[] = {PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXEC, PROT_READ | PROT_EXEC};
	static const char *names[] = {"then no access", "then read", "then write", "then execute", "then read, execute"};
	for (int i = 0; i < 5; i++) {
		for (int before = 0; before < 2; before++) {
			char *a = map(names[i], 8, RW, ANON, -1);
			touch(a, 2);
			touch(a, 7);
			if (before)
				protect(a, 8, prots[i]);
			lock(a, 8, how);
			protect(a, 8, prots[i]);
		}
		char *a = map(names[i], 9, RW, ANON, -1);
		touch(a, 4);
		lock(a, 9, how);
		protect(a + 3 * PAGE, 3, prots[i]);
	}
}

static void guards(int how)
{
	for (int i = 0; i < 8; i++) {
		char *a = map("guards", 16, RW, ANON, -1);
		touch(a, 1);
		touch(a, 9);
		if (i & 1)
			guard(a, 0, 1);
		if (i & 2)
			guard(a, 4, 2);
		if (i & 4)
			guard(a, 15, 1);
		if (i == 5)
			protect(a, 16, PROT_READ);
		lock(a, 16, how);
		if (i == 6)
			protect(a, 16, PROT_NONE);
		if (i == 7)
			protect(a + 3 * PAGE, 8, PROT_READ);
	}
	guard(map("nothing else", 4, RW, ANON, -1), 0, 4);
	lock(areas[nareas - 1].at, 4, how);
	guard(map("no access", 4, PROT_NONE, ANON, -1), 1, 1);
	lock(areas[nareas - 1].at, 4, how);
}

static void files(int how)
{
	int fd = file("some", 2 * PAGE + 5);
	lock(map("shared, past its end", 6, RW, MAP_SHARED, fd), 6, how);
	lock(map("shared, to read", 6, PROT_READ, MAP_SHARED, fd), 6, how);
	char *a = map("private, past its end", 6, RW, MAP_PRIVATE, fd);
	touch(a, 1);
	memset(a, 0, PAGE);
	lock(a, 6, how);
	a = map("private, then read", 2, RW, MAP_PRIVATE, fd);
	touch(a, 1);
	lock(a, 2, how);
	protect(a, 2, PROT_READ);
	a = map("private, before the lock", 6, RW, MAP_PRIVATE, fd);
	touch(a, 0);
	protect(a, 6, PROT_READ | PROT_EXEC);
	lock(a, 6, how);
	lock(map("private, to read", 6, PROT_READ, MAP_PRIVATE, fd), 6, how);
	lock(map("private, no access", 6, PROT_NONE, MAP_PRIVATE, fd), 6, how);
	a = map("shared memory", 6, RW, MAP_SHARED | MAP_ANONYMOUS, -1);
	touch(a, 3);
	lock(a, 6, how);
	a = map("shared memory, then read", 6, RW, MAP_SHARED | MAP_ANONYMOUS, -1);
	touch(a, 5);
	lock(a, 6, how);
	protect(a, 6, PROT_READ);
	a = map("shared memory, then no access", 6, RW, MAP_SHARED | MAP_ANONYMOUS, -1);
	touch(a, 5);
	protect(a, 6, PROT_NONE);
	lock(a, 6, how);
}

static void stacks(int how)
{
	char *a = map("grows down", 8, RW, ANON | MAP_GROWSDOWN, -1);
	touch(a, 7);
	lock(a, 8, how);
	a = map("grows down, a part", 8, RW, ANON | MAP_GROWSDOWN, -1);
	touch(a, 7);
	lock(a + 4 * PAGE, 4, how);
	char here[8 * PAGE];
	memset(here, 's', sizeof here);
	uintptr_t from = (uintptr_t)here & ~(PAGE - 1);
	lock((char *)from, 9, how);
}

static void advised(int how)
{
	static const int advices[] = {MADV_DONTFORK, MADV_DONTDUMP, MADV_WIPEONFORK, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_SEQUENTIAL, MADV_RANDOM};
	for (int i = 0; i < 7; i++) {
		char *a = map("advised", 4, RW, ANON, -1);
		touch(a, 2);
		if (madvise(a, 4 * PAGE, advices[i]) && errno != EINVAL)
			die("madvise");
		lock(a, 4, how);
	}
}

static void one(const char *kind, int how)
{
	if (!strcmp(kind, "plain")) plain(how);
	else if (!strcmp(kind, "protected")) protected(how);
	else if (!strcmp(kind, "guards")) guards(how);
	else if (!strcmp(kind, "files")) files(how);
	else if (!strcmp(kind, "stacks")) stacks(how);
	else if (!strcmp(kind, "advised")) advised(how);
	else if (!strcmp(kind, "threads")) threads();
	else if (!strcmp(kind, "all")) { if (mlockall(MCL_CURRENT)) die(kind); }
	else if (!strcmp(kind, "all-onfault")) { if (mlockall(MCL_CURRENT | MCL_ONFAULT)) die(kind); }
	else if (!strcmp(kind, "limit")) {
		struct rlimit l = {PAGE, 2 * PAGE};
		if (setrlimit(RLIMIT_MEMLOCK, &l)) die(kind);
	} else { errno = EINVAL; die(kind); }
}

// A kind is locked at once, or on fault when "-onfault" follows it.
static void make(const char *arg)
{
	char kind[64];
	snprintf(kind, sizeof kind, "%s", arg);
	char *dash = strchr(kind, '-');
	int how = 0;
	if (dash && strncmp(kind, "all", 3)) {
		*dash = 0;
		how = ONFAULT;
	}
	one(kind, how);
}

// flags writes the protection and flags of each range of addresses; ranges that
// touch and have the same are one. What the kernel has, it gives back itself.
static void flags(void)
{
	char line[8192], prot[8] = "", last[512] = "";
	unsigned long start = 0, end = 0, from = 0, to = 0;
	int kernels = 0;
	FILE *f = fopen("/proc/self/smaps", "r");
	while (f && fgets(line, sizeof line, f)) {
		unsigned long a, b;
		char p[8], name[256] = "";
		if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &a, &b, p, name) >= 3) {
			kernels = name[0] == '[' && name[1] == 'v';
			start = a, end = b;
			strcpy(prot, p);
			continue;
		}
		if (strncmp(line, "VmFlags:", 8) || kernels)
			continue;
		char now[512];
		int n = snprintf(now, sizeof now, "%s", prot);
		for (char *w = strtok(line + 8, " \n"); w; w = strtok(NULL, " \n"))
			if (strcmp(w, "gu") && strcmp(w, "sd")) // may be in it; is dirty
				n += snprintf(now + n, sizeof now - n, " %s", w);
		if (start == to && !strcmp(now, last)) {
			to = end;
			continue;
		}
		if (to)
			printf("%lx-%lx %s\n", from, to, last);
		from = start, to = end;
		strcpy(last, now);
	}
	printf("%lx-%lx %s\n", from, to, last);
	fclose(f);
}

// contents writes what each page holds, as the process itself may read it and as
// a debugger may.
static void contents(void)
{
	int mem = open("/proc/self/mem", O_RDONLY);
	for (int i = 0; i < nareas; i++) {
		printf("%s at %p:", areas[i].name, areas[i].at);
		for (size_t p = 0; p < areas[i].pages; p++) {
			char *at = areas[i].at + p * PAGE;
			static unsigned char b[PAGE];
			struct iovec to = {b, PAGE}, from = {at, PAGE};
			int mine = process_vm_readv(getpid(), &to, 1, &from, 1, 0) == PAGE;
			int any = pread(mem, b, PAGE, (off_t)at) == PAGE;
			unsigned sum = 0;
			for (size_t k = 0; any && k < PAGE; k++)
				sum = sum * 31 + b[k];
			printf(any ? " %c%x" : " %c-", mine ? '+' : '!', sum);
		}
		printf("\n");
	}
	close(mem);
}

static void locked(void)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");
	while (fgets(line, sizeof line, f))
		if (!strncmp(line, "VmLck:", 6))
			printf("%s", line);
	fclose(f);
}

int main(int argc, char **argv)
{
	static char out[1 << 20];
	setvbuf(stdout, out, _IOFBF, sizeof out);
	free(malloc(1 << 16)); // the heap is as large as it will be
	for (int i = 1; i < argc; i++)
		make(argv[i]);
	for (int round = 0; round < 2; round++) {
		printf("memory\n");
		flags();
		contents();
		locked();
		printf("end\n");
		fflush(stdout);
		while (!round && access("go", F_OK))
			usleep(2000);
	}
	return 0;
}
