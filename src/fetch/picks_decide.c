#include "fetch/picks_internal.h"

#include <stdlib.h>
#include <string.h>

enum { COUNTED_ROUGHLY = 256 };

/* A skipped record with this digest was too large, not too old: should the limit grow, it is new mail. */
static void mark_large(unsigned char digest[static DIGEST_SIZE])
{
	memset(digest, 0xff, DIGEST_SIZE);
}

bool picks_is_large(const struct ledger_record *rec)
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

static bool same_record(const struct ledger_record *a, const struct ledger_record *b)
{
	return strcmp(a->uidl, b->uidl) == 0 && a->size == b->size && a->missed == b->missed &&
	       memcmp(a->digest, b->digest, DIGEST_SIZE) == 0;
}

/* What is known there is left alone, or deleted when it is due: its record goes on under this name. */
static void carry_on(struct picks *p, struct pick *k, const struct ledger_record *old)
{
	struct ledger_record rec = *old;

	/* A name that another message has now will be that one's. */
	if (strcmp(rec.uidl, k->key) != 0 && !picks_lists(p, rec.uidl))
		picks_change(p, true, rec);
	p->moved[old - p->records->v] = true;
	rec.uidl = k->key;
	rec.size = k->size;
	rec.missed = 0;
	if (digest_known(k->digest) && !picks_is_large(old))
		memcpy(rec.digest, k->digest, DIGEST_SIZE);
	if (!same_record(&rec, old))
		picks_change(p, false, rec);
	if (rec.skipped)
		k->action = PICK_LEAVE;
	else
		known(p, k, rec.stored_at);
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
	const struct ledger_record *told = p->nvanished > 0 ? picks_find_skipped(p, k, true) : NULL;

	if (told != NULL) { /* told under another name */
		carry_on(p, k, told);
		return;
	}
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

/* `account resume --known`. The headers are wanted, should the names change again. */
static void known_by_word(struct picks *p, struct pick *k)
{
	const struct ledger_record *skipped = NULL;

	if (p->rules.can_top && !digest_known(k->digest)) {
		k->action = PICK_TOP;
		return;
	}
	if (p->nvanished > 0)
		skipped = picks_find_skipped(p, k, false);
	if (skipped != NULL) { /* it was never taken */
		carry_on(p, k, skipped);
		return;
	}
	picks_change(p, false, new_record(p, k));
	known(p, k, p->rules.now);
}

/* Unknown, while no message stands for some records whose headers are known, or while deleted ones may be listed again:
 * it may be one of them under another name. */
static bool may_be_known(struct picks *p, const struct pick *k)
{
	if (p->rules.resume != PICKS_AS_USUAL || !p->rules.can_top || k->sought || digest_known(k->digest))
		return false;
	return p->ncomparable > 0 || picks_may_have_returned(p, k);
}

static void new_mail(struct picks *p, struct pick *k)
{
	if (p->rules.resume == PICKS_ALL_KNOWN) {
		known_by_word(p, k);
	} else if (may_be_known(p, k)) {
		k->sought = true;
		k->action = PICK_TOP;
	} else if (first_time(p, k)) {
		return;
	} else if (too_large(p, k)) {
		leave_large(p, k);
	} else {
		k->action = avoided(p, k) ? PICK_LEAVE : PICK_RETR;
		k->check = !digest_known(k->digest) && picks_may_have_returned(p, k);
	}
}

/* Only size and header say whether what stands under this UIDL is what was recorded. */
static void doubtful(struct picks *p, struct pick *k)
{
	if (digest_known(k->rec->digest) && !picks_is_large(k->rec))
		look_first(p, k);
	else
		new_mail(p, k);
}

/* Never taken, and listed again. Another size is other mail, unless the server merely counts otherwise now. */
static void skipped_once(struct picks *p, struct pick *k)
{
	const struct ledger_record *rec = k->rec;
	uint64_t by = rec->size > k->size ? rec->size - k->size : k->size - rec->size;
	bool large = picks_is_large(rec);

	if (large ? too_large(p, k) : by == 0 || (by <= COUNTED_ROUGHLY && !p->rules.can_top)) {
		k->action = PICK_LEAVE;
		picks_claim(p, rec);
	} else if (!large && p->rules.can_top && digest_known(rec->digest)) {
		k->action = PICK_TOP;
	} else {
		new_mail(p, k);
	}
}

static void recorded(struct picks *p, struct pick *k)
{
	const struct ledger_record *rec = k->rec;

	if (rec->skipped) {
		skipped_once(p, k);
	} else if (!rec->closed && rec->size == k->size) {
		picks_claim(p, rec);
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
	return k->rec != NULL && digest_same(k->rec->digest, k->digest, &k->old);
}

/* A message whose UIDL changed: its record moves to the new one. */
static bool take_over(struct picks *p, struct pick *k)
{
	const struct ledger_record *old = p->rules.resume == PICKS_AS_USUAL ? picks_find_open(p, k) : NULL;

	if (old == NULL)
		return false;
	carry_on(p, k, old);
	return true;
}

/* Its header is that of its record. */
static void recognised(struct picks *p, struct pick *k)
{
	if (k->rec->closed && k->rec->size == k->size) { /* its deletion was confirmed once: it has no business here */
		picks_claim(p, k->rec);
		p->nback++;
		k->action = PICK_DELE;
	} else if (k->rec->closed) {
		new_mail(p, k);
	} else {
		picks_claim(p, k->rec);
		carry_on(p, k, k->rec);
	}
}

/* Headers that differ each time say nothing; the author's part does. An earlier session stored copies already, so this
 * one does not. */
static bool copies_again(struct picks *p, const struct pick *k)
{
	if (!p->rules.copied || p->rules.resume != PICKS_AS_USUAL || picks_find_alike(p, k) == NULL)
		return false;
	p->hold = p->copies = true;
	return true;
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
	else if (!take_over(p, k) && !picks_came_back(p, k) && !copies_again(p, k))
		new_mail(p, k);
}

static void read_header(struct picks *p, struct pick *k, struct slice head)
{
	digest_header(head, k->digest);
	if (p->records->n == 0)
		return;
	digest_header_old(head, &k->old);
	k->unique = digest_is_unique(head);
	k->has_id = digest_has_id(head);
}

void picks_top(struct picks *p, size_t i, struct slice head)
{
	struct pick *k = &p->v[i];

	read_header(p, k, head);
	k->arrived = digest_arrival(head);
	if (k->hopeless)
		k->action = PICK_LEAVE;
	else if (k->curious)
		leave_large(p, k);
	else
		reconsider(p, k);
}

void picks_no_top(struct picks *p, size_t i)
{
	struct pick *k = &p->v[i];

	if (k->hopeless) {
		k->action = PICK_LEAVE;
		return;
	}
	if (k->curious) {
		leave_large(p, k);
		return;
	}
	if (k->sought && !k->brake) {
		new_mail(p, k);
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

/* Fetched in full, and then found to be what is known under another name. Once that is a copy more; when it happens in
 * session after session, a person has to decide. */
static enum picked new_or_copy(struct picks *p, struct pick *k)
{
	if (copies_again(p, k))
		return PICKED_HOLD;
	k->copy = p->rules.resume == PICKS_AS_USUAL && !p->rules.copied && picks_find_alike(p, k) != NULL;
	return PICKED_STORE;
}

enum picked picks_retrieved(struct picks *p, size_t i, struct slice head)
{
	struct pick *k = &p->v[i], seen = *k;

	read_header(p, k, head);
	if (k->check) {
		k->arrived = digest_arrival(head);
		reconsider(p, k);
		if (p->hold)
			return PICKED_HOLD;
		if (k->action != PICK_RETR)
			return k->action == PICK_DELE ? PICKED_DELETE : PICKED_LEAVE;
	}
	enum picked d = new_or_copy(p, k);
	/* What TOP shows is what it will show again; some servers add more to RETR. */
	if (digest_known(seen.digest))
		memcpy(k->digest, seen.digest, DIGEST_SIZE);
	return d;
}

struct ledger_record picks_record(const struct picks *p, size_t i)
{
	return new_record(p, &p->v[i]);
}

void picks_stored(struct picks *p, size_t i)
{
	known(p, &p->v[i], p->rules.now);
}
