/* Letters to postmaster: written once for one trouble, in its language, and rather twice than never. */
#include "base/text.h"
#include "config_text.h"
#include "fault_rig.h"
#include "mail/header.h"
#include "route/report.h"

static const struct letter_value values[] = {{"user", "anna"}, {"most", "20"}, {NULL, NULL}};

static void report(struct world *w, const struct config *c, const char *once)
{
	report_postmaster(w->delivery, c, once, LETTER_MANY_BOUNCES, values);
}

static void until_reports(struct world *w, unsigned n)
{
	char name[256];

	settle(w, NULL); /* those on their way into the database too */
	assert_int_equal(count(w, "postmaster", name), n);
}

static void assert_subject(const char *text, const char *want)
{
	struct header h;
	struct buf subject;

	buf_init(&subject, 1000);
	header_scan(&h, slice_of(text));
	header_decode(&subject, slice_trim(header_find(&h, "Subject", 0)->value));
	assert_string_equal(buf_str(&subject), want);
	header_free(&h);
	buf_free(&subject);
}

static void it_is_a_letter_of_the_gateway(void **state)
{
	static const struct {
		const char *ini, *subject;
	} table[] = {{"[server]\nhostname = gate.firm.example\ndomain = office.lan\n", "Too many bounces today: anna"},
	             {"[server]\nhostname = gate.firm.example\ndomain = office.lan\nlanguage = ru\n",
	              "Слишком много возвратов за день: anna"}};
	static const char *const fields[] = {
	    "Return-Path: <>\r\n", "<postmaster@office.lan>\r\n", "\r\nTo: <postmaster@office.lan>\r\n",
	    "\r\nAuto-Submitted: auto-generated\r\n", "\r\nContent-Type: text/plain; charset=utf-8\r\n"};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct config *c = config_from_text(table[i].ini);
		char name[256];
		size_t n;
		report(w, c, NULL);
		until_reports(w, 1);
		count(w, "postmaster", name);
		char *text = contents(w, "postmaster", name, &n);
		text[n] = '\0';
		assert_subject(text, table[i].subject);
		for (size_t k = 0; k < sizeof fields / sizeof fields[0]; k++)
			assert_non_null(strstr(text, fields[k]));
		for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
			assert_int_equal(p[-1], '\r');
		free(text);
		char *path = xasprintf("%s/postmaster/new/%s", w->config.mailboxes, name);
		assert_int_equal(unlink(path), 0);
		free(path);
		config_unref(&c);
	}
}

static void one_trouble_is_told_once(void **state)
{
	struct world *w = *state;
	struct config *c = config_from_text("");

	report(w, c, "trouble a");
	report(w, c, "trouble a"); /* both look before either has told */
	report(w, c, "trouble b");
	until_reports(w, 2);
	report(w, c, "trouble a");
	until_reports(w, 2);
	report_forget(w->db, "trouble a");
	settle(w, NULL);
	turn(w, 50);
	report(w, c, "trouble a");
	until_reports(w, 3);
	config_unref(&c);
}

/* Whether it was told cannot be read: better twice than never. Then it cannot be written either: it is in the log. */
static void in_doubt_it_is_told(void **state)
{
	struct world *w = *state;
	struct config *c = config_from_text("");

	report(w, c, NULL);
	until_reports(w, 1);
	assert_int_equal(sql(w, "ALTER TABLE fact RENAME value TO other"), 0);
	report(w, c, "trouble");
	until_reports(w, 1);
	report(w, c, NULL);
	until_reports(w, 2);
	assert_int_equal(sql(w, "ALTER TABLE fact RENAME other TO value"), 0);
	report(w, c, "trouble");
	until_reports(w, 3);
	config_unref(&c);
}

/* The letter and the note that it was told are one commit. */
static void what_was_lost_is_told_the_next_time(void **state)
{
	struct world *w = *state;
	struct config *c = config_from_text("");

	assert_int_equal(sql(w, "CREATE TRIGGER no BEFORE INSERT ON message BEGIN SELECT RAISE(ABORT, 'no'); END"), 0);
	report(w, c, "trouble");
	until_reports(w, 0);
	assert_int_equal(sql(w, "DROP TRIGGER no"), 0);
	report(w, c, "trouble");
	until_reports(w, 1);
	config_unref(&c);
}

/* A pattern or a server's words may be long; no line of a letter is. */
static void long_lines_are_broken(void **state)
{
	struct config *c = config_from_text("[user anna]\npassword = x\n");
	char body[9000];
	struct buf out;

	(void)state;
	memset(body, 'x', sizeof body);
	memset(body + 2000, ' ', 1);
	for (size_t i = 4000; i < 8000; i += 2)
		memcpy(body + i, "\xd1\x91", 2);
	strcpy(body + 8990, "\nend\n");
	report_format(&out, c, "anna", "s", body);
	for (size_t at = 0, n; at < out.n; at += n + 1) {
		n = slice_find(slice_sub(buf_slice(&out), at, out.n), '\n');
		assert_true(n <= 999);
		assert_true(utf8_valid(slice_sub(buf_slice(&out), at, n)));
	}
	buf_free(&out);
	config_unref(&c);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup_faults, teardown_faults)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(long_lines_are_broken),
	    T(it_is_a_letter_of_the_gateway),
	    T(one_trouble_is_told_once),
	    T(in_doubt_it_is_told),
	    T(what_was_lost_is_told_the_next_time),
	};

	return cmocka_run_group_tests_name("reports", tests, NULL, NULL);
}
