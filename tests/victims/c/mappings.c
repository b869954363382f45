// mappings makes memory of the kinds that its arguments name, says where, and
// waits. When there is a file "go" it tries to read each page, and says what
// became of it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096UL
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define SHARED_ANON (MAP_SHARED | MAP_ANONYMOUS)
#define GUARD_INSTALL 102
#define DROPPABLE 8
#define ONFAULT 1
#define SYS_MSEAL 462
#define SYS_HOME_NODE 450

static struct area { const char *name; char *at; size_t pages; } areas[256];
static int nareas;

static void check(int failed, const char *what)
{
	if (failed) {
		printf("%s: %s\n", what, strerror(errno));
		exit(1);
	}
}

// Neighbours must not be one mapping with it: a page is free on either side.
static char *map(const char *name, size_t pages, int prot, int flags, int fd, size_t offset)
{
	char *room = mmap(NULL, (pages + 2) * PAGE, PROT_NONE, ANON, -1, 0);
	check(room == MAP_FAILED || munmap(room, (pages + 2) * PAGE), "room");
	char *a = mmap(room + PAGE, pages * PAGE, prot, flags | MAP_FIXED_NOREPLACE, fd, offset * PAGE);
	check(a == MAP_FAILED, name);
	areas[nareas++] = (struct area){name, a, pages};
	return a;
}

static void touch(char *a, size_t page) { memset(a + page * PAGE, 'a' + page % 26, 100); }
static void advise(char *a, size_t pages, int advice, const char *what) { check(madvise(a, pages * PAGE, advice), what); }
static void guard(char *a, size_t page, size_t pages) { advise(a + page * PAGE, pages, GUARD_INSTALL, "guard"); }

static int file(const char *name, size_t pages)
{
	static char b[PAGE];
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	check(fd < 0, name);
	for (size_t i = 0; i < pages; i++) {
		memset(b, 'A' + i % 26, PAGE);
		check(write(fd, b, PAGE) != PAGE, name);
	}
	return fd;
}

static void advised(void)
{
	static const struct { const char *name; int advice; } kinds[] = {
		{"dontfork", MADV_DONTFORK}, {"dontdump", MADV_DONTDUMP}, {"wipeonfork", MADV_WIPEONFORK}, {"hugepage", MADV_HUGEPAGE},
		{"nohugepage", MADV_NOHUGEPAGE}, {"sequential", MADV_SEQUENTIAL}, {"random", MADV_RANDOM}, {"mergeable", MADV_MERGEABLE},
		{"cold", MADV_COLD}, {"free", MADV_FREE}, {"willneed", MADV_WILLNEED}, {"dontneed", MADV_DONTNEED},
	};
	int fd = file("advised", 4);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		char *a = map(kinds[i].name, 4, RW, ANON, -1, 0);
		touch(a, 2);
		advise(a, 4, kinds[i].advice, kinds[i].name);
		// A kernel takes some kinds of advice for some kinds of memory only.
		a = map(kinds[i].name, 4, RW, SHARED_ANON, -1, 0);
		touch(a, 1);
		madvise(a, 4 * PAGE, kinds[i].advice);
		madvise(map(kinds[i].name, 4, RW, MAP_SHARED, fd, 0), 4 * PAGE, kinds[i].advice);
		madvise(map(kinds[i].name, 4, RW, MAP_PRIVATE, fd, 0), 4 * PAGE, kinds[i].advice);
	}
	char *a = map("several", 4, RW, ANON, -1, 0);
	touch(a, 0);
	advise(a, 4, MADV_DONTFORK, "several");
	advise(a, 4, MADV_DONTDUMP, "several");
	advise(a, 4, MADV_WIPEONFORK, "several");
	advise(a, 4, MADV_NOHUGEPAGE, "several");
	advise(a, 4, MADV_RANDOM, "several");
}

static void protections(void)
{
	int rw = file("protections", 8), ro = open("protections", O_RDONLY);
	for (int p = 0; p < 8; p++) {
		map("anonymous", 2, p, ANON, -1, 0);
		map("no reserve", 2, p, ANON | MAP_NORESERVE, -1, 0);
		map("shared anonymous", 2, p, SHARED_ANON, -1, 0);
		map("shared", 2, p, MAP_SHARED, rw, 1);
		map("private", 2, p, MAP_PRIVATE, rw, 2);
		map("private, read only", 2, p, MAP_PRIVATE, ro, 2);
		if (!(p & PROT_WRITE))
			map("shared, read only", 2, p, MAP_SHARED, ro, 3);
		touch(map("then", 2, RW, ANON, -1, 0), 1);
		check(mprotect(areas[nareas - 1].at, 2 * PAGE, p), "mprotect");
		touch(map("private, then", 2, RW, MAP_PRIVATE, ro, 0), 1);
		check(mprotect(areas[nareas - 1].at, 2 * PAGE, p), "mprotect");
	}
	map("zero", 2, RW, MAP_PRIVATE, open("/dev/zero", O_RDWR), 0);
	map("zero, shared", 2, RW, MAP_SHARED, open("/dev/zero", O_RDWR), 0);
	touch(map("grows down", 4, RW, ANON | MAP_GROWSDOWN, -1, 0), 3);
	touch(map("a stack", 4, RW, ANON | MAP_STACK | MAP_NORESERVE, -1, 0), 3);
}

