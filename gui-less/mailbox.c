/* ofmctl mailbox: a user's mail seen, carried away as an mbox file, and brought back. It works on the files themselves,
 * so whoever uses it needs the rights to them, and the daemon need not run. */
#include "args.h"
#include "base/alloc.h"
#include "base/random.h"
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
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD_MAX = 64 * 1024, SHOWN_MAX = 512 * 1024 * 1024 };

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

enum reading { READ_OK, READ_GONE, READ_FAILED };

/* The message has gone meanwhile, which is nobody's fault, or cannot be opened. */
static enum reading unopened(const struct mailbox *m, size_t i, const struct err *e)
{
	if (e->code == ENOENT)
		return READ_GONE;
	ctl_error("message %zu of %s: %s", i + 1, m->user, e->text);
	return READ_FAILED;
}

static enum reading unread(const struct mailbox *m, size_t i, const struct err *e)
{
	ctl_error("message %zu of %s: %s", i + 1, m->user, e->text);
	return READ_FAILED;
}

/* Hands message i to fn piece by piece. What fn returns other than 0 ends it as a success. */
static enum reading each_piece(struct mailbox *m, size_t i, int (*fn)(void *arg, struct slice piece), void *arg)
{
	struct err e = {0, ""};
	struct stat st;
	int fd = maildir_open_message(m->maildir, m->user, &m->list.v[i], &e);

	if (fd < 0)
		return unopened(m, i, &e);
	int rc = message_file_each(fd, fn, arg, &e);
	off_t at = lseek(fd, 0, SEEK_CUR);
	if (rc == 0 && (fstat(fd, &st) != 0 || at < st.st_size))
		rc = err_set(&e, 0, "it ended before its end");
	close(fd);
	return rc < 0 ? unread(m, i, &e) : READ_OK;
}

enum { FULL = 1 };

static int take_piece(void *arg, struct slice piece)
{
	struct buf *b = arg;
	size_t room = b->max - b->n;

	buf_add_slice(b, slice_sub(piece, 0, room));
	return piece.n >= room ? FULL : 0;
}

/* As much of message i as fits into out. */
static enum reading read_message(struct mailbox *m, size_t i, struct buf *out)
{
	buf_clear(out);
	return each_piece(m, i, take_piece, out);
}

/* ---- list ---- */

static void take_field(json_t *o, const char *key, const struct header *h, const char *name)
{
	const struct header_field *f = header_find(h, name, 0);
	struct buf b;

	buf_init(&b, 400);
	if (f != NULL)
		header_decode_as(&b, f->value, header_charset(h));
	codec_set_text(o, key, buf_str(&b));
	buf_free(&b);
}

/* bytes: scratch for its header section. *failed is set where it cannot be read. */
static json_t *entry(struct mailbox *m, size_t i, struct buf *bytes, bool *failed)
{
	char uidl[MAILDIR_UIDL_MAX + 1];
	struct header h;
	json_t *o = json_object();

	maildir_entry_uidl(&m->list.v[i], uidl);
	codec_set_int(o, "number", (int64_t)i + 1);
	codec_set_text(o, "uidl", uidl);
	codec_set_int(o, "size", (int64_t)m->list.v[i].size);
	codec_set_int(o, "arrived", m->list.v[i].arrived);
	*failed = read_message(m, i, bytes) == READ_FAILED || *failed;
	header_scan(&h, buf_slice(bytes));
	take_field(o, "from", &h, "From");
	take_field(o, "subject", &h, "Subject");
	header_free(&h);
	return o;
}

