#include "fetch/picks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(v) (sizeof(v) / sizeof(v)[0])

enum { NOW = 100000000, DAY = 86400 };
#define HEAD(s) "Subject: " s "\r\nReceived: x; Fri, 02 Mar 1973 00:00:00 +0000\r\n\r\n" /* eleven hours ago */
#define OLD_HEAD "Subject: old\r\nReceived: x; Thu, 01 Jan 1970 00:00:00 +0000\r\n\r\n"

/* A ledger by words "uidl=size" with marks: c closed, s skipped, L skipped for its size, m missed twice, d its digest
 * is that of HEAD("one"), o stored 60 days ago. */
static void make_records(struct ledger_records *r, const char *words)
{
	char text[4096], *save;

	*r = (struct ledger_records){0};
	snprintf(text, sizeof text, "%s", words);
	r->v = calloc(64, sizeof *r->v);
	for (char *w = strtok_r(text, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
		struct ledger_record *rec = &r->v[r->n++];
		char *eq = strrchr(w, '='), *marks;

		*eq = '\0';
		*rec = (struct ledger_record){.uidl = strdup(w), .stored_at = NOW - DAY};
		rec->size = strtoull(eq + 1, &marks, 10);
		rec->closed = strchr(marks, 'c') != NULL;
		rec->skipped = strpbrk(marks, "sL") != NULL;
		rec->missed = strchr(marks, 'm') != NULL ? 2 : 0;
		if (strchr(marks, 'o') != NULL)
			rec->stored_at = NOW - 60 * DAY;
		if (strchr(marks, 'd') != NULL)
			digest_header(slice_of(HEAD("one")), rec->digest);
		if (strchr(marks, 'L') != NULL)
			memset(rec->digest, 0xff, sizeof rec->digest);
	}
}

static void free_records(struct ledger_records *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].uidl);
	free(r->v);
}

