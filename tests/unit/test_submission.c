/* What a message causes: which copies, for whom, with which bytes in front. */
#include "base/alloc.h"
#include "config_text.h"
#include "mail/header.h"
#include "route/submission.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const char office[] = "[server]\nhostname = gate.firm.example\n"
                             "[special]\nboss = chief\n"
                             "[user anna]\npassword = x\nalias = anna@firm.example\n"
                             "[user boris]\npassword = x\nalias = boris@firm.example\n"
                             "forward = clara, boris@home.example\n"
                             "[user clara]\npassword = x\nforward = boris, dora\n"
                             "[user dora]\npassword = x\n"
                             "[user chief]\npassword = x\nalias = chief@firm.example\n"
                             "[relay]\nhost = relay.example\nsender = office@firm.example\nnull_sender = alias\n";

#define RECEIVED "Received: from pc by gate.firm.example; now\r\n"

struct rig {
	struct config *config;
	struct plan plan;
	const struct config_user *login;
	uint64_t size;    /* of a collected message; 0: of its head */
	char text[16384]; /* the plan, shown */
};

static void show(struct rig *r)
{
	struct buf b;

	buf_init(&b, sizeof r->text - 1);
	for (size_t i = 0; i < r->plan.n; i++) {
		const struct plan_message *m = &r->plan.v[i];
		buf_printf(&b, "%s", m->what);
		for (size_t k = 0; k < m->users.n; k++)
			buf_printf(&b, " %s", m->users.v[k]);
		if (m->outgoing)
			buf_printf(&b, " <%s>(%s)", m->entry.sender, m->entry.local_sender);
		for (size_t k = 0; k < m->entry.recipients.n; k++)
			buf_printf(&b, " %s", m->entry.recipients.v[k]);
		buf_add_str(&b, "\n");
	}
	strcpy(r->text, buf_str(&b));
	buf_free(&b);
}

static void set_up(struct rig *r, const char *ini)
{
	*r = (struct rig){.config = config_from_text(ini)};
	assert_non_null(r->config);
}

static void tear_down(struct rig *r)
{
	plan_free(&r->plan);
	config_unref(&r->config);
}

static struct address parse(const char *text)
{
	struct address a;
	char path[512];
	struct slice rest;

	snprintf(path, sizeof path, "<%s>", text);
	assert_true(address_parse_path(slice_of(path), &a, &rest));
	return a;
}

enum { MAX_RCPT = 8 };

/* recipients: space-separated */
static void submit(struct rig *r, const char *from, const char *recipients, struct slice head, uint64_t size)
{
	struct submission_recipient list[MAX_RCPT];
	struct address sender = parse(from);
	char *words = xstrdup(recipients);
	struct submission s = {.config = r->config,
	                       .sender = &sender,
	                       .login = r->login,
	                       .recipients = list,
	                       .received = RECEIVED,
	                       .head = head,
	                       .size = size};

	for (char *w = strtok(words, " "); w != NULL && s.nrecipients < MAX_RCPT; w = strtok(NULL, " ")) {
		struct address a = parse(w);
		struct route route = route_recipient(r->config, &a, NULL);
		list[s.nrecipients++] = (struct submission_recipient){address_format(&a), route.kind, route.user};
		address_free(&a);
	}
	plan_free(&r->plan);
	assert_true(submission_plan(&s, &r->plan));
	for (size_t i = 0; i < s.nrecipients; i++)
		free(list[i].address);
	free(words);
	address_free(&sender);
	show(r);
}

static void submit_text(struct rig *r, const char *from, const char *recipients, const char *text)
{
	submit(r, from, recipients, slice_of(text), strlen(text));
}

#define MAIL                                                                                                           \
	"From: Anna <anna@office.lan>\r\nTo: x@far.example, dora@office.lan, chief@office.lan\r\n"                     \
	"Date: Tue, 24 Nov 2026 04:00:00 +0000\r\nMessage-ID: <1@pc>\r\n\r\nbody of anna@office.lan\r\n"

