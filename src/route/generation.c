/* Is the database older than the folders? A number in mailboxes/ and a fact in the database count together: at every
 * start, every hour, and at a clean stop. A copy from an earlier time is behind. */
#include "base/alloc.h"
#include "base/log.h"
#include "disk/file.h"
#include "route/delivery_internal.h"
#include "store/ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { GENERATION_MS = 60 * 60 * 1000, TEXT_BYTES = 32 };

static const char generation_file[] = ".ofmsrv-generation";
static const char generation_fact[] = "generation";

static int file_generation(const struct delivery *d, uint64_t *out, struct err *e)
{
	struct buf b;

	*out = 0;
	buf_init(&b, 64);
	int rc = file_read(maildir_root_fd(d->maildir), generation_file, &b, e);
	if (rc != 0 && e->code == ENOENT)
		rc = 0;
	else if (rc == 0 && !slice_to_u64(slice_trim(buf_slice(&b)), UINT64_MAX / 2, out))
		*out = 0;
	buf_free(&b);
	return rc;
}

static int fact_generation(struct db_conn *c, uint64_t *out, struct err *e)
{
	char *value = NULL;

	*out = 0;
	if (fact_get(c, generation_fact, &value, e) != 0)
		return -1;
	if (value != NULL && !slice_to_u64(slice_of(value), UINT64_MAX / 2, out))
		*out = 0;
	free(value);
	return 0;
}

int generation_is_old(struct delivery *d, bool *old, struct err *e)
{
	uint64_t in_file, in_database;

	if (file_generation(d, &in_file, e) != 0 || fact_generation(database_conn(d->db), &in_database, e) != 0)
		return -1;
	*old = in_database < in_file;
	d->generation = in_file > in_database ? in_file : in_database;
	return 0;
}

static void format(uint64_t generation, char out[static TEXT_BYTES])
{
	snprintf(out, TEXT_BYTES, "%llu", (unsigned long long)generation);
}

static int count_in_database(struct db_conn *c, uint64_t generation, struct err *e)
{
	char text[TEXT_BYTES];

	format(generation, text);
	return fact_set(c, generation_fact, text, e);
}

static int count_in_folder(struct delivery *d, uint64_t generation, struct err *e)
{
	char text[TEXT_BYTES];

	format(generation, text);
	return file_write_durable(maildir_root_fd(d->maildir), generation_file, slice_of(text), e);
}

/* The database first: a crash in between must not make it look old. */
int generation_next(struct delivery *d, struct err *e)
{
	struct db_conn *c = database_conn(d->db);

	if (c == NULL)
		return err_set(e, 0, "database: closed");
	d->generation++;
	return count_in_database(c, d->generation, e) == 0 ? count_in_folder(d, d->generation, e) : -1;
}

/* ---- every hour, while the program runs ---- */

static int apply(struct db_conn *c, void *arg, struct err *e)
{
	return count_in_database(c, ((struct delivery *)arg)->generation, e);
}

static void write_file(void *arg)
{
	struct delivery *d = arg;
	struct err e;

	if (count_in_folder(d, d->generation, &e) != 0)
		log_error("delivery.generation", kv_s("error", e.text));
}

static void after_file(void *arg)
{
	struct delivery *d = arg;

	loop_timer_set(d->generation_timer, GENERATION_MS);
}

static void on_counted(void *arg, enum db_outcome outcome, const struct err *e)
{
	struct delivery *d = arg;

	(void)e;
	if (outcome == DB_COMMITTED)
		workers_run(d->workers, write_file, after_file, d);
	else
		after_file(d);
}

static void on_hour(void *arg)
{
	struct delivery *d = arg;
	struct db_job job = {apply, NULL, on_counted, d, DB_LANE_SYSTEM, 64};

	d->generation++;
	database_submit(d->db, &job);
}

void generation_start(struct delivery *d)
{
	d->generation_timer = loop_timer_new(d->loop, on_hour, d);
	loop_timer_set(d->generation_timer, GENERATION_MS);
}
