/* The control protocol: lines, requests both ways, replies of any bytes. */
#include "control/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_lines(void **state)
{
	struct codec_lines l;
	struct slice line;

	(void)state;
	codec_lines_init(&l, 10);
	assert_int_equal(codec_lines_next(&l, &line), CODEC_MORE);
	assert_true(codec_lines_feed(&l, slice_of("one\ntwo\r\nthr")));
	assert_int_equal(codec_lines_next(&l, &line), CODEC_LINE);
	assert_true(slice_is(line, "one"));
	assert_int_equal(codec_lines_next(&l, &line), CODEC_LINE);
	assert_true(slice_is(line, "two"));
	assert_int_equal(codec_lines_next(&l, &line), CODEC_MORE);
	assert_true(codec_lines_feed(&l, slice_of("ee\n\n")));
	assert_int_equal(codec_lines_next(&l, &line), CODEC_LINE);
	assert_true(slice_is(line, "three"));
	assert_int_equal(codec_lines_next(&l, &line), CODEC_LINE);
	assert_int_equal(line.n, 0);
	assert_int_equal(codec_lines_next(&l, &line), CODEC_MORE);
	codec_lines_free(&l);
}

static void test_line_limit(void **state)
{
	static const struct {
		const char *bytes;
		enum codec_line got;
	} cases[] = {
	    {"0123456789\n", CODEC_LINE},
	    {"01234567890\n", CODEC_TOO_LONG},
	    {"01234567890", CODEC_TOO_LONG},
	    {"0123456789", CODEC_MORE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct codec_lines l;
		struct slice line;
		codec_lines_init(&l, 10);
		assert_true(codec_lines_feed(&l, slice_of(cases[i].bytes)));
		assert_int_equal(codec_lines_next(&l, &line), cases[i].got);
		codec_lines_free(&l);
	}
}

/* However the bytes are cut, the lines are the same. */
static void test_lines_byte_by_byte(void **state)
{
	static const char text[] = "{\"do\":\"status\"}\n\r\nx\n";
	struct codec_lines l;
	struct slice line;
	unsigned lines = 0;

	(void)state;
	codec_lines_init(&l, 64);
	for (size_t i = 0; i < sizeof text - 1; i++) {
		assert_true(codec_lines_feed(&l, slice_make(text + i, 1)));
		while (codec_lines_next(&l, &line) == CODEC_LINE)
			lines++;
	}
	assert_int_equal(lines, 3);
	codec_lines_free(&l);
}

static void test_requests_refused(void **state)
{
	static const struct {
		const char *line, *why;
	} cases[] = {
	    {"", "no JSON"},
	    {"status", "no JSON"},
	    {"{\"do\":\"status\"} x", "no JSON"},
	    {"[]", "one JSON object"},
	    {"{}", "{\"do\":COMMAND"},
	    {"{\"do\":7}", "{\"do\":COMMAND"},
	    {"{\"do\":\"format\"}", "there is no command \"format\""},
	    {"{\"do\":\"status\",\"do\":\"stop\"}", "no JSON"},
	    {"{\"do\":\"status\",\"wait\":true}", "status has no field \"wait\""},
	    {"{\"do\":\"sync\",\"wait\":1}", "wait: true or false"},
	    {"{\"do\":\"sync\",\"accounts\":\"info\"}", "accounts: a list"},
	    {"{\"do\":\"sync\",\"accounts\":[1]}", "accounts: a string"},
	    {"{\"do\":\"queue-drop\"}", "queue-drop needs \"what\""},
	    {"{\"do\":\"queue-drop\",\"what\":\"\"}", "what: 1 to"},
	    {"{\"do\":\"queue-drop\",\"what\":\"a\\u0000b\"}", "no JSON"},
	    {"{\"do\":\"queue-drop\",\"what\":\"\xff\"}", "no JSON"},
	    {"{\"do\":\"resume\",\"what\":\"info\"}", "resume needs"},
	    {"{\"do\":\"reload\",\"\":1}", "reload has no field"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct control_request r;
		struct err e = {.text = ""};
		assert_int_equal(codec_request_parse(slice_of(cases[i].line), &r, &e), -1);
		if (strstr(e.text, cases[i].why) == NULL)
			fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].line, e.text, cases[i].why);
	}
}

static void test_too_much(void **state)
{
	struct buf b;
	struct control_request r;
	struct err e;

	(void)state;
	buf_init(&b, 100000);
	buf_add_str(&b, "{\"do\":\"sync\",\"accounts\":[\"a\"");
	for (int i = 0; i < CODEC_ACCOUNTS_MAX; i++)
		buf_add_str(&b, ",\"a\"");
	buf_add_str(&b, "]}");
	assert_int_equal(codec_request_parse(buf_slice(&b), &r, &e), -1);
	buf_clear(&b);
	buf_add_str(&b, "{\"do\":\"queue-drop\",\"what\":\"");
	for (int i = 0; i <= CODEC_TEXT_MAX; i++)
		buf_add_char(&b, 'x');
	buf_add_str(&b, "\"}");
	assert_int_equal(codec_request_parse(buf_slice(&b), &r, &e), -1);
	buf_clear(&b);
	for (int i = 0; i < 60000; i++)
		buf_add_char(&b, '[');
	assert_int_equal(codec_request_parse(buf_slice(&b), &r, &e), -1);
	buf_free(&b);
}

