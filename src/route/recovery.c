/* After a crash, before anything listens: every row that is left is written, synced, linked, synced and dropped, and
 * every tombstone's file is unlinked. Nothing here depends on having run to its end: each step finds what the last
 * try did and goes on. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "route/delivery_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_BYTES = 32 * 1024 * 1024, CHUNK_ROWS = 1000 };

struct recovery {
	struct delivery *d;
	struct db_conn *c;
	struct err *e;
	struct pending_list chunk;
	size_t bytes, rows;
	int64_t last_id;
	bool old; /* the database is a copy from an earlier time */
	size_t placed, dropped;
	struct pending_list unwritten; /* the disk refused: they are written while the program runs */
};

/* ---- reading a row ---- */

struct row {
	int64_t id;
	const char *name, *dests;
	uint64_t size;
	bool spilled, linked_now;
	const void *bytes;
	size_t nbytes;
};

static bool stands_in(int dir, const char *name, uint64_t size)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;
}

static bool spool_file_stands(const struct delivery *d, const char *name, uint64_t size)
{
	return stands_in(d->spool_fd, name, size) || stands_in(d->outqueue_spool_fd, name, size);
}

/* Whether this destination still has to be linked: 1, 0, -1. */
static int mailbox_needs(struct recovery *r, const struct pending *p, const char *user)
{
	char base[80];

	placing_file_name(p, base);
	int dead = tombstone_has(r->c, user, base, r->e);
	if (dead != 0)
		return dead < 0 ? -1 : 0;
	int there = maildir_has(r->d->maildir, user, base, r->e);
	/* A mailbox that cannot be looked into takes nothing either, until somebody mends it. */
	if (there < 0 && r->e->code != ENOENT && !maildir_is_broken(r->e->code))
		return -1;
	return there != 1;
}

static void add_dest(struct recovery *r, struct pending *p, const char *user)
{
	p->dests = xreallocarray(p->dests, p->ndests + 1, sizeof *p->dests);
	/* message stays NULL: nobody waits in a box for it. */
	p->dests[p->ndests++] = (struct dest){.box = box_get(r->d, user)};
}

static void env_of(void *arg, struct outqueue_message *m)
{
	struct pending *p = arg;

	for (size_t i = 0; i < m->nrecipients; i++)
		if (m->recipients[i].state == OUTQUEUE_WAITING)
			strlist_add(&m->entry.recipients, m->recipients[i].address);
	free(p->env);
	p->env = outqueue_env_format(&m->entry);
	outqueue_message_free(&m);
}

