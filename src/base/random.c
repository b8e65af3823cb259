#include "base/random.h"

#include "base/clock.h"

#include <errno.h>
#include <stdint.h>
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
	int64_t us = clock_wall_us();
	uint64_t r;

	random_bytes(&r, sizeof r);
	snprintf(out, RANDOM_NAME_MAX, "%lld.%05x%015llx", (long long)(us / 1000000 % 1000000000000),
	         (unsigned)(us % 1000000), (unsigned long long)(r >> 4));
}
