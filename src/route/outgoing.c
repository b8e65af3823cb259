#include "route/outgoing.h"

#include "base/alloc.h"
#include "mail/rewrite.h"

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

/* Whether what stands behind a line that is no field is still the header section, and that line a blot in it. */
static bool fields_follow(const struct header *h, size_t i)
{
	static const char *const known[] = {"From",       "To",           "Cc",           "Date",    "Subject",
	                                    "Message-ID", "MIME-Version", "Content-Type", "Received"};

	for (size_t k = 0; k < sizeof known / sizeof *known; k++)
		if (header_find(h, known[k], i) != NULL)
			return true;
	return false;
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
	for (size_t i = 0; i < h->n; i++) {
		if (h->v[i].name.n > 0)
			continue;
		if (!fields_follow(h, i)) {
			cut_at(p, i);
			p->complete = true;
		}
		return;
	}
}

struct lookup {
	const struct outgoing *o;
	bool in_from;
};

static const char *new_address(void *arg, const struct address *a)
{
	const struct lookup *l = arg;
	const struct outgoing *o = l->o;
	const char *alias = route_alias(o->config, a);

	if (alias != NULL || !l->in_from || o->instead == NULL)
		return alias;
	bool local = a->domain[0] == '\0' || slice_is_nocase(slice_of(a->domain), o->config->domain);
	if (!local && (!o->instead_for_all || route_sender(o->config, a) != NULL))
		return NULL;
	return o->instead;
}

/* Field by field, since only From knows `instead`. */
static bool rewrite(const struct outgoing *o, const struct header *h, struct buf *out)
{
	struct lookup l = {o, false};
	bool ok = true;

	for (size_t i = 0; i < h->n && ok; i++) {
		struct header one = *h;
		one.v = &h->v[i];
		one.n = 1;
		l.in_from = slice_is_nocase(h->v[i].name, "From");
		ok = rewrite_header(out, &one, new_address, &l);
	}
	return ok;
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

static bool finish_header(const struct outgoing *o, const struct header *h, struct buf *out)
{
	char *from = from_address(o);
	bool ok = rewrite_add_missing(out, h, from, o->config->hostname) && buf_add_str(out, "\r\n");

	free(from);
	return ok;
}

bool outgoing_render(const struct outgoing *o, struct buf *out, uint64_t *skip)
{
	struct part p;
	size_t before = out->n;

	find_part(&p, o->head, o->size);
	bool ok = buf_add_str(out, o->received) && rewrite(o, &p.header, out);
	if (p.complete)
		ok = ok && finish_header(o, &p.header, out);
	if (ok)
		blank_bare_cr(out, before);
	*skip = p.skip;
	header_free(&p.header);
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
	if (list.n > 0)
		u = route_sender(c, &list.v[0].address);
	mailbox_list_free(&list);
	header_free(&h);
	return u;
}
