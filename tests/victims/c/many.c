// many has very much of one thing in its memory: "mappings N", each with four
// pieces of advice and a name, or "guards N". It sums up what it sees of them,
// and does so once more when there is a file "go".
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096UL
#define GUARD_INSTALL 102
#define RW (PROT_READ | PROT_WRITE)

static char *at;
static size_t n;

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

// Every second page is a guard region; some of the others have contents.
static void guards(void)
{
	at = mmap(NULL, 2 * n * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED || madvise(at, 2 * n * PAGE, MADV_NOHUGEPAGE))
		die("mmap");
	for (size_t i = 0; i < n; i++) {
		if (madvise(at + 2 * i * PAGE, PAGE, GUARD_INSTALL))
			die("guard");
		if (i % 100 == 0)
			at[(2 * i + 1) * PAGE] = 1 + i % 97;
	}
}

// Neighbours differ, and so are no one mapping.
static void mappings(void)
{
	static const int advices[] = {MADV_DONTFORK, MADV_DONTDUMP, MADV_HUGEPAGE, MADV_SEQUENTIAL};
	at = mmap(NULL, n * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED || munmap(at, n * PAGE))
		die("mmap");
	for (size_t i = 0; i < n; i++) {
		char *a = mmap(at + i * PAGE, PAGE, i & 1 ? RW : PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		if (a == MAP_FAILED)
			die("mmap");
		for (int k = 0; k < 4; k++)
			if (madvise(a, PAGE, advices[k]))
				die("madvise");
		char name[32];
		snprintf(name, sizeof name, "number %zu", i);
		prctl(0x53564d41, 0, a, PAGE, name); // as the kernel can
		if (i % 202 == 1)
			a[0] = 1 + i % 97;
	}
}

static unsigned sum(unsigned s, const char *b)
{
	for (; *b; b++)
		s = s * 31 + *b;
	return s;
}

// report writes how many lines of smaps there are of each sort in the crowd, and
// the sum of what its pages say.
static void report(void)
{
	char line[512];
	unsigned long start = 0, end = 0, lines = 0, readable = 0;
	unsigned flags = 0, contents = 0;
	size_t pages = strcmp(program_invocation_short_name, "guards") ? n : 2 * n;
	FILE *f = fopen("/proc/self/smaps", "r");
	while (f && fgets(line, sizeof line, f)) {
		unsigned long a, b;
		if (sscanf(line, "%lx-%lx ", &a, &b) == 2) {
			start = a, end = b;
			if (start < (unsigned long)at + pages * PAGE && end > (unsigned long)at)
				lines++;
		} else if (!strncmp(line, "VmFlags:", 8) && start < (unsigned long)at + pages * PAGE && end > (unsigned long)at) {
			flags = sum(flags + start + end, line);
		}
	}
	fclose(f);
	for (size_t p = 0; p < pages; p++) {
		char c = 0;
		struct iovec to = {&c, 1}, from = {at + p * PAGE, 1};
		readable += process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1;
		contents = contents * 31 + c;
	}
	printf("memory %lu mappings, flags %x, %lu pages can be read, contents %x\nend\n", lines, flags, readable, contents);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	n = strtoul(argv[2], NULL, 10);
	program_invocation_short_name = argv[1];
	strcmp(argv[1], "guards") ? mappings() : guards();
	report();
	while (access("go", F_OK))
		usleep(2000);
	report();
	return 0;
}
