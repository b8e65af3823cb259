#include "fetch/picks_internal.h"

#include <stdlib.h>
#include <string.h>

/* A skipped record with this digest was too large, not too old: should the limit grow, it is new mail. */
static void mark_large(unsigned char digest[static DIGEST_SIZE])
{
	memset(digest, 0xff, DIGEST_SIZE);
}

static bool is_large(const struct ledger_record *rec)
{
	unsigned char large[DIGEST_SIZE];

	mark_large(large);
	return memcmp(rec->digest, large, DIGEST_SIZE) == 0;
}

static struct ledger_record new_record(const struct picks *p, const struct pick *k)
{
	struct ledger_record rec = {.uidl = k->key, .size = k->size, .stored_at = p->rules.now};

	memcpy(rec.digest, k->digest, DIGEST_SIZE);
	return rec;
}

static void skip(struct picks *p, struct pick *k, bool large)
{
	struct ledger_record rec = new_record(p, k);

	rec.skipped = true;
	if (large) {
		mark_large(rec.digest);
		p->nlarge++;
	}
	k->action = PICK_LEAVE;
	picks_change(p, false, rec);
}

static void known(struct picks *p, struct pick *k, int64_t stored_at)
{
	const struct picks_rules *r = &p->rules;
	bool due = r->keep == 0 || (r->keep != INT64_MAX && !r->clock_jumped && r->now - stored_at >= r->keep);

	k->action = due ? PICK_DELE : PICK_LEAVE;
}

/* The header first, where it can be had; else the whole message, and then its header. */
static void look_first(struct picks *p, struct pick *k)
{
	k->action = p->rules.can_top ? PICK_TOP : PICK_RETR;
	k->check = !p->rules.can_top;
}

static bool avoided(const struct picks *p, const struct pick *k)
{
	return p->rules.avoid != NULL && strlist_has_nocase(p->rules.avoid, k->key);
}

static bool too_large(const struct picks *p, const struct pick *k)
{
	return p->rules.max_bytes != 0 && k->size > p->rules.max_bytes;
}

/* What lies there at the first collection. true: decided. */
static bool first_time(struct picks *p, struct pick *k)
{
	if (!p->rules.first_time || p->rules.first == PICKS_FIRST_ALL)
		return false;
	/* The digest is wanted for the brake too, should the server ever number anew. */
	if (p->rules.can_top && !digest_known(k->digest)) {
		k->action = PICK_TOP;
		return true;
	}
	bool old = k->arrived >= 0 && p->rules.now - k->arrived > p->rules.first_age;
	if (p->rules.first == PICKS_FIRST_AGE && !old)
		return false;
	skip(p, k, false);
	return true;
}

/* Postmaster is told whose it is and what it is about, where the header can be had. */
static void leave_large(struct picks *p, struct pick *k)
{
	if (p->rules.can_title && !k->curious && !digest_known(k->digest) && !avoided(p, k) &&
	    p->ncurious < PICKS_TITLES) {
		p->ncurious++;
		k->curious = true;
		k->action = PICK_TOP;
		return;
	}
	skip(p, k, true);
	k->large = true;
}

static void new_mail(struct picks *p, struct pick *k)
{
	if (p->rules.resume == PICKS_ALL_KNOWN) {
		picks_change(p, false, new_record(p, k));
		known(p, k, p->rules.now);
	} else if (first_time(p, k)) {
		return;
	} else if (too_large(p, k)) {
		leave_large(p, k);
	} else {
		k->action = avoided(p, k) ? PICK_LEAVE : PICK_RETR;
	}
}

/* Only size and header say whether what stands under this UIDL is what was recorded. */
static void doubtful(struct picks *p, struct pick *k)
{
	if (digest_known(k->rec->digest) && !is_large(k->rec))
		look_first(p, k);
	else
		new_mail(p, k);
}

static void recorded(struct picks *p, struct pick *k)
{
	const struct ledger_record *rec = k->rec;

	if (rec->skipped) {
		if (is_large(rec) ? too_large(p, k) : rec->size == k->size)
			k->action = PICK_LEAVE;
		else
			new_mail(p, k);
	} else if (!rec->closed && rec->size == k->size) {
		known(p, k, rec->stored_at);
	} else if (rec->closed && rec->size != k->size) {
		new_mail(p, k);
	} else {
		doubtful(p, k);
	}
}

void picks_decide(struct picks *p, struct pick *k)
{
	if (k->key == NULL)
		look_first(p, k);
	else if (k->rec != NULL)
		recorded(p, k);
	else if (p->brake && !k->brake) {
		k->brake = true;
		k->action = PICK_TOP;
	} else
		new_mail(p, k);
}

static bool same_header(const struct pick *k)
{
	return k->rec != NULL && digest_known(k->rec->digest) && memcmp(k->rec->digest, k->digest, DIGEST_SIZE) == 0;
}

/* A message whose UIDL changed: its record moves to the new one. */
static bool take_over(struct picks *p, struct pick *k)
{
	const struct ledger_record *old = k->brake ? picks_find_vanished(p, k) : NULL;

	if (old == NULL)
		return false;
	struct ledger_record rec = *old;
	picks_change(p, true, rec);
	rec.uidl = k->key;
	rec.size = k->size;
	rec.missed = 0;
	picks_change(p, false, rec);
	if (rec.skipped)
		k->action = PICK_LEAVE;
	else
		known(p, k, rec.stored_at);
	return true;
}

/* Its header is that of its record. */
static void recognised(struct picks *p, struct pick *k)
{
	if (k->rec->skipped)
		k->action = PICK_LEAVE;
	else if (!k->rec->closed)
		known(p, k, k->rec->stored_at);
	else if (k->rec->size == k->size) /* its deletion was confirmed once: it has no business here */
		k->action = PICK_DELE;
	else
		new_mail(p, k);
}

/* The digest is known now. */
static void reconsider(struct picks *p, struct pick *k)
{
	if (k->key == NULL) {
		picks_name(p, k);
		picks_look_up(p, k);
	}
	if (k->rec != NULL && same_header(k))
		recognised(p, k);
	else if (!take_over(p, k))
		new_mail(p, k);
}

void picks_top(struct picks *p, size_t i, struct slice head)
{
	struct pick *k = &p->v[i];

	digest_header(head, k->digest);
	k->arrived = digest_arrival(head);
	if (k->curious)
		leave_large(p, k);
	else
		reconsider(p, k);
}

void picks_no_top(struct picks *p, size_t i)
{
	struct pick *k = &p->v[i];

	if (k->curious) {
		leave_large(p, k);
		return;
	}
	if (k->brake) {
		p->hold = true;
		k->action = PICK_LEAVE;
		return;
	}
	p->rules.can_top = false;
	picks_decide(p, k);
}

enum picked picks_retrieved(struct picks *p, size_t i, struct slice head)
{
	struct pick *k = &p->v[i];

	digest_header(head, k->digest);
	if (!k->check)
		return PICKED_STORE;
	k->arrived = digest_arrival(head);
	reconsider(p, k);
	return k->action == PICK_RETR ? PICKED_STORE : k->action == PICK_DELE ? PICKED_DELETE : PICKED_LEAVE;
}

struct ledger_record picks_record(const struct picks *p, size_t i)
{
	return new_record(p, &p->v[i]);
}

void picks_stored(struct picks *p, size_t i)
{
	known(p, &p->v[i], p->rules.now);
}
