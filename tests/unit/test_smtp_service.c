/* The SMTP server on real sockets, over a real delivery: who may send what to whom, and what then stands on disk. */
#include "base/alloc.h"
#include "config_text.h"
#include "smtp/service.h"
#include "smtp/transaction.h"
#include "store/ledger.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

struct world {
	char dir[64];
	struct config *config;
	struct loop *loop;
	struct workers *workers;
	struct database *db;
	struct maildir *maildir;
	struct delivery *delivery;
	struct passwords *passwords;
	struct brake *brake;
	struct ports_pool *ports;
	struct smtp_service *smtp;
	uint16_t port;
	char called[64];
	unsigned calls;
	bool waiting;
};

static const char *const schemas[] = {delivery_schema, tombstone_schema, outqueue_schema,
                                      ledger_schema,   fact_schema,      NULL};

static void on_daemon(void *arg, const char *sender)
{
	struct world *w = arg;

	snprintf(w->called, sizeof w->called, "%s", sender);
	w->calls++;
}

static uint16_t free_port(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sa;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	close(fd);
	return ntohs(sa.sin_port);
}

/* config_from_text removes its home; the folders that the delivery uses are made here. */
static struct config *load(struct world *w, const char *ini)
{
	char *text = xasprintf("[server]\nhostname = gate.firm.example\nmailboxes = %s/mailboxes\n"
	                       "outqueue = %s/outqueue\nstate = %s/state\n[smtp]\nbind = 127.0.0.1\nport = %u\n%s",
	                       w->dir, w->dir, w->dir, w->port, ini);
	struct config *c = config_from_text(text);

	free(text);
	assert_non_null(c);
	return c;
}

static void make_dirs(struct world *w)
{
	static const char *const subs[] = {"mailboxes", "outqueue", "state"};

	strcpy(w->dir, "/tmp/ofm.smtp.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	for (size_t i = 0; i < 3; i++) {
		char *path = xasprintf("%s/%s", w->dir, subs[i]);
		assert_int_equal(mkdir(path, 0700), 0);
		free(path);
	}
}

static void configure(struct world *w, const char *ini)
{
	struct err e = {0, ""};

	config_unref(&w->config);
	w->config = load(w, ini);
	if (smtp_service_prepare(w->smtp, w->config, &e) != 0 || ports_pool_open(w->ports, &e) != 0)
		fail_msg("%s", e.text);
	ports_pool_switch(w->ports);
	smtp_service_commit(w->smtp);
}

static void open_world(struct world *w, const char *ini)
{
	struct err e = {0, ""};

	*w = (struct world){.port = free_port()};
	make_dirs(w);
	w->config = load(w, ini);
	char *db = xasprintf("%s/state/ofmsrv.db", w->dir);
	w->loop = loop_new();
	w->workers = workers_new(w->loop, 2);
	w->db = database_open(db, schemas, &e);
	assert_non_null(w->db);
	w->maildir = maildir_open(w->config->mailboxes, &e);
	assert_non_null(w->maildir);
	w->delivery = delivery_new(w->loop, w->workers, w->db, w->maildir, w->config, &e);
	assert_non_null(w->delivery);
	if (delivery_recover(w->delivery, &e) != 0)
		fail_msg("recover: %s", e.text);
	database_start(w->db, w->loop);
	delivery_start(w->delivery);
	w->passwords = passwords_new(w->loop, w->workers);
	w->brake = brake_new();
	w->ports = ports_pool_new(w->loop);
	struct smtp_service_deps deps = {w->loop, w->delivery, w->passwords, w->brake, w->ports, on_daemon, w};
	w->smtp = smtp_service_new(&deps);
	configure(w, ini);
	free(db);
}

static void on_done(void *arg)
{
	((struct world *)arg)->waiting = false;
}

static void turn(struct world *w)
{
	event_base_loop(loop_base(w->loop), EVLOOP_NONBLOCK);
	poll(NULL, 0, 1);
}

static void wait_done(struct world *w)
{
	for (int i = 0; i < 10000 && w->waiting; i++)
		turn(w);
	assert_false(w->waiting);
}

