// memory gives memory names of every character and advises on some, and compares
// what /proc says of its mappings with what it said at first, whenever it finds
// itself on another kernel: a process that reads /proc all the time can't be saved.
//
//	ready N      N mappings have names
//	ok NUMBER    as at first
//	WRONG ...    not so
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PAGE 4096UL
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static char first[1 << 18], now[1 << 18];
static unsigned long own[512]; // where its mappings are
static int nown;

static char *map(int flags)
{
	char *a = mmap(NULL, 3 * PAGE, PROT_NONE, ANON, -1, 0); // a page is free on either side
	if (a == MAP_FAILED || munmap(a, 3 * PAGE))
		exit(1);
	if (mmap(a + PAGE, PAGE, RW, flags | MAP_FIXED, -1, 0) == MAP_FAILED)
		exit(1);
	a[PAGE] = 'x';
	own[nown++] = (unsigned long)a + PAGE;
	return a + PAGE;
}

static int name(char *a, const char *s) { return prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, a, PAGE, s) == 0; }

// picture writes the heads and flags of its mappings; shared memory's inode is
// another after a move.
static void picture(char *to)
{
	static char line[8192];
	int skip = 0;
	FILE *f = fopen("/proc/self/smaps", "r");
	*to = 0;
	while (f && fgets(line, sizeof line, f)) {
		unsigned long a, b;
		char prot[8], path[8192] = "";
		if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %8191[^\n]", &a, &b, prot, path) >= 3) {
			skip = 1;
			for (int i = 0; i < nown && skip; i++)
				skip = a != own[i];
			if (!skip)
				to += sprintf(to, "%lx-%lx %s %s ", a, b, prot, path);
		} else if (!skip && !strncmp(line, "VmFlags:", 8)) {
			char *sd = strstr(line, " sd"); // what is dirty, on kernels that count it
			if (sd)
				memmove(sd, sd + 3, strlen(sd + 3) + 1);
			to += sprintf(to, "%s", line);
		}
	}
	fclose(f);
}

int main(int argc, char **argv)
{
	static char text[128], buffer[1 << 16];
	int names = 0;
	setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
	// "key": a protection key that no memory has, and no thread may use: as if there
	// were none.
	if (argc > 1 && syscall(SYS_pkey_alloc, 0, 1) < 0) {
		printf("WRONG no protection keys\n");
		return 1;
	}
	for (int c = 1; c < 256; c++) {
		sprintf(text, "a%cb", c);
		names += name(map(ANON), text);
	}
	memset(text, 'l', 79);
	text[79] = 0;
	names += name(map(ANON), text) + name(map(ANON), "") + name(map(MAP_SHARED | MAP_ANONYMOUS), "shared");
	static const int advices[] = {MADV_DONTFORK, MADV_DONTDUMP, MADV_WIPEONFORK, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_RANDOM, MADV_SEQUENTIAL, MADV_MERGEABLE};
	for (int i = 0; i < 8; i++)
		madvise(map(ANON), PAGE, advices[i]);
	unsigned long node = 1;
	syscall(SYS_mbind, map(ANON), PAGE, 2, &node, 64, 0);
	picture(first);
	printf("ready %d\n", names);
	struct utsname kernel, last;
	uname(&last);
	for (unsigned long n = 1;; n++) {
		uname(&kernel);
		int moved = strcmp(kernel.release, last.release);
		last = kernel;
		if (moved)
			picture(now);
		if (moved && strcmp(first, now)) {
			char *a = first, *b = now;
			while (*a && *a == *b)
				a++, b++;
			while (a > first && a[-1] != '\n')
				a--, b--;
			printf("WRONG \"%.*s\" is \"%.*s\"\n", (int)strcspn(a, "\n"), a, (int)strcspn(b, "\n"), b);
			return 1;
		}
		printf("ok %lu\n", n);
		usleep(20000);
	}
}
