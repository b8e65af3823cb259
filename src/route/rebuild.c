/* Life without the database: what the folders alone can tell after it was lost or restored from a backup.
 *
 * The outqueue's files come back held, since nobody knows any more which recipients had their copy. What was collected
 * is read from the Received lines that stand first in our files, so that it is not collected again. */
#include "route/rebuild.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "disk/file.h"
#include "mail/header.h"
#include "route/delivery_internal.h"
#include "route/section.h"
#include "store/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENV_MAX = 64 * 1024 * 1024, HEAD_BYTES = 4096, ROWS_AT_ONCE = 1000 };

/* ---- the outqueue ---- */

struct orphans {
	struct delivery *d;
	struct db_conn *c;
	size_t rebuilt, unreadable;
};

static int has_row(struct db_conn *c, const char *id, struct err *e)
{
	sqlite3_stmt *st = db_stmt(c, "SELECT 1 FROM queue WHERE id = ?", e);

	if (st == NULL)
		return -1;
	sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	int found = sqlite3_step(st) == SQLITE_ROW;
	sqlite3_reset(st);
	return found;
}

static int rebuild_one(struct orphans *o, const char *id, uint64_t size, struct err *e)
{
	struct outqueue_entry en;
	struct buf text;
	char *env = xasprintf("%s.env", id);
	int rc = 0;

	buf_init(&text, ENV_MAX);
	if (file_read(o->d->outqueue_fd, env, &text, e) != 0 || !outqueue_env_parse(buf_slice(&text), &en)) {
		log_warning("rebuild.no_envelope", kv_s("id", id));
		o->unreadable++;
	} else {
		rc = outqueue_insert(o->c, id, &en, size, e);
		if (rc == 0)
			rc = outqueue_set_held(o->c, id, true, e);
		outqueue_entry_free(&en);
		o->rebuilt++;
	}
	buf_free(&text);
	free(env);
	return rc;
}

