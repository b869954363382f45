/* System calls without a C library: tasks here share their memory in every way,
   and a library's errno, locks and thread pointer would not bear that. */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <asm/unistd.h>
#include <linux/aio_abi.h>
#include <linux/capability.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/futex.h>
#include <linux/ioprio.h>
#include <linux/mman.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <linux/securebits.h>
#include <linux/signal.h>
#include <linux/time.h>
#include <linux/uio.h>
#include <linux/wait.h>

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned u32;
typedef unsigned long u64;
typedef long i64;

#define PAGE 4096UL
#define WORD(p) ((u64)(p))

static inline long sys6(long n, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	long r;
	register u64 r10 asm("r10") = d;
	register u64 r8 asm("r8") = e;
	register u64 r9 asm("r9") = f;
	asm volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return r;
}

#define SYS_1(n, a) sys6(n, WORD(a), 0, 0, 0, 0, 0)
#define SYS_2(n, a, b) sys6(n, WORD(a), WORD(b), 0, 0, 0, 0)
#define SYS_3(n, a, b, c) sys6(n, WORD(a), WORD(b), WORD(c), 0, 0, 0)
#define SYS_4(n, a, b, c, d) sys6(n, WORD(a), WORD(b), WORD(c), WORD(d), 0, 0)
#define SYS_5(n, a, b, c, d, e) sys6(n, WORD(a), WORD(b), WORD(c), WORD(d), WORD(e), 0)
#define SYS_6(n, a, b, c, d, e, f) sys6(n, WORD(a), WORD(b), WORD(c), WORD(d), WORD(e), WORD(f))
#define SYS_0(n) sys6(n, 0, 0, 0, 0, 0, 0)

void *memset(void *p, int c, u64 n)
{
	u8 *b = p;
	while (n--)
		*b++ = c;
	return p;
}

void *memcpy(void *to, const void *from, u64 n)
{
	u8 *t = to;
	const u8 *f = from;
	while (n--)
		*t++ = *f++;
	return to;
}

static int gettid(void) { return SYS_0(__NR_gettid); }
static int getpid(void) { return SYS_0(__NR_getpid); }
static long prctl2(long what, u64 a, u64 b) { return SYS_5(__NR_prctl, what, a, b, 0, 0); }
static long prctl1(long what, u64 a) { return prctl2(what, a, 0); }
