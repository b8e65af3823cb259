/* ofmctl mailbox: a user's mail seen, carried away as an mbox file, and brought back. It works on the files themselves,
 * so whoever uses it needs the rights to them, and the daemon need not run. */
#include "args.h"
#include "base/alloc.h"
#include "client.h"
#include "local.h"
#include "mail/header.h"
#include "mbox.h"
#include "message_file.h"
#include "progress.h"
#include "show.h"
#include "store/maildir.h"
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEAD_MAX = 64 * 1024 };

struct mailbox {
	struct config *config;
	struct maildir *maildir;
	const char *user;
	struct maildir_list list;
};

static void close_mailbox(struct mailbox *m)
{
	maildir_list_free(&m->list);
	maildir_free(&m->maildir);
	config_unref(&m->config);
}

/* 0, or 1 after an error on stderr. */
static int open_mailbox(const struct ctl_options *o, const char *user, struct mailbox *m)
{
	struct err e = {.text = ""};

	*m = (struct mailbox){.config = local_config(o)};
	if (m->config == NULL)
		return 1;
	const struct config_user *u = config_user_by_name(m->config, slice_of(user));
	int rc = 0;
	if (u == NULL || u->is_daemon)
		rc = ctl_error(u == NULL ? "there is no user %s (ofmctl users lists them)"
		                         : "%s is the daemon user, who has no mailbox",
		               user);
	else if ((m->maildir = maildir_open(m->config->mailboxes, &e)) == NULL ||
	         maildir_scan(m->maildir, u->name, &m->list, &e) != 0)
		rc = e.code == ENOENT
		         ? ctl_error("%s has no mailbox yet: it is made when ofmsrv starts", user)
		         : ctl_error("%s%s", e.text, e.code == EACCES ? ": be root or the daemon's user" : "");
	m->user = u != NULL ? u->name : NULL;
	if (rc != 0)
		close_mailbox(m);
	return rc;
}

/* Up to max bytes of message i; false where it has gone meanwhile. */
static bool read_message(struct mailbox *m, size_t i, size_t max, struct buf *out)
{
	struct err e;
	int fd = maildir_open_message(m->maildir, m->user, &m->list.v[i], &e);
	char piece[65536];
	ssize_t n;

	buf_clear(out);
	if (fd < 0)
		return false;
	while (out->n < max && (n = read(fd, piece, sizeof piece)) > 0 && buf_add(out, piece, (size_t)n))
		;
	close(fd);
	return true;
}

/* ---- list ---- */

static void take_field(json_t *o, const char *key, const struct header *h, const char *name)
{
	const struct header_field *f = header_find(h, name, 0);
	struct buf b;

	buf_init(&b, 400);
	if (f != NULL)
		header_decode(&b, f->value);
	codec_set_text(o, key, buf_str(&b));
	buf_free(&b);
}

static json_t *entry(struct mailbox *m, size_t i, struct buf *bytes)
{
	char uidl[MAILDIR_UIDL_MAX + 1];
	struct header h;
	json_t *o = json_object();

	maildir_entry_uidl(&m->list.v[i], uidl);
	codec_set_int(o, "number", (int64_t)i + 1);
	codec_set_text(o, "uidl", uidl);
	codec_set_int(o, "size", (int64_t)m->list.v[i].size);
	codec_set_int(o, "arrived", m->list.v[i].arrived);
	if (!read_message(m, i, HEAD_MAX, bytes))
		buf_clear(bytes);
	header_scan(&h, buf_slice(bytes));
	take_field(o, "from", &h, "From");
	take_field(o, "subject", &h, "Subject");
	header_free(&h);
	return o;
}

static json_t *entries(struct mailbox *m)
{
	struct progress_bar bar = progress_begin("reading");
	json_t *all = json_array();
	struct buf bytes;

	buf_init(&bytes, 2 * HEAD_MAX);
	for (size_t i = 0; i < m->list.n; i++) {
		json_array_append_new(all, entry(m, i, &bytes));
		progress_show(&bar, i + 1, m->list.n);
	}
	progress_end(&bar);
	buf_free(&bytes);
	return all;
}

