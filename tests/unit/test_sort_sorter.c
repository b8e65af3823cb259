#include "base/text.h"
#include "sort/sorter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* The words for "invoice", "contract" and "Hello" in Russian. */
#define SCHET "\xd1\x81\xd1\x87\xd1\x91\xd1\x82"
#define PRIVET "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82"
#define DOGOVOR "\xd0\x94\xd0\x9e\xd0\x93\xd0\x9e\xd0\x92\xd0\x9e\xd0\xa0"

#define COMMON                                                                                                         \
	"[server]\nhostname = gw.office.lan\nmailboxes = /tmp\noutqueue = /var\n"                                      \
	"[user anna]\npassword = a\nalias = anna@firm.example\n"                                                       \
	"[user boris]\npassword = b\nalias = boris@firm.example\n"                                                     \
	"[user clara]\npassword = c\nalias = sales@firm.example\n"                                                     \
	"[user dora]\npassword = d\nalias = sales@firm.example\n"                                                      \
	"[account info]\nhost = pop.firm.example\nuser = info@firm.example\npassword = x\nkeep = 0\n"

struct fixture {
	struct config *c;
	struct sorter *s;
	struct sorter_scratch *sc;
};

static void start(struct fixture *f, const char *common, const char *more)
{
	struct config_findings found;
	struct buf ini;

	buf_init(&ini, 1 << 24);
	buf_add_str(&ini, common);
	buf_add_str(&ini, more);
	f->c = config_load_text(buf_slice(&ini), "test.ini", "/tmp", NULL, &found);
	for (size_t i = 0; i < found.n && f->c == NULL; i++)
		fprintf(stderr, "%u [%s] %s: %s\n", found.v[i].line, found.v[i].section, found.v[i].key,
		        found.v[i].text);
	assert_non_null(f->c);
	config_findings_free(&found);
	buf_free(&ini);
	f->s = sorter_new(f->c);
	f->sc = sorter_scratch_new(f->s);
}

static void stop(struct fixture *f)
{
	sorter_scratch_free(&f->sc);
	sorter_free(&f->s);
	config_unref(&f->c);
}

static const char why_letters[] = "RAETUP"; /* by enum sorter_why */

/* "R: anna boris": what placed the message, and whose it is. */
static char *sorted_n(const struct fixture *f, struct slice message, const char *account)
{
	struct header h;
	struct sorter_verdict v;
	struct buf out;

	buf_init(&out, 10000);
	header_scan(&h, message);
	sorter_sort(f->s, f->sc, &h, account != NULL ? config_account_by_label(f->c, slice_of(account)) : NULL, false,
	            &v);
	buf_printf(&out, "%c:", why_letters[v.why]);
	for (size_t i = 0; i < v.users.n; i++)
		buf_printf(&out, " %s", v.users.v[i]->name);
	if (v.nrunaway > 0)
		buf_printf(&out, " !%s", v.runaway[0]->label);
	assert_int_equal(v.nmatches, 0);
	sorter_verdict_free(&v);
	header_free(&h);
	return buf_steal(&out);
}

struct sort_case {
	const char *message, *verdict;
};

static void check_all(const char *more, const char *account, const struct sort_case *cases, size_t n)
{
	struct fixture f;

	start(&f, COMMON, more);
	for (size_t i = 0; i < n; i++) {
		char *got = sorted_n(&f, slice_of(cases[i].message), account);
		if (strcmp(got, cases[i].verdict) != 0)
			fail_msg("%s\n  wants %s\n  got   %s", cases[i].message, cases[i].verdict, got);
		free(got);
	}
	stop(&f);
}

#define CHECK(more, account, ...)                                                                                      \
	do {                                                                                                           \
		static const struct sort_case cases[] = {__VA_ARGS__};                                                 \
		check_all(more, account, cases, sizeof cases / sizeof *cases);                                         \
	} while (0)