static void copies_are_planned(void **state)
{
	static const struct {
		const char *from, *to, *plan;
	} rows[] = {
	    {"anna@office.lan", "dora@office.lan", "local dora\nboss chief\n"},
	    {"anna@office.lan", "dora dora@office.lan DORA", "local dora\nboss chief\n"},
	    /* the boss as a recipient, once; as the sender */
	    {"anna@office.lan", "chief@office.lan", "boss chief\n"},
	    {"anna@office.lan", "chief@firm.example dora", "local dora\nboss chief\n"},
	    {"chief@office.lan", "dora", "local dora\nboss chief\n"},
	    /* outside: one message for all of them */
	    {"anna@office.lan", "x@far.example X@FAR.example y@far.example",
	     "boss chief\noutgoing <anna@firm.example>(anna) x@far.example y@far.example\n"},
	    {"anna@office.lan", "x@far.example dora",
	     "local dora\nboss chief\noutgoing <anna@firm.example>(anna) x@far.example\n"},
	    /* a sender without alias leaves as [relay] sender, and its bounces come home */
	    {"dora@office.lan", "x@far.example", "boss chief\noutgoing <office@firm.example>(dora) x@far.example\n"},
	    {"scan@device", "x@far.example", "boss chief\noutgoing <office@firm.example>() x@far.example\n"},
	    /* forward: on and on, each once, and outside once */
	    {"anna@office.lan", "boris",
	     "local boris clara dora\nboss chief\nforward <boris@firm.example>(boris) boris@home.example\n"},
	    {"anna@office.lan", "clara boris",
	     "local clara boris dora\nboss chief\nforward <boris@firm.example>(boris) boris@home.example\n"},
	    {"anna@office.lan", "boris boris@home.example",
	     "local boris clara dora\nboss chief\noutgoing <anna@firm.example>(anna) boris@home.example\n"},
	    /* the daemon's mail is eaten */
	    {"anna@office.lan", "daemon", ""},
	    {"anna@office.lan", "daemon dora", "local dora\nboss chief\n"},
	    /* a receipt from nobody, for a relay that refuses nobody: see From */
	    {"", "x@far.example", "boss chief\noutgoing <anna@firm.example>() x@far.example\n"},
	    /* forwards of such mail could come back for ever */
	    {"", "boris", "local boris clara dora\nboss chief\n"},
	};
	struct rig r;

	(void)state;
	set_up(&r, office);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		submit_text(&r, rows[i].from, rows[i].to, MAIL);
		if (strcmp(r.text, rows[i].plan) != 0)
			fail_msg("%s -> %s:\n%snot\n%s", rows[i].from, rows[i].to, r.text, rows[i].plan);
	}
	tear_down(&r);
}

static const struct plan_message *message(const struct rig *r, const char *what)
{
	for (size_t i = 0; i < r->plan.n; i++)
		if (strcmp(r->plan.v[i].what, what) == 0)
			return &r->plan.v[i];
	fail_msg("no %s in\n%s", what, r->text);
	return NULL;
}

static void prefix_is(const struct plan_message *m, const char *text)
{
	char *got = slice_dup(buf_slice(&m->prefix));

	assert_string_equal(got, text);
	free(got);
}