static void close_world(struct world *w)
{
	char *command = xasprintf("rm -rf %s", w->dir);

	w->waiting = true;
	smtp_service_stop(w->smtp, 1000, on_done, w);
	wait_done(w);
	smtp_service_free(&w->smtp);
	brake_free(&w->brake);
	ports_pool_free(&w->ports);
	w->waiting = true;
	delivery_stop(w->delivery, 5000, on_done, w);
	wait_done(w);
	workers_free(&w->workers); /* they may still be removing spooled files */
	database_stop(w->db);
	passwords_free(&w->passwords);
	delivery_free(&w->delivery);
	database_free(&w->db);
	maildir_free(&w->maildir);
	loop_free(&w->loop);
	config_unref(&w->config);
	assert_int_equal(system(command), 0);
	free(command);
}

/* ---- a client ---- */

static int dial(struct world *w)
{
	struct sockaddr_in sa = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(w->port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

/* Reads until n final reply lines came or the server closed; gives their codes. */
static const char *codes_of(struct world *w, int fd, int n)
{
	static char codes[1024];
	char text[16384];
	size_t have = 0, at = 0;
	int got = 0;

	codes[0] = '\0';
	for (int i = 0; i < 5000 && got < n; i++) {
		ssize_t r = recv(fd, text + have, sizeof text - have, 0);
		if (r == 0) {
			strcat(codes, " closed");
			break;
		}
		if (r < 0) {
			turn(w);
			continue;
		}
		have += (size_t)r;
		for (char *lf; (lf = memchr(text + at, '\n', have - at)) != NULL; at = (size_t)(lf - text) + 1) {
			if (text[at + 3] == '-')
				continue;
			snprintf(codes + strlen(codes), sizeof codes - strlen(codes), "%s%.3s", got > 0 ? " " : "",
			         text + at);
			got++;
		}
	}
	return codes;
}

/* Says it all at once and expects these codes, the greeting's among them where it is the first. */
static void expect(struct world *w, int fd, const char *text, const char *codes)
{
	int n = 1;

	for (const char *p = codes; *p != '\0'; p++)
		n += *p == ' ';
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	const char *got = codes_of(w, fd, n);
	if (strcmp(got, codes) != 0)
		fail_msg("%.300s\n-> %s, not %s", text, got, codes);
}

static void dialog(struct world *w, const char *text, const char *codes)
{
	int fd = dial(w);

	expect(w, fd, text, codes);
	close(fd);
}

/* ---- what stands on disk ---- */

static char *read_file(const char *path)
{
	struct buf b;
	char block[4096];
	size_t n;
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	buf_init(&b, 1 << 24);
	while ((n = fread(block, 1, sizeof block, f)) > 0)
		buf_add(&b, block, n);
	fclose(f);
	return buf_steal(&b);
}

/* Waits for n files that end so; gives the text of the last one. The caller frees. */
static char *files(struct world *w, const char *sub, const char *end, unsigned n)
{
	char *dir = xasprintf("%s/%s", w->dir, sub), *path = NULL;
	unsigned found = 0;

	for (int i = 0; i < 3000 && found < n; i++) {
		DIR *d = opendir(dir);
		found = 0;
		turn(w);
		for (struct dirent *de; d != NULL && (de = readdir(d)) != NULL;) {
			size_t len = strlen(de->d_name), e = strlen(end);
			if (de->d_name[0] == '.' || len < e || strcmp(de->d_name + len - e, end) != 0)
				continue;
			found++;
			free(path);
			path = xasprintf("%s/%s", dir, de->d_name);
		}
		if (d != NULL)
			closedir(d);
	}
	if (found != n)
		fail_msg("%u files *%s in %s, not %u", found, end, sub, n);
	char *text = n > 0 ? read_file(path) : xstrdup("");
	free(path);
	free(dir);
	return text;
}

static void has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("no %s in\n%s", part, text);
}

#define OFFICE                                                                                                         \
	"[special]\nboss = chief\n[user anna]\npassword = secret\nalias = anna@firm.example\n"                         \
	"[user boris]\npassword =\n[user chief]\npassword = x\n"                                                       \
	"[relay]\nhost = relay.example\n"

static void mail_arrives_everywhere(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, OFFICE);
	dialog(&w,
	       "EHLO pc\r\nMAIL FROM:<anna@office.lan>\r\nRCPT TO:<boris>\r\nRCPT TO:<x@far.example>\r\n"
	       "RCPT TO:<nobody@office.lan>\r\nRCPT TO:<daemon>\r\nDATA\r\nFrom: "
	       "anna@office.lan\r\n\r\nhello\nyou\r\n..\r\n"
	       ".\r\nQUIT\r\n",
	       "220 250 250 250 250 550 250 354 250 221");
	char *text = files(&w, "mailboxes/boris/new", "", 1);
	has(text, "Return-Path: <anna@office.lan>\r\nReceived: from pc ([127.0.0.1])\r\n\tby gate.firm.example with "
	          "ESMTP id ");
	has(text, "\r\nFrom: anna@office.lan\r\n\r\nhello\r\nyou\r\n.\r\n");
	free(text);
	text = files(&w, "mailboxes/chief/new", "", 1);
	has(text, "\r\nX-Envelope-To: <boris>,\r\n\t<x@far.example>,\r\n\t<daemon>\r\nFrom: anna@office.lan\r\n");
	free(text);
	text = files(&w, "outqueue", ".eml", 1);
	has(text, "\r\nFrom: anna@firm.example\r\n");
	has(text, "\r\nhello\r\nyou\r\n.\r\n");
	free(text);
	assert_string_equal(w.called, "anna");
	close_world(&w);
}