static void test_contains(void **state)
{
	(void)state;
	CHECK("[rule one]\nfield = Subject\ncontains = " SCHET "\ndeliver = anna\n", "info",
	      {"Subject: " SCHET "\r\n\r\n", "R: anna"},
	      {"subject: \xd0\xa1\xd0\xa7\xd0\x81\xd0\xa2 5\r\n\r\n", "R: anna"},
	      {"Subject: =?utf-8?B?0KHRh9GR0YIg4oSWIDU=?=\r\n\r\n", "R: anna"},
	      {"Subject: =?koi8-r?Q?=D3=DE=A3=D4?=\r\n\r\n", "R: anna"},
	      {"Subject: =?windows-1251?Q?=F1=F7?=\r\n =?windows-1251?Q?=B8=F2?=\r\n\r\n", "R: anna"},
	      {"Subject: =?utf-8?B?0YHR?= =?utf-8?B?h9GR0YI=?=\r\n\r\n", "R: anna"},
	      {"Subject: \xd3\xde\xa3\xd4 \xce\xc1 \xcf\xd0\xcc\xc1\xd4\xd5\r\n\r\n", "R: anna"},
	      {"Subject: \xd1\xf7\xb8\xf2 \xed\xe0 \xee\xef\xeb\xe0\xf2\xf3\r\n\r\n", "R: anna"},
	      {"SUBJECT : x\r\nSubject: y " SCHET "\r\n\r\n", "R: anna"},
	      {"X-Subject: " SCHET "\r\n\r\n", "P: postmaster"},
	      {"Subject: none\r\n\r\n" SCHET "\r\nSubject: " SCHET "\r\n", "P: postmaster"},
	      {"\r\nSubject: " SCHET "\r\n", "P: postmaster"}, {"", "P: postmaster"},
	      {"Subject:\r\n\r\n", "P: postmaster"});
	CHECK("[rule long]\nfield = Subject\ncontains = quarterly report of the branch\ndeliver = anna\n", NULL,
	      {"Subject: the Quarterly\r\n report of\r\n\tthe branch\n", "R: anna"},
	      {"Subject: =?us-ascii?Q?quarterly_re?= =?us-ascii?Q?port_of?= the branch\n", "R: anna"});
}

static void test_regex_is_taken_literally_in_contains(void **state)
{
	(void)state;
	CHECK("[rule one]\nfield = Subject\ncontains = a.b*(c\ndeliver = anna\n", NULL,
	      {"Subject: xA.B*(Cx\n", "R: anna"}, {"Subject: aab(c\n", "P: postmaster"});
}

static void test_matches(void **state)
{
	(void)state;
	CHECK("[rule one]\nfield = Subject\nmatches = ^inv-\\d+\ndeliver = anna\n"
	      "[rule two]\nfield = Subject\nmatches = \\b" DOGOVOR "\\b\ndeliver = boris\n",
	      NULL, {"Subject: inv-12 x\n", "R: anna"}, {"Subject: INV-12\n", "R: anna"},
	      {"Subject: x inv-12\n", "P: postmaster"},
	      {"Subject: \xd0\xb4\xd0\xbe\xd0\xb3\xd0\xbe\xd0\xb2\xd0\xbe\xd1\x80 5\n", "R: boris"},
	      {"Subject: \xd0\xb4\xd0\xbe\xd0\xb3\xd0\xbe\xd0\xb2\xd0\xbe\xd1\x80\xd1\x8b\n", "P: postmaster"});
}

static void test_fields(void **state)
{
	(void)state;
	CHECK("[rule two fields]\nfield = List-Id, X-Tag\ncontains = news\ndeliver = anna\n"
	      "[rule any]\nfield = *\ncontains = needle\ndeliver = boris\n",
	      NULL, {"X-Tag: the news\n", "R: anna"}, {"List-Id: <news.x>\nX-Tag: y\n", "R: anna"},
	      {"X-Whatever: a needle\n", "R: boris"}, {"broken needle line\n", "R: boris"},
	      {"X-needle: y\n", "P: postmaster"}, {"A: needle\nList-ID: NEWS\n", "R: anna boris"});
}

