/* Until collecting and sending are built: weak stand-ins, so that the LAN side runs. Goes with the rooms it stands for.
 */
#include "fetch/fetcher.h"
#include "send/sender.h"
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
W struct sender *sender_new(const struct sender_deps *d)
{
	(void)d;
	return NULL;
}
W int sender_load(struct sender *s, struct err *e)
{
	(void)s;
	(void)e;
	return 0;
}
W void sender_configure(struct sender *s, const struct config *c)
{
	(void)s;
	(void)c;
}
W void sender_queued(struct sender *s, const char *id)
{
	(void)s;
	(void)id;
}
W void sender_run(struct sender *s, bool all, void (*p)(void *, const struct send_progress *), void (*d)(void *, bool),
                  void *arg)
{
	(void)s;
	(void)all;
	(void)p;
	d(arg, false);
}
W int64_t sender_next_due(const struct sender *s)
{
	(void)s;
	return INT64_MAX;
}
W void sender_list(const struct sender *s, void (*fn)(void *, const struct sender_entry *), void *arg)
{
	(void)s;
	(void)fn;
	(void)arg;
}
W size_t sender_length(const struct sender *s)
{
	(void)s;
	return 0;
}
W int64_t sender_oldest(const struct sender *s)
{
	(void)s;
	return 0;
}
W void sender_act(struct sender *s, enum sender_action a, const char *w, void (*d)(void *, unsigned, const char *),
                  void *arg)
{
	(void)s;
	(void)a;
	(void)w;
	d(arg, 0, NULL);
}
W void sender_stop(struct sender *s, int64_t ms, void (*d)(void *), void *arg)
{
	(void)s;
	(void)ms;
	d(arg);
}
W void sender_free(struct sender **s)
{
	*s = NULL;
}
