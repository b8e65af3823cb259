#include "base/random.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void random_bytes(void *p, size_t n)
{
	char *at = p;

	while (n > 0) {
		ssize_t got = getrandom(at, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		at += got;
		n -= (size_t)got;
	}
}

void random_name(char out[static RANDOM_NAME_MAX])
{
	unsigned char r[10];

	random_bytes(r, sizeof r);
	int at = snprintf(out, RANDOM_NAME_MAX, "%lld.", (long long)(clock_wall_s() % 1000000000000));
	for (size_t i = 0; i < sizeof r; i++)
		at += snprintf(out + at, (size_t)(RANDOM_NAME_MAX - at), "%02x", r[i]);
}