static void test_order_stop_copy(void **state)
{
	(void)state;
	CHECK("[rule one]\nfield = Subject\ncontains = one\ndeliver = boris\n"
	      "[rule two]\nfield = Subject\ncontains = two\ndeliver = anna, boris\nstop = yes\n"
	      "[rule three]\nfield = Subject\ncontains = three\ndeliver = clara\n"
	      "[rule four]\nfield = Subject\ncontains = four\ndeliver = dora\ncopy = yes\n"
	      "[rule five]\nfield = Subject\ncontains = five\ndeliver = dora\ncopy = yes\nstop = yes\n"
	      "[rule six]\nfield = Subject\ncontains = six\ndeliver = clara\n",
	      "info", {"Subject: three one\n", "R: boris clara"}, {"Subject: two one three\n", "R: boris anna"},
	      {"Subject: four\n", "P: dora postmaster"}, {"Subject: four three\n", "R: clara dora"},
	      {"Subject: four\nTo: anna@firm.example\n", "T: dora anna"},
	      {"Subject: five six\nTo: anna@office.lan\n", "T: dora anna"},
	      {"Subject: three\nTo: anna@firm.example\n", "R: clara"});
}

static void test_not(void **state)
{
	(void)state;
	CHECK("[rule one]\nfield = Subject, X\ncontains = a\nnot = yes\ndeliver = anna\n", NULL,
	      {"Subject: b\nX: c\n", "R: anna"}, {"Subject: b\nX: a\n", "P: postmaster"},
	      {"Subject: b\nSubject: a\n", "P: postmaster"}, {"To: a\n", "R: anna"});
}

static void test_account_filter(void **state)
{
	(void)state;
	const char *rules =
	    "[account other]\nhost = pop.other.example\nuser = o\npassword = x\nkeep = 0\ndeliver = clara\n"
	    "[rule one]\nfield = Subject\ncontains = a\naccount = other\ndeliver = anna\n";
	CHECK(rules, "info", {"Subject: a\n", "P: postmaster"});
	CHECK(rules, "other", {"Subject: a\n", "R: anna"}, {"Subject: b\n", "A: clara"},
	      {"Subject: b\nTo: boris@firm.example\n", "A: clara"});
	CHECK(rules, NULL, {"Subject: a\n", "P: postmaster"});
}

static void test_addresses(void **state)
{
	(void)state;
	CHECK("", "info", {"To: Anna <ANNA@firm.EXAMPLE>\n", "T: anna"}, {"Cc: x@y, boris@office.lan\n", "T: boris"},
	      {"Resent-To: anna@firm.example\nResent-Cc: boris@firm.example\n", "T: anna boris"},
	      {"To: anna@firm.example\nCc: anna@office.lan, boris@firm.example\n", "T: anna boris"},
	      {"To: sales@firm.example\n", "P: postmaster"}, {"To: clara@office.lan\n", "T: clara"},
	      {"To: friends: anna@firm.example, boris@firm.example;\n", "T: anna boris"},
	      {"To: \"boris@firm.example\" <x@y>\n", "P: postmaster"},
	      {"To: undisclosed-recipients:;\n", "P: postmaster"}, {"Bcc: anna@firm.example\n", "P: postmaster"},
	      {"To: daemon@office.lan\n", "P: postmaster"}, {"To: postmaster@office.lan\n", "T: postmaster"},
	      {"To: anna@elsewhere.example\n", "P: postmaster"}, {"From: anna@firm.example\n", "P: postmaster"});
	CHECK("[sorter]\nby_alias = no\nunmatched = boris\n", "info", {"To: anna@firm.example\n", "U: boris"});
}

/* As mail programs write them. */
static void test_odd_addresses(void **state)
{
	(void)state;
	CHECK("", "info", {"CC: \"'anna@firm.example'\" <'anna@firm.example'>\n", "T: anna"},
	      {"To: 'anna@firm.example'\n", "T: anna"}, {"To: \"anna@firm.example\"\n", "T: anna"},
	      {"To: \"'anna@firm.example'\"\n", "T: anna"}, {"To: <\"anna@firm.example\">\n", "T: anna"},
	      {"To: \"Anna\" <\"'anna@firm.example'\">, boris@firm.example\n", "T: anna boris"},
	      {"To: x@y, \"anna@firm.example\", boris@firm.example\n", "T: boris anna"},
	      {"To: =?utf-8?Q?Anna_=3Canna=40firm=2Eexample=3E=2C_boris=40firm.example?=\n", "T: anna boris"},
	      {"To: =?utf-8?B?QW5uYSA8YW5uYUBmaXJtLmV4YW1wbGU+?=\n", "T: anna"},
	      {"To: =?utf-8?Q?anna=40firm?=\n =?utf-8?Q?=2Eexample?=, x@y\n", "T: anna"},
	      {"To: x@y, =?koi8-r?Q?anna=40firm.example?=\n", "T: anna"},
	      {"To: <=?utf-8?Q?anna=40firm.example?=>\n", "T: anna"},
	      {"To: Anna <=?utf-8?Q?anna?=@firm.example>\n", "T: anna"},
	      {"To: =?utf-8?Q?boris=40firm.example?= <anna@firm.example>\n", "T: anna"},
	      {"To: \"boris@firm.example, x\" <anna@firm.example>\n", "T: anna"},
	      {"To: \"anna@firm.example\"@evil.example\n", "P: postmaster"},
	      {"To: =?utf-8?Q?anna?=\n", "P: postmaster"},
	      {"Delivered-To: <'anna@firm.example'>\nReceived: x\n", "E: anna"});
}

