#include "base/bilingual.h"

#include "base/slice.h"

const char *bilingual_in(const struct bilingual *t, bool russian)
{
	return russian ? t->russian : t->english;
}

const struct bilingual *bilingual_for(const struct bilingual_of *list, size_t n, const char *host)
{
	for (size_t i = 0; i < n; i++)
		if (slice_in_domain(slice_of(host), list[i].domain))
			return &list[i].text;
	return NULL;
}
