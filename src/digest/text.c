#include "digest/text.h"

#include "base/amount.h"
#include "base/text.h"
#include "digest/words.h"

#include <stdio.h>
#include <time.h>

enum { BAR = 40, LABEL = 14, LABEL_MAX = 41 };

void digest_moment(int64_t at, char out[static 24])
{
	time_t t = (time_t)at;
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL || strftime(out, 24, "%Y-%m-%d %H:%M", &tm) == 0)
		snprintf(out, 24, "%lld", (long long)at);
}

void digest_subject(struct buf *out, const struct digest_facts *f, bool russian)
{
	char day[24];

	/* A day's report at its end is that day's; one at seven in the morning, of the day before. */
	digest_moment((f->sum.from + f->sum.to) / 2, day);
	day[10] = '\0';
	buf_printf(out, "%s %s", digest_words(russian)->subject, day);
}

unsigned digest_peak(const struct journal_summary *s)
{
	unsigned peak = 1;

	for (int h = 0; h < 24; h++) {
		peak = s->came[h] > peak ? s->came[h] : peak;
		peak = s->left[h] > peak ? s->left[h] : peak;
	}
	return peak;
}

/* The column of names in a table: wide enough for this one, too, but not for a whole line of it. */
static size_t wider(size_t width, const char *name)
{
	size_t n = text_chars(slice_of(name)) + 1;

	return n > LABEL_MAX ? LABEL_MAX : n > width ? n : width;
}

static void put_count(struct buf *out, const struct journal_count *c)
{
	char size[AMOUNT_MAX], n[24];

	amount_size(c->bytes, size);
	snprintf(n, sizeof n, "%llu", (unsigned long long)c->n);
	text_pad(out, n, 7, true);
	text_pad(out, size, 10, true);
}

static void put_bar(struct buf *out, uint64_t n, uint64_t peak)
{
	uint64_t length = peak > 0 ? (n * BAR + peak - 1) / peak : 0;

	for (uint64_t i = 0; i < length; i++)
		buf_add_char(out, '#');
}

static void put_hours(struct buf *out, const struct journal_summary *s, const struct digest_words *w)
{
	unsigned peak = digest_peak(s);
	bool any = false;

	buf_printf(out, "\n%s\n", w->by_hour);
	for (int h = 0; h < 24; h++) {
		const unsigned n[2] = {s->came[h], s->left[h]};
		for (int k = 0; k < 2; k++) {
			if (n[k] == 0)
				continue;
			buf_printf(out, "  %02d ", h);
			text_pad(out, k == 0 ? w->in : w->out, 6, false);
			put_bar(out, n[k], peak);
			buf_printf(out, " %u\n", n[k]);
			any = true;
		}
	}
	if (!any)
		buf_add_str(out, "  -\n");
}

static void put_people(struct buf *out, const struct journal_summary *s, const struct digest_words *w)
{
	size_t width = LABEL;

	if (s->npeople == 0)
		return;
	for (size_t i = 0; i < s->npeople && i < DIGEST_PEOPLE; i++)
		width = wider(width, s->people[i].name);
	buf_add_char(out, '\n');
	text_pad(out, w->users, width + 2, false);
	text_pad(out, w->wrote, 17, true);
	text_pad(out, w->sent, 17, true);
	text_pad(out, w->received, 17, true);
	buf_add_char(out, '\n');
	for (size_t i = 0; i < s->npeople && i < DIGEST_PEOPLE; i++) {
		const struct journal_person *p = &s->people[i];
		buf_add_str(out, "  ");
		text_pad(out, p->name, width, false);
		put_count(out, &p->wrote);
		put_count(out, &p->sent);
		put_count(out, &p->received);
		buf_add_char(out, '\n');
	}
	if (s->npeople > DIGEST_PEOPLE)
		buf_printf(out, "  +%zu\n", s->npeople - DIGEST_PEOPLE);
}

static const struct journal_count *collected_by(const struct journal_summary *s, const char *account)
{
	static const struct journal_count none = {0, 0};

	for (size_t i = 0; i < s->nsources; i++)
		if (slice_is(slice_of(account), s->sources[i].name))
			return &s->sources[i].collected;
	return &none;
}

static void put_accounts(struct buf *out, const struct digest_facts *f, const struct digest_words *w)
{
	size_t width = LABEL;

	if (f->naccounts == 0)
		return;
	for (size_t i = 0; i < f->naccounts; i++)
		width = wider(width, f->accounts[i].name);
	buf_printf(out, "\n%s\n", w->accounts);
	for (size_t i = 0; i < f->naccounts; i++) {
		const struct digest_account *a = &f->accounts[i];
		buf_add_str(out, "  ");
		text_pad(out, a->name, width, false);
		put_count(out, collected_by(&f->sum, a->name));
		buf_printf(out, "  %s\n", a->error[0] != '\0' ? a->error : w->works);
	}
}

static void put_queue(struct buf *out, const struct digest_facts *f, const struct digest_words *w)
{
	char moment[24];

	if (f->queued == 0) {
		buf_printf(out, "\n%s: %s\n", w->queue, w->queue_empty);
		return;
	}
	digest_moment(f->oldest, moment);
	buf_printf(out, "\n%s: %zu, %s %s\n", w->queue, f->queued, w->oldest, moment);
}

static void put_boxes(struct buf *out, const struct digest_facts *f, const struct digest_words *w)
{
	size_t width = LABEL;

	buf_printf(out, "\n%s\n", w->boxes);
	for (size_t i = 0; i < f->nboxes && i < DIGEST_BOXES; i++)
		width = wider(width, f->boxes[i].name);
	for (size_t i = 0; i < f->nboxes && i < DIGEST_BOXES && f->boxes[i].bytes > 0; i++) {
		const struct digest_box *b = &f->boxes[i];
		char size[AMOUNT_MAX];
		amount_size(b->bytes, size);
		buf_add_str(out, "  ");
		text_pad(out, b->name, width, false);
		put_bar(out, b->bytes, f->boxes[0].bytes);
		buf_printf(out, " %s (%llu)\n", size, (unsigned long long)b->messages);
	}
	if (f->nboxes == 0 || f->boxes[0].bytes == 0)
		buf_add_str(out, "  -\n");
}

static void put_span(struct buf *out, const struct journal_summary *s, const struct digest_words *w)
{
	char from[24], to[24];

	digest_moment(s->from, from);
	digest_moment(s->to, to);
	buf_printf(out, "%s %s %s %s\n\n", w->from, from, w->to, to);
}

void digest_text(struct buf *out, const struct digest_facts *f, bool russian)
{
	const struct digest_words *w = digest_words(russian);

	put_span(out, &f->sum, w);
	for (size_t i = 0; i < DIGEST_ROWS; i++) {
		buf_add_str(out, "  ");
		text_pad(out, w->rows[i], LABEL, false);
		put_count(out, digest_row(&f->sum, i));
		buf_add_char(out, '\n');
	}
	put_hours(out, &f->sum, w);
	put_people(out, &f->sum, w);
	put_accounts(out, f, w);
	put_queue(out, f, w);
	put_boxes(out, f, w);
}