/* One name in two alphabets, any case. */
static void test_names_in_other_alphabets(void **state)
{
#define POCHTA "\xd0\xbf\xd0\xbe\xd1\x87\xd1\x82\xd0\xb0.\xd1\x80\xd1\x84"
#define CAPITALS "\xd0\x9f\xd0\x9e\xd0\xa7\xd0\xa2\xd0\x90.\xd0\xa0\xd0\xa4"
#define PUNY "xn--80a1acny.xn--p1ai"
	static const char *const aliases[] = {"masha@" POCHTA, "masha@" CAPITALS, "Masha@" PUNY,
	                                      "masha@XN--80A1ACNY.\xd1\x80\xd1\x84"};

	(void)state;
	for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
		static const struct sort_case cases[] = {
		    {"To: masha@" PUNY "\n", "T: masha"},
		    {"To: Masha@XN--80A1ACNY.XN--P1AI\n", "T: masha"},
		    {"To: masha@" POCHTA "\n", "T: masha"},
		    {"To: x <MASHA@" CAPITALS ">\n", "T: masha"},
		    {"Delivered-To: masha@" POCHTA "\nReceived: x\n", "E: masha"},
		    {"To: =?utf-8?B?bWFzaGFA0L/QvtGH0YLQsC7RgNGE?=\n", "T: masha"},
		    {"To: masha@x" POCHTA "\n", "P: postmaster"},
		};
		char ini[300];
		snprintf(ini, sizeof ini, "[user masha]\npassword = m\nalias = %s\n", aliases[i]);
		check_all(ini, "info", cases, sizeof cases / sizeof *cases);
	}
}

static void test_envelope(void **state)
{
	(void)state;
	CHECK("", "info", {"Delivered-To: anna@firm.example\nReceived: x\nTo: boris@firm.example\n", "E: anna"},
	      {"Delivered-To: info@firm.example\nReceived: x\nTo: boris@firm.example\n", "T: boris"},
	      {"Delivered-To: stranger@firm.example\nReceived: x\nTo: boris@firm.example\n", "P: postmaster"},
	      {"Received: x\nDelivered-To: anna@firm.example\nTo: boris@firm.example\n", "T: boris"},
	      {"Delivered-To: <anna@firm.example>\nDelivered-To: boris@firm.example\nReceived: x\n", "E: anna boris"},
	      {"Delivered-To: info@firm.example\nDelivered-To: anna@firm.example\nReceived: x\n", "E: anna"},
	      {"Envelope-To: boris@firm.example\nDelivered-To: anna@firm.example\nReceived: x\n", "E: anna"},
	      {"Delivered-To: info@firm.example\nEnvelope-To: boris@firm.example\nReceived: x\n", "E: boris"},
	      {"X-Envelope-To: boris@firm.example, anna@firm.example\nReceived: x\n", "E: boris anna"},
	      {"Delivered-To:\nReceived: x\nTo: anna@firm.example\n", "T: anna"},
	      {"Delivered-To: anna@firm.example\nTo: boris@firm.example\n", "E: anna"});
	CHECK("[account hops]\nhost = h\nuser = box\npassword = x\nkeep = 0\nenvelope = X-To\nenvelope_hops = 1\n"
	      "envelope_prefix = firm-\n",
	      "hops", {"Received: own\nX-To: firm-anna@firm.example\nReceived: x\nTo: boris@firm.example\n", "E: anna"},
	      {"Received: own\nReceived: x\nX-To: firm-anna@firm.example\nTo: boris@firm.example\n", "T: boris"},
	      {"X-To: box@firm.example\nReceived: own\nTo: boris@firm.example\n", "T: boris"},
	      {"X-To: anna@firm.example\n", "E: anna"}, {"Delivered-To: anna@firm.example\n", "P: postmaster"});
}

