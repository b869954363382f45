/* A process with one odd thing, that its argument names. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* An unreaped child that has dumped core. */
static void core(void)
{
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	pid_t child = fork();
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &all);
		prctl(PR_SET_DUMPABLE, 1);
		raise(SIGQUIT);
		_exit(70);
	}
	siginfo_t s;
	if (waitid(P_PID, child, &s, WEXITED | WNOWAIT) || s.si_code != CLD_DUMPED)
		exit(71);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 79;
	if (!strcmp(argv[1], "core"))
		core();
	else
		return 78;
	printf("begin\n");
	fflush(stdout);
	for (;;)
		pause();
}