static void only_the_daemon_was_meant(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, OFFICE);
	dialog(&w, "EHLO pc\r\nMAIL FROM:<anna@firm.example>\r\nRCPT TO:<daemon>\r\nDATA\r\ngo\r\n.\r\nQUIT\r\n",
	       "220 250 250 250 354 250 221");
	assert_int_equal(w.calls, 1);
	free(files(&w, "mailboxes/chief/new", "", 0));
	dialog(&w, "EHLO pc\r\nMAIL FROM:<x@far.example>\r\nRCPT TO:<daemon>\r\nQUIT\r\n", "220 250 250 550 221");
	/* a log-in makes a local sender too */
	dialog(&w,
	       "EHLO pc\r\nAUTH PLAIN AGFubmEAc2VjcmV0\r\nMAIL FROM:<x@far.example>\r\nRCPT TO:<daemon>\r\n"
	       "DATA\r\ngo\r\n.\r\nQUIT\r\n",
	       "220 250 235 250 250 354 250 221");
	assert_int_equal(w.calls, 2);
	close_world(&w);
}

static void refusals_have_their_codes(void **state)
{
	static const struct {
		const char *say, *codes;
	} rows[] = {
	    {"RCPT TO:<x@printer>\r\n", "550"},
	    {"RCPT TO:<x@far.example>\r\n", "550"}, /* boris has no alias, and there is no [relay] sender */
	    {"RCPT TO:<anna>\r\nRCPT TO:<anna>\r\nRCPT TO:<anna>\r\n", "250 250 452"},
	    {"RSET\r\nMAIL FROM:<anna> SIZE=1025\r\nRCPT TO:<x@far.example>\r\nRCPT TO:<boris>\r\n", "250 250 552 250"},
	    {"RSET\r\nMAIL FROM:<anna> SIZE=1024\r\nRCPT TO:<x@far.example>\r\n", "250 250 250"},
	    {"RSET\r\nMAIL FROM:<anna> SIZE=9223372036854775807\r\n", "250 452"},
	    {"RSET\r\nAUTH PLAIN AGJvcmlzAA==\r\n", "250 535"},         /* boris has no password */
	    {"RSET\r\nAUTH PLAIN AGRhZW1vbgBzZWNyZXQ=\r\n", "250 535"}, /* the daemon */
	    {"RSET\r\nAUTH PLAIN AEFOTkFAb2ZmaWNlLmxhbgBzZWNyZXQ=\r\n", "250 235"},
	};
	struct world w;

	(void)state;
	open_world(&w, "max_message_kib = 1\nmax_recipients = 2\n" OFFICE);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int fd = dial(&w);
		expect(&w, fd, "EHLO pc\r\nMAIL FROM:<boris@office.lan>\r\n", "220 250 250");
		expect(&w, fd, rows[i].say, rows[i].codes);
		close(fd);
	}
	close_world(&w);
}

