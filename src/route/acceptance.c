/* Gathered messages become committed ones: one job of the database's batch carries all that one message causes. */
#include "base/alloc.h"
#include "base/log.h"
#include "route/accept_bytes.h"
#include "route/delivery_internal.h"
#include "route/gather.h"
#include "route/noted.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROW_OVERHEAD = 200 };

struct extra {
	int (*apply)(struct db_conn *c, void *arg, struct err *e);
	int (*undo)(struct db_conn *c, void *arg, struct err *e);
	void *arg;
	void (*free_arg)(void *arg);
};

struct acceptance {
	TAILQ_ENTRY(acceptance) link;
	struct delivery *d;
	unsigned lane;
	struct accept_message *messages;
	size_t nmessages;
	struct extra *extras;
	size_t nextras;
	uint64_t bytes;
	size_t links;
	int error; /* errno why its spool files could not be made; 0 = they are */
	struct journal_note *note;
	void (*done)(void *arg, enum acceptance_result r);
	void *arg;
};

struct acceptance *acceptance_new(struct delivery *d, unsigned lane)
{
	struct acceptance *a = xcalloc(1, sizeof *a);

	a->d = d;
	a->lane = lane;
	return a;
}

static void entry_free(struct outqueue_entry **en)
{
	if (*en != NULL)
		outqueue_entry_free(*en);
	free(*en);
	*en = NULL;
}

void acceptance_free(struct acceptance **ap)
{
	struct acceptance *a = *ap;

	if (a == NULL)
		return;
	*ap = NULL;
	for (size_t i = 0; i < a->nmessages; i++) {
		struct accept_message *m = &a->messages[i];
		buf_free(&m->prefix);
		strset_free(&m->seen);
		strlist_free(&m->users);
		entry_free(&m->entry);
		pending_free(&m->pending);
	}
	free(a->messages);
	for (size_t i = 0; i < a->nextras; i++)
		if (a->extras[i].free_arg != NULL)
			a->extras[i].free_arg(a->extras[i].arg);
	free(a->extras);
	journal_note_free(&a->note);
	free(a);
}

size_t acceptance_message(struct acceptance *a, struct slice prefix, struct gather *source, uint64_t skip,
                          bool normalize)
{
	a->messages = xreallocarray(a->messages, a->nmessages + 1, sizeof *a->messages);
	struct accept_message *m = &a->messages[a->nmessages];
	*m = (struct accept_message){.source = source, .skip = skip, .normalize = normalize};
	buf_init(&m->prefix, prefix.n);
	buf_add_slice(&m->prefix, prefix);
	return a->nmessages++;
}

void acceptance_to_mailbox(struct acceptance *a, size_t message, const char *user)
{
	struct accept_message *m = &a->messages[message];

	if (strset_has(&m->seen, user))
		return;
	strlist_add(&m->users, user);
	strset_add(&m->seen, m->users.v[m->users.n - 1]);
}

void acceptance_to_outqueue(struct acceptance *a, size_t message, const struct outqueue_entry *en)
{
	struct outqueue_entry *copy = xcalloc(1, sizeof *copy);

	copy->sender = xstrdup(en->sender);
	copy->local_sender = xstrdup(en->local_sender);
	copy->eight_bit = en->eight_bit;
	copy->smtputf8 = en->smtputf8;
	strlist_copy(&copy->recipients, &en->recipients);
	entry_free(&a->messages[message].entry);
	a->messages[message].entry = copy;
}

void acceptance_hide_blind(struct acceptance *a, size_t message, uint64_t most)
{
	struct accept_message *m = &a->messages[message];

	m->blind = most == UINT64_MAX || most > m->skip ? most : 0;
}

void acceptance_is_copy(struct acceptance *a, size_t message)
{
	a->messages[message].copy = true;
}

struct delivery *acceptance_delivery(const struct acceptance *a)
{
	return a->d;
}

void acceptance_note(struct acceptance *a, struct journal_note **n)
{
	journal_note_free(&a->note);
	a->note = *n;
	*n = NULL;
}

void acceptance_extra(struct acceptance *a, int (*apply)(struct db_conn *, void *, struct err *),
                      int (*undo)(struct db_conn *, void *, struct err *), void *arg, void (*free_arg)(void *))
{
	a->extras = xreallocarray(a->extras, a->nextras + 1, sizeof *a->extras);
	a->extras[a->nextras++] = (struct extra){apply, undo, arg, free_arg};
}

/* ---- the commit ---- */

/* "m USER\n" for each mailbox, or "q\n". */
static void format_dests(const struct accept_message *m, struct buf *out)
{
	buf_init(out, SIZE_MAX / 4);
	if (m->entry != NULL)
		buf_add_str(out, "q\n");
	for (size_t i = 0; m->entry == NULL && i < m->users.n; i++)
		buf_printf(out, "m %s\n", m->users.v[i]);
}