static void print_table(const json_t *all, bool tty)
{
	struct table *t = table_new(">NR ARRIVED >SIZE FROM SUBJECT");
	char text[SHOW_MAX];
	size_t i;
	json_t *m;

	json_array_foreach(all, i, m)
	{
		snprintf(text, sizeof text, "%lld", (long long)client_int(m, "number"));
		table_cell(t, text);
		show_moment(client_int(m, "arrived"), text);
		table_cell(t, text);
		show_size((uint64_t)client_int(m, "size"), text);
		table_cell(t, text);
		table_cell(t, client_text(m, "from"));
		table_cell(t, client_text(m, "subject"));
	}
	table_print(&t, tty);
}

static int list(const struct ctl_options *o, struct mailbox *m)
{
	json_t *all = entries(m);

	if (o->json) {
		json_t *wrap = json_pack("{s:s, s:O}", "user", m->user, "messages", all);
		client_print_json(wrap);
		json_decref(wrap);
	} else if (json_array_size(all) == 0) {
		puts("The mailbox is empty.");
	} else {
		print_table(all, o->out_is_tty);
	}
	json_decref(all);
	return 0;
}

/* ---- show ---- */

/* By number, or by the unique id that POP3 clients see. */
static bool find(const struct mailbox *m, const char *which, size_t *out)
{
	uint64_t n;
	char uidl[MAILDIR_UIDL_MAX + 1];

	if (slice_to_u64(slice_of(which), m->list.n, &n) && n >= 1) {
		*out = (size_t)n - 1;
		return true;
	}
	for (*out = 0; *out < m->list.n; ++*out) {
		maildir_entry_uidl(&m->list.v[*out], uidl);
		if (strcmp(uidl, which) == 0)
			return true;
	}
	return false;
}

/* On a terminal nothing in it may move the cursor; elsewhere it is the message byte for byte. */
static int show(const struct ctl_options *o, struct mailbox *m, const char *which)
{
	struct buf bytes, text;
	size_t i;

	if (!find(m, which, &i))
		return ctl_error("%s has no message %s", m->user, which);
	buf_init(&bytes, SIZE_MAX / 4);
	if (!read_message(m, i, SIZE_MAX, &bytes)) {
		buf_free(&bytes);
		return ctl_error("the message has gone meanwhile");
	}
	buf_init(&text, SIZE_MAX / 2);
	if (o->json) {
		json_t *e = entry(m, i, &text);
		json_object_set_new(e, "message", codec_text(buf_slice(&bytes)));
		client_print_json(e);
		json_decref(e);
	} else if (o->out_is_tty) {
		for (size_t k = 0; k < bytes.n; k++)
			if (bytes.p[k] != '\r')
				buf_add_char(&text, bytes.p[k]);
		struct buf safe;
		buf_init(&safe, SIZE_MAX / 2);
		show_text(&safe, buf_slice(&text), false);
		fwrite(safe.p, 1, safe.n, stdout);
		buf_free(&safe);
	} else {
		fwrite(bytes.p, 1, bytes.n, stdout);
	}
	buf_free(&text);
	buf_free(&bytes);
	return 0;
}

/* ---- export ---- */

static int write_all(struct mailbox *m, FILE *f, size_t *count)
{
	struct progress_bar bar = progress_begin("exporting");
	struct buf bytes;

	buf_init(&bytes, SIZE_MAX / 4);
	for (size_t i = 0; i < m->list.n && ferror(f) == 0; i++) {
		if (read_message(m, i, SIZE_MAX, &bytes)) {
			mbox_write(f, buf_slice(&bytes), m->list.v[i].arrived);
			++*count;
		}
		progress_show(&bar, i + 1, m->list.n);
	}
	progress_end(&bar);
	buf_free(&bytes);
	return ferror(f) == 0 && fflush(f) == 0 ? 0 : -1;
}

