#include "net/outside.h"
#include "net/outside_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- a server that speaks a script: sends its first text at once, then one text for each line it hears ---- */

struct script {
	const char *says[16];
	char heard[4096];
	int listen_fd;
	uint16_t port;
	pthread_t thread;
};

static void *serve(void *arg)
{
	struct script *s = arg;
	int fd = accept(s->listen_fd, NULL, NULL);
	FILE *f = fdopen(fd, "r+");
	char line[1024];

	setvbuf(f, NULL, _IONBF, 0);
	for (int i = 0; s->says[i] != NULL; i++) {
		if (i > 0) {
			if (fgets(line, sizeof line, f) == NULL)
				break;
			strncat(s->heard, line, sizeof s->heard - strlen(s->heard) - 1);
		}
		fputs(s->says[i], f);
	}
	while (fgets(line, sizeof line, f) != NULL)
		strncat(s->heard, line, sizeof s->heard - strlen(s->heard) - 1);
	fclose(f);
	return NULL;
}

static void script_start(struct script *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;

	s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listen_fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(s->listen_fd, 5), 0);
	getsockname(s->listen_fd, (struct sockaddr *)&a, &n);
	s->port = ntohs(a.sin_port);
	pthread_create(&s->thread, NULL, serve, s);
}

static void script_end(struct script *s)
{
	pthread_join(s->thread, NULL);
	close(s->listen_fd);
}

/* ---- an owner that notes what it is told ---- */

struct owner {
	struct loop *loop;
	struct outside *o;
	bool ready, failed;
	enum outside_failure failure;
	char text[600], reply[600], got[4096], transcript[4096];
	const char *send; /* said when ready */
	const char *until;
};

static void on_ready(void *arg)
{
	struct owner *w = arg;

	w->ready = true;
	snprintf(w->transcript, sizeof w->transcript, "%s", outside_transcript(w->o));
	if (w->send != NULL)
		evbuffer_add(outside_out(w->o), w->send, strlen(w->send));
	else
		loop_stop(w->loop);
}

static void on_readable(void *arg)
{
	struct owner *w = arg;
	size_t have = strlen(w->got);
	int n = evbuffer_remove(outside_in(w->o), w->got + have, sizeof w->got - have - 1);

	w->got[have + (size_t)(n > 0 ? n : 0)] = '\0';
	if (w->until != NULL && strstr(w->got, w->until) != NULL)
		loop_stop(w->loop);
}

static void on_failed(void *arg, enum outside_failure f, const char *text, const char *reply)
{
	struct owner *w = arg;

	w->failed = true;
	w->failure = f;
	snprintf(w->text, sizeof w->text, "%s", text);
	snprintf(w->reply, sizeof w->reply, "%s", reply);
	loop_stop(w->loop);
}

static const struct outside_callbacks callbacks = {on_ready, on_readable, NULL, on_failed};

static struct outside_target target(uint16_t port)
{
	return (struct outside_target){
	    .protocol = OUTSIDE_POP3,
	    .host = "127.0.0.1",
	    .port = port,
	    .tls_verify = true,
	    .ca_file = "",
	    .login_options = "",
	    .user = "",
	    .password = "",
	    .bearer = "",
	    .proxy = "",
	    .hello = "",
	    .connect_timeout_ms = 5000,
	};
}

static void run(struct owner *w, const struct outside_target *t)
{
	w->loop = loop_new();
	w->o = outside_open(w->loop, t, &callbacks, w);
	assert_false(w->ready || w->failed);
	loop_run(w->loop);
}

static void finish(struct owner *w)
{
	outside_close(&w->o);
	assert_null(w->o);
	loop_free(&w->loop);
}