static int insert_message(struct db_conn *c, struct accept_message *m, struct err *e)
{
	struct pending *p = m->pending;
	struct buf dests;
	sqlite3_stmt *st =
	    db_stmt(c, "INSERT INTO message(name, size, spilled, dests, bytes) VALUES(?, ?, ?, ?, ?)", e);

	if (st == NULL)
		return -1;
	format_dests(m, &dests);
	sqlite3_bind_text(st, 1, p->name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)p->size);
	sqlite3_bind_int(st, 3, p->spilled);
	sqlite3_bind_text(st, 4, dests.p, (int)dests.n, SQLITE_STATIC);
	if (!p->spilled)
		sqlite3_bind_blob64(st, 5, p->bytes, p->size, SQLITE_STATIC);
	int rc = db_step(c, st, e);
	sqlite3_clear_bindings(st);
	buf_free(&dests);
	if (rc != 0)
		return -1;
	p->row = sqlite3_last_insert_rowid(db_handle(c));
	return m->entry != NULL ? outqueue_insert(c, p->name, m->entry, p->size, e) : 0;
}

static int apply(struct db_conn *c, void *arg, struct err *e)
{
	struct acceptance *a = arg;

	for (size_t i = 0; i < a->nmessages; i++)
		if (insert_message(c, &a->messages[i], e) != 0)
			return -1;
	for (size_t i = 0; i < a->nextras; i++)
		if (a->extras[i].apply(c, a->extras[i].arg, e) != 0)
			return -1;
	return 0;
}

static int undo(struct db_conn *c, void *arg, struct err *e)
{
	struct acceptance *a = arg;

	for (size_t i = 0; i < a->nmessages; i++) {
		struct accept_message *m = &a->messages[i];
		sqlite3_stmt *st = db_stmt(c, "DELETE FROM message WHERE name = ?", e);
		if (st == NULL)
			return -1;
		sqlite3_bind_text(st, 1, m->pending->name, -1, SQLITE_STATIC);
		if (db_step(c, st, e) != 0 || (m->entry != NULL && outqueue_erase(c, m->pending->name, e) != 0))
			return -1;
	}
	for (size_t i = 0; i < a->nextras; i++)
		if (a->extras[i].undo != NULL && a->extras[i].undo(c, a->extras[i].arg, e) != 0)
			return -1;
	return 0;
}

static void answer(struct acceptance *a, enum acceptance_result r)
{
	struct delivery *d = a->d;

	d->accepting--;
	a->done(a->arg, r);
	acceptance_free(&a);
	acceptance_resume(d);
}

static void forget_spooled(struct acceptance *a)
{
	for (size_t i = 0; i < a->nmessages; i++) {
		struct accept_message *m = &a->messages[i];
		if (m->pending != NULL && m->pending->spilled)
			unlinkat(m->entry != NULL ? a->d->outqueue_spool_fd : a->d->spool_fd, m->pending->name, 0);
	}
}

static enum road road_of(const struct acceptance *a)
{
	return a->lane < DB_LANE_ACCOUNT ? ROAD_AWAITED : ROAD_COLLECTED;
}

static void release_memory(struct acceptance *a)
{
	a->d->unplaced_bytes[road_of(a)] -= a->bytes;
	a->d->unplaced_count -= a->nmessages;
	a->d->unlinked_count -= a->links;
}

static void note_places(struct journal_note *n, const struct accept_message *m)
{
	if (m->entry != NULL) {
		noted_queued(n, m->pending->name, &m->entry->recipients);
		return;
	}
	for (size_t i = 0; i < m->users.n; i++)
		strlist_add(m->copy ? &n->copies : &n->boxes, m->users.v[i]);
}

static void note(struct acceptance *a)
{
	const struct accept_message *first = a->messages;
	struct journal *j = a->d->journal;

	if (j == NULL || a->nmessages == 0)
		return;
	if (a->note == NULL && first->source == NULL)
		a->note = noted_own(buf_slice(&first->prefix));
	if (a->note == NULL)
		return;
	if (a->note->text[JOURNAL_ID] == NULL)
		journal_note_set(a->note, JOURNAL_ID, first->pending->name);
	for (size_t i = 0; i < a->nmessages; i++)
		note_places(a->note, &a->messages[i]);
	journal_add(j, &a->note);
}

static void committed(struct acceptance *a)
{
	note(a);
	for (size_t i = 0; i < a->nmessages; i++) {
		struct pending *p = a->messages[i].pending;
		a->messages[i].pending = NULL;
		placing_start(a->d, p);
	}
}

static void on_outcome(void *arg, enum db_outcome outcome, const struct err *e)
{
	struct acceptance *a = arg;

	/* From here placing_start counts what is still unplaced. */
	release_memory(a);
	if (outcome == DB_COMMITTED) {
		committed(a);
		health_accepts(a->d);
		answer(a, ACCEPTED);
		return;
	}
	/* Code 0: a part of the acceptance itself refused. */
	if (e != NULL && e->code != 0)
		health_refuses(a->d, "database", e->text);
	log_info("delivery.commit", kv_s("error", e != NULL ? e->text : ""), kv_i("unknown", outcome == DB_UNKNOWN));
	if (outcome == DB_FAILED)
		forget_spooled(a);
	answer(a, outcome == DB_FAILED ? ACCEPT_NO_SPACE : ACCEPT_UNKNOWN);
}