static void large_mail_stays_inside(void **state)
{
	struct world w;
	struct buf big;

	(void)state;
	open_world(&w, "max_message_kib = 1\n" OFFICE);
	for (int local = 0; local < 2; local++) {
		buf_init(&big, 1 << 20);
		buf_printf(&big, "HELO pc\r\nMAIL FROM:<anna>\r\nRCPT TO:<%s>\r\nDATA\r\n",
		           local ? "boris" : "x@far.example");
		for (int i = 0; i < 5000; i++)
			buf_add_str(&big, "a long line of mail that has to go somewhere\r\n");
		buf_add_str(&big, ".\r\nQUIT\r\n");
		dialog(&w, buf_str(&big), local ? "220 250 250 250 354 250 221" : "220 250 250 250 354 552 221");
		buf_free(&big);
	}
	char *text = files(&w, "mailboxes/boris/new", "", 1);
	assert_true(strlen(text) > 5000 * 46);
	free(text);
	free(files(&w, "outqueue", ".eml", 0));
	close_world(&w);
}

static void nothing_leaves_without_relay(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, "auth = required\n[user anna]\npassword = secret\nalias = anna@firm.example\n");
	dialog(&w,
	       "EHLO pc\r\nMAIL FROM:<anna>\r\nAUTH LOGIN\r\nYW5uYQ==\r\nc2VjcmV0\r\nMAIL FROM:<anna>\r\n"
	       "RCPT TO:<x@far.example>\r\nRCPT TO:<anna@firm.example>\r\nQUIT\r\n",
	       "220 250 530 334 334 235 250 550 250 221");
	close_world(&w);
}

static void filter_and_limit_turn_away(void **state)
{
	struct world w;
	int fds[2];

	(void)state;
	open_world(&w, "max_connections = 1\n" OFFICE);
	fds[0] = dial(&w);
	assert_string_equal(codes_of(&w, fds[0], 1), "220");
	fds[1] = dial(&w);
	assert_string_equal(codes_of(&w, fds[1], 2), "421 closed");
	close(fds[1]);
	/* what runs goes on under a new filter; what comes is refused */
	configure(&w, OFFICE "[ip_filter]\ndeny = 127.0.0.1\n");
	expect(&w, fds[0], "NOOP\r\n", "250");
	fds[1] = dial(&w);
	assert_string_equal(codes_of(&w, fds[1], 2), "554 closed");
	close(fds[0]);
	close(fds[1]);
	close_world(&w);
}

static void ports_change_while_it_runs(void **state)
{
	struct world w;
	struct err e = {0, ""};
	uint16_t old;

	(void)state;
	open_world(&w, OFFICE);
	int fd = dial(&w);
	expect(&w, fd, "HELO pc\r\n", "220 250");
	old = w.port;
	w.port = free_port();
	configure(&w, OFFICE);
	expect(&w, fd, "NOOP\r\n", "250");
	dialog(&w, "QUIT\r\n", "220 221");
	/* a port that is taken: nothing changes */
	int taken = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in sa = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(old)};
	const int one = 1;
	setsockopt(taken, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	assert_int_equal(bind(taken, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(listen(taken, 1), 0);
	uint16_t now = w.port;
	w.port = old;
	struct config *c = load(&w, OFFICE);
	assert_int_equal(smtp_service_prepare(w.smtp, c, &e), 0);
	assert_int_equal(ports_pool_open(w.ports, &e), -1);
	smtp_service_abort(w.smtp);
	assert_true(strlen(e.text) > 0);
	config_unref(&c);
	w.port = now;
	dialog(&w, "QUIT\r\n", "220 221");
	/* the wildcard in place of one address */
	configure(&w, "[ip_filter]\nenabled = yes\n" OFFICE);
	close(taken);
	close(fd);
	close_world(&w);
}

static void stop_lets_transactions_end(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, OFFICE);
	int idle = dial(&w), busy = dial(&w);
	expect(&w, idle, "HELO pc\r\n", "220 250");
	expect(&w, busy, "HELO pc\r\nMAIL FROM:<anna>\r\nRCPT TO:<boris>\r\nDATA\r\n", "220 250 250 250 354");
	w.waiting = true;
	smtp_service_stop(w.smtp, 5000, on_done, &w);
	assert_string_equal(codes_of(&w, idle, 2), "421 closed");
	assert_true(w.waiting);
	expect(&w, busy, "x\r\n.\r\n", "250 421");
	wait_done(&w);
	free(files(&w, "mailboxes/boris/new", "", 1));
	close(idle);
	close(busy);
	close_world(&w);
}

static void silence_and_trickle_end(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, "timeout = 1s\n" OFFICE);
	int silent = dial(&w), slow = dial(&w);
	expect(&w, slow, "HELO pc\r\n", "220 250");
	for (int i = 0; i < 20; i++) { /* one byte each 100 ms: never silent */
		(void)!send(slow, "N", 1, MSG_NOSIGNAL);
		for (int k = 0; k < 80; k++)
			turn(&w);
	}
	assert_string_equal(codes_of(&w, silent, 3), "220 421 closed");
	assert_string_equal(codes_of(&w, slow, 2), "421 closed");
	close(silent);
	close(slow);
	close_world(&w);
}

