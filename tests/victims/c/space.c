// space sets what its arguments name, of its whole address space or of its
// registers, and writes what it finds. When there is a file "go" it writes that
// once more.
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096UL

static void check(int failed, const char *what)
{
	if (failed) {
		printf("%s: %s\n", what, strerror(errno));
		exit(1);
	}
}

static char segment[PAGE] __attribute__((aligned(4096)));

static void entry(int number, unsigned base, unsigned limit, int contents, int read_only, int pages, int absent, int useable, int wide)
{
	struct user_desc d = {.entry_number = number, .base_addr = base, .limit = limit, .seg_32bit = wide, .contents = contents,
		.read_exec_only = read_only, .limit_in_pages = pages, .seg_not_present = absent, .useable = useable};
	check(syscall(SYS_modify_ldt, 0x11, &d, sizeof d), "modify_ldt");
}

// A selector of entry n of the LDT, for the program's privilege.
static unsigned selector(int n) { return n << 3 | 7; }

static void ldt(void)
{
	entry(0, 0x12345678, 0xfffff, 0, 0, 1, 0, 1, 1);
	entry(1, 0xfedcba98, 0xabcde, 0, 1, 0, 0, 0, 1);
	entry(2, 0, 0x1ffff, 2, 0, 1, 0, 0, 1);
	entry(3, 0x10000, 0xffff, 1, 0, 0, 1, 1, 0);
	entry(100, 0x7000000, 7, 0, 0, 0, 0, 0, 0);
	entry(8191, 1, 1, 0, 0, 0, 0, 1, 1);
}

// gs leads to low memory by a segment of the LDT.
static void gs_ldt(void)
{
	char *low = mmap((void *)0x10000000, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	check(low == MAP_FAILED, "low memory");
	strcpy(low, "low");
	entry(5, (uintptr_t)low, 0xfff, 0, 0, 0, 0, 1, 1);
	__asm__ volatile("mov %0, %%gs" : : "r"(selector(5)));
}

// A segment of the thread's: only 32-bit system calls make one.
static void area(void)
{
	struct user_desc *d = mmap((void *)0x20000000, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	check(d == MAP_FAILED, "low memory");
	*d = (struct user_desc){.entry_number = -1, .base_addr = 0x20000000, .limit = 0xfff, .seg_32bit = 1, .useable = 1};
	int r = 243; // set_thread_area
	__asm__ volatile("int $0x80" : "+a"(r) : "b"((unsigned)(uintptr_t)d) : "memory", "r8", "r9", "r10", "r11");
	check(r != 0, "set_thread_area");
}

static void trapped(int sig) { (void)sig; }

static void selectors(void) { __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%gs" : : "r"(0x2b)); }
static void ds_ldt(void)
{
	entry(6, 0x1000, 0xfffff, 0, 0, 1, 0, 1, 1);
	__asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(selector(6)));
}
static void gs_base(void) { check(syscall(SYS_arch_prctl, 0x1001, segment), "ARCH_SET_GS"); }

static unsigned long eflags(void)
{
	unsigned long f;
	__asm__ volatile("pushfq; pop %0" : "=r"(f) : : "memory");
	return f;
}

static void set_eflags(unsigned long f) { __asm__ volatile("push %0; popfq" : : "r"(f) : "memory", "cc"); }

static int at_gs(void)
{
	int c;
	__asm__ volatile("movzbl %%gs:0, %0" : "=r"(c));
	return c;
}

// future writes what becomes of a new mapping.
static void future(void)
{
	char *a = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), line[4096];
	unsigned char there[2];
	check(a == MAP_FAILED, "mmap");
	check(mincore(a, 2 * PAGE, there), "mincore");
	int advised = madvise(a, 2 * PAGE, MADV_DONTNEED);
	unsigned long from = 0, to = 0;
	int lo = 0, lf = 0;
	FILE *f = fopen("/proc/self/smaps", "r");
	while (fgets(line, sizeof line, f)) {
		sscanf(line, "%lx-%lx ", &from, &to);
		if (!strncmp(line, "VmFlags:", 8) && from <= (unsigned long)a && (unsigned long)a < to)
			lo = !!strstr(line, " lo"), lf = !!strstr(line, " lf");
	}
	fclose(f);
	printf("a new mapping: locked %d, on fault %d, filled %d, given back %d\n", lo, lf, there[0] & 1, advised);
	check(munmap(a, 2 * PAGE), "munmap");
}

static void report(int round)
{
	static unsigned char table[65536];
	unsigned ds, es, fs, gs;
	unsigned long base = 0;
	(void)round;
	printf("space\n");
	future();
	__asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3" : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
	syscall(SYS_arch_prctl, 0x1004, &base);
	printf("ds %x es %x fs %x gs %x, gs base %lx\n", ds, es, fs, gs, base);
	if (base)
		printf("at gs: %c\n", at_gs());
	printf("flags: nested %d, identification %d\n", (int)(eflags() >> 14 & 1), (int)(eflags() >> 21 & 1));
	long n = syscall(SYS_modify_ldt, 0, table, sizeof table);
	printf("LDT of %ld bytes\n", n);
	for (size_t i = 0; n > 0 && i < sizeof table; i += 8) {
		uint64_t v;
		memcpy(&v, table + i, 8);
		if (v)
			printf("%zu: %016lx\n", i / 8, v);
	}
	printf("end\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static char out[1 << 20];
	setvbuf(stdout, out, _IOFBF, sizeof out);
	strcpy(segment, "base");
	unsigned long flags = 0;
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];
		if (!strcmp(a, "future")) check(mlockall(MCL_FUTURE), a);
		else if (!strcmp(a, "all")) check(mlockall(MCL_CURRENT | MCL_FUTURE), a);
		else if (!strcmp(a, "onfault")) check(mlockall(MCL_FUTURE | MCL_ONFAULT), a);
		else if (!strcmp(a, "ldt")) ldt();
		else if (!strcmp(a, "gs-ldt")) gs_ldt();
		else if (!strcmp(a, "ds-ldt")) ds_ldt();
		else if (!strcmp(a, "area")) area();
		else if (!strcmp(a, "gs-base")) gs_base();
		else if (!strcmp(a, "selectors")) selectors();
		else if (!strcmp(a, "id")) flags |= 1 << 21;
		else if (!strcmp(a, "trap")) { signal(SIGTRAP, trapped); flags |= 1 << 8; }
		else if (!strcmp(a, "nested")) flags |= 1 << 14;
		else { errno = EINVAL; check(1, a); }
	}
	unsigned long trap = flags & 1 << 8;
	if (flags & ~trap)
		set_eflags(eflags() | (flags & ~trap));
	report(0);
	if (trap) // only here: it makes a program slow
		set_eflags(eflags() | trap);
	while (access("go", F_OK))
		usleep(2000);
	if (trap)
		set_eflags(eflags() & ~trap);
	report(1);
	return 0;
}