static void prefixes_are_right(void **state)
{
	struct rig r;

	(void)state;
	set_up(&r, office);
	submit_text(&r, "anna@office.lan", "x@far.example dora daemon", MAIL);
	prefix_is(message(&r, "local"), "Return-Path: <anna@office.lan>\r\n" RECEIVED);
	assert_int_equal(message(&r, "local")->skip, 0);
	assert_false(message(&r, "local")->normalize);
	prefix_is(message(&r, "boss"),
	          "Return-Path: <anna@office.lan>\r\n" RECEIVED "X-Envelope-From: <anna@office.lan>\r\n"
	          "X-Envelope-To: <x@far.example>,\r\n\t<dora>,\r\n\t<daemon>\r\n");
	assert_int_equal(message(&r, "boss")->skip, 0);
	prefix_is(message(&r, "outgoing"),
	          RECEIVED "From: Anna <anna@firm.example>\r\n"
	                   "To: x@far.example, dora@office.lan, chief@firm.example\r\n"
	                   "Date: Tue, 24 Nov 2026 04:00:00 +0000\r\nMessage-ID: <1@pc>\r\n\r\n");
	assert_int_equal(message(&r, "outgoing")->skip, strstr(MAIL, "body") - MAIL);
	assert_true(message(&r, "outgoing")->normalize);
	submit_text(&r, "anna@office.lan", "boris", MAIL);
	assert_memory_equal(message(&r, "forward")->prefix.p,
	                    "X-Ofmsrv-Forwarded: boris@gate.firm.example\r\n" RECEIVED, 45 + strlen(RECEIVED));
	tear_down(&r);
}

static bool prefix_has(const struct plan_message *m, const char *text)
{
	return memmem(m->prefix.p, m->prefix.n, text, strlen(text)) != NULL;
}

static void collect(struct rig *r, const char *user, const char *head)
{
	const struct config_user *u = config_user_by_name(r->config, slice_of(user));
	struct config_users users = {&u, 1};

	plan_free(&r->plan);
	submission_plan_collected(&r->plan, r->config, &users, slice_of(RECEIVED), slice_of(head),
	                          r->size != 0 ? r->size : strlen(head), true);
	show(r);
}

/* Bcc stays in the boss's copy alone. */
static void bcc_is_hidden(void **state)
{
	static const struct {
		const char *text;
		uint64_t size, blind; /* of the local copy */
	} rows[] = {
	    {"To: x\r\n\r\nBcc: body\r\n", 0, 0},
	    {"To: x\r\nbcc : s\r\n\r\nbody\r\n", 0, UINT64_MAX},
	    {"Resent-Bcc: s\r\n\r\nbody\r\n", 0, UINT64_MAX},
	    {"To: x\r\n", 100, UINT64_MAX}, /* the section goes on */
	    {"To: x\r\n\r\nb", 100, 0},
	    {"To: x\r\nBcc: s\r\nno field\r\nbody\r\n", 0, 15},
	    {"no field\r\nbody\r\n", 0, 0},
	    {"To: x\r\nno field\r\nBcc: s\r\n\r\n", 0, UINT64_MAX}, /* a blot */
	    {"", 0, 0},
	};
	struct rig r;

	(void)state;
	set_up(&r, office);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct slice head = slice_of(rows[i].text);
		submit(&r, "anna@office.lan", "dora boris x@far.example", head,
		       rows[i].size != 0 ? rows[i].size : head.n);
		if (message(&r, "local")->blind != rows[i].blind)
			fail_msg("%s: %llu", rows[i].text, (unsigned long long)message(&r, "local")->blind);
		assert_int_equal(message(&r, "boss")->blind, 0);
		assert_int_equal(message(&r, "outgoing")->blind, rows[i].size == 100 && i == 3 ? UINT64_MAX : 0);
		r.size = rows[i].size;
		collect(&r, "anna", rows[i].text);
		assert_int_equal(message(&r, "local")->blind, 0);
	}
	tear_down(&r);
}

/* Behind the 100,000 fields that the scanner keeps as well. */
static void bcc_behind_a_flood_does_not_leave(void **state)
{
	struct rig r;
	struct buf b;

	(void)state;
	set_up(&r, office);
	buf_init(&b, 1 << 24);
	buf_add_str(&b, "From: anna@office.lan\r\n");
	for (size_t i = 0; i < HEADER_MAX_FIELDS; i++)
		buf_add_str(&b, "A:\r\n");
	buf_add_str(&b, "Bcc: secret@far.example\r\nReply-To: anna@office.lan\r\nDate: d\r\n\r\nbody\r\n");
	submit(&r, "anna@office.lan", "x@far.example dora", buf_slice(&b), b.n);
	const struct plan_message *m = message(&r, "outgoing");
	assert_false(prefix_has(m, "secret"));
	assert_true(prefix_has(m, "Reply-To: anna@firm.example\r\n"));
	assert_true(prefix_has(m, "Date: d\r\nMessage-ID: <"));
	assert_int_equal(m->skip, b.n - 6);
	assert_true(message(&r, "local")->blind == UINT64_MAX);
	buf_free(&b);
	tear_down(&r);
}