static void test_refuses_what_libcurl_must_not_see(void **state)
{
	static const struct {
		const char *host, *user, *password;
	} rows[] = {
	    {"mail.example\r\nQUIT", "u", "p"}, {"mail.example/x", "u", "p"}, {"", "u", "p"},     {"a@b", "u", "p"},
	    {"h", "u\r\nDELE 1", "p"},          {"h", "u", "p\nDELE 1"},      {"h", "анна", "p"}, {"h", "u", "\x7f"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct owner w = {0};
		struct outside_target t = target(110);

		t.host = rows[i].host;
		t.user = rows[i].user;
		t.password = rows[i].password;
		run(&w, &t);
		assert_true(w.failed);
		assert_int_equal(w.failure, OUTSIDE_REFUSED);
		finish(&w);
	}
}

static void test_hands_over_a_live_connection(void **state)
{
	struct script s = {
	    .says = {"+OK hello <1.2@x>\r\n", "+OK\r\nUSER\r\nPIPELINING\r\n.\r\n", "+OK pong\r\n", NULL}};
	struct owner w = {.send = "PING\r\n", .until = "pong\r\n"};

	(void)state;
	script_start(&s);
	struct outside_target t = target(s.port);
	run(&w, &t);
	assert_true(w.ready);
	assert_string_equal(w.transcript, "+OK hello <1.2@x>\n+OK\nUSER\nPIPELINING\n.\n");
	assert_string_equal(w.got, "+OK pong\r\n");
	finish(&w);
	script_end(&s);
	/* No LIST, no QUIT of libcurl's own. */
	assert_string_equal(s.heard, "CAPA\r\nPING\r\n");
}

static void test_failures_are_told_apart(void **state)
{
	static const struct {
		const char *says[5];
		enum outside_security security;
		const char *user;
		enum outside_failure failure;
		const char *text, *reply;
	} rows[] = {
	    {{"-ERR [SYS/TEMP] later\r\n"},
	     OUTSIDE_PLAIN,
	     "",
	     OUTSIDE_GREETING,
	     "[SYS/TEMP] later",
	     "-ERR [SYS/TEMP] later"},
	    {{"+OK\r\n", "+OK\r\nUSER\r\n.\r\n"}, OUTSIDE_STARTTLS, "u", OUTSIDE_NO_TLS, "TLS is required", "."},
	    {{"+OK\r\n", "+OK\r\nSTLS\r\n.\r\n", "-ERR no\r\n"},
	     OUTSIDE_STARTTLS,
	     "u",
	     OUTSIDE_NO_TLS,
	     "TLS is required",
	     "-ERR no"},
	    {{"+OK\r\n", "+OK\r\nSTLS\r\n.\r\n", "+OK go\r\n+OK injected\r\n"},
	     OUTSIDE_STARTTLS,
	     "u",
	     OUTSIDE_NO_TLS,
	     "between STARTTLS and TLS",
	     "+OK go"},
	    {{"+OK\r\n", "+OK\r\nSASL CRAM-MD5\r\n.\r\n", "+ PDFAeD4=\r\n", "-ERR [AUTH] wrong\r\n"},
	     OUTSIDE_PLAIN,
	     "u",
	     OUTSIDE_LOGIN,
	     "[AUTH] wrong",
	     "-ERR [AUTH] wrong"},
	    {{"SSH-2.0-OpenSSH\r\n"}, OUTSIDE_PLAIN, "", OUTSIDE_GREETING, "not the answer", "SSH-2.0-OpenSSH"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct script s = {0};
		struct owner w = {0};

		memcpy(s.says, rows[i].says, sizeof rows[i].says);
		script_start(&s);
		struct outside_target t = target(s.port);
		t.security = rows[i].security;
		t.user = rows[i].user;
		t.password = "secret-password";
		t.connect_timeout_ms = 1500;
		run(&w, &t);
		assert_true(w.failed);
		assert_int_equal(w.failure, rows[i].failure);
		assert_non_null(strstr(w.text, rows[i].text));
		assert_string_equal(w.reply, rows[i].reply);
		finish(&w);
		script_end(&s);
		assert_null(strstr(s.heard, "secret-password"));
	}
}

static void test_hang_ends_at_the_deadline(void **state)
{
	struct script s = {.says = {"+OK\r\n", "+OK\r\nSTLS\r\n.\r\n", "+OK go\r\n", NULL}};
	struct owner w = {0};

	(void)state;
	script_start(&s);
	struct outside_target t = target(s.port);
	t.security = OUTSIDE_STARTTLS;
	t.connect_timeout_ms = 300;
	run(&w, &t);
	assert_true(w.failed);
	assert_int_equal(w.failure, OUTSIDE_NETWORK);
	finish(&w);
	script_end(&s);
}

static void test_silence_ends_it(void **state)
{
	struct script s = {.says = {"+OK\r\n", "+OK\r\n.\r\n", NULL}};
	struct owner w = {.send = "PING\r\n"};

	(void)state;
	script_start(&s);
	struct outside_target t = target(s.port);
	w.loop = loop_new();
	w.o = outside_open(w.loop, &t, &callbacks, &w);
	outside_set_timeout(w.o, 200);
	loop_run(w.loop);
	assert_true(w.ready && w.failed);
	assert_int_equal(w.failure, OUTSIDE_NETWORK);
	assert_non_null(strstr(w.text, "silent"));
	finish(&w);
	script_end(&s);
}

static void test_endless_capabilities_are_bounded(void **state)
{
	static char endless[400 * 1024];
	struct script s = {.says = {"+OK\r\n", endless, NULL}};
	struct owner w = {0};

	(void)state;
	strcpy(endless, "+OK\r\n");
	for (size_t at = 5; at + 20 < sizeof endless; at += 11)
		memcpy(endless + at, "EVERMORE1\r\n", 12);
	script_start(&s);
	struct outside_target t = target(s.port);
	run(&w, &t);
	assert_true(w.failed);
	assert_int_equal(w.failure, OUTSIDE_GREETING);
	finish(&w);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_refuses_what_libcurl_must_not_see),
	    cmocka_unit_test(test_hands_over_a_live_connection),
	    cmocka_unit_test(test_failures_are_told_apart),
	    cmocka_unit_test(test_hang_ends_at_the_deadline),
	    cmocka_unit_test(test_silence_ends_it),
	    cmocka_unit_test(test_endless_capabilities_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