static json_t *entries(struct mailbox *m, bool *failed)
{
	struct progress_bar bar = progress_begin("reading");
	json_t *all = json_array();
	struct buf bytes;

	buf_init(&bytes, HEAD_MAX);
	for (size_t i = 0; i < m->list.n; i++) {
		json_array_append_new(all, entry(m, i, &bytes, failed));
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
	bool failed = false;
	json_t *all = entries(m, &failed);

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
	return failed ? 1 : 0;
}

/* ---- show ---- */

/* Whether our own Received line, the first of the message, says this id: the one of the reply to its sender. */
static bool says_id(struct slice head, const char *id)
{
	struct header h;
	bool yes = false;

	header_scan(&h, head);
	const struct header_field *f = header_find(&h, "Received", 0);
	if (f != NULL) {
		char *text = slice_dup(f->value), *wanted = xasprintf(" id %s;", id);
		yes = strstr(text, wanted) != NULL;
		free(wanted);
		free(text);
	}
	header_free(&h);
	return yes;
}

/* By number, by the unique id that POP3 clients see, or by the id that the sender was told. */
static bool find(struct mailbox *m, const char *which, size_t *out)
{
	uint64_t n;
	char uidl[MAILDIR_UIDL_MAX + 1];
	struct buf head;
	bool found = false;

	if (slice_to_u64(slice_of(which), m->list.n, &n) && n >= 1) {
		*out = (size_t)n - 1;
		return true;
	}
	for (*out = 0; *out < m->list.n; ++*out) {
		maildir_entry_uidl(&m->list.v[*out], uidl);
		if (strcmp(uidl, which) == 0)
			return true;
	}
	buf_init(&head, HEAD_MAX);
	for (*out = 0; *out < m->list.n; ++*out) {
		found = read_message(m, *out, &head) == READ_OK && says_id(buf_slice(&head), which);
		if (found)
			break;
	}
	buf_free(&head);
	return found;
}

static int gone(void)
{
	return ctl_error("the message has gone meanwhile");
}

static int put_piece(void *arg, struct slice piece)
{
	(void)arg;
	return fwrite(piece.p, 1, piece.n, stdout) == piece.n ? 0 : FULL;
}

static void print_safely(struct slice bytes)
{
	struct buf text, safe;

	buf_init(&text, SHOWN_MAX);
	for (size_t k = 0; k < bytes.n; k++)
		if (bytes.p[k] != '\r')
			buf_add_char(&text, bytes.p[k]);
	buf_init(&safe, 8 * (size_t)SHOWN_MAX);
	show_text(&safe, buf_slice(&text), false);
	fwrite(safe.p, 1, safe.n, stdout);
	buf_free(&safe);
	buf_free(&text);
}

/* As JSON, or for a terminal, where nothing in it may move the cursor. */
static int show_whole(const struct ctl_options *o, struct mailbox *m, size_t i)
{
	struct buf bytes, head;
	bool failed = false;

	if (m->list.v[i].size >= SHOWN_MAX)
		return ctl_error("the message is larger than %d MiB; write it into a file: ofmctl mailbox %s show %zu "
		                 "> FILE",
		                 SHOWN_MAX / 1024 / 1024, m->user, i + 1);
	buf_init(&bytes, SHOWN_MAX);
	enum reading r = read_message(m, i, &bytes);
	if (r == READ_OK && o->json) {
		buf_init(&head, HEAD_MAX);
		json_t *e = entry(m, i, &head, &failed);
		json_object_set_new(e, "message", codec_text(buf_slice(&bytes)));
		client_print_json(e);
		json_decref(e);
		buf_free(&head);
	} else if (r == READ_OK) {
		print_safely(buf_slice(&bytes));
	}
	buf_free(&bytes);
	return r == READ_GONE ? gone() : r == READ_FAILED || failed;
}

/* Into a file or pipe it goes byte for byte. */
static int show(const struct ctl_options *o, struct mailbox *m, const char *which)
{
	size_t i;

	if (!find(m, which, &i))
		return ctl_error("%s has no message %s", m->user, which);
	if (o->json || o->out_is_tty)
		return show_whole(o, m, i);
	enum reading r = each_piece(m, i, put_piece, NULL);
	return r == READ_GONE ? gone() : r == READ_FAILED;
}

/* ---- export ---- */

static int export_piece(void *arg, struct slice piece)
{
	struct mbox_writer *w = arg;

	mbox_write(w, piece);
	return ferror(w->f) == 0 ? 0 : FULL;
}

/* Whether it is still there is known before its first line is written. */
static enum reading export_one(struct mailbox *m, FILE *f, size_t i)
{
	struct mbox_writer w;
	struct err e = {0, ""};
	int fd = maildir_open_message(m->maildir, m->user, &m->list.v[i], &e);

	if (fd < 0)
		return unopened(m, i, &e);
	close(fd);
	mbox_write_begin(&w, f, m->list.v[i].arrived);
	enum reading r = each_piece(m, i, export_piece, &w);
	mbox_write_end(&w);
	if (r == READ_GONE) { /* between the two */
		ctl_error("message %zu of %s has gone while it was read", i + 1, m->user);
		r = READ_FAILED;
	}
	return r;
}

/* 0; 1 after an error on stderr; -1 with errno where f takes no more. */
static int write_all(struct mailbox *m, FILE *f, size_t *count)
{
	struct progress_bar bar = progress_begin("exporting");
	enum reading r = READ_OK;

	for (size_t i = 0; i < m->list.n && ferror(f) == 0 && r != READ_FAILED; i++) {
		errno = 0;
		r = export_one(m, f, i);
		*count += r == READ_OK;
		progress_show(&bar, i + 1, m->list.n);
	}
	int error = errno;
	progress_end(&bar);
	if (r == READ_FAILED)
		return 1;
	errno = error;
	return ferror(f) == 0 && fflush(f) == 0 ? 0 : -1;
}

static int export_to_stdout(struct mailbox *m)
{
	size_t count = 0;
	int rc = write_all(m, stdout, &count);

	return rc < 0 ? ctl_error("standard output: %s", errno != 0 ? strerror(errno) : "it takes no more") : rc;
}

/* Under another name until it is whole, so that PATH is never part of a mailbox. */
static int export_to_file(struct mailbox *m, const char *path)
{
	char unique[RANDOM_NAME_MAX];
	size_t count = 0;

	if (access(path, F_OK) == 0)
		return ctl_error("%s exists already; name a new file", path);
	random_name(unique);
	char *part = xasprintf("%s.%s.part", path, unique);
	/* Other people's mail: for its owner's eyes alone. */
	int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	int rc = f != NULL ? write_all(m, f, &count) : -1;
	if (rc == 0 && fsync(fd) != 0)
		rc = -1;
	int error = errno;
	if (f != NULL && fclose(f) != 0 && rc == 0) {
		error = errno;
		rc = -1;
	}
	if (rc == 0 && renameat2(AT_FDCWD, part, AT_FDCWD, path, RENAME_NOREPLACE) != 0 &&
	    (errno != EINVAL || rename(part, path) != 0)) {
		error = errno;
		rc = -1;
	}
	if (rc < 0)
		ctl_error("%s: %s", path, error != 0 ? strerror(error) : "it cannot be written");
	if (rc != 0)
		unlink(part);
	else
		printf("%zu message%s written to %s.\n", count, count == 1 ? "" : "s", path);
	free(part);
	return rc != 0;
}

/* ---- restore ---- */

struct restoring {
	struct mbox_place *place;
	size_t count;
	struct err e;
};

static int restore_data(void *arg, struct slice piece)
{
	struct restoring *r = arg;

	return mbox_place_add(r->place, piece, &r->e);
}

static int restore_end(void *arg)
{
	struct restoring *r = arg;

	r->count++;
	return mbox_place_end(r->place, &r->e);
}

static int restore_piece(void *arg, struct slice piece)
{
	return mbox_read(arg, piece);
}

static int restore_from(struct restoring *r, int fd)
{
	struct mbox_reader reader = {.data = restore_data, .end = restore_end, .arg = r};
	int rc = message_file_each(fd, restore_piece, &reader, &r->e);

	return rc == 0 ? mbox_read_end(&reader, &r->e) : rc;
}

static int restore(struct mailbox *m, const char *path)
{
	struct restoring r = {.e = {0, ""}};
	int fd = message_file_open(path), rc = -1;

	if (fd < 0)
		return 1;
	r.place = mbox_place_open(m->maildir, m->user, &r.e);
	if (r.place != NULL) {
		rc = restore_from(&r, fd);
		struct err *e = rc == 0 ? &r.e : NULL;
		if (mbox_place_close(&r.place, rc == 0, e) != 0)
			rc = -1;
	}
	close(fd);
	if (rc != 0)
		return ctl_error("%s: %s; nothing was restored", path, r.e.text);
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
		return words < 3 || strcmp(argv[3], "-") == 0 ? export_to_stdout(m) : export_to_file(m, argv[3]);
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
