#include "route/outgoing.h"

#include "base/alloc.h"
#include "mail/rewrite.h"
#include "route/section.h"

#include <stdlib.h>
#include <string.h>

/* Which part of the message is a header section that can be rewritten. */
struct part {
	struct header header;
	size_t skip;   /* behind the header section and its empty line */
	bool complete; /* false: the header section goes on behind what is at hand */
};

static void cut_at(struct part *p, size_t field)
{
	p->skip = p->header.v[field].start;
	p->header.n = field;
	p->header.end = p->header.body = p->skip;
	p->header.bytes.n = p->skip;
}

static void find_part(struct part *p, struct slice head, uint64_t size)
{
	struct header *h = &p->header;

	header_scan(h, head);
	p->skip = h->body;
	p->complete = h->body > h->end || head.n == size;
	if (!p->complete && h->n > 0)
		cut_at(p, h->n - 1); /* its last field may be half a field */
	if (h->n == HEADER_MAX_FIELDS)
		return; /* its last field is a bundle of fields, not a line of text */
	size_t i = section_fields(h);
	if (i < h->n) {
		cut_at(p, i);
		p->complete = true;
	}
}

/* Whether the address means something inside alone: it could not be answered, and From has to be one that exists. */
static bool is_fictive(const struct config *c, const struct address *a)
{
	return a->domain[0] == '\0' || (!c->unknown_local_relay && slice_is_nocase(slice_of(a->domain), c->domain));
}

/* Fields of recipients: they say who else has got the message, with or without an address outside. */
static bool is_recipients(struct slice field)
{
	static const char *const names[] = {"To", "Cc", "Resent-To", "Resent-Cc", "Mail-Followup-To"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (slice_is_nocase(field, names[i]))
			return true;
	return false;
}

struct lookup {
	const struct outgoing *o;
	const char *from; /* for a message without a From address */
};

static const char *new_address(void *arg, struct slice field, const struct address *a)
{
	const struct lookup *l = arg;
	const struct outgoing *o = l->o;
	const char *alias = route_alias(o->config, a);
	bool fictive = is_fictive(o->config, a);

	if (alias != NULL)
		return alias;
	if (!slice_is_nocase(field, "From"))
		return fictive && !is_recipients(field) ? "" : NULL;
	if (o->instead != NULL) {
		bool local = a->domain[0] == '\0' || slice_is_nocase(slice_of(a->domain), o->config->domain);
		if (local || (o->instead_for_all && route_sender(o->config, a) == NULL))
			return o->instead;
	}
	return fictive ? l->from : NULL;
}

/* A bare CR in a header would be a line end for some servers and none for others. */
static void blank_bare_cr(struct buf *b, size_t from)
{
	for (size_t i = from; i < b->n; i++)
		if (b->p[i] == '\r' && (i + 1 == b->n || b->p[i + 1] != '\n'))
			b->p[i] = ' ';
}

/* For a message without From; the caller frees. */
static char *from_address(const struct outgoing *o)
{
	if (o->sender[0] != '\0')
		return xstrdup(o->sender);
	if (o->instead != NULL)
		return xstrdup(o->instead);
	if (o->config->postmaster->alias[0] != '\0')
		return xstrdup(o->config->postmaster->alias);
	return xasprintf("postmaster@%s", o->config->hostname);
}

bool outgoing_render(const struct outgoing *o, struct buf *out, uint64_t *skip, bool *goes_on)
{
	char *from = from_address(o);
	struct lookup l = {o, from};
	struct rewrite r = {.lookup = new_address, .arg = &l};
	struct part p;
	size_t before = out->n;

	find_part(&p, o->head, o->size);
	r.complete = p.complete;
	bool ok = buf_add_str(out, o->received) && rewrite_header(out, &p.header, &r);
	if (p.complete)
		ok = ok && rewrite_add_missing(out, &r, from, o->config->hostname) && buf_add_str(out, "\r\n");
	if (ok)
		blank_bare_cr(out, before);
	*skip = p.skip;
	*goes_on = !p.complete;
	header_free(&p.header);
	free(from);
	return ok;
}

const struct config_user *outgoing_from_user(const struct config *c, struct slice head)
{
	struct header h;
	struct mailbox_list list = {NULL, 0};
	const struct config_user *u = NULL;

	header_scan(&h, head);
	const struct header_field *f = header_find(&h, "From", 0);
	if (f != NULL)
		mailbox_list_parse(f->value, &list);
	mailbox_list_to_ascii(&list);
	if (list.n > 0)
		u = route_sender(c, &list.v[0].address);
	mailbox_list_free(&list);
	header_free(&h);
	return u;
}