/* A message without a header section never becomes a part of our fields. */
static void an_empty_line_comes_before_a_body_without_header(void **state)
{
	static const struct {
		const char *text;
		bool added;
	} rows[] = {
	    {" ALARM zone 3\r\n", true},
	    {"\tALARM\r\n\r\nmore\r\n", true},
	    {" x\r\nFrom: anna\r\n\r\n", true},
	    {"ALARM\r\n", true},
	    {"ALARM", true},
	    {": x\r\n", true},
	    {"\xd0\x90: x\r\n", true},
	    {"\r\nALARM\r\n", false},
	    {"\nALARM\n", false},
	    {"", false},
	    {"Subject: x\r\nALARM\r\n", false},
	    {"ALARM: zone 3\r\n", false},
	    {"a blot\r\nFrom: anna\r\nSubject: x\r\n\r\n", false},
	};
	struct rig r;

	(void)state;
	set_up(&r, office);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *line = rows[i].added ? "\r\n" : "";
		char text[400];
		submit_text(&r, "scan@device", "dora x@far.example", rows[i].text);
		snprintf(text, sizeof text, "Return-Path: <scan@device>\r\n" RECEIVED "%s", line);
		prefix_is(message(&r, "local"), text);
		snprintf(text, sizeof text, "X-Envelope-To: <dora>,\r\n\t<x@far.example>\r\n%s", line);
		const struct plan_message *m = message(&r, "boss");
		assert_memory_equal(m->prefix.p + m->prefix.n - strlen(text), text, strlen(text));
		m = message(&r, "outgoing");
		assert_true(m->skip == 0 || !rows[i].added);
		assert_memory_equal(m->prefix.p + m->prefix.n - 4, "\r\n\r\n", 4);
		collect(&r, "boris", rows[i].text);
		snprintf(text, sizeof text, RECEIVED "%s", line);
		prefix_is(message(&r, "local"), text);
		snprintf(text, sizeof text, "X-Ofmsrv-Forwarded: boris@gate.firm.example\r\n" RECEIVED "%s", line);
		prefix_is(message(&r, "forward"), text);
	}
	tear_down(&r);
}

/* Fields that name an address of ours which nobody outside knows. */
static void fictive_addresses_do_not_leave(void **state)
{
	static const char *const rows[][2] = {
	    {"From: \"Scanner\"\r\n", "From: \"Scanner\" <anna@firm.example>\r\n"},
	    {"From: \r\n", "From: anna@firm.example\r\n"},
	    {"From: <dora@office.lan>\r\n", "From: <office@firm.example>\r\n"},
	    {"From: anna\r\nSender: dora@office.lan\r\n", "From: anna@firm.example\r\n"},
	    {"From: anna\r\nReply-To: Dora <dora@office.lan>, c@far.example\r\n",
	     "From: anna@firm.example\r\nReply-To: c@far.example\r\n"},
	    {"From: anna\r\nReply-To: nobody@office.lan\r\nErrors-To: dora\r\nReturn-Path: <dora@office.lan>\r\n",
	     "From: anna@firm.example\r\n"},
	    {"From: anna\r\nTo: dora@office.lan\r\nDisposition-Notification-To: chief\r\n",
	     "From: anna@firm.example\r\nTo: dora@office.lan\r\nDisposition-Notification-To: chief@firm.example\r\n"},
	};
	struct rig r;

	(void)state;
	set_up(&r, office);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[600], want[600];
		snprintf(text, sizeof text, "Date: now\r\nMessage-ID: <2>\r\n%s\r\nbody", rows[i][0]);
		snprintf(want, sizeof want, RECEIVED "Date: now\r\nMessage-ID: <2>\r\n%s\r\n", rows[i][1]);
		submit_text(&r, "anna@office.lan", "x@far.example", text);
		prefix_is(message(&r, "outgoing"), want);
	}
	tear_down(&r);
}

