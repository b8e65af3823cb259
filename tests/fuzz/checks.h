/* What the fuzz targets share: a check that stays in every build, bytes taken from the input, and the bound on work. */
#ifndef OFM_TESTS_FUZZ_CHECKS_H
#define OFM_TESTS_FUZZ_CHECKS_H

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define need(holds)                                                                                                    \
	do {                                                                                                           \
		if (!(holds)) {                                                                                        \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #holds);                     \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

/* The next byte of the input, which steers what is done; 0 behind its end. */
static inline unsigned char take(struct slice *in)
{
	if (in->n == 0)
		return 0;
	unsigned char c = (unsigned char)in->p[0];
	*in = slice_sub(*in, 1, in->n);
	return c;
}

static inline struct slice take_some(struct slice *in, size_t most)
{
	size_t n = most > 0 ? take(in) % (most + 1) : 0;
	struct slice some = slice_sub(*in, 0, n);

	*in = slice_sub(*in, some.n, in->n);
	return some;
}

static inline bool same(struct slice a, const struct buf *b)
{
	return slice_eq(a, buf_slice(b));
}

/* Of this thread, so that a busy machine does not count. */
static inline double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

enum { LARGE = 320 * 1024 };

/* Now and then the input, repeated up to LARGE bytes, goes to `work`, which must not take longer than linear work may,
 * sanitizers included. Work that grows with the square of the input takes minutes for so much. */
static inline void need_linear(struct slice in, void (*work)(struct slice large))
{
	uint32_t hash = 2166136261U;
	struct buf large;

	for (size_t i = 0; i < in.n; i++)
		hash = (hash ^ (unsigned char)in.p[i]) * 16777619U;
	if (in.n == 0 || hash % 1024 != 0)
		return;
	buf_init(&large, LARGE);
	while (buf_add_slice(&large, in))
		;
	double began = cpu_seconds();
	work(buf_slice(&large));
	need(cpu_seconds() - began < 2.0);
	buf_free(&large);
}

#endif