static void names(void)
{
	char name[80];
	for (int c = 1; c < 256; c++) {
		snprintf(name, sizeof name, "a%cb", c);
		char *a = map("named", 1, RW, ANON, -1, 0);
		touch(a, 0);
		prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, a, PAGE, name); // some are not allowed
	}
	char *a = map("named, shared", 1, RW, SHARED_ANON, -1, 0);
	prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, a, PAGE, "shared name");
}

// Guard regions in every kind of memory that takes them (Linux 6.15).
static void guards(void)
{
	int fd = file("guards", 16);
	static const struct { const char *name; int flags; int file; } kinds[] = {
		{"guards", ANON, 0}, {"guards, shared anonymous", SHARED_ANON, 0}, {"guards, shared", MAP_SHARED, 1}, {"guards, private", MAP_PRIVATE, 1},
	};
	for (int i = 0; i < 4; i++) {
		char *a = map(kinds[i].name, 16, RW, kinds[i].flags, kinds[i].file ? fd : -1, 0);
		touch(a, 1);
		touch(a, 9);
		guard(a, 0, 1);
		guard(a, 4, 2);
		guard(a, 9, 1);
		guard(a, 15, 1);
		a = map(kinds[i].name, 8, PROT_READ, kinds[i].flags, kinds[i].file ? fd : -1, 8);
		guard(a, 3, 3);
	}
	guard(map("guards, read only", 8, PROT_READ, MAP_SHARED, open("guards", O_RDONLY), 0), 2, 2);
	char *a = map("guards, all of it", 4, RW, SHARED_ANON, -1, 0);
	guard(a, 0, 4);
	// Past the end of the file, where an access is another fault.
	guard(map("guards, past its end", 8, RW, MAP_SHARED, fd, 12), 3, 3);
	// Two mappings of one object, with a guard in one of them.
	a = map("twice", 4, RW, SHARED_ANON, -1, 0);
	touch(a, 2);
	char *b = mremap(a, 0, 4 * PAGE, MREMAP_MAYMOVE);
	check(b == MAP_FAILED, "mremap");
	areas[nareas++] = (struct area){"again", b, 4};
	guard(b, 1, 2);
}

// Sealed memory, after all else.
static void sealed(void)
{
	int fd = file("sealed", 4);
	static const int prots[] = {PROT_NONE, PROT_READ, RW, PROT_READ | PROT_EXEC};
	for (int i = 0; i < 4; i++) {
		char *a = map("sealed", 4, RW, ANON, -1, 0);
		touch(a, 1);
		advise(a, 4, MADV_DONTDUMP, "dontdump");
		guard(a, 3, 1);
		check(mprotect(a, 4 * PAGE, prots[i]), "mprotect");
		if (i == 2)
			check(mlock2(a, 2 * PAGE, 0), "mlock");
		check(syscall(SYS_MSEAL, a, 4 * PAGE, 0), "mseal");
		check(syscall(SYS_MSEAL, map("sealed, shared", 4, prots[i], MAP_SHARED, fd, 0), 4 * PAGE, 0), "mseal");
		check(syscall(SYS_MSEAL, map("sealed, private", 4, prots[i], MAP_PRIVATE, fd, 0), 4 * PAGE, 0), "mseal");
	}
}

// Locked memory that is not all there.
static void emptied(int fd)
{
	static const struct { const char *name; int flags; int file; } kinds[] = {
		{"emptied", ANON, 0}, {"emptied, private", MAP_PRIVATE, 1}, {"emptied, shared", MAP_SHARED, 1},
	};
	for (int i = 0; i < 3; i++) {
		char *a = map(kinds[i].name, 8, RW, kinds[i].flags, kinds[i].file ? fd : -1, 0);
		touch(a, 1);
		check(mlock2(a, 8 * PAGE, 0), "mlock2");
		check(madvise(a + 2 * PAGE, 3 * PAGE, 24), "MADV_DONTNEED_LOCKED");
		check(madvise(a + 7 * PAGE, PAGE, 24), "MADV_DONTNEED_LOCKED");
		check(mprotect(a, 8 * PAGE, i == 1 ? PROT_READ : RW), "mprotect");
	}
	char *a = map("locked without access, then read", 8, PROT_NONE, ANON, -1, 0);
	mlock2(a, 8 * PAGE, 0);
	check(mprotect(a, 8 * PAGE, PROT_READ), "mprotect");
	a = map("locked guards", 8, RW, ANON, -1, 0);
	guard(a, 2, 2);
	mlock2(a, 8 * PAGE, 0);
}

