/* ofmctl metrics: for Prometheus, in its text format (0.0.4). */
#include "args.h"
#include "base/alloc.h"
#include "base/io.h"
#include "base/random.h"
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void sample(struct buf *out, const char *name, int64_t value)
{
	buf_printf(out, "%s %" PRId64 "\n", name, value);
}

static void gauge(struct buf *out, const char *name, const char *help, int64_t value)
{
	head(out, name, "gauge", help);
	sample(out, name, value);
}

/* name{label="value"}, where the value may be anything that an ini file holds. */
static void labelled(struct buf *out, const char *name, const char *label, const char *text, int64_t value)
{
	buf_printf(out, "%s{%s=\"", name, label);
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '"')
			buf_add_char(out, '\\');
		if (*text == '\n')
			buf_add_str(out, "\\n");
		else
			buf_add_char(out, *text);
	}
	buf_printf(out, "\"} %" PRId64 "\n", value);
}

/* ---- what happened ---- */

static void events(struct buf *out, const json_t *r, const char *name, const char *help, const char *what,
                   const char *const *kinds)
{
	head(out, name, "counter", help);
	for (; *kinds != NULL; kinds++)
		labelled(out, name, "event", *kinds,
		         client_int(json_object_get(json_object_get(r, "totals"), *kinds), what));
}

static void put_events(struct buf *out, const json_t *r)
{
	static const char *const of_messages[] = {"accepted", "collected", "written", "refused", NULL};
	static const char *const of_recipients[] = {"sent", "deferred", "bounced", "dropped", NULL};

	events(
	    out, r, "ofmsrv_messages_total",
	    "Messages accepted from the LAN, collected, written by the gateway itself, and refused, since the start.",
	    "count", of_messages);
	events(out, r, "ofmsrv_message_bytes_total", "Their bytes.", "bytes", of_messages);
	events(out, r, "ofmsrv_recipients_total",
	       "Recipients outside that were sent to, put off, refused for good, and dropped by hand, since the start.",
	       "count", of_recipients);
	events(out, r, "ofmsrv_recipient_bytes_total", "The bytes of their messages.", "bytes", of_recipients);
}

/* ---- accounts ---- */

static void per_account(struct buf *out, const json_t *r, const char *name, const char *type, const char *help,
                        int64_t (*value)(const json_t *account))
{
	size_t i;
	json_t *a;

	head(out, name, type, help);
	json_array_foreach(json_object_get(r, "accounts"), i, a)
	{
		if (client_bool(a, "enabled"))
			labelled(out, name, "account", client_text(a, "name"), value(a));
	}
}

static int64_t works(const json_t *a)
{
	return client_text(a, "last_error")[0] == '\0' && !client_bool(a, "held");
}

static int64_t held(const json_t *a)
{
	return client_bool(a, "held");
}

static int64_t last_at(const json_t *a)
{
	return client_int(a, "last_at");
}

static int64_t collected(const json_t *a)
{
	return client_int(a, "collected");
}

static void put_accounts(struct buf *out, const json_t *r)
{
	per_account(out, r, "ofmsrv_account_up", "gauge", "Whether the account's last collection went well.", works);
	per_account(out, r, "ofmsrv_account_held", "gauge", "Whether the account is held until somebody resumes it.",
	            held);
	per_account(out, r, "ofmsrv_account_last_collection_timestamp_seconds", "gauge",
	            "When the account's last collection ended, 0 = not since the start.", last_at);
	per_account(out, r, "ofmsrv_account_collected_messages_total", "counter",
	            "Messages collected from the account since the start.", collected);
}

/* ---- the rest ---- */

static void put_connections(struct buf *out, const json_t *r)
{
	static const char *const protocols[] = {"pop3", "smtp", "control"};
	const json_t *c = json_object_get(r, "connections");

	head(out, "ofmsrv_connections", "gauge", "Open connections.");
	for (size_t i = 0; i < 3; i++)
		labelled(out, "ofmsrv_connections", "protocol", protocols[i], client_int(c, protocols[i]));
}