static void bounces_go_to_whom_logged_in(void **state)
{
	static const char shared[] = "[user anna]\npassword = x\nalias = sales@firm.example\n"
	                             "[user boris]\npassword = x\nalias = sales@firm.example\n"
	                             "[relay]\nhost = relay.example\n";
	static const struct {
		const char *login, *from, *local_sender;
	} rows[] = {
	    {"boris", "sales@firm.example", "boris"}, {NULL, "sales@firm.example", "anna"},
	    {"anna", "sales@firm.example", "anna"},   {"boris", "anna@office.lan", "boris"},
	    {NULL, "boris@office.lan", "boris"},
	};
	struct rig r;

	(void)state;
	set_up(&r, shared);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		r.login = rows[i].login != NULL ? config_user_by_name(r.config, slice_of(rows[i].login)) : NULL;
		submit_text(&r, rows[i].from, "x@far.example", MAIL);
		assert_string_equal(message(&r, "outgoing")->entry.local_sender, rows[i].local_sender);
	}
	tear_down(&r);
}

/* By its address too a colleague is reached here, and the limit for what goes outside holds for forwards. */
static void forwards_keep_to_the_rules(void **state)
{
	static const char firm[] =
	    "[server]\nhostname = gate.firm.example\n[smtp]\nmax_message_kib = 10\n"
	    "[user anna]\npassword = x\nalias = anna@firm.example\n"
	    "forward = Boris@FIRM.example, x@far.example, anna@firm.example\n"
	    "[user boris]\npassword = x\nalias = boris@firm.example\nforward = clara@firm.example\n"
	    "[user clara]\npassword = x\nalias = clara@firm.example\nforward = y@far.example\n"
	    "[relay]\nhost = relay.example\n";
	struct rig r;

	(void)state;
	set_up(&r, firm);
	collect(&r, "anna", "From: x\r\n\r\n");
	assert_string_equal(r.text, "local anna boris clara\nforward <anna@firm.example>(anna) x@far.example\n"
	                            "forward <clara@firm.example>(clara) y@far.example\n");
	submit_text(&r, "stranger@else.example", "boris", MAIL);
	assert_string_equal(r.text, "local boris clara\nforward <clara@firm.example>(clara) y@far.example\n");
	assert_int_equal(r.plan.too_large.n, 0);
	r.size = 10 * 1024;
	collect(&r, "anna", "From: x\r\n\r\n");
	assert_int_equal(r.plan.too_large.n, 0);
	r.size++;
	collect(&r, "anna", "From: x\r\n\r\n");
	assert_string_equal(r.text, "local anna boris clara\n");
	assert_int_equal(r.plan.too_large.n, 2);
	submit(&r, "stranger@else.example", "boris", slice_of(MAIL), 72 * 1024);
	assert_string_equal(r.text, "local boris clara\n");
	assert_int_equal(r.plan.too_large.n, 1);
	tear_down(&r);
}

/* Costs no more than the number of recipients. */
static void twenty_thousand_recipients(void **state)
{
	enum { MANY = 100000 };
	struct submission_recipient *list = xcalloc(MANY, sizeof *list);
	struct address sender = parse("anna@office.lan");
	struct rig r;

	(void)state;
	set_up(&r, office);
	for (size_t i = 0; i < MANY; i++)
		list[i] = (struct submission_recipient){xasprintf("u%zu@far.example", i / 2 * 2), ROUTE_EXTERNAL, NULL};
	struct submission s = {.config = r.config,
	                       .sender = &sender,
	                       .recipients = list,
	                       .nrecipients = MANY,
	                       .received = RECEIVED,
	                       .head = slice_of(MAIL),
	                       .size = strlen(MAIL)};
	clock_t began = clock();
	assert_true(submission_plan(&s, &r.plan));
	assert_true((clock() - began) / CLOCKS_PER_SEC < 2);
	assert_int_equal(message(&r, "outgoing")->entry.recipients.n, MANY / 2);
	for (size_t i = 0; i < MANY; i++)
		free(list[i].address);
	free(list);
	address_free(&sender);
	tear_down(&r);
}