static void test_unmatched(void **state)
{
	(void)state;
	CHECK("[sorter]\nunmatched = boris, anna\n", "info", {"Subject: x\n", "U: anna boris"});
	CHECK("[sorter]\nunmatched = boris\n[rule c]\nfield = Subject\ncontains = x\ndeliver = anna\ncopy = yes\n",
	      "info", {"Subject: x\n", "U: anna boris"});
}

static void test_runaway(void **state)
{
	struct fixture f;
	struct buf message;
	static const char *const tails[] = {"a", "ab", "x "};
	clock_t began = clock();

	(void)state;
	start(&f, COMMON,
	      "[rule away]\nfield = Subject\nmatches = ^(a+)+$\ndeliver = boris\n"
	      "[rule deep]\nfield = Subject\nmatches = ^(a|b)*$\ndeliver = boris\n"
	      "[rule never]\nfield = Subject\nmatches = ^(a+)+$\nnot = yes\ndeliver = boris\n"
	      "[rule square]\nfield = Subject\nmatches = x.*x.*y\ndeliver = boris\n"
	      "[rule fine]\nfield = To\ncontains = z\ndeliver = anna\n");
	for (size_t i = 0; i < 3; i++) {
		buf_init(&message, 5 << 20);
		buf_add_str(&message, "To: z\nSubject: ");
		while (buf_add_str(&message, tails[i]))
			;
		memcpy(message.p + message.n - 2, "!\n", 2);
		char *got = sorted_n(&f, buf_slice(&message), "info");
		if (i == 0)
			assert_string_equal(got, "R: anna !away");
		else
			assert_non_null(strstr(got, "anna"));
		free(got);
		buf_free(&message);
	}
	assert_true((clock() - began) / CLOCKS_PER_SEC < 20);
	stop(&f);
}

/* What patterns may cost is for all fields of a message together; on the loop's thread it is a few milliseconds. */
static void test_runaway_on_many_fields(void **state)
{
	static const struct {
		const char *field;
		size_t times;
		bool quick;
	} rows[] = {
	    {"X: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx y z\r\n", 30000, false},
	    {"X: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx y z\r\n", 3, false},
	    {"X: hello\r\n", 1000, true},
	    {"X: hello\r\n", 100000, false},
	};
	struct fixture f;

	(void)state;
	start(&f, COMMON,
	      "[rule bad]\nfield = *\nmatches = (x+x+)+y\ndeliver = boris\n"
	      "[rule also]\nfield = *\nmatches = (x|xx)+z\ndeliver = boris\n"
	      "[rule good]\nfield = Subject\ncontains = hello\ndeliver = anna\n");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sorter_verdict v;
		struct header h;
		struct buf b;
		buf_init(&b, 1 << 24);
		buf_add_str(&b, "Subject: hello\r\n");
		for (size_t k = 0; k < rows[i].times; k++)
			buf_add_str(&b, rows[i].field);
		buf_add_str(&b, "\r\n");
		header_scan(&h, buf_slice(&b));
		clock_t began = clock();
		bool quick = sorter_sort_quick(f.s, f.sc, &h, NULL, &v);
		assert_true((clock() - began) * 1000 / CLOCKS_PER_SEC < 200);
		assert_int_equal(quick, rows[i].quick);
		if (!quick)
			sorter_sort(f.s, f.sc, &h, NULL, false, &v);
		assert_true((clock() - began) / CLOCKS_PER_SEC < 4);
		assert_int_equal(v.users.n, 1);
		assert_string_equal(v.users.v[0]->name, "anna");
		assert_int_equal(v.nrunaway > 0, i < 2);
		sorter_verdict_free(&v);
		header_free(&h);
		buf_free(&b);
	}
	stop(&f);
}

