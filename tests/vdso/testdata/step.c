/* step NAME calls one function of its vDSO all the time, through the address
   that it found at its start, and compares what it gives with the system call.
   It prints "entry ADDRESS", then "ok N" now and then, or "WRONG". */
#define _GNU_SOURCE
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static void *find(const char *name)
{
	const char *base = (const char *)getauxval(AT_SYSINFO_EHDR);
	const Elf64_Ehdr *e = (const void *)base;
	const Elf64_Phdr *ph = (const void *)(base + e->e_phoff);
	const Elf64_Dyn *dyn = NULL;
	const Elf64_Sym *sym = NULL;
	const char *str = NULL;
	uint32_t n = 0;
	for (int i = 0; i < e->e_phnum; i++)
		if (ph[i].p_type == PT_DYNAMIC)
			dyn = (const void *)(base + ph[i].p_offset);
	for (; dyn->d_tag; dyn++) {
		if (dyn->d_tag == DT_SYMTAB) sym = (const void *)(base + dyn->d_un.d_ptr);
		if (dyn->d_tag == DT_STRTAB) str = base + dyn->d_un.d_ptr;
		if (dyn->d_tag == DT_HASH) n = ((const uint32_t *)(base + dyn->d_un.d_ptr))[1];
	}
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(str + sym[i].st_name, name))
			return (void *)(base + sym[i].st_value);
	return NULL;
}

static void wrong(const char *what, int64_t got)
{
	printf("WRONG %s: %lld\n", what, (long long)got);
	fflush(stdout);
	exit(1);
}

static int64_t ns(struct timespec t) { return t.tv_sec * 1000000000LL + t.tv_nsec; }

static void near(int64_t before, int64_t v, int64_t after)
{
	if (v < before - 1100000000 || v > after + 1000000000)
		wrong("time", v - before);
}

static struct { uint32_t size, prot, flags, reserved[13]; } params;

/* One call of the function, checked. */
static void call(const char *name, void *f)
{
	static int64_t last;
	static uint64_t random[13];
	static void *state;
	struct timespec a, v = {0}, b;
	struct timeval tv;
	syscall(SYS_clock_gettime, strcmp(name, "clock_gettime") ? CLOCK_REALTIME : CLOCK_MONOTONIC, &a);
	if (!strcmp(name, "clock_gettime")) {
		if (((int (*)(int, struct timespec *))f)(CLOCK_MONOTONIC, &v) || ns(v) < last)
			wrong(name, ns(v));
		last = ns(v);
	} else if (!strcmp(name, "gettimeofday")) {
		if (((int (*)(struct timeval *, void *))f)(&tv, NULL))
			wrong(name, -1);
		v = (struct timespec){tv.tv_sec, tv.tv_usec * 1000};
	} else if (!strcmp(name, "time")) {
		v.tv_sec = ((time_t (*)(time_t *))f)(NULL);
	} else if (!strcmp(name, "clock_getres")) {
		if (((int (*)(int, struct timespec *))f)(CLOCK_MONOTONIC, &v) || ns(v) != 1)
			wrong(name, ns(v));
		return;
	} else if (!strcmp(name, "getcpu")) {
		unsigned cpu = -1, node = -1;
		if (((int (*)(unsigned *, unsigned *, void *))f)(&cpu, &node, NULL) || cpu > 4096 || node > 1024)
			wrong(name, cpu);
		return;
	} else {
		uint64_t r[13] = {0}; /* more than one block, and no whole number of them */
		ssize_t (*getrandom)(void *, size_t, unsigned, void *, size_t) = f;
		if (!state) {
			if (getrandom(NULL, 0, 0, &params, ~0UL))
				wrong("size of the state", 0);
			state = mmap(NULL, params.size, params.prot, params.flags, -1, 0);
		}
		if (getrandom(r, sizeof r, 0, state, params.size) != sizeof r)
			wrong(name, -1);
		for (int i = 0; i < 13; i++)
			if (r[i] == 0 || r[i] == random[i])
				wrong("random bytes that are zero or repeat", i);
		memcpy(random, r, sizeof r);
		return;
	}
	syscall(SYS_clock_gettime, strcmp(name, "clock_gettime") ? CLOCK_REALTIME : CLOCK_MONOTONIC, &b);
	near(ns(a), ns(v), ns(b));
}

int main(int argc, char **argv)
{
	char name[64];
	snprintf(name, sizeof name, "__vdso_%s", argv[1]);
	void *f = find(name);
	if (!f)
		wrong("no such function", 0);
	call(argv[1], f);
	printf("entry %p\n", f);
	fflush(stdout);
	for (uint64_t n = 0;; n++) {
		call(argv[1], f);
		if (n % 5000 == 0) {
			printf("ok %llu\n", (unsigned long long)n);
			fflush(stdout);
		}
	}
}
