/*
 * clock.c
 *		A clock that runs fast, to be loaded into a server with LD_PRELOAD.
 *
 * The server takes the time from gettimeofday, and nothing else of it matters
 * here: lots lapse, holds end and tiers change within seconds.  It starts from
 * SOAK_CLOCK_BASE (seconds since 1970) and runs SOAK_CLOCK_RATE times as fast as
 * the real one, so it goes on where it was when the server is started again.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long long base;
static long long rate = 1;

__attribute__((constructor)) static void
read_settings(void)
{
	const char *text = getenv("SOAK_CLOCK_BASE");

	base = text ? atoll(text) : 0;
	text = getenv("SOAK_CLOCK_RATE");
	rate = text ? atoll(text) : 1;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec real;
	long long	usecs;

	(void) zone;
	clock_gettime(CLOCK_REALTIME, &real);
	usecs = (real.tv_sec - base) * 1000000LL + real.tv_nsec / 1000;
	usecs = usecs * rate;
	now->tv_sec = base + usecs / 1000000;
	now->tv_usec = usecs % 1000000;
	return 0;
}