/* In `contains` both letters are one, in each case; a pattern means what it says. */
static void test_yo_is_ye(void **state)
{
	(void)state;
#define IE "\xd0\xb5"
#define IO "\xd1\x91"
#define CAP_IE "\xd0\x95"
#define CAP_IO "\xd0\x81"
	CHECK("[rule one]\nfield = Subject\ncontains = a." IO "*b\ndeliver = anna\n"
	      "[rule two]\nfield = Subject\ncontains = " IE "-" CAP_IE "\ndeliver = boris\n"
	      "[rule three]\nfield = X\nmatches = ^" IO "$\ndeliver = clara\n",
	      "info", {"Subject: A." IE "*b\r\n\r\n", "R: anna"}, {"Subject: a." CAP_IE "*B\r\n\r\n", "R: anna"},
	      {"Subject: a." CAP_IO "*b\r\n\r\n", "R: anna"}, {"Subject: a." IO "*b\r\n\r\n", "R: anna"},
	      {"Subject: ax" IO "*b\r\n\r\n", "P: postmaster"}, {"Subject: " IO "-" IO "\r\n\r\n", "R: boris"},
	      {"Subject: " CAP_IO "-" CAP_IE "\r\n\r\n", "R: boris"},
	      {"Subject: =?koi8-r?B?oy2j?=\r\n\r\n", "R: boris"}, {"X: " IE "\r\n\r\n", "P: postmaster"},
	      {"X: " CAP_IO "\r\n\r\n", "R: clara"});
}

/* Raw 8-bit is what the message says it is; where it says nothing, or what cannot be, it is guessed. */
static void test_the_messages_own_charset(void **state)
{
	(void)state;
	CHECK("[rule one]\nfield = Subject\ncontains = Gr\xc3\xbc\xc3\x9f"
	      "e\ndeliver = anna\n"
	      "[rule two]\nfield = Subject\ncontains = " SCHET "\ndeliver = boris\n",
	      "info",
	      {"Subject: Gr\xfc\xdf"
	       "e\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n",
	       "R: anna"},
	      {"content-type: text/plain;\r\n\tformat=flowed; Charset = \"ISO-8859-15\"\r\nSubject: Gr\xfc\xdf"
	       "e\r\n\r\n",
	       "R: anna"},
	      {"Subject: Gr\xc3\xbc\xc3\x9f"
	       "e\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n",
	       "R: anna"},
	      {"Subject: Gr\x81\xe1"
	       "e\r\nContent-Type: text/plain; charset=cp437\r\n\r\n",
	       "R: anna"},
	      {"Subject: \xf1\xf7\xb8\xf2\r\nContent-Type: text/plain; charset=windows-1251\r\n\r\n", "R: boris"},
	      {"Subject: \xd3\xde\xa3\xd4\r\nContent-Type: text/plain; charset=KOI8-R\r\n\r\n", "R: boris"},
	      {"Subject: \xe1\xe7\xf1\xe2\r\nContent-Type: text/html; charset=cp866\r\n\r\n", "R: boris"},
	      {"Subject: \xd3\xde\xa3\xd4\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", "R: boris"},
	      {"Subject: \xd3\xde\xa3\xd4\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", "R: boris"},
	      {"Subject: \xd3\xde\xa3\xd4\r\nContent-Type: text/plain; charset=no-such\r\n\r\n", "R: boris"},
	      {"Subject: \xd3\xde\xa3\xd4\r\nContent-Type: text/plain; xcharset=cp866\r\n\r\n", "R: boris"},
	      {"Subject: \xd3\xde\xa3\xd4\r\n\r\n", "R: boris"});
}

static void test_explain(void **state)
{
	struct fixture f;
	struct header h;
	struct sorter_verdict v;

	(void)state;
	start(&f, COMMON,
	      "[rule one]\nfield = Subject\ncontains = " SCHET "\ndeliver = boris\ncopy = yes\n"
	      "[rule two]\nfield = X\ncontains = y\nnot = yes\ndeliver = clara\ncopy = yes\n");
	header_scan(&h, slice_of("SUBJECT: =?koi8-r?Q?=F0=D2=C9=D7=C5=D4=2C_=D3=DE=A3=D4?=\nTo: anna@firm.example\n"));
	sorter_sort(f.s, f.sc, &h, NULL, true, &v);
	assert_int_equal(v.nmatches, 3);
	assert_string_equal(v.matches[0].rule->label, "one");
	assert_string_equal(v.matches[0].field, "SUBJECT");
	assert_string_equal(v.matches[0].text, PRIVET ", " SCHET);
	assert_string_equal(v.matches[1].rule->label, "two");
	assert_string_equal(v.matches[1].field, "");
	assert_null(v.matches[2].rule);
	assert_string_equal(v.matches[2].user->name, "anna");
	assert_string_equal(v.matches[2].field, "To");
	assert_string_equal(v.matches[2].text, "anna@firm.example");
	assert_int_equal(v.users.n, 3);
	assert_int_equal(v.why, SORTED_BY_ADDRESS);
	sorter_verdict_free(&v);
	header_free(&h);
	stop(&f);
}