static void onfault(void)
{
	int fd = file("onfault", 8);
	static const struct { const char *name; int flags; int file; } kinds[] = {
		{"on fault", ANON, 0}, {"on fault, no reserve", ANON | MAP_NORESERVE, 0}, {"on fault, private", MAP_PRIVATE, 1}, {"on fault, shared anonymous", SHARED_ANON, 0}, {"on fault, shared", MAP_SHARED, 1},
	};
	static const int prots[] = {RW, PROT_READ, PROT_NONE, PROT_READ | PROT_EXEC};
	for (int i = 0; i < 5; i++)
		for (int p = 0; p < 4; p++) {
			char *a = map(kinds[i].name, 8, RW, kinds[i].flags, kinds[i].file ? fd : -1, 0);
			check(mlock2(a, 8 * PAGE, ONFAULT), "mlock2");
			touch(a, 1);
			touch(a, 6);
			*(volatile char *)(a + 3 * PAGE);
			check(mprotect(a, 8 * PAGE, prots[p]), "mprotect");
		}
	emptied(fd);
	char *a = map("filled, then on fault", 8, RW, ANON, -1, 0);
	touch(a, 3);
	check(mlock2(a, 8 * PAGE, 0), "mlock2");
	check(mlock2(a, 8 * PAGE, ONFAULT), "mlock2");
}

// grow makes the last area longer, past the end of the object behind it.
static char *grow(size_t pages)
{
	struct area *last = &areas[nareas - 1];
	last->at = mremap(last->at, last->pages * PAGE, pages * PAGE, MREMAP_MAYMOVE);
	check(last->at == MAP_FAILED, "mremap");
	last->pages = pages;
	return last->at;
}

static void past(void)
{
	touch(map("shared", 2, RW, SHARED_ANON, -1, 0), 0);
	grow(6);
	touch(map("zero", 3, RW, MAP_SHARED, open("/dev/zero", O_RDWR), 0), 2);
	grow(4);
	// Only what is past its end is left of one.
	touch(map("its end", 4, RW, SHARED_ANON, -1, 0), 3);
	char *a = grow(8);
	check(munmap(a, 4 * PAGE), "munmap");
	areas[nareas - 1].at = a + 4 * PAGE;
	areas[nareas - 1].pages = 4;
}

// Memory policies. Node 0 is on every machine.
static void policies(void)
{
	int fd = file("policies", 8);
	static const int modes[] = {1, 2, 3, 4, 5, 6}; // preferred, bind, interleave, local, preferred of many, weighted interleave
	static const struct { const char *name; int flags; int file; } kinds[] = {
		{"policy", ANON, 0}, {"policy, shared anonymous", SHARED_ANON, 0}, {"policy, private", MAP_PRIVATE, 1},
	};
	unsigned long node = 1;
	for (int k = 0; k < 3; k++)
		for (int m = 0; m < 6; m++) {
			char *a = map(kinds[k].name, 8, RW, kinds[k].flags, kinds[k].file ? fd : -1, 0);
			touch(a, 1);
			touch(a, 6);
			int failed = syscall(SYS_mbind, a + 2 * PAGE, 3 * PAGE, modes[m], modes[m] == 4 ? NULL : &node, modes[m] == 4 ? 0 : 64, 0);
			check(failed && modes[m] < 5, "mbind");
		}
	for (int i = 1; i < 4; i++) { // static, relative, balancing
		char *a = map("policy with a flag", 4, RW, ANON, -1, 0);
		check(syscall(SYS_mbind, a, 4 * PAGE, 2 | 1 << (16 - i), &node, 64, 0), "mbind");
	}
}

// And then one of the thread's, which shows for mappings that have none.
static void policy(void)
{
	unsigned long node = 1;
	policies();
	check(syscall(SYS_set_mempolicy, 2, &node, 64), "set_mempolicy");
}

static sigjmp_buf back;
static void fault(int sig) { siglongjmp(back, sig); }

static void access_all(void)
{
	signal(SIGSEGV, fault);
	signal(SIGBUS, fault);
	for (int i = 0; i < nareas; i++) {
		unsigned long nodes[16] = {0};
		int mode = 0, asked = syscall(SYS_get_mempolicy, &mode, nodes, 1024, areas[i].at + areas[i].pages / 2 * PAGE, 2);
		printf("%d %s, policy %d %x %lx:", i, areas[i].name, asked, mode, nodes[0]);
		for (size_t p = 0; p < areas[i].pages; p++) {
			volatile char *at = areas[i].at + p * PAGE;
			int sig = sigsetjmp(back, 1);
			if (sig)
				printf(" %s", sig == SIGSEGV ? "SEGV" : "BUS");
			else
				printf(" %02x", (unsigned char)*at);
		}
		printf("\n");
	}
}

int main(int argc, char **argv)
{
	static char out[1 << 20];
	setvbuf(stdout, out, _IOFBF, sizeof out);
	static const struct { const char *name; void (*make)(void); } kinds[] = {
		{"advised", advised}, {"protections", protections}, {"names", names}, {"guards", guards}, {"sealed", sealed}, {"onfault", onfault}, {"past", past}, {"policies", policies}, {"policy", policy},
	};
	for (int i = 1; i < argc; i++)
		for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
			if (!strcmp(argv[i], kinds[k].name))
				kinds[k].make();
	printf("%d areas\n", nareas);
	fflush(stdout);
	while (access("go", F_OK))
		usleep(2000);
	access_all();
	return 0;
}