static void half_closed_clients_get_answers(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, OFFICE);
	int fd = dial(&w);
	static const char all[] = "HELO pc\r\nMAIL FROM:<anna>\r\nRCPT TO:<boris>\r\nDATA\r\nx\r\n.\r\nNOOP\r\n";
	assert_int_equal(send(fd, all, strlen(all), 0), strlen(all));
	shutdown(fd, SHUT_WR);
	assert_string_equal(codes_of(&w, fd, 8), "220 250 250 250 354 250 250 closed");
	close(fd);
	/* and one that leaves in mid-message leaves nothing */
	fd = dial(&w);
	expect(&w, fd, "HELO pc\r\nMAIL FROM:<anna>\r\nRCPT TO:<boris>\r\nDATA\r\nx\r\n", "220 250 250 250 354");
	close(fd);
	for (int i = 0; i < 1000 && smtp_service_connections(w.smtp) > 0; i++)
		turn(&w);
	assert_int_equal(smtp_service_connections(w.smtp), 0);
	free(files(&w, "mailboxes/boris/new", "", 1));
	close_world(&w);
}

/* Distant clients are no test peers; the decision is asked itself. */
static void distant_clients_log_in_first(void **state)
{
	struct world w;
	struct err e;
	const char *refusal;
	char *to_user = xstrdup("x"), *to_domain = xstrdup("far.example");
	struct address to = {to_user, to_domain};
	struct smtp_mail m = {.from = {(char[]){"anna"}, (char[]){""}}};

	(void)state;
	open_world(&w, OFFICE);
	struct smtp_client client = {.global = true, .helo = "pc", .login = ""};
	assert_int_equal(ip_addr_parse(slice_of("127.0.0.1"), &client.our_ip, &e), 0);
	for (int i = 0; i < 2; i++) {
		client.login = i == 0 ? "" : "anna";
		struct transaction *t = transaction_new(w.config, &client, &m, &refusal);
		assert_non_null(t);
		refusal = transaction_rcpt(t, &client, &to);
		if (i == 0)
			assert_memory_equal(refusal, "530 5.7.0", 9);
		else
			assert_null(refusal);
		transaction_free(&t);
	}
	address_free(&to);
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mail_arrives_everywhere),      cmocka_unit_test(only_the_daemon_was_meant),
	    cmocka_unit_test(refusals_have_their_codes),    cmocka_unit_test(large_mail_stays_inside),
	    cmocka_unit_test(nothing_leaves_without_relay), cmocka_unit_test(filter_and_limit_turn_away),
	    cmocka_unit_test(ports_change_while_it_runs),   cmocka_unit_test(stop_lets_transactions_end),
	    cmocka_unit_test(silence_and_trickle_end),      cmocka_unit_test(half_closed_clients_get_answers),
	    cmocka_unit_test(distant_clients_log_in_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