static int export(struct mailbox *m, const char *path)
{
	bool to_stdout = path == NULL || strcmp(path, "-") == 0;
	/* Other people's mail: for its owner's eyes alone. */
	int fd = to_stdout ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *f = fd < 0 ? NULL : to_stdout ? stdout : fdopen(fd, "w");
	size_t count = 0;

	if (f == NULL)
		return errno == EEXIST ? ctl_error("%s exists already; name a new file", path)
		                       : ctl_error("%s: %s", path, strerror(errno));
	int rc = write_all(m, f, &count);
	if (!to_stdout && (rc == 0 ? fsync(fd) : 0) != 0)
		rc = -1;
	int error = errno;
	if (!to_stdout && fclose(f) != 0)
		rc = -1;
	if (rc != 0)
		return ctl_error("%s: %s", to_stdout ? "standard output" : path, strerror(error));
	if (!to_stdout)
		printf("%zu message%s written to %s.\n", count, count == 1 ? "" : "s", path);
	return 0;
}

/* ---- restore ---- */

struct restoring {
	struct mailbox *m;
	struct mbox_place *place;
	size_t count;
	struct err e;
};

static int put(void *arg, struct slice message)
{
	struct restoring *r = arg;

	if (mbox_place_put(r->place, message, &r->e) != 0)
		return -1;
	r->count++;
	return 0;
}

static int restore(struct mailbox *m, const char *path)
{
	struct restoring r = {.m = m, .e = {0, ""}};
	struct buf bytes;

	if (!message_file_read(path, &bytes))
		return 1;
	int rc = -1;
	r.place = mbox_place_open(m->maildir, m->user, &r.e);
	if (r.place != NULL)
		rc = mbox_read(buf_slice(&bytes), put, &r);
	if (r.place != NULL && mbox_place_close(&r.place, rc == 0, &r.e) != 0)
		rc = -1;
	buf_free(&bytes);
	if (rc != 0)
		return ctl_error("%s; nothing was restored", r.e.text);
	if (r.count == 0)
		return ctl_error("%s holds no message: an mbox file or a single message is expected", path);
	printf("%zu message%s put into the mailbox of %s.\n", r.count, r.count == 1 ? "" : "s", m->user);
	return 0;
}

static int act(const struct ctl_options *o, struct mailbox *m, const char *what, int words, char **argv)
{
	if (strcmp(what, "list") == 0)
		return words < 3 ? list(o, m) : ctl_usage(argv[0], "list takes no %s", argv[3]);
	if (strcmp(what, "show") == 0)
		return words == 3 ? show(o, m, argv[3])
		                  : ctl_usage(argv[0], "show which message? its NUMBER or unique id");
	if (strcmp(what, "export") == 0)
		return export(m, words == 3 ? argv[3] : NULL);
	return words == 3 ? restore(m, argv[3])
	                  : ctl_usage(argv[0], "restore what? an mbox FILE, or - for the standard input");
}

int ctl_mailbox(const struct ctl_options *o, int argc, char **argv)
{
	static const char *const parts[] = {"list", "show", "export", "restore", NULL};
	const struct args_option options[] = {{NULL, NULL, NULL}};
	int words = args_all(argv[0], options, 1, argc, argv, 3);
	struct mailbox m;
	bool known = false;

	if (words < 0)
		return 1;
	if (words == 0)
		return ctl_usage(argv[0], "a USER is needed");
	const char *what = words > 1 ? argv[2] : "list";
	for (size_t i = 0; parts[i] != NULL; i++)
		known = known || strcmp(what, parts[i]) == 0;
	if (!known)
		return ctl_unknown_part(argv[0], what, parts);
	if (o->json && what[0] != 'l' && what[0] != 's')
		return ctl_usage(argv[0], "%s takes no --json", what);
	if (open_mailbox(o, argv[1], &m) != 0)
		return 1;
	int rc = act(o, &m, what, words, argv);
	close_mailbox(&m);
	return rc;
}
