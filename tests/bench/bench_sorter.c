/* How many messages a second one core sorts, headers only, no disk: scanned, decoded, matched against all rules,
 * placed. By processor time, best of three, so that what else the machine does counts little. A line for each set of
 * rules; the last line is the slowest of those with 200 rules on one field. */
#include "base/buf.h"
#include "sort/sorter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MESSAGES = 512, ROUNDS = 3, USERS = 20, FIELDS = 12 };

/* "contract", "invoice", "act", "order", "payment", "delivery", "reconciliation", "report", as people write them. */
static const char *const words[] = {"\xd0\xb4\xd0\xbe\xd0\xb3\xd0\xbe\xd0\xb2\xd0\xbe\xd1\x80",
                                    "\xd1\x81\xd1\x87\xd1\x91\xd1\x82",
                                    "\xd0\xb0\xd0\xba\xd1\x82",
                                    "\xd0\xb7\xd0\xb0\xd0\xba\xd0\xb0\xd0\xb7",
                                    "\xd0\xbe\xd0\xbf\xd0\xbb\xd0\xb0\xd1\x82\xd0\xb0",
                                    "\xd0\xbf\xd0\xbe\xd1\x81\xd1\x82\xd0\xb0\xd0\xb2\xd0\xba\xd0\xb0",
                                    "\xd1\x81\xd0\xb2\xd0\xb5\xd1\x80\xd0\xba\xd0\xb0",
                                    "\xd0\xbe\xd1\x82\xd1\x87\xd1\x91\xd1\x82"};
static const char *const fields[FIELDS] = {"Subject", "From", "To",        "Cc",       "Reply-To",   "Sender",
                                           "List-Id", "X-A",  "X-Spam-Is", "X-Mailer", "Precedence", "Return-Path"};

struct job {
	const char *name;
	unsigned rules;
	bool shared_field, many_fields;
	const char *line; /* what a rule asks; printf's with the rule's word and number */
};

static const struct job jobs[] = {
    {"contains", 200, true, false, "contains = %s \xe2\x84\x96 %u"},
    {"contains-capitals", 200, true, false, "contains = \xd0\x9e\xd0\x9f\xd0\x9b %s %u"},
    {"matches-anchored", 200, true, false, "matches = ^%s.*%u$"},
    {"matches-unanchored", 200, true, false, "matches = %s.*%u"},
    {"matches-latin", 200, true, false, "matches = (re|fwd): %s-%u"},
    {"many-fields", 200, false, true, "contains = %s \xe2\x84\x96 %u"},
    {"many-fields-matches", 200, false, true, "matches = %s.*%u"},
    {"any-field", 200, false, false, "contains = %s \xe2\x84\x96 %u"},
    {"contains-10000", 10000, false, true, "contains = %s \xe2\x84\x96 %u"},
    {"matches-10000", 10000, false, true, "matches = %s.*%u"},
};

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add_word(struct buf *b, const char *text)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct slice s = slice_of(text);

	buf_add_str(b, "=?utf-8?B?");
	for (size_t i = 0; i < s.n; i += 3) {
		unsigned v = 0;
		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (i + k < s.n ? (unsigned char)s.p[i + k] : 0U);
		for (size_t k = 0; k < 4; k++)
			buf_add_char(b, i + k > s.n ? '=' : digits[v >> (18 - 6 * k) & 63]);
	}
	buf_add_str(b, "?=");
}

/* Fifteen fields as a provider hands them out; the subject is Russian, and in one of ten a rule's. */
static void write_message(struct buf *m, unsigned i)
{
	char subject[256];

	snprintf(subject, sizeof subject,
	         "\xd0\x9d\xd0\xbe\xd0\xb2\xd1\x8b\xd0\xb9 %s \xe2\x84\x96 %u \xd0\xbe\xd1\x82 %u %s", words[i % 8],
	         i % 10 == 0 ? i % 200 : 90000 + i, i % 28 + 1, words[(i / 8) % 8]);
	buf_init(m, 1 << 16);
	buf_printf(m, "Return-Path: <client%u@far.example>\r\nDelivered-To: info@firm.example\r\n", i);
	for (unsigned hop = 0; hop < 3; hop++)
		buf_printf(m,
		           "Received: from mx%u.far.example (mx%u.far.example [192.0.2.%u])\r\n"
		           "\tby mail%u.firm.example (Postfix) with ESMTPS id 4XyZ%u;\r\n"
		           "\tTue, 1 Oct 2024 10:%02u:00 +0300 (MSK)\r\n",
		           hop, i, i % 250, hop, i, i % 60);
	buf_add_str(m, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=far.example; s=mail;\r\n"
	               "\th=from:to:subject:date; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n"
	               "\tb=Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFy\r\n");
	buf_add_str(m, "From: ");
	add_word(m, words[(i / 3) % 8]);
	buf_printf(m, " <client%u@far.example>\r\nTo: info@firm.example\r\nSubject: ", i);
	add_word(m, subject);
	buf_printf(
	    m,
	    "\r\nDate: Tue, 1 Oct 2024 10:00:00 +0300\r\nMessage-ID: <%u.abc@far.example>\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
	    "X-Mailer: The Bat! (v3.99)\r\nX-Priority: 3 (Normal)\r\nReply-To: client%u@far.example\r\n\r\n",
	    i, i);
}

