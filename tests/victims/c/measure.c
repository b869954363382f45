/* measure FILE COMMAND...: runs the command, passes its status on, and writes to
   FILE the most memory that it had resident, in KiB. (The command's parent must
   be small: a process inherits the figure of the one that it was forked from.) */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t child;

static void pass(int s)
{
	kill(child, s);
}

int main(int argc, char **argv)
{
	struct rusage u;
	int st;
	FILE *f;
	if (argc < 3)
		return 125;
	child = fork();
	if (child == 0) {
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	signal(SIGTERM, pass);
	signal(SIGINT, pass);
	/* Only the command may hold the pipes. */
	close(0);
	close(1);
	while (wait4(child, &st, 0, &u) != child)
		;
	f = fopen(argv[1], "w");
	if (!f || fprintf(f, "%ld\n", u.ru_maxrss) < 0 || fclose(f))
		return 126;
	return WIFSIGNALED(st) ? 128 + WTERMSIG(st) : WEXITSTATUS(st);
}
