#include "journal/match.h"

#include "base/alloc.h"
#include "base/text.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

struct match {
	locale_t locale;           /* of any language's letters, whatever the process has */
	char *from, *to, *subject; /* folded; NULL = any */
	struct buf folded;         /* scratch */
};

static void put_utf8(struct buf *b, uint32_t cp)
{
	if (cp < 0x80) {
		buf_add_char(b, (char)cp);
	} else if (cp < 0x800) {
		buf_add_char(b, (char)(0xc0 | cp >> 6));
		buf_add_char(b, (char)(0x80 | (cp & 0x3f)));
	} else if (cp < 0x10000) {
		buf_add_char(b, (char)(0xe0 | cp >> 12));
		buf_add_char(b, (char)(0x80 | (cp >> 6 & 0x3f)));
		buf_add_char(b, (char)(0x80 | (cp & 0x3f)));
	} else {
		buf_add_char(b, (char)(0xf0 | cp >> 18));
		buf_add_char(b, (char)(0x80 | (cp >> 12 & 0x3f)));
		buf_add_char(b, (char)(0x80 | (cp >> 6 & 0x3f)));
		buf_add_char(b, (char)(0x80 | (cp & 0x3f)));
	}
}

static const char *fold(struct match *m, const char *text)
{
	struct slice s = slice_of(text);
	uint32_t cp;

	buf_clear(&m->folded);
	for (size_t at = 0; at < s.n;) {
		size_t n = utf8_next(s, at, &cp);
		if (n == 0)
			buf_add_char(&m->folded, s.p[at++]);
		else
			put_utf8(&m->folded, m->locale != (locale_t)0 ? (uint32_t)towlower_l(cp, m->locale) : cp);
		at += n;
	}
	return buf_str(&m->folded);
}

static char *folded_copy(struct match *m, const char *text)
{
	return text != NULL ? xstrdup(fold(m, text)) : NULL;
}

struct match *match_new(const struct journal_query *q)
{
	struct match *m = xcalloc(1, sizeof *m);

	m->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	buf_init(&m->folded, 1024 * 1024);
	m->from = folded_copy(m, q->from);
	m->to = folded_copy(m, q->to);
	m->subject = folded_copy(m, q->subject);
	return m;
}

void match_free(struct match **mp)
{
	struct match *m = *mp;

	if (m == NULL)
		return;
	if (m->locale != (locale_t)0)
		freelocale(m->locale);
	buf_free(&m->folded);
	free(m->from);
	free(m->to);
	free(m->subject);
	free(m);
	*mp = NULL;
}

static bool has(struct match *m, const char *text, const char *sought)
{
	return sought == NULL || strstr(fold(m, text), sought) != NULL;
}

static bool any_has(struct match *m, const struct strlist *l, const char *sought)
{
	for (size_t i = 0; i < l->n; i++)
		if (has(m, l->v[i], sought))
			return true;
	return false;
}

static bool is_to(struct match *m, const struct journal_fate *f)
{
	if (m->to == NULL || any_has(m, &f->recipients, m->to) || any_has(m, &f->boxes, m->to))
		return true;
	for (size_t i = 0; i < f->noutgoing; i++)
		for (size_t k = 0; k < f->outgoing[i].n; k++)
			if (has(m, f->outgoing[i].v[k].address, m->to))
				return true;
	return false;
}

static bool concerns(const struct journal_fate *f, const char *user)
{
	return user == NULL || slice_is_nocase(slice_of(f->user), user) || strlist_has_nocase(&f->boxes, user) ||
	       strlist_has_nocase(&f->copies, user);
}

/* "<a@b>" and "a@b" are one Message-ID. */
static bool is_message_id(const char *has, const char *id)
{
	struct slice s = slice_of(has);

	if (s.n > 2 && s.p[0] == '<' && s.p[s.n - 1] == '>' && id[0] != '<')
		s = slice_sub(s, 1, s.n - 2);
	return slice_is(s, id);
}

static bool has_id(const struct journal_fate *f, const char *id)
{
	if (id == NULL || strcmp(f->id, id) == 0 || strcmp(f->uidl, id) == 0 || is_message_id(f->message_id, id))
		return true;
	for (size_t i = 0; i < f->noutgoing; i++)
		if (strcmp(f->outgoing[i].id, id) == 0)
			return true;
	return false;
}

bool match_fate(struct match *m, const struct journal_query *q, const struct journal_fate *f)
{
	return concerns(f, q->user) && has_id(f, q->id) && has(m, f->sender, m->from) && is_to(m, f) &&
	       has(m, f->subject, m->subject);
}
