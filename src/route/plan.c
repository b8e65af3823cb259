#include "route/plan.h"

#include "base/alloc.h"
#include "route/delivery.h"
#include "route/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plan_message *plan_add(struct plan *p, const char *what)
{
	p->v = xreallocarray(p->v, p->n + 1, sizeof *p->v);
	struct plan_message *m = &p->v[p->n++];
	*m = (struct plan_message){.what = what};
	buf_init(&m->prefix, PLAN_PREFIX_MAX);
	return m;
}

static void message_free(struct plan_message *m)
{
	buf_free(&m->prefix);
	strlist_free(&m->users);
	strlist_free(&m->entry.recipients);
	free(m->entry.sender);
	free(m->entry.local_sender);
}

void plan_drop_last(struct plan *p)
{
	message_free(&p->v[--p->n]);
}

static void tell_too_large(const struct plan *p, struct delivery *d)
{
	char limit[24];

	for (size_t i = 0; i < p->too_large.n; i++) {
		const struct letter_value values[] = {{"user", p->too_large.v[i]}, {"limit", limit}, {NULL, NULL}};
		char *once = xasprintf("forward.too_large.%s", p->too_large.v[i]);
		snprintf(limit, sizeof limit, "%llu", (unsigned long long)p->config->smtp_max_message_kib);
		report_postmaster(d, p->config, once, LETTER_NOT_FORWARDED, values);
		free(once);
	}
}

void plan_fill(const struct plan *p, struct acceptance *a, struct gather *source)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_message *m = &p->v[i];
		size_t at = acceptance_message(a, buf_slice(&m->prefix), source, m->skip, m->normalize);
		acceptance_hide_blind(a, at, m->blind);
		if (strcmp(m->what, "boss") == 0)
			acceptance_is_copy(a, at);
		for (size_t k = 0; k < m->users.n; k++)
			acceptance_to_mailbox(a, at, m->users.v[k]);
		if (m->outgoing)
			acceptance_to_outqueue(a, at, &m->entry);
	}
	tell_too_large(p, acceptance_delivery(a));
}

void plan_free(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		message_free(&p->v[i]);
	free(p->v);
	strlist_free(&p->too_large);
	*p = (struct plan){.n = 0};
}