/* ID.eml is linked last and its bytes were durable before: where it stands, all is done. */
static bool queue_stands(const struct delivery *d, const char *id)
{
	char eml[RANDOM_NAME_MAX + 8];
	struct stat st;

	snprintf(eml, sizeof eml, "%s.eml", id);
	return fstatat(d->outqueue_fd, eml, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int queue_needs(struct recovery *r, const struct row *row, struct pending *p)
{
	int waiting = outqueue_pending(r->c, row->name, r->e);

	if (waiting <= 0 || queue_stands(r->d, row->name))
		return waiting < 0 ? -1 : 0;
	if (outqueue_load(r->c, row->name, env_of, p, r->e) != 0)
		return -1;
	return p->env != NULL;
}

static int wanted_dests(struct recovery *r, const struct row *row, struct pending *p)
{
	/* In an old copy most rows were settled long ago, and their mail may have been read and deleted since. Those
	 * that never were still have their spool file. */
	if (r->old && !spool_file_stands(r->d, row->name, row->size))
		return 0;
	for (struct slice rest = slice_of(row->dests); rest.n > 0;) {
		struct slice line = slice_sub(rest, 0, slice_find(rest, '\n'));
		rest = slice_sub(rest, line.n + 1, rest.n);
		if (slice_is(line, "q")) {
			/* Linked and now gone: somebody dropped it by hand. */
			if (!row->linked_now && queue_needs(r, row, p) < 0)
				return -1;
			continue;
		}
		if (line.n <= 2 || row->linked_now)
			continue;
		char *user = slice_dup(slice_sub(line, 2, line.n));
		int needs = mailbox_needs(r, p, user);
		if (needs == 1)
			add_dest(r, p, user);
		free(user);
		if (needs < 0)
			return -1;
	}
	return 0;
}

static int take_row(struct recovery *r, const struct row *row)
{
	struct pending *p = xcalloc(1, sizeof *p);

	r->last_id = row->id;
	p->row = row->id;
	p->size = row->size;
	p->spilled = row->spilled;
	strncpy(p->name, row->name, sizeof p->name - 1);
	if (wanted_dests(r, row, p) != 0) {
		pending_free(&p);
		return -1;
	}
	if (p->ndests > 0 || p->env != NULL) {
		if (!row->spilled) {
			p->bytes = xmalloc(row->nbytes + 1);
			if (row->nbytes > 0)
				memcpy(p->bytes, row->bytes, row->nbytes);
		} else if (!spool_file_stands(r->d, p->name, p->size)) {
			/* Somebody removed it by hand: it cannot be had back, and the start must not fail for ever. */
			log_error("recovery.spool_missing", kv_s("id", p->name), kv_u("size", p->size));
			p->ndests = 0;
			free(p->env);
			p->env = NULL;
		}
	}
	r->bytes += row->nbytes;
	r->rows++;
	TAILQ_INSERT_TAIL(&r->chunk, p, link);
	return 0;
}

static bool row_is_damaged(const struct row *row)
{
	return row->name == NULL || row->dests == NULL || strlen(row->name) >= RANDOM_NAME_MAX ||
	       (!row->spilled && row->nbytes != row->size);
}

static int read_chunk(struct recovery *r)
{
	sqlite3_stmt *st = db_stmt(r->c,
	                           "SELECT id, name, size, spilled, dests, bytes, boot FROM message LEFT JOIN linked"
	                           " ON linked.message = message.id WHERE id > ? ORDER BY id",
	                           r->e);
	int rc = 0, step = SQLITE_ROW;

	if (st == NULL)
		return -1;
	r->bytes = r->rows = 0;
	sqlite3_bind_int64(st, 1, r->last_id);
	while (rc == 0 && r->bytes < CHUNK_BYTES && r->rows < CHUNK_ROWS && (step = sqlite3_step(st)) == SQLITE_ROW) {
		const char *boot = (const char *)sqlite3_column_text(st, 6);
		struct row row = {
		    .id = sqlite3_column_int64(st, 0),
		    .name = (const char *)sqlite3_column_text(st, 1),
		    .size = (uint64_t)sqlite3_column_int64(st, 2),
		    .spilled = sqlite3_column_int(st, 3) != 0,
		    .dests = (const char *)sqlite3_column_text(st, 4),
		    .bytes = sqlite3_column_blob(st, 5),
		    .nbytes = (size_t)sqlite3_column_bytes(st, 5),
		    .linked_now = boot != NULL && strcmp(boot, clock_boot_id()) == 0,
		};
		if (row_is_damaged(&row))
			rc = err_set(r->e, SQLITE_CORRUPT, "database: message row %lld is damaged", (long long)row.id);
		else
			rc = take_row(r, &row);
	}
	/* Rows that cannot be read are not rows that do not exist. */
	if (rc == 0 && step != SQLITE_ROW && step != SQLITE_DONE)
		rc = err_set(r->e, sqlite3_extended_errcode(db_handle(r->c)), "database: reading messages: %s",
		             sqlite3_errmsg(db_handle(r->c)));
	sqlite3_reset(st);
	return rc;
}

/* ---- placing a chunk ---- */

static bool place(struct delivery *d, struct pending *p)
{
	bool ok = true;

	if (p->env != NULL && placing_link_queue(d, p) == 0)
		return true;
	if (p->env != NULL)
		log_error("recovery.queue", kv_s("id", p->name), kv_s("error", strerror(errno)));
	ok = p->env == NULL;
	for (size_t i = 0; i < p->ndests; i++) {
		struct dest *de = &p->dests[i];
		de->linked = placing_link(d, p, de) == 0;
		if (!de->linked) {
			log_error("recovery.link", kv_s("id", p->name), kv_s("user", de->box->user),
			          kv_s("error", strerror(errno)));
			ok = false;
		}
	}
	return ok;
}

static int write_chunk(struct recovery *r)
{
	struct pending *p, *next;

	for (p = TAILQ_FIRST(&r->chunk); p != NULL; p = next) {
		next = TAILQ_NEXT(p, link);
		bool written = (p->ndests == 0 && p->env == NULL) || placing_spool(r->d, p) == 0;
		if (!written) {
			log_error("recovery.write", kv_s("id", p->name), kv_s("error", strerror(errno)));
			TAILQ_REMOVE(&r->chunk, p, link);
			TAILQ_INSERT_TAIL(&r->unwritten, p, link);
		}
		free(p->bytes);
		p->bytes = NULL;
	}
	if (placing_sync(r->d) != 0)
		return err_errno(r->e, "recovery: sync");
	return 0;
}

static int link_chunk(struct recovery *r, struct pending_list *failed)
{
	struct pending *p, *next;

	for (p = TAILQ_FIRST(&r->chunk); p != NULL; p = next) {
		next = TAILQ_NEXT(p, link);
		if (place(r->d, p)) {
			r->placed += p->ndests > 0 || p->env != NULL;
			continue;
		}
		TAILQ_REMOVE(&r->chunk, p, link);
		TAILQ_INSERT_TAIL(failed, p, link);
	}
	TAILQ_FOREACH(p, &r->chunk, link)
	placing_close_boxes(p);
	TAILQ_FOREACH(p, failed, link)
	placing_close_boxes(p);
	if (placing_sync(r->d) != 0)
		return err_errno(r->e, "recovery: sync");
	return 0;
}

static int narrow_rows(struct recovery *r, const struct pending_list *list)
{
	struct pending *p;

	TAILQ_FOREACH(p, list, link)
	if (p->env == NULL && settler_narrow_row(r->c, p, r->e) != 0)
		return -1;
	return 0;
}

/* What could not be placed keeps its row for just that: the tombstones that guard the rest go soon. */
static int drop_chunk(struct recovery *r, const struct pending_list *failed)
{
	struct pending *p;

	if (db_exec(r->c, "BEGIN IMMEDIATE", r->e) != 0)
		return -1;
	if (narrow_rows(r, failed) != 0 || narrow_rows(r, &r->unwritten) != 0)
		goto fail;
	TAILQ_FOREACH(p, &r->chunk, link)
	{
		if (settler_drop_row(r->c, p->row, r->e) != 0)
			goto fail;
		r->dropped++;
	}
	if (db_exec(r->c, "COMMIT", r->e) == 0)
		return 0;
fail:
	db_exec(r->c, "ROLLBACK", NULL);
	return -1;
}

static void free_chunk(struct recovery *r, bool unspool)
{
	for (struct pending *p; (p = TAILQ_FIRST(&r->chunk)) != NULL;) {
		TAILQ_REMOVE(&r->chunk, p, link);
		if (unspool)
			placing_unspool(r->d, p);
		pending_free(&p);
	}
}

/* Goes on while the program runs. */
static void leave_to_settler(struct recovery *r, struct pending_list *failed)
{
	struct delivery *d = r->d;

	for (struct pending *p; (p = TAILQ_FIRST(failed)) != NULL;) {
		TAILQ_REMOVE(failed, p, link);
		d->queueing += p->env != NULL;
		settler_retry_later(d, p);
	}
	for (struct pending *p; (p = TAILQ_FIRST(&r->unwritten)) != NULL;) {
		TAILQ_REMOVE(&r->unwritten, p, link);
		d->queueing += p->env != NULL;
		settler_distrust(d, p);
		d->unplaced_count++;
		placing_line_up(d, p);
	}
}

static int recover_rows(struct recovery *r)
{
	do {
		struct pending_list failed;
		TAILQ_INIT(&failed);
		if (read_chunk(r) != 0 || write_chunk(r) != 0 || link_chunk(r, &failed) != 0 ||
		    drop_chunk(r, &failed) != 0) {
			TAILQ_CONCAT(&r->chunk, &failed, link);
			TAILQ_CONCAT(&r->chunk, &r->unwritten, link);
			free_chunk(r, false);
			return -1;
		}
		free_chunk(r, true);
		leave_to_settler(r, &failed);
	} while (r->rows > 0);
	return 0;
}

/* ---- tombstones and leftovers ---- */

struct grave {
	struct recovery *r;
	struct strlist mailboxes, names;
};

static void note_tombstone(void *arg, const char *mailbox, const char *base)
{
	struct grave *g = arg;

	strlist_add(&g->mailboxes, mailbox);
	strlist_add(&g->names, base);
}

/* In a mailbox that cannot be looked into nobody sees the message; its tombstone waits for the next start. */
static int unlink_dead(struct grave *g, bool *gone)
{
	struct recovery *r = g->r;
	struct err e;

	for (size_t i = 0; i < g->names.n; i++) {
		gone[i] = maildir_unlink(r->d->maildir, g->mailboxes.v[i], g->names.v[i], &e) == 0 || e.code == ENOENT;
		if (!gone[i] && !maildir_is_broken(e.code))
			return err_set(r->e, e.code, "recovery: %s", e.text);
	}
	return placing_sync(r->d) == 0 ? 0 : err_errno(r->e, "recovery: sync");
}

static int drop_dead(struct grave *g, const bool *gone)
{
	struct recovery *r = g->r;

	if (db_exec(r->c, "BEGIN IMMEDIATE", r->e) != 0)
		return -1;
	for (size_t i = 0; i < g->names.n; i++)
		if (gone[i] && tombstone_remove(r->c, g->mailboxes.v[i], g->names.v[i], r->e) != 0)
			goto fail;
	if (db_exec(r->c, "COMMIT", r->e) == 0)
		return 0;
fail:
	db_exec(r->c, "ROLLBACK", NULL);
	return -1;
}

static int bury(struct grave *g)
{
	bool *gone = xcalloc(g->names.n, sizeof *gone);
	int rc = unlink_dead(g, gone) == 0 ? drop_dead(g, gone) : -1;

	free(gone);
	return rc;
}

static int recover_tombstones(struct recovery *r)
{
	struct grave g = {.r = r};
	int rc = tombstone_each(r->c, NULL, note_tombstone, &g, r->e);

	if (rc == 0 && g.names.n > 0)
		rc = bury(&g);
	strlist_free(&g.mailboxes);
	strlist_free(&g.names);
	return rc;
}

static bool names_one(const struct pending_list *list, const char *name)
{
	const struct pending *p;

	TAILQ_FOREACH(p, list, link)
	if (strncmp(name, p->name, strlen(p->name)) == 0)
		return true;
	return false;
}

static bool still_wanted(const struct delivery *d, const char *name)
{
	return names_one(&d->retry, name) || names_one(&d->to_write[ROAD_AWAITED], name);
}

/* All rows are placed: whatever else lies in a spool belongs to nobody. */
static void sweep(const struct delivery *d, int spool_fd)
{
	int fd = openat(spool_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (const struct dirent *de; (de = readdir(dir)) != NULL;)
		if (de->d_name[0] != '.' && !still_wanted(d, de->d_name))
			unlinkat(spool_fd, de->d_name, 0);
	closedir(dir);
}

int delivery_recover(struct delivery *d, struct err *e)
{
	struct recovery r = {.d = d, .c = database_conn(d->db), .e = e};

	TAILQ_INIT(&r.chunk);
	TAILQ_INIT(&r.unwritten);
	if (generation_is_old(d, &r.old, e) != 0 || recover_rows(&r) != 0 || recover_tombstones(&r) != 0)
		return -1;
	sweep(d, d->spool_fd);
	sweep(d, d->outqueue_spool_fd);
	if (r.dropped > 0)
		log_info("recovery.done", kv_u("messages", r.dropped), kv_u("placed", r.placed));
	return 0;
}