static int look_at(struct orphans *o, const char *id, struct err *e)
{
	int rc = has_row(o->c, id, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	char *file = xasprintf("%s.eml", id);
	struct stat st;
	if (fstatat(o->d->outqueue_fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
		rc = rebuild_one(o, id, (uint64_t)st.st_size, e);
	free(file);
	return rc;
}

static DIR *open_list(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (dir == NULL && fd >= 0)
		close(fd);
	return dir;
}

static void add_id(struct strlist *ids, const char *file)
{
	size_t n = strlen(file);

	if (n > 4 && n <= 200 && file[0] != '.' && strcmp(file + n - 4, ".eml") == 0)
		strlist_add_slice(ids, slice_make(file, n - 4));
}

static int cmp_ids(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In the order of the rows, so that a long queue is read once, not page by page in a folder's order. */
static int rebuild_outqueue(struct orphans *o, struct err *e)
{
	DIR *dir = open_list(o->d->outqueue_fd);
	struct strlist ids = {NULL, 0};
	int rc = 0;

	if (dir == NULL)
		return err_errno(e, "outqueue");
	for (const struct dirent *de; (de = readdir(dir)) != NULL;)
		add_id(&ids, de->d_name);
	closedir(dir);
	if (ids.n > 1)
		qsort(ids.v, ids.n, sizeof *ids.v, cmp_ids);
	for (size_t i = 0; rc == 0 && i < ids.n; i++)
		rc = look_at(o, ids.v[i], e);
	strlist_free(&ids);
	return rc;
}

/* ---- the ledger ---- */

struct relearn {
	struct delivery *d;
	struct db_conn *c;
	const struct config *config;
	size_t learnt, in_transaction;
};

/* Undoes the quoting of a comment: "\(" is "(". */
static char *unquote(struct slice s)
{
	char *out = xmalloc(s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n)
			i++;
		out[n++] = s.p[i];
	}
	out[n] = '\0';
	return out;
}

/* What stands between two marks; false where they do not. *rest goes behind the second. */
static bool between(struct slice *rest, const char *from, const char *to, struct slice *out)
{
	const char *a = memmem(rest->p, rest->n, from, strlen(from));

	if (a == NULL)
		return false;
	a += strlen(from);
	const char *b = memmem(a, rest->n - (size_t)(a - rest->p), to, strlen(to));
	if (b == NULL)
		return false;
	*out = slice_make(a, (size_t)(b - a));
	*rest = slice_sub(*rest, (size_t)(b - rest->p) + strlen(to), rest->n);
	return true;
}

/* The account of that label at that host; else the only one at that host. */
static const struct config_account *account_of(const struct config *c, struct slice label, struct slice host)
{
	const struct config_account *a = config_account_by_label(c, label), *only = NULL;
	size_t n = 0;

	if (a != NULL && slice_is_nocase(host, a->login.host))
		return a;
	for (size_t i = 0; i < c->naccounts; i++) {
		if (slice_is_nocase(host, c->accounts[i].login.host)) {
			only = &c->accounts[i];
			n++;
		}
	}
	return n == 1 ? only : NULL;
}

static int learn_line(struct relearn *l, struct slice line, uint64_t size, int64_t stored_at, struct err *e)
{
	struct slice host, label, uidl, rest = line;
	struct buf decoded;
	int rc = 0;

	if (!between(&rest, "from ", " by ", &host) || !between(&rest, " with POP3 (account ", ", uidl ", &label))
		return 0;
	const char *end = memmem(rest.p, rest.n, "); ", 3);
	if (end == NULL)
		return 0;
	uidl = slice_make(rest.p, (size_t)(end - rest.p));
	char *plain = unquote(label), *id = unquote(uidl);
	buf_init(&decoded, HEAD_BYTES);
	header_decode(&decoded, slice_of(plain));
	const struct config_account *a = account_of(l->config, buf_slice(&decoded), host);
	if (a != NULL && id[0] != '\0') {
		const struct ledger_key key = {a->mailbox_host, a->login.user};
		const struct ledger_record rec = {.uidl = id, .size = size, .stored_at = stored_at};
		rc = ledger_put(l->c, &key, &rec, e);
		l->learnt++;
	}
	buf_free(&decoded);
	free(plain);
	free(id);
	return rc;
}

/* How much we put in front of what the provider sent; received: the length of our first line. A message without a
 * header section got an empty line, too. */
static size_t ours(struct slice head, size_t received, uint64_t size)
{
	static const char unsorted[] = "X-Ofmsrv-Unsorted: ";
	struct slice rest = slice_sub(head, received, head.n);
	size_t n = received;

	if (slice_starts_nocase(rest, unsorted)) {
		n += slice_find(rest, '\n') + 1;
		rest = slice_sub(head, n, head.n);
	}
	if (slice_starts_nocase(rest, "\r\n") &&
	    section_look(slice_sub(rest, 2, rest.n), size - n - 2 /* of the empty line */).missing)
		n += 2;
	return n < size ? n : (size_t)size;
}

static int learn_message(struct relearn *l, const char *user, const struct maildir_entry *en, struct err *e)
{
	static const char field[] = "Received: ";
	char head[HEAD_BYTES];
	int fd = maildir_open_message(l->d->maildir, user, en, e);
	struct stat st;

	if (fd < 0)
		return 0;
	ssize_t n = fstat(fd, &st) == 0 ? pread(fd, head, sizeof head, 0) : -1;
	close(fd);
	if (n <= 0)
		return 0;
	struct slice s = slice_make(head, (size_t)n);
	struct slice line = slice_sub(s, 0, slice_find(s, '\n'));
	if (!slice_starts_nocase(line, field))
		return 0;
	/* What the provider listed: all but our own lines. Of another size, it may be other mail under a used UIDL. */
	uint64_t size = (uint64_t)st.st_size;
	return learn_line(l, slice_sub(line, strlen(field), line.n), size - ours(s, line.n + 1, size),
	                  strtoll(en->name, NULL, 10), e);
}

static int learn_mailbox(struct relearn *l, const char *user, struct err *e)
{
	struct maildir_list list;
	int rc = 0;

	if (maildir_scan(l->d->maildir, user, &list, e) != 0)
		return maildir_is_broken(e->code) ? 0 : -1;
	for (size_t i = 0; rc == 0 && i < list.n; i++)
		if (list.v[i].ours)
			rc = learn_message(l, user, &list.v[i], e);
	maildir_list_free(&list);
	return rc;
}

static int rebuild_ledger(struct relearn *l, struct err *e)
{
	for (size_t i = 0; i < l->config->nusers; i++)
		if (!l->config->users[i]->is_daemon && learn_mailbox(l, l->config->users[i]->name, e) != 0)
			return -1;
	return 0;
}

/* ---- all of it ---- */

static int in_one_transaction(struct delivery *d, const struct config *c, bool lost, struct rebuilt *out, struct err *e)
{
	struct db_conn *conn = database_conn(d->db);
	struct orphans o = {.d = d, .c = conn};
	struct relearn l = {.d = d, .c = conn, .config = c};

	if (db_exec(conn, "BEGIN IMMEDIATE", e) != 0)
		return -1;
	/* What an old copy believes to be waiting may have been sent since. */
	if ((lost && outqueue_hold_all(conn, e) != 0) || rebuild_outqueue(&o, e) != 0 ||
	    (lost && rebuild_ledger(&l, e) != 0) || db_exec(conn, "COMMIT", e) != 0) {
		db_exec(conn, "ROLLBACK", NULL);
		return -1;
	}
	*out =
	    (struct rebuilt){.database_lost = lost, .queued = o.rebuilt, .unreadable = o.unreadable, .known = l.learnt};
	return 0;
}

int delivery_rebuild(struct delivery *d, const struct config *c, bool database_lost, struct rebuilt *out, struct err *e)
{
	bool old;

	if (generation_is_old(d, &old, e) != 0)
		return -1;
	bool lost = database_lost || old;
	if (in_one_transaction(d, c, lost, out, e) != 0)
		return -1;
	if (lost || out->queued > 0)
		log_warning("rebuild.done", kv_i("database_lost", lost), kv_u("queued", out->queued),
		            kv_u("known", out->known), kv_u("unreadable", out->unreadable));
	return generation_next(d, e);
}
