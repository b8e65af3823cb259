/* Until collecting is built: weak stand-ins, so that the LAN side runs. Goes with the rooms it stands for.
 */
#include "fetch/fetcher.h"
#include "sort/sorter.h"
#define W __attribute__((weak))
W char *sorter_pattern_error(const char *p)
{
	(void)p;
	return NULL;
}
W struct fetcher *fetcher_new(const struct fetcher_deps *d)
{
	(void)d;
	return NULL;
}
W void fetcher_configure(struct fetcher *f, const struct config *c)
{
	(void)f;
	(void)c;
}
W void fetcher_run(struct fetcher *f, const struct strlist *a, bool h, void (*p)(void *, const struct fetch_progress *),
                   void (*d)(void *, unsigned), void *arg)
{
	(void)f;
	(void)a;
	(void)h;
	(void)p;
	d(arg, 0);
}
W int64_t fetcher_next_due(const struct fetcher *f)
{
	(void)f;
	return INT64_MAX;
}
W void fetcher_status(const struct fetcher *f, void (*fn)(void *, const struct fetcher_account_status *), void *arg)
{
	(void)f;
	(void)fn;
	(void)arg;
}
W void fetcher_resume(struct fetcher *f, const char *a, bool k, void (*d)(void *, const char *), void *arg)
{
	(void)f;
	(void)a;
	(void)k;
	d(arg, "no");
}
W void fetcher_stop(struct fetcher *f, int64_t ms, void (*d)(void *), void *arg)
{
	(void)f;
	(void)ms;
	d(arg);
}
W void fetcher_free(struct fetcher **f)
{
	*f = NULL;
}