static void test_requests_round_trip(void **state)
{
	static const struct control_request requests[] = {
	    {.verb = CONTROL_STATUS},
	    {.verb = CONTROL_SYNC},
	    {.verb = CONTROL_SYNC, .wait = true},
	    {.verb = CONTROL_QUEUE},
	    {.verb = CONTROL_QUEUE, .after = (char *)"1764000000.00112233445566778899"},
	    {.verb = CONTROL_QUEUE_SHOW, .what = (char *)"1764000000.00112233445566778899"},
	    {.verb = CONTROL_QUEUE_DROP, .what = (char *)"all"},
	    {.verb = CONTROL_QUEUE_RETRY, .what = (char *)"boris@firm.example"},
	    {.verb = CONTROL_QUEUE_HOLD, .what = (char *)"a \"quoted\\\" \n name"},
	    {.verb = CONTROL_QUEUE_RELEASE, .what = (char *)"Бухгалтерия"},
	    {.verb = CONTROL_USERS},
	    {.verb = CONTROL_RESUME, .what = (char *)"info", .known = true},
	    {.verb = CONTROL_RESUME, .what = (char *)"info", .known = false},
	    {.verb = CONTROL_RELOAD},
	    {.verb = CONTROL_STOP},
	};

	(void)state;
	for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
		char *line = codec_request_format(&requests[i]);
		struct control_request r;
		struct err e;
		size_t n = strlen(line);
		assert_int_equal(line[n - 1], '\n');
		assert_null(memchr(line, '\n', n - 1));
		assert_int_equal(codec_request_parse(slice_make(line, n - 1), &r, &e), 0);
		assert_int_equal(r.verb, requests[i].verb);
		assert_int_equal(r.wait, requests[i].wait);
		assert_int_equal(r.known, requests[i].known);
		assert_string_equal(r.what != NULL ? r.what : "", requests[i].what != NULL ? requests[i].what : "");
		assert_string_equal(r.after != NULL ? r.after : "", requests[i].after != NULL ? requests[i].after : "");
		codec_request_free(&r);
		free(line);
	}
}

static void test_accounts_round_trip(void **state)
{
	struct control_request r = {.verb = CONTROL_SYNC}, back;
	struct err e;

	(void)state;
	strlist_add(&r.accounts, "info");
	strlist_add(&r.accounts, "Отдел продаж");
	char *line = codec_request_format(&r);
	assert_int_equal(codec_request_parse(slice_of(line), &back, &e), 0);
	assert_int_equal(back.accounts.n, 2);
	assert_string_equal(back.accounts.v[1], "Отдел продаж");
	codec_request_free(&back);
	codec_request_free(&r);
	free(line);
}

/* What peers said may hold any bytes; it still becomes one line of JSON that the other end reads. */
static void test_foreign_bytes(void **state)
{
	static const char bytes[] = "550 \xff\xfe no\r\n.\x00\x1b[31m";
	json_t *o = codec_ok();
	struct err e;

	(void)state;
	json_object_set_new(o, "reply", codec_text(slice_make(bytes, sizeof bytes - 1)));
	codec_set_text(o, "null", NULL);
	char *line = codec_line_of(o);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	json_t *back = codec_reply_parse(slice_of(line), &e);
	assert_non_null(back);
	assert_string_equal(json_string_value(json_object_get(back, "reply")), "550 \\xff\\xfe no\r\n.\\x00\x1b[31m");
	assert_string_equal(json_string_value(json_object_get(back, "null")), "");
	json_decref(back);
	free(line);
}

static void test_replies(void **state)
{
	static const char *const bad[] = {"", "7", "[]", "{}", "{\"ok\":1}", "{\"event\":true}", "{\"ok\":true}}"};
	static const char *const good[] = {"{\"ok\":true}", "{\"ok\":false,\"error\":\"x\"}", "{\"event\":\"fetch\"}"};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_null(codec_reply_parse(slice_of(bad[i]), &e));
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		json_t *o = codec_reply_parse(slice_of(good[i]), &e);
		assert_non_null(o);
		json_decref(o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_line_limit),
	    cmocka_unit_test(test_lines_byte_by_byte),
	    cmocka_unit_test(test_requests_refused),
	    cmocka_unit_test(test_too_much),
	    cmocka_unit_test(test_requests_round_trip),
	    cmocka_unit_test(test_accounts_round_trip),
	    cmocka_unit_test(test_foreign_bytes),
	    cmocka_unit_test(test_replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