static struct config *make_config(const struct job *j)
{
	struct config_findings found;
	struct buf ini;

	buf_init(&ini, 1 << 24);
	buf_add_str(&ini, "[server]\nhostname = gw.office.lan\nmailboxes = /tmp\noutqueue = /var\n");
	for (unsigned i = 0; i < USERS; i++)
		buf_printf(&ini, "[user u%u]\npassword = p\nalias = u%u@firm.example\n", i, i);
	buf_add_str(&ini, "[account info]\nhost = pop.firm.example\nuser = info@firm.example\npassword = x\nkeep = 0\n"
	                  "deliver = u0\n");
	for (unsigned i = 0; i < j->rules; i++) {
		const char *field = j->shared_field ? "Subject" : j->many_fields ? fields[i % FIELDS] : "*";
		char ask[256];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(ask, sizeof ask, j->line, words[i % 8], i);
#pragma GCC diagnostic pop
		buf_printf(&ini, "[rule r%u]\nfield = %s\ndeliver = u%u\n%s\n", i, field, i % USERS, ask);
	}
	struct config *c = config_load_text(buf_slice(&ini), "bench.ini", "/tmp", NULL, &found);
	for (size_t i = 0; c == NULL && i < found.n; i++)
		fprintf(stderr, "%u: %s\n", found.v[i].line, found.v[i].text);
	config_findings_free(&found);
	buf_free(&ini);
	return c;
}

static size_t sort_all(const struct sorter *s, struct sorter_scratch *sc, const struct config *c, const struct buf *m)
{
	size_t by_rule = 0;

	for (size_t i = 0; i < MESSAGES; i++) {
		struct sorter_verdict v;
		struct header h;
		header_scan(&h, buf_slice(&m[i]));
		sorter_sort(s, sc, &h, &c->accounts[0], false, &v);
		by_rule += v.why == SORTED_BY_RULE;
		sorter_verdict_free(&v);
		header_free(&h);
	}
	return by_rule;
}

/* Messages a second. */
static double run(const struct job *j, const struct buf *m)
{
	struct config *c = make_config(j);
	double best = 0;

	if (c == NULL)
		exit(1);
	double began = cpu_seconds();
	struct sorter *s = sorter_new(c);
	struct sorter_scratch *sc = sorter_scratch_new(s);
	double compiled = cpu_seconds() - began;
	size_t by_rule = sort_all(s, sc, c, m);
	for (int i = 0; i < ROUNDS; i++) {
		size_t n = 0;
		began = cpu_seconds();
		do {
			sort_all(s, sc, c, m);
			n += MESSAGES;
		} while (cpu_seconds() - began < 0.3);
		double rate = (double)n / (cpu_seconds() - began);
		best = rate > best ? rate : best;
	}
	printf("sorter %-20s %6u rules %8.0f messages/s (%zu of %d by a rule; rules compiled in %.0f ms)\n", j->name,
	       j->rules, best, by_rule, MESSAGES, compiled * 1000);
	sorter_scratch_free(&sc);
	sorter_free(&s);
	config_unref(&c);
	return best;
}

int main(int argc, char **argv)
{
	struct buf *m = calloc(MESSAGES, sizeof *m);
	double slowest = 0;

	if (m == NULL)
		return 1;
	for (unsigned i = 0; i < MESSAGES; i++)
		write_message(&m[i], i);
	for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
		if (argc > 1 && strcmp(argv[1], jobs[i].name) != 0)
			continue;
		double rate = run(&jobs[i], m);
		if (jobs[i].shared_field && (slowest == 0 || rate < slowest))
			slowest = rate;
	}
	for (unsigned i = 0; i < MESSAGES; i++)
		buf_free(&m[i]);
	free(m);
	printf("sorter messages/s %.0f\n", slowest);
	return 0;
}