/* A listing by words "uidl=size"; a uidl "-" is none. */
static void make_listing(struct listing *l, const char *words, bool with_uidl)
{
	char text[4096], line[300], *save;
	struct err e;
	unsigned n = 0;

	*l = (struct listing){0};
	snprintf(text, sizeof text, "%s", words);
	for (char *w = strtok_r(text, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
		char *eq = strrchr(w, '=');

		*eq = '\0';
		n++;
		snprintf(line, sizeof line, "%u %s", n, eq + 1);
		assert_int_equal(listing_add_size(l, slice_of(line), &e), 0);
		snprintf(line, sizeof line, "%u %s", n, w);
		if (with_uidl)
			assert_int_equal(listing_add_uidl(l, slice_of(line), &e), 0);
	}
	assert_int_equal(listing_finish(l, with_uidl, &e), 0);
}

static struct picks_rules rules(void)
{
	return (struct picks_rules){.has_uidl = true, .can_top = true, .can_title = true, .now = NOW};
}

struct bench {
	struct ledger_records records;
	struct listing listing;
	struct picks p;
};

static void begin(struct bench *b, const struct picks_rules *r, const char *records, const char *listing)
{
	make_records(&b->records, records);
	make_listing(&b->listing, listing, r->has_uidl);
	picks_make(&b->p, r, &b->listing, &b->records);
	listing_free(&b->listing);
}

static void end(struct bench *b)
{
	picks_free(&b->p);
	free_records(&b->records);
}

static char action(enum pick_action a)
{
	return "-TRD"[a];
}

static const char *actions(const struct bench *b)
{
	static char out[64];

	for (size_t i = 0; i < b->p.n; i++)
		out[i] = action(b->p.v[i].action);
	out[b->p.n] = '\0';
	return out;
}

static void test_one_message_against_the_ledger(void **state)
{
	static const struct {
		const char *records, *listing;
		int64_t keep;
		uint64_t max;
		const char *want;  /* - leave, T look at its header, R fetch, D delete */
		const char *after; /* a T whose header is HEAD("one") */
	} rows[] = {
	    {"", "a=10", 0, 0, "R", ""},
	    {"a=10", "a=10", 0, 0, "D", ""},
	    {"a=10", "a=10", INT64_MAX, 0, "-", ""},
	    {"a=10", "a=10", 2 * DAY, 0, "-", ""},
	    {"a=10", "a=10", DAY, 0, "D", ""},
	    {"a=10o", "a=10", 14 * DAY, 0, "D", ""},
	    {"a=10d", "a=11", 0, 0, "T", "D"},  /* another size, the same header: servers count roughly */
	    {"a=10", "a=11", 0, 0, "R", ""},    /* nothing to compare with */
	    {"a=10cd", "a=10", 0, 0, "T", "D"}, /* deleted for sure, and here again */
	    {"a=10cd", "a=11", 0, 0, "R", ""},
	    {"a=10c", "a=10", 0, 0, "R", ""},
	    {"a=10s", "a=10", 0, 0, "-", ""},   /* left alone at the first collection: never deleted */
	    {"a=10sd", "a=12", 0, 0, "T", "-"}, /* servers count roughly, and then otherwise */
	    {"a=10s", "a=12", 0, 0, "R", ""},
	    {"a=2000L", "a=2000", 0, 1000, "-", ""},
	    {"a=2000L", "a=2000", 0, 0, "R", ""}, /* the limit is gone */
	    {"a=2000L", "a=2000", 0, 3000, "R", ""},
	    {"", "a=2000", 0, 1000, "T", "-"}, /* whose it is and what about, for the report */
	    {"", "a=1000", 0, 1000, "R", ""},
	    {"b=10", "a=10", 0, 0, "R", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct picks_rules r = rules();
		struct bench b;

		r.keep = rows[i].keep;
		r.max_bytes = rows[i].max;
		begin(&b, &r, rows[i].records, rows[i].listing);
		assert_string_equal(actions(&b), rows[i].want);
		if (rows[i].after[0] != '\0') {
			picks_top(&b.p, 0, slice_of(HEAD("one")));
			assert_string_equal(actions(&b), rows[i].after);
		}
		end(&b);
	}
}

/* The same UIDL, the same size, another header: other mail. */
static void test_a_uidl_used_again(void **state)
{
	struct picks_rules r = rules();
	struct bench b;

	(void)state;
	begin(&b, &r, "a=10cd", "a=10");
	picks_top(&b.p, 0, slice_of(HEAD("two")));
	assert_string_equal(actions(&b), "R");
	end(&b);
	r.can_top = false; /* then it is seen once it is here */
	begin(&b, &r, "a=10cd", "a=10");
	assert_string_equal(actions(&b), "R");
	assert_int_equal(picks_retrieved(&b.p, 0, slice_of(HEAD("two"))), PICKED_STORE);
	end(&b);
	begin(&b, &r, "a=10cd", "a=10");
	assert_int_equal(picks_retrieved(&b.p, 0, slice_of(HEAD("one"))), PICKED_DELETE);
	end(&b);
}

static void test_the_first_collection(void **state)
{
	static const struct {
		enum picks_first first;
		bool can_top;
		const char *head, *before, *after;
	} rows[] = {
	    {PICKS_FIRST_ALL, true, NULL, "R", "R"},
	    {PICKS_FIRST_NEW, true, HEAD("one"), "T", "-"},
	    {PICKS_FIRST_AGE, true, HEAD("one"), "T", "R"},
	    {PICKS_FIRST_AGE, true, OLD_HEAD, "T", "-"},
	    {PICKS_FIRST_AGE, true, "Subject: undated\r\n\r\n", "T", "R"},
	    {PICKS_FIRST_NEW, false, NULL, "-", "-"},
	    {PICKS_FIRST_AGE, false, NULL, "R", "R"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct picks_rules r = rules();
		struct bench b;

		r.first_time = true;
		r.first = rows[i].first;
		r.first_age = 30 * DAY;
		r.can_top = rows[i].can_top;
		begin(&b, &r, "", "a=10");
		assert_string_equal(actions(&b), rows[i].before);
		if (rows[i].head != NULL)
			picks_top(&b.p, 0, slice_of(rows[i].head));
		assert_string_equal(actions(&b), rows[i].after);
		assert_int_equal(b.p.nchanges == 1 && b.p.changes[0].rec.skipped, rows[i].after[0] == '-');
		end(&b);
	}
}

static void test_too_large_is_noted_once(void **state)
{
	struct picks_rules r = rules();
	struct bench b;

	(void)state;
	r.max_bytes = 1000;
	begin(&b, &r, "b=2000L", "a=2000 b=2000 c=5");
	assert_string_equal(actions(&b), "T-R");
	picks_top(&b.p, 0, slice_of(HEAD("one")));
	assert_string_equal(actions(&b), "--R");
	assert_int_equal(b.p.nlarge, 1);
	assert_true(b.p.v[0].large && !b.p.v[1].large);
	end(&b);
	begin(&b, &r, "b=2000L", "a=2000 b=2000 c=5 c=5");
	picks_no_top(&b.p, 0);
	assert_string_equal(actions(&b), "--TT"); /* one header that could not be had says nothing of others */
	assert_true(b.p.v[0].large && b.p.nlarge == 1);
	end(&b);
	begin(&b, &r, "a=10sd", "a=2000"); /* an old acquaintance of another size is not asked for twice */
	assert_string_equal(actions(&b), "T");
	picks_top(&b.p, 0, slice_of(HEAD("one")));
	assert_string_equal(actions(&b), "-");
	assert_true(b.p.nchanges == 1 && b.p.changes[0].rec.size == 2000);
	end(&b);
	r.can_title = false;
	begin(&b, &r, "b=2000L", "a=2000 b=2000 c=5");
	assert_string_equal(actions(&b), "--R");
	assert_int_equal(b.p.nlarge, 1);
	assert_int_equal(b.p.nchanges, 1);
	end(&b);
}

static void words(char *out, size_t size, const char *prefix, unsigned n, const char *rest)
{
	out[0] = '\0';
	for (unsigned i = 0; i < n; i++)
		snprintf(out + strlen(out), size - strlen(out), "%s%02u%s ", prefix, i, rest);
}

static void test_the_brake(void **state)
{
	static const struct {
		unsigned known, still, unknown; /* records; of them still listed; new UIDLs */
		bool can_top;
		enum picks_resume resume;
		bool brake, hold;
	} rows[] = {
	    {20, 2, 1, true, PICKS_AS_USUAL, true, false},
	    {20, 3, 1, true, PICKS_AS_USUAL, false, false}, /* 85 % are gone */
	    {19, 0, 9, true, PICKS_AS_USUAL, false, false}, /* too few to tell */
	    {20, 0, 0, true, PICKS_AS_USUAL, false, false}, /* an empty listing */
	    {20, 0, 20, false, PICKS_AS_USUAL, true, true},
	    {20, 0, 20, false, PICKS_ALL_KNOWN, false, false},
	    {20, 0, 20, false, PICKS_ALL_NEW, false, false},
	    {20, 0, 20, true, PICKS_ALL_NEW, false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct picks_rules r = rules();
		struct bench b;
		char records[2000], listing[2000];

		r.can_top = rows[i].can_top;
		r.resume = rows[i].resume;
		r.keep = INT64_MAX;
		words(records, sizeof records, "k", rows[i].known, "=10");
		words(listing, sizeof listing, "k", rows[i].still, "=10");
		words(listing + strlen(listing), sizeof listing - strlen(listing), "n", rows[i].unknown, "=10");
		begin(&b, &r, records, listing);
		assert_int_equal(b.p.brake, rows[i].brake);
		assert_int_equal(b.p.hold, rows[i].hold);
		for (size_t k = 0; k < b.p.n && !rows[i].hold; k++)
			assert_int_equal(b.p.v[k].action, k < rows[i].still                   ? PICK_LEAVE
			                                  : rows[i].brake                     ? PICK_TOP
			                                  : rows[i].resume == PICKS_ALL_KNOWN ? PICK_LEAVE
			                                                                      : PICK_RETR);
		end(&b);
	}
}

/* With the brake on: what has a vanished record's header takes that record over, once; the rest is new. */
static void test_a_record_is_taken_over_once(void **state)
{
	struct picks_rules r = rules();
	struct bench b;
	char records[2000];

	(void)state;
	words(records, sizeof records, "k", 19, "=10");
	snprintf(records + strlen(records), sizeof records - strlen(records), "z=10d");
	begin(&b, &r, records, "n=11 o=12 p=13");
	assert_string_equal(actions(&b), "TTT");
	picks_top(&b.p, 0, slice_of(HEAD("one")));
	picks_top(&b.p, 1, slice_of(HEAD("one")));
	picks_top(&b.p, 2, slice_of(HEAD("two")));
	assert_string_equal(actions(&b), "DRR");
	assert_int_equal(b.p.nchanges, 2);
	assert_true(b.p.changes[0].remove && strcmp(b.p.changes[0].rec.uidl, "z") == 0);
	assert_true(!b.p.changes[1].remove && strcmp(b.p.changes[1].rec.uidl, "n") == 0);
	end(&b);
	begin(&b, &r, records, "n=11");
	picks_no_top(&b.p, 0);
	assert_true(b.p.hold);
	end(&b);
}

#define WITH_ID(id, more) more "Subject: s\r\nMessage-ID: <" id "@x>\r\n\r\n"

static void set_digest(struct ledger_records *r, const char *uidl, const char *head)
{
	struct ledger_record *rec = (struct ledger_record *)ledger_find(r, slice_of(uidl));

	digest_header(slice_of(head), rec->digest);
}

/* A few messages under other names: TOP tells; and each record is found once, by whichever message has its header. */
static void test_moved_ones_are_known_by_their_headers(void **state)
{
	static const struct {
		const char *records, *listing;
		const char *ids; /* of the records, then of the listed */
		const char *want, *after;
	} rows[] = {
	    {"a=10", "n=10", "11", "T", "-"},
	    {"a=10", "n=14", "11", "T", "-"},
	    {"a=10", "n=10", "12", "T", "R"},
	    {"a=10 b=10", "b=10 n=10",
	     "12"
	     "21",
	     "-T", "--"},
	    {"a=10 b=10", "m=10 n=10 o=10",
	     "12"
	     "112",
	     "TTT", "-R-"},
	    {"1=10 2=20 3=30", "1=20 2=30",
	     "123"
	     "23",
	     "TT", "--"}, /* numbers as UIDLs: one in front went */
	    {"1=10 2=20", "1=30 2=10 3=20",
	     "12"
	     "312",
	     "TTT", "R--"}, /* one in front came */
	    {"1=10 2=20", "1=10 2=20 3=5",
	     "12"
	     "123",
	     "--R", "--R"}, /* nothing is missing: no header is asked for */
	    {"a=10 b=10c", "b=10 n=10",
	     "12"
	     "21",
	     "TT", "D-"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct picks_rules r = rules();
		struct bench b;
		char head[200];

		r.keep = INT64_MAX;
		make_records(&b.records, rows[i].records);
		for (size_t k = 0; k < b.records.n; k++) {
			snprintf(head, sizeof head, WITH_ID("%c", ""), rows[i].ids[k]);
			set_digest(&b.records, b.records.v[k].uidl, head);
		}
		make_listing(&b.listing, rows[i].listing, true);
		picks_make(&b.p, &r, &b.listing, &b.records);
		listing_free(&b.listing);
		assert_string_equal(actions(&b), rows[i].want);
		for (size_t k = 0; k < b.p.n; k++) {
			snprintf(head, sizeof head, WITH_ID("%c", "X-Spam-Flag: NO\r\n"), rows[i].ids[b.records.n + k]);
			if (b.p.v[k].action == PICK_TOP)
				picks_top(&b.p, k, slice_of(head));
		}
		assert_string_equal(actions(&b), rows[i].after);
		picks_settle(&b.p);
		for (size_t k = 0; k < b.p.nchanges; k++) /* no change undoes another */
			for (size_t m = 0; m < k; m++)
				assert_string_not_equal(b.p.changes[k].rec.uidl, b.p.changes[m].rec.uidl);
		end(&b);
	}
}

/* Headers that differ each time: one copy of each, then the account is held at the first that comes again. */
static void test_copies_once_and_then_a_hold(void **state)
{
	(void)state;
	for (int again = 0; again <= 1; again++) {
		struct picks_rules r = rules();
		struct bench b;

		r.keep = INT64_MAX;
		r.can_top = false;
		r.copied = again;
		make_records(&b.records, "a=10 b=20");
		set_digest(&b.records, "a", WITH_ID("1", "X-Now: 1\r\n"));
		make_listing(&b.listing, "m=10 n=10 o=20", true);
		picks_make(&b.p, &r, &b.listing, &b.records);
		listing_free(&b.listing);
		assert_string_equal(actions(&b), "RRR");
		assert_int_equal(picks_retrieved(&b.p, 0, slice_of(WITH_ID("3", ""))), PICKED_STORE);
		assert_false(b.p.v[0].copy);
		assert_int_equal(picks_retrieved(&b.p, 1, slice_of(WITH_ID("1", "X-Now: 2\r\n"))),
		                 again ? PICKED_HOLD : PICKED_STORE);
		assert_int_equal(b.p.v[1].copy, !again);
		assert_int_equal(b.p.hold, again);
		if (!again) { /* by its size, where its record knows no header */
			assert_int_equal(picks_retrieved(&b.p, 2, slice_of(WITH_ID("2", ""))), PICKED_STORE);
			assert_true(b.p.v[2].copy);
		}
		end(&b);
	}
}

/* Deletions that were confirmed, and other UIDLs. ids: of the headers, first those of the records. Those with an x have
 * something else in the header, and the author's part is the same. */
static void test_deleted_ones_that_are_listed_again(void **state)
{
	static const struct {
		const char *records, *listing, *ids, *others;
		bool returned, many, can_top;
		const char *want, *after;
		bool hold;
		size_t back;
	} rows[] = {
	    {"a=10c b=20c", "m=10 n=20", "1212", "    ", true, true, true, "TT", "DD", false, 2},
	    {"a=10c b=20c", "m=10 n=20", "1212", "    ", true, true, false, "RR", "DD", false, 2},
	    {"a=10c b=20c", "m=10 n=20", "1212", "    ", true, false, true, "TT", "RR", false, 2}, /* too few */
	    {"a=10c b=20c", "m=10 n=20", "1212", "    ", false, false, true, "RR", "RR", false, 0},
	    {"a=10c b=20c", "m=10 n=20", "1234", "    ", true, true, true, "TT", "RR", false, 0}, /* other mail */
	    {"a=10c b=20c", "m=11 n=20", "1212", "    ", true, true, true, "RT", "RD", false, 1},
	    {"a=10c b=10c", "m=10 n=10 o=10", "11111", "     ", true, true, true, "TTT", "DDR", false, 2},
	    {"a=10c b=20c", "m=10 n=20", "1212", "  x ", true, true, true, "TT", "RD", false, 2}, /* a copy, once */
	    {"a=10c b=10c", "m=10", "111", "  x", true, true, true, "T", "T", true, 1},
	    {"a=10c b=10c", "m=10", "111", "  x", true, true, false, "R", "R", true, 1},
	    {"1=10c 2=20c", "1=20", "122", "   ", true, true, true, "T", "D", false, 1}, /* numbers as UIDLs */
	    {"1=10c 2=10c", "1=10", "122", "   ", true, true, true, "T", "D", false, 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct picks_rules r = rules();
		struct bench b;
		char head[200];

		r.returned = rows[i].returned;
		r.many_returned = rows[i].many;
		r.can_top = rows[i].can_top;
		make_records(&b.records, rows[i].records);
		for (size_t k = 0; k < b.records.n; k++) {
			snprintf(head, sizeof head, WITH_ID("%c", ""), rows[i].ids[k]);
			set_digest(&b.records, b.records.v[k].uidl, head);
		}
		make_listing(&b.listing, rows[i].listing, true);
		picks_make(&b.p, &r, &b.listing, &b.records);
		listing_free(&b.listing);
		assert_string_equal(actions(&b), rows[i].want);
		for (size_t k = 0; k < b.p.n; k++) {
			size_t at = b.records.n + k;

			if (rows[i].others[at] == 'x')
				snprintf(head, sizeof head, WITH_ID("%c", "X-Now: 2\r\n"), rows[i].ids[at]);
			else
				snprintf(head, sizeof head, WITH_ID("%c", ""), rows[i].ids[at]);
			if (b.p.v[k].action == PICK_TOP)
				picks_top(&b.p, k, slice_of(head));
			else if (!rows[i].can_top)
				picks_retrieved(&b.p, k, slice_of(head));
		}
		assert_string_equal(actions(&b), rows[i].after);
		assert_int_equal(b.p.hold, rows[i].hold);
		assert_int_equal(b.p.nback, rows[i].back);
		end(&b);
	}
}

static void test_another_size_is_recorded(void **state)
{
	struct picks_rules r = rules();
	struct bench b;

	(void)state;
	r.keep = INT64_MAX;
	begin(&b, &r, "a=10d b=10d", "a=11 b=10");
	assert_string_equal(actions(&b), "T-");
	picks_top(&b.p, 0, slice_of("X-IMAPbase: 1 2\r\n" HEAD("one")));
	assert_string_equal(actions(&b), "--");
	picks_settle(&b.p);
	assert_int_equal(b.p.nchanges, 1);
	assert_true(!b.p.changes[0].remove && b.p.changes[0].rec.size == 11);
	end(&b);
}

static void test_names_where_uidls_are_none(void **state)
{
	struct picks_rules r = rules();
	struct bench b;

	(void)state;
	begin(&b, &r, "", "a=10 a=10 a=10 b=5");
	assert_string_equal(actions(&b), "TTTR");
	picks_top(&b.p, 0, slice_of(HEAD("one")));
	picks_top(&b.p, 1, slice_of(HEAD("one")));
	picks_top(&b.p, 2, slice_of(HEAD("two")));
	assert_string_equal(actions(&b), "RRRR");
	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(b.p.v[i].key, b.p.v[k].key);
	assert_memory_equal(b.p.v[0].key, "a#", 2);
	end(&b);
	r.has_uidl = false;
	begin(&b, &r, "", "-=10 -=10");
	picks_top(&b.p, 0, slice_of(HEAD("one")));
	picks_top(&b.p, 1, slice_of(HEAD("one")));
	assert_memory_equal(b.p.v[0].key, "top:", 4);
	assert_string_not_equal(b.p.v[0].key, b.p.v[1].key);
	end(&b);
	/* The one that had the UIDL to itself when it was recorded keeps that record. */
	r.has_uidl = true;
	r.keep = INT64_MAX;
	begin(&b, &r, "a=10d", "a=10 a=10");
	picks_top(&b.p, 0, slice_of(HEAD("two")));
	picks_top(&b.p, 1, slice_of(HEAD("one")));
	assert_string_equal(actions(&b), "R-");
	end(&b);
}

static void test_records_that_are_no_longer_listed(void **state)
{
	static const struct {
		const char *record, *listing;
		int change; /* 0 none, 1 counted, 2 counted back to none, 3 removed */
	} rows[] = {
	    {"a=10", "b=1", 1},   {"a=10m", "b=1", 1}, {"a=10mo", "b=1", 3}, {"a=10o", "b=1", 1},
	    {"a=10m", "a=10", 2}, {"a=10", "a=10", 0}, {"a=10mco", "", 3},   {"a=10", "", 1},
	    {"a=10c", "", 0},     {"a=10mc", "", 0},   {"a=10co", "", 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct picks_rules r = rules();
		struct bench b;

		r.keep = INT64_MAX;
		begin(&b, &r, rows[i].record, rows[i].listing);
		picks_settle(&b.p);
		assert_int_equal(b.p.nchanges, rows[i].change != 0);
		if (rows[i].change != 0) {
			const struct picks_change *c = &b.p.changes[0];

			assert_string_equal(c->rec.uidl, "a");
			assert_int_equal(c->remove, rows[i].change == 3);
			assert_true(c->remove || (c->rec.missed > 0) == (rows[i].change == 1));
		}
		end(&b);
	}
}

/* A message that broke a session is left alone, until the next reload forgets it. */
static void test_what_broke_a_session_is_avoided(void **state)
{
	struct strlist avoid = {NULL, 0};
	struct picks_rules r = rules();
	struct bench b;

	(void)state;
	strlist_add(&avoid, "a");
	r.avoid = &avoid;
	begin(&b, &r, "", "a=10 b=10");
	assert_string_equal(actions(&b), "-R");
	assert_int_equal(b.p.nchanges, 0);
	end(&b);
	strlist_free(&avoid);
}

/* keep = 14d, and the clock was set years ahead: neither the messages nor the records of vanished ones are old. */
static void test_nothing_expires_while_the_clock_is_not_believed(void **state)
{
	(void)state;
	for (int jumped = 0; jumped <= 1; jumped++) {
		struct picks_rules r = rules();
		struct bench b;

		r.now = NOW + 3650 * (int64_t)DAY;
		r.clock_jumped = jumped;
		r.keep = 14 * DAY;
		begin(&b, &r, "a=10 b=10", "a=10 b=10");
		assert_string_equal(actions(&b), jumped ? "--" : "DD");
		end(&b);
		r.keep = 0;
		begin(&b, &r, "a=10", "a=10");
		assert_string_equal(actions(&b), "D");
		end(&b);
	}
}

static void test_stored_then_deleted_or_kept(void **state)
{
	static const struct {
		int64_t keep;
		const char *want;
	} rows[] = {{0, "D"}, {DAY, "-"}, {INT64_MAX, "-"}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct picks_rules r = rules();
		struct bench b;

		r.keep = rows[i].keep;
		begin(&b, &r, "", "a=10");
		assert_int_equal(picks_retrieved(&b.p, 0, slice_of(HEAD("one"))), PICKED_STORE);
		struct ledger_record rec = picks_record(&b.p, 0);
		assert_string_equal(rec.uidl, "a");
		assert_true(digest_known(rec.digest) && !rec.closed && !rec.skipped && rec.size == 10);
		assert_string_equal(actions(&b), "R");
		picks_stored(&b.p, 0);
		assert_string_equal(actions(&b), rows[i].want);
		end(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_message_against_the_ledger),
	    cmocka_unit_test(test_a_uidl_used_again),
	    cmocka_unit_test(test_nothing_expires_while_the_clock_is_not_believed),
	    cmocka_unit_test(test_the_first_collection),
	    cmocka_unit_test(test_too_large_is_noted_once),
	    cmocka_unit_test(test_the_brake),
	    cmocka_unit_test(test_a_record_is_taken_over_once),
	    cmocka_unit_test(test_moved_ones_are_known_by_their_headers),
	    cmocka_unit_test(test_copies_once_and_then_a_hold),
	    cmocka_unit_test(test_deleted_ones_that_are_listed_again),
	    cmocka_unit_test(test_another_size_is_recorded),
	    cmocka_unit_test(test_names_where_uidls_are_none),
	    cmocka_unit_test(test_records_that_are_no_longer_listed),
	    cmocka_unit_test(test_what_broke_a_session_is_avoided),
	    cmocka_unit_test(test_stored_then_deleted_or_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
