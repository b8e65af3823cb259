/* What keeps mail from being accepted or stored: one line in the log when it begins, and, once mail is accepted again,
 * one when it is over, with a report to postmaster. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "route/delivery_internal.h"

#include <stdlib.h>
#include <string.h>

enum { REPORT_EVERY_MS = 60 * 60 * 1000 };

static void begin(struct delivery *d, const char *what, const char *why, const char *effect)
{
	if (d->trouble_since != 0)
		return;
	d->trouble_since = clock_wall_s();
	/* What the database says begins with its name already. */
	d->trouble_text = slice_starts_nocase(slice_of(why), what) ? xstrdup(why) : xasprintf("%s: %s", what, why);
	log_error("delivery.trouble", kv_s("what", what), kv_s("error", why), kv_s("effect", effect));
}

void health_refuses(struct delivery *d, const char *what, const char *why)
{
	d->refuses = true;
	begin(d, what, why, "mail is not accepted; senders try again, collecting waits");
}

void health_stalls(struct delivery *d, const char *what, const char *why)
{
	begin(d, what, why, "accepted mail is safe, and waits to be put into its mailboxes");
}

/* A disk that comes and goes fills the log, not postmaster's mailbox. */
static bool tells(struct delivery *d)
{
	int64_t now = clock_mono_ms();

	if (d->told_at != 0 && now < d->told_at + REPORT_EVERY_MS)
		return false;
	d->told_at = now;
	return d->well_again != NULL;
}

void health_look(struct delivery *d)
{
	if (d->trouble_since == 0 || d->refuses || d->sync_error != 0 || d->write_error != 0 || d->settle_failed)
		return;
	int64_t since = d->trouble_since;
	char *text = d->trouble_text;

	d->trouble_since = 0;
	d->trouble_text = NULL;
	log_info("delivery.well_again", kv_i("seconds", clock_wall_s() - since), kv_s("was", text));
	if (tells(d))
		d->well_again(d->well_again_arg, since, text);
	free(text);
}

void health_accepts(struct delivery *d)
{
	d->refuses = false;
	health_look(d);
}

const char *delivery_trouble(const struct delivery *d)
{
	return d->trouble_since != 0 ? d->trouble_text : NULL;
}

void delivery_on_well_again(struct delivery *d, void (*fn)(void *arg, int64_t since, const char *trouble), void *arg)
{
	d->well_again = fn;
	d->well_again_arg = arg;
}