static void from_without_alias_is_replaced(void **state)
{
	struct rig r;

	(void)state;
	set_up(&r, office);
	submit_text(&r, "scan@device", "x@far.example",
	            "From: Scanner <scan@device>\nTo: <scan@device>\r\nDate: now\nMessage-ID: <2>\n\nbody");
	prefix_is(message(&r, "outgoing"), RECEIVED "From: Scanner <office@firm.example>\r\nTo: <scan@device>\r\n"
	                                            "Date: now\r\nMessage-ID: <2>\r\n\r\n");
	/* a user with alias writes for one without: only the local address cannot go out */
	submit_text(&r, "anna@office.lan", "x@far.example",
	            "From: dora@office.lan\r\nDate: now\r\nMessage-ID: <2>\r\n\r\n");
	prefix_is(message(&r, "outgoing"),
	          RECEIVED "From: office@firm.example\r\nDate: now\r\nMessage-ID: <2>\r\n\r\n");
	submit_text(&r, "anna@office.lan", "x@far.example",
	            "From: other@far.example\r\nDate: now\r\nMessage-ID: <2>\r\n\r\n");
	prefix_is(message(&r, "outgoing"), RECEIVED "From: other@far.example\r\nDate: now\r\nMessage-ID: <2>\r\n\r\n");
	tear_down(&r);
}

static void missing_headers_are_added(void **state)
{
	struct rig r;

	(void)state;
	set_up(&r, office);
	/* a device that sends no header at all: its first line is body */
	submit_text(&r, "scan@device", "x@far.example", "page 1 of 3\r\nof the scan\r\n");
	const struct plan_message *m = message(&r, "outgoing");
	assert_int_equal(m->skip, 0);
	assert_true(prefix_has(m, "\r\nFrom: "));
	assert_true(prefix_has(m, "office@firm.example"));
	assert_true(prefix_has(m, "\r\nDate: "));
	assert_true(prefix_has(m, "\r\nMessage-ID: <"));
	assert_memory_equal(m->prefix.p + m->prefix.n - 4, "\r\n\r\n", 4);
	/* one that forgets the empty line */
	submit_text(&r, "scan@device", "x@far.example", "Subject: scan\r\npage 1 of 3\r\n");
	m = message(&r, "outgoing");
	assert_int_equal(m->skip, 15);
	assert_true(prefix_has(m, "Subject: scan\r\n"));
	/* an empty message */
	submit_text(&r, "anna@office.lan", "x@far.example", "");
	m = message(&r, "outgoing");
	assert_true(prefix_has(m, "\r\nFrom: "));
	assert_true(prefix_has(m, "anna@firm.example"));
	/* a bare CR must not become a line of its own */
	submit_text(&r, "anna@office.lan", "x@far.example", "Subject: a\rBcc: z@z\r\n\r\n");
	assert_true(prefix_has(message(&r, "outgoing"), "Subject: a Bcc: z@z\r\n"));
	tear_down(&r);
}

/* Where only a part of a huge header section is at hand, the rest follows as it is, and nothing is put between. */
static void a_cut_header_goes_on(void **state)
{
	static const char head[] = "From: anna@office.lan\r\nX-A: 1\r\nX-Cut: ha";
	struct rig r;

	(void)state;
	set_up(&r, office);
	submit(&r, "anna@office.lan", "x@far.example", slice_of(head), 100000);
	prefix_is(message(&r, "outgoing"), RECEIVED "From: anna@firm.example\r\nX-A: 1\r\n");
	assert_int_equal(message(&r, "outgoing")->skip, strstr(head, "X-Cut") - head);
	tear_down(&r);
}

