/* Runs a program under a filter that asks a listener about every system call,
   but for those that can't fail or that are Go's runtime's own and very many.
   The listener is a descriptor of this process, for the test to fetch. */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PASS(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static struct sock_filter code[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	PASS(futex), PASS(nanosleep), PASS(clock_nanosleep), PASS(sched_yield),
	PASS(rt_sigreturn), PASS(rt_sigaction), PASS(sigaltstack), PASS(madvise),
	PASS(exit), PASS(exit_group), PASS(gettid), PASS(getpid), PASS(restart_syscall),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
};

int main(int argc, char **argv)
{
	struct sock_fprog prog = {sizeof code / sizeof code[0], code};
	if (argc < 2)
		return 2;
	/* The caller is root: no_new_privs isn't needed. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &prog) < 0) {
		perror("seccomp");
		return 125;
	}
	execv(argv[1], argv + 1);
	perror(argv[1]);
	return 126;
}