static void submit(struct acceptance *a)
{
	struct db_job job = {apply, undo, on_outcome, a, a->lane, (size_t)a->bytes + a->nmessages * ROW_OVERHEAD};

	database_submit(a->d->db, &job);
}

static void make_pending(struct delivery *d, struct accept_message *m, enum road road)
{
	struct pending *p = xcalloc(1, sizeof *p);

	random_name(p->name);
	m->pending = p;
	p->road = road;
	p->spilled = !accept_fits_memory(m);
	if (m->entry != NULL) {
		p->env = outqueue_env_format(m->entry);
		return;
	}
	p->ndests = m->users.n;
	p->dests = xcalloc(p->ndests, sizeof *p->dests);
	for (size_t i = 0; i < p->ndests; i++)
		p->dests[i] = (struct dest){.box = box_get(d, m->users.v[i]), .message = p};
}

static void spool_all(void *arg)
{
	struct acceptance *a = arg;

	for (size_t i = 0; i < a->nmessages && a->error == 0; i++) {
		struct accept_message *m = &a->messages[i];
		if (m->pending->spilled && (a->error = accept_build_spool(a->d, m)) != 0)
			m->pending->spilled = false; /* nothing to forget */
	}
}

/* A disk without room is not broken: health looks at it before each message. */
static void refuse(void *arg)
{
	struct acceptance *a = arg;
	bool no_room = a->error == 0 || a->error == ENOSPC || a->error == EDQUOT;

	if (!no_room)
		health_refuses(a->d, "writing mail", strerror(a->error));
	answer(a, no_room ? ACCEPT_NO_SPACE : ACCEPT_DISK_ERROR);
}

static void after_spool(void *arg)
{
	struct acceptance *a = arg;

	if (a->error == 0) {
		submit(a);
		return;
	}
	forget_spooled(a);
	release_memory(a);
	refuse(a);
}

static void begin(struct acceptance *a)
{
	bool spools = false;

	a->bytes = 0;
	a->links = 0;
	for (size_t i = 0; i < a->nmessages; i++) {
		struct accept_message *m = &a->messages[i];
		make_pending(a->d, m, road_of(a));
		a->links += placing_links(m->pending);
		spools = spools || m->pending->spilled;
		if (!m->pending->spilled) {
			accept_build(m, a->nmessages == 1);
			a->bytes += m->pending->size;
		}
	}
	a->d->unplaced_bytes[road_of(a)] += a->bytes;
	a->d->unplaced_count += a->nmessages;
	a->d->unlinked_count += a->links;
	if (spools)
		workers_run(a->d->workers, spool_all, after_spool, a);
	else
		submit(a);
}

/* errno why a source is not whole; 0 = all are. */
static int sources_error(const struct acceptance *a)
{
	for (size_t i = 0; i < a->nmessages; i++)
		if (a->messages[i].source != NULL && gather_failed(a->messages[i].source))
			return gather_error(a->messages[i].source);
	return 0;
}

static uint64_t total_size(const struct acceptance *a)
{
	uint64_t all = 0;

	for (size_t i = 0; i < a->nmessages; i++)
		all += accept_rough_size(&a->messages[i]);
	return all;
}

static uint64_t total_inodes(const struct acceptance *a)
{
	uint64_t all = a->nmessages;

	for (size_t i = 0; i < a->nmessages; i++)
		all += a->messages[i].entry != NULL ? 3 : a->messages[i].users.n;
	return all;
}

/* Neither road can take the other's last quarter. */
static bool has_memory(const struct delivery *d, enum road r)
{
	return d->unplaced_bytes[r] <= UNPLACED_ONE && delivery_unplaced(d) <= UNPLACED_MAX;
}

void acceptance_commit(struct acceptance **ap, void (*done)(void *arg, enum acceptance_result r), void *arg)
{
	struct acceptance *a = *ap;
	struct delivery *d = a->d;
	enum road r = road_of(a);

	*ap = NULL;
	a->done = done;
	a->arg = arg;
	d->accepting++;
	a->error = sources_error(a);
	if (a->error != 0 || (a->nmessages > 0 && !delivery_fits(d, total_size(a), total_inodes(a))))
		loop_post(d->loop, refuse, a);
	else if (!has_memory(d, r) || !TAILQ_EMPTY(&d->waiting[r]))
		TAILQ_INSERT_TAIL(&d->waiting[r], a, link);
	else
		begin(a);
}

void acceptance_resume(struct delivery *d)
{
	for (enum road r = 0; r < ROADS; r++) {
		while (!TAILQ_EMPTY(&d->waiting[r]) && has_memory(d, r)) {
			struct acceptance *a = TAILQ_FIRST(&d->waiting[r]);
			TAILQ_REMOVE(&d->waiting[r], a, link);
			begin(a);
		}
	}
}