static void loops_stop(void **state)
{
	struct rig r;
	struct buf b;

	(void)state;
	set_up(&r, office);
	submit_text(&r, "anna@office.lan", "boris", "X-OFMSRV-forwarded: somebody@elsewhere\r\n\r\n");
	assert_string_equal(r.text, "local boris clara dora\nboss chief\n");
	buf_init(&b, 65536);
	for (int i = 0; i < SUBMISSION_MAX_RECEIVED; i++) {
		assert_false(submission_loops(buf_slice(&b)));
		buf_add_str(&b, "received : by x\n");
	}
	assert_true(submission_loops(buf_slice(&b)));
	buf_free(&b);
	tear_down(&r);
}

static void bounces_keep_nobody(void **state)
{
	struct rig r;

	(void)state;
	set_up(&r, office);
	submit_text(&r, "", "x@far.example",
	            "From: anna@office.lan\r\nContent-Type: multipart/report; report-type=delivery-status\r\n\r\n");
	assert_string_equal(r.text, "boss chief\noutgoing <>() x@far.example\n");
	tear_down(&r);
}

static void nothing_leaves_without_relay(void **state)
{
	struct rig r;

	(void)state;
	set_up(&r, "[user anna]\npassword = x\nalias = a@firm.example\nforward = x@far.example\n");
	submit_text(&r, "b@far.example", "anna", MAIL);
	assert_string_equal(r.text, "local anna\n");
	tear_down(&r);
}

static void collected_mail_is_forwarded(void **state)
{
	static const char quiet[] = "[server]\nhostname = gate.firm.example\n[user anna]\npassword = x\n"
	                            "alias = anna@firm.example\nforward = far@far.example, boris\n"
	                            "[user boris]\npassword = x\n[relay]\nhost = relay.example\n";
	struct rig r;

	(void)state;
	set_up(&r, quiet);
	collect(&r, "anna", "From: anna@office.lan\r\nReturn-Path: <x@y.example>\r\n\r\n");
	assert_string_equal(r.text, "local anna boris\nforward <anna@firm.example>(anna) far@far.example\n");
	prefix_is(message(&r, "local"), RECEIVED);
	prefix_is(message(&r, "forward"), "X-Ofmsrv-Forwarded: anna@gate.firm.example\r\n" RECEIVED);
	assert_int_equal(message(&r, "forward")->skip, 0);
	assert_true(message(&r, "forward")->normalize);
	assert_true(message(&r, "forward")->entry.eight_bit);
	collect(&r, "anna", "Return-Path: <>\r\nFrom: MAILER-DAEMON@far.example\r\n\r\n");
	assert_string_equal(r.text, "local anna boris\nforward <>() far@far.example\n");
	collect(&r, "anna", "X-Ofmsrv-Forwarded: anna@gate.firm.example\r\n\r\n");
	assert_string_equal(r.text, "local anna boris\n");
	collect(&r, "boris", "");
	assert_string_equal(r.text, "local boris\n");
	tear_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(copies_are_planned),
	    cmocka_unit_test(prefixes_are_right),
	    cmocka_unit_test(bcc_is_hidden),
	    cmocka_unit_test(bcc_behind_a_flood_does_not_leave),
	    cmocka_unit_test(an_empty_line_comes_before_a_body_without_header),
	    cmocka_unit_test(fictive_addresses_do_not_leave),
	    cmocka_unit_test(bounces_go_to_whom_logged_in),
	    cmocka_unit_test(forwards_keep_to_the_rules),
	    cmocka_unit_test(twenty_thousand_recipients),
	    cmocka_unit_test(from_without_alias_is_replaced),
	    cmocka_unit_test(missing_headers_are_added),
	    cmocka_unit_test(a_cut_header_goes_on),
	    cmocka_unit_test(loops_stop),
	    cmocka_unit_test(bounces_keep_nobody),
	    cmocka_unit_test(nothing_leaves_without_relay),
	    cmocka_unit_test(collected_mail_is_forwarded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