static void put_queue(struct buf *out, const json_t *r)
{
	const json_t *q = json_object_get(r, "queue");
	int64_t oldest = client_int(q, "oldest_at");

	gauge(out, "ofmsrv_queue_messages", "Messages that wait for the relay.", client_int(q, "length"));
	gauge(out, "ofmsrv_queue_oldest_age_seconds", "How long the oldest of them has waited, 0 = the queue is empty.",
	      oldest > 0 ? client_int(r, "now") - oldest : 0);
}

static void put_sync(struct buf *out, const json_t *r)
{
	const json_t *s = json_object_get(r, "sync");

	gauge(out, "ofmsrv_sync_running", "Whether a sync runs.", client_bool(s, "running"));
	gauge(out, "ofmsrv_sync_next_timestamp_seconds", "When the next sync is due by schedule, 0 = none.",
	      client_int(s, "next_at"));
}

static void put_all(struct buf *out, const json_t *r)
{
	gauge(out, "ofmsrv_up", "Whether the gateway answers.", r != NULL);
	if (r == NULL)
		return;
	head(out, "ofmsrv_build_info", "gauge", "The version that runs.");
	labelled(out, "ofmsrv_build_info", "version", client_text(r, "version"), 1);
	gauge(out, "ofmsrv_start_time_seconds", "When the gateway was started.", client_int(r, "since"));
	gauge(out, "ofmsrv_disk_has_room", "Whether the disk has room for more mail.", client_bool(r, "room"));
	put_connections(out, r);
	put_events(out, r);
	put_queue(out, r);
	put_sync(out, r);
	put_accounts(out, r);
	head(out, "ofmsrv_journal_lost_notes_total", "counter", "Notes that could not be written into the journal.");
	sample(out, "ofmsrv_journal_lost_notes_total", client_int(r, "journal_lost"));
}

/* ---- where to ---- */

/* Whoever reads the file sees the old text or the new one. Readable for all: node_exporter is another user. */
static int write_file(const char *path, struct slice text)
{
	char unique[RANDOM_NAME_MAX];

	random_name(unique);
	char *fresh = xasprintf("%s.%s", path, unique);
	int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	int rc = fd >= 0 && fchmod(fd, 0644) == 0 && io_write_all(fd, text) == 0 && close(fd) == 0 &&
	                 rename(fresh, path) == 0
	             ? 0
	             : -1;
	if (rc != 0) {
		ctl_error("%s cannot be written: %s", path, strerror(errno));
		unlink(fresh);
	}
	free(fresh);
	return rc;
}

/* What Prometheus or the file gets. */
static int give_text(const json_t *reply, const char *path)
{
	struct buf out;
	int rc = reply != NULL ? 0 : 1;

	buf_init(&out, 16 * 1024 * 1024);
	put_all(&out, reply);
	if (path != NULL)
		rc |= write_file(path, buf_slice(&out)) != 0;
	else if (reply != NULL)
		fwrite(out.p, 1, out.n, stdout);
	buf_free(&out);
	return rc;
}

int ctl_metrics(const struct ctl_options *o, int argc, char **argv)
{
	struct control_request r = {.verb = CONTROL_METRICS};
	const char *path = NULL;
	const struct args_option options[] = {{"--output", &path, NULL}, {NULL, NULL, NULL}};
	int rc = 0;

	if (args_all(argv[0], options, 1, argc, argv, 0) < 0)
		return 1;
	if (o->json && path != NULL)
		return ctl_usage(argv[0], "--output writes Prometheus's format; --json goes to the standard output");
	json_t *reply = client_simple(o, &r, CLIENT_PATIENCE);
	if (!o->json)
		rc = give_text(reply, path);
	else if (reply != NULL)
		client_print_json(reply);
	else
		rc = 1;
	json_decref(reply);
	return rc;
}
