/* crowd zombie|live FROM TO
   Makes a process with each id from FROM to TO that is free, which ends at once
   and is not waited for, or lives on. Says "ready", and when a line has come
   lists those of the living that have died. */
#define _GNU_SOURCE
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static pid_t made[1 << 16];
	int live = !strcmp(argv[1], "live"), n = 0;
	char line[16];
	if (argc < 4)
		return 2;
	for (pid_t id = atoi(argv[2]); id <= atoi(argv[3]) && n < 1 << 16; id++) {
		struct clone_args a = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&id, .set_tid_size = 1};
		long got = syscall(SYS_clone3, &a, sizeof a);
		if (got == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			prctl(PR_SET_NAME, "stranger");
			while (live)
				pause();
			_exit(0);
		}
		if (got > 0)
			made[n++] = got;
	}
	printf("ready %d\n", n);
	fflush(stdout);
	if (read(0, line, sizeof line) < 0)
		return 3;
	for (int i = 0; live && i < n; i++) {
		int status;
		if (waitpid(made[i], &status, WNOHANG) != 0)
			printf("stranger %d died: status %#x\n", made[i], status);
	}
	printf("end\n");
	return 0;
}