/* The text around the match is cut between characters. */
static void test_explain_long_text(void **state)
{
	struct fixture f;
	struct buf message;
	struct header h;
	struct sorter_verdict v;

	(void)state;
	start(&f, COMMON, "[rule one]\nfield = Subject\ncontains = needle\ndeliver = boris\n");
	for (size_t shift = 0; shift < 4; shift++) {
		buf_init(&message, 10000);
		buf_add_str(&message, "Subject: ");
		buf_add(&message, "aaaa", shift);
		for (int i = 0; i < 200; i++)
			buf_add_str(&message, i == 100 ? "needle" : "\xd1\x91");
		header_scan(&h, buf_slice(&message));
		sorter_sort(f.s, f.sc, &h, NULL, true, &v);
		assert_int_equal(v.nmatches, 1);
		assert_true(strlen(v.matches[0].text) <= 200);
		assert_true(strlen(v.matches[0].text) > 180);
		assert_true(utf8_valid(slice_of(v.matches[0].text)));
		assert_non_null(strstr(v.matches[0].text, "needle"));
		sorter_verdict_free(&v);
		header_free(&h);
		buf_free(&message);
	}
	stop(&f);
}

/* Hostile headers cost linear time and move no mail. */
static void test_huge_headers(void **state)
{
	static const char *const pieces[] = {
	    "To: anna@firm.example\n", "X: =?utf-8?Q?needl?=\n", "a@b, ", "Received: z\n", "needl", "\xff\xfe",
	    "Subject: x\n y\n"};
	struct fixture f;
	clock_t began = clock();

	(void)state;
	start(&f, COMMON,
	      "[rule any]\nfield = *\ncontains = needle\ndeliver = boris\n"
	      "[rule to]\nfield = To, Cc\nmatches = (needle|x)+$\ndeliver = boris\n");
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		struct buf message;
		buf_init(&message, 2 << 20);
		buf_add_str(&message, "To: ");
		while (buf_add_str(&message, pieces[i]))
			;
		char *got = sorted_n(&f, buf_slice(&message), "info");
		assert_string_equal(got, i == 0 ? "T: anna" : "P: postmaster");
		free(got);
		buf_free(&message);
	}
	assert_true((clock() - began) / CLOCKS_PER_SEC < 20);
	stop(&f);
}

static void test_pattern_error(void **state)
{
	char *error = sorter_pattern_error("a(b");

	(void)state;
	assert_null(sorter_pattern_error("^inv-\\d+"));
	assert_non_null(error);
	assert_non_null(strstr(error, "offset 3"));
	free(error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_contains),
	    cmocka_unit_test(test_regex_is_taken_literally_in_contains),
	    cmocka_unit_test(test_matches),
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_order_stop_copy),
	    cmocka_unit_test(test_not),
	    cmocka_unit_test(test_account_filter),
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_envelope),
	    cmocka_unit_test(test_unmatched),
	    cmocka_unit_test(test_odd_addresses),
	    cmocka_unit_test(test_names_in_other_alphabets),
	    cmocka_unit_test(test_runaway_on_many_fields),
	    cmocka_unit_test(test_yo_is_ye),
	    cmocka_unit_test(test_the_messages_own_charset),
	    cmocka_unit_test(test_runaway),
	    cmocka_unit_test(test_explain),
	    cmocka_unit_test(test_explain_long_text),
	    cmocka_unit_test(test_huge_headers),
	    cmocka_unit_test(test_pattern_error),
	};

	return cmocka_run_group_tests_name("sort/sorter", tests, NULL, NULL);
}
