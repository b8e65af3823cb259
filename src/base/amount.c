#include "base/amount.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

void amount_size(uint64_t bytes, char out[static AMOUNT_MAX])
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double v = (double)bytes / 1024;
	size_t u = 0;

	if (bytes < 1024) {
		snprintf(out, AMOUNT_MAX, "%" PRIu64 " B", bytes);
		return;
	}
	for (; v >= 1024 && u < 5; u++)
		v /= 1024;
	snprintf(out, AMOUNT_MAX, v < 10 ? "%.1f %s" : "%.0f %s", v, units[u]);
}
