/* Every letter to postmaster in every language: complete, short, and with the same facts in both. */
#include "base/alloc.h"
#include "fetch/pop3_reply.h"
#include "route/letter.h"
#include "route/phrase.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COLUMNS = 110, LINES = 14 };

static bool cyrillic(const char *s)
{
	return strstr(s, "\xd0") != NULL;
}

/* The {names} of a text, in alphabet order, each once. */
static char *names_of(const char *subject, const char *body)
{
	static const char *const all[] = {"account", "folder", "from",       "host",    "known", "limit",   "list",
	                                  "mend",    "most",   "n",          "pattern", "port",  "queued",  "rule",
	                                  "times",   "uidl",   "unreadable", "until",   "user",  "waiting", "why"};
	struct buf out;

	buf_init(&out, 1024);
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		char *name = xasprintf("{%s}", all[i]);
		if (strstr(subject, name) != NULL || strstr(body, name) != NULL)
			buf_add_str(&out, name);
		free(name);
	}
	return buf_steal(&out);
}

static size_t count(const char *s, char c)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += *s == c;
	return n;
}

static void assert_short(const char *body)
{
	size_t column = 0;

	assert_true(count(body, '\n') <= LINES);
	assert_int_equal(body[strlen(body) - 1], '\n');
	for (const char *p = body; *p != '\0'; p++) {
		column = *p == '\n' ? 0 : column + (((unsigned char)*p & 0xc0) != 0x80);
		assert_true(column <= COLUMNS);
	}
}

static void test_each_in_both_languages(void **state)
{
	(void)state;
	for (int k = 0; k < LETTER_KINDS; k++) {
		struct letter_text en = letter_text((enum letter_kind)k, false);
		struct letter_text ru = letter_text((enum letter_kind)k, true);

		assert_non_null(en.subject);
		assert_non_null(ru.subject);
		assert_non_null(en.body);
		assert_non_null(ru.body);
		assert_true(cyrillic(ru.subject) && cyrillic(ru.body));
		assert_false(cyrillic(en.subject) || cyrillic(en.body));
		assert_short(en.body);
		assert_short(ru.body);
		char *a = names_of(en.subject, en.body), *b = names_of(ru.subject, ru.body);
		assert_string_equal(a, b);
		/* All names are known above: nothing else stands in braces. */
		assert_int_equal(count(a, '{') > 0, strchr(en.subject, '{') != NULL || strchr(en.body, '{') != NULL);
		free(a);
		free(b);
	}
}

static void test_commands_are_the_same_in_both(void **state)
{
	(void)state;
	for (int k = 0; k < LETTER_KINDS; k++) {
		struct letter_text en = letter_text((enum letter_kind)k, false);
		struct letter_text ru = letter_text((enum letter_kind)k, true);

		for (const char *p = en.body; (p = strstr(p, "ofmctl ")) != NULL; p++) {
			char *command = xasprintf("%.*s", (int)strcspn(p + 7, " `") + 7, p);
			assert_non_null(strstr(ru.body, command));
			free(command);
		}
	}
}

static void test_fill(void **state)
{
	static const struct letter_value values[] = {{"a", "1 {b}"}, {"b", ""}, {NULL, NULL}};
	static const struct {
		const char *text, *want;
	} rows[] = {
	    {"", ""},         {"plain", "plain"}, {"{a}", "1 {b}"}, {"x{b}y{a}", "xy1 {b}"},
	    {"{c}{", "{c}{"}, {"{a", "{a"},       {"{}", "{}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buf out;
		buf_init(&out, 1024);
		letter_fill(&out, rows[i].text, values);
		assert_string_equal(buf_str(&out), rows[i].want);
		buf_free(&out);
	}
}

static void test_phrases(void **state)
{
	static const struct {
		const char *english, *russian;
	} rows[] = {
	    {"", ""},
	    {"550 5.1.1 no such user", "550 5.1.1 no such user"},
	    {"log-in refused: -ERR [AUTH] no", "вход отклонён: -ERR [AUTH] no"},
	    {"cannot connect (Failed (7)) (said)", "нет соединения (Failed (7)) (said)"},
	    {"not tried since its log-in was refused; `ofmctl reload` or `ofmctl sync \"a b\"` tries it (log-in "
	     "refused: no)",
	     "не опрашивается с тех пор, как отказано во входе; снова опросят `ofmctl reload` и `ofmctl sync \"a b\"` "
	     "(вход отклонён: no)"},
	    {"the server lists message 7 twice", "в списке сервера письмо 7 стоит дважды"},
	    {"up failed: exit status 3: no carrier", "команда up не удалась: код возврата 3: no carrier"},
	    {"down failed: killed after 5s, its timeout", "команда down не удалась: остановлена через 5 с, по timeout"},
	    {"writing mail: No space left on device", "запись почты: на диске нет места"},
	    {"mailboxes: the disk is full", "mailboxes: диск полон"},
	    {"the disk is fuller", "the disk is fuller"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *ru = phrase_in(rows[i].english, true), *en = phrase_in(rows[i].english, false);
		assert_string_equal(ru, rows[i].russian);
		assert_string_equal(en, rows[i].english);
		assert_int_equal(phrase_known(rows[i].english), strcmp(rows[i].english, rows[i].russian) != 0);
		free(ru);
		free(en);
	}
}

static void test_providers_advice(void **state)
{
	static const char *const hosts[] = {"pop.gmail.com",         "pop.googlemail.com", "pop.yandex.ru",
	                                    "pop.yandex.com",        "pop.mail.ru",        "pop.rambler.ru",
	                                    "outlook.office365.com", "pop.outlook.com",    "pop3.hotmail.com",
	                                    "pop.yahoo.com",         "pop.icloud.com",     "pop.firm.example"};

	(void)state;
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		assert_false(cyrillic(pop3_reply_mend(hosts[i], false)));
		assert_true(cyrillic(pop3_reply_mend(hosts[i], true)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_in_both_languages),
	    cmocka_unit_test(test_commands_are_the_same_in_both),
	    cmocka_unit_test(test_fill),
	    cmocka_unit_test(test_phrases),
	    cmocka_unit_test(test_providers_advice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
