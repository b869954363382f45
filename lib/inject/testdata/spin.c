/* A victim that keeps known values in its registers and flags, checks them all
   the time, and says so when one changes. It sleeps now and then, so that a
   system call can be interrupted too, and takes a signal from a timer. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile unsigned long ticks;
static void tick(int s) { (void)s; ticks++; }

static uint64_t spin(void)
{
	uint64_t bad = 0, n = 20000;
	__asm__ volatile(
		"mov $0x1111111111111111, %%r8\n mov $0x2222222222222222, %%r9\n"
		"mov $0x3333333333333333, %%r10\n mov $0x4444444444444444, %%r11\n"
		"mov $0x5555555555555555, %%r12\n mov $0x6666666666666666, %%r13\n"
		"mov $0x7777777777777777, %%r14\n mov $0x8888888888888888, %%r15\n"
		"movq %%r8, %%xmm3\n movq %%r9, %%xmm12\n"
		"std\n"
		"1: stc\n"
		"lea -1(%1), %1\n"
		"jnc 2f\n"
		"mov %1, %%rcx\n"
		"jrcxz 3f\n"
		"jmp 1b\n"
		"2: mov $1, %0\n"
		"3: cld\n"
		"mov $0x1111111111111111, %%rcx\n cmp %%rcx, %%r8\n jne 4f\n"
		"movq %%xmm3, %%rax\n cmp %%rcx, %%rax\n jne 4f\n"
		"mov $0x2222222222222222, %%rcx\n cmp %%rcx, %%r9\n jne 4f\n"
		"movq %%xmm12, %%rax\n cmp %%rcx, %%rax\n jne 4f\n"
		"mov $0x3333333333333333, %%rcx\n cmp %%rcx, %%r10\n jne 4f\n"
		"mov $0x4444444444444444, %%rcx\n cmp %%rcx, %%r11\n jne 4f\n"
		"mov $0x5555555555555555, %%rcx\n cmp %%rcx, %%r12\n jne 4f\n"
		"mov $0x6666666666666666, %%rcx\n cmp %%rcx, %%r13\n jne 4f\n"
		"mov $0x7777777777777777, %%rcx\n cmp %%rcx, %%r14\n jne 4f\n"
		"mov $0x8888888888888888, %%rcx\n cmp %%rcx, %%r15\n jne 4f\n"
		"jmp 5f\n"
		"4: mov $2, %0\n"
		"5:\n"
		: "+b"(bad), "+d"(n)
		:
		: "rax", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm3", "xmm12", "cc", "memory");
	return bad;
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = tick, .sa_flags = SA_RESTART};
	struct itimerval it = {{0, 700}, {0, 700}};
	sigaction(SIGALRM, &sa, NULL);
	if (argc > 1 && !strcmp(argv[1], "timer"))
		setitimer(ITIMER_REAL, &it, NULL);
	for (unsigned long i = 0;; i++) {
		uint64_t bad = spin();
		if (bad) {
			printf("bad %lu in round %lu\n", (unsigned long)bad, i);
			return 1;
		}
		if (i % 50 == 0) {
			struct timespec ts = {0, 300000};
			nanosleep(&ts, NULL);
		}
		if (i % 200 == 0) {
			printf("ok %lu\n", i);
			fflush(stdout);
		}
	}
}
