/* clock: calls clock_gettime all the time, and prints the nanoseconds that a call
   took, the least of some tenths of a second. */
#include <stdio.h>
#include <time.h>

static long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(void)
{
	for (;;) {
		const int calls = 200000;
		double least = 1e9;
		for (int i = 0; i < 40; i++) {
			long long begin = now();
			for (int n = 0; n < calls; n++)
				now();
			double ns = (double)(now() - begin) / calls;
			if (ns < least)
				least = ns;
		}
		printf("%.2f\n", least);
		fflush(stdout);
	}
}
