/* Starts without the database, or with an old copy of it: what the folders alone can tell is known again. */
#include "config_text.h"
#include "fault_rig.h"
#include "route/rebuild.h"

static const char accounts[] =
    "[user anna]\npassword = x\n"
    "[user boris]\npassword = x\n"
    "[account one]\nhost = pop.one.example\nuser = u-one\npassword = x\ndeliver = anna\n"
    "[account two]\nhost = pop.two.example\nuser = u-two\npassword = x\ndeliver = anna\n"
    "[account also two]\nhost = pop.two.example\nuser = u-also\npassword = x\ndeliver = anna\n"
    "[account three (home)]\nhost = pop.three.example\nuser = u-three\npassword = x\n"
    "deliver = anna\n"
    "[account почта]\nhost = pop.four.example\nuser = u-four\npassword = x\ndeliver = anna\n";

static int lose_database(struct world *w)
{
	char *rm = xasprintf("rm %s/state/ofmsrv.db*", w->dir);
	int status = system(rm);

	free(rm);
	return status;
}

/* As the program does at each start. */
static void make_mailboxes(struct world *w, const struct config *c)
{
	for (size_t i = 0; i < c->nusers; i++)
		maildir_create(w->maildir, c->users[i]->name, NULL);
}

/* A start up to where threads begin. */
static int begin(struct world *w, const struct config *c, bool lost, struct rebuilt *out, struct err *e)
{
	open_parts(w);
	make_mailboxes(w, c);
	assert_int_equal(delivery_recover(w->delivery, e), 0);
	int rc = delivery_rebuild(w->delivery, c, lost, out, e);
	if (rc != 0)
		print_error("rebuild: %s\n", e->text);
	return rc;
}

static struct ledger_records known(struct world *w, const char *host, const char *user)
{
	const struct ledger_key key = {host, user};
	struct ledger_records r;

	assert_int_equal(ledger_load(database_conn(w->db), &key, &r, NULL), 0);
	return r;
}

#define POP3(host, label, uidl) "Received: from " host " by gate with POP3 (account " label ", uidl " uidl "); Mon\r\n"

static void what_was_collected_is_known_again(void **state)
{
	static const struct {
		const char *first, *host, *user, *uidl; /* user NULL: nothing is learnt from it */
	} table[] = {
	    {POP3("pop.one.example", "one", "u1"), "pop.one.example", "u-one", "u1"},
	    {POP3("POP.One.Example", "one", "u2"), "pop.one.example", "u-one", "u2"},
	    {POP3("pop.one.example", "renamed since", "u3"), "pop.one.example", "u-one", "u3"},
	    {POP3("pop.one.example", "two", "u4"), "pop.one.example", "u-one", "u4"}, /* two lives elsewhere */
	    {POP3("pop.two.example", "also two", "u5"), "pop.two.example", "u-also", "u5"},
	    {POP3("pop.two.example", "renamed since", "u6"), NULL, NULL, NULL}, /* whose of the two? */
	    {POP3("pop.gone.example", "one", "u7"), NULL, NULL, NULL},
	    {POP3("pop.three.example", "three \\(home\\)", "a\\)b\\\\"), "pop.three.example", "u-three", "a)b\\"},
	    {POP3("pop.four.example", "=?utf-8?B?0L/QvtGH0YLQsA==?=", "u8"), "pop.four.example", "u-four", "u8"},
	    {POP3("pop.one.example", "one", ""), NULL, NULL, NULL},
	    {"Received: from pc by gate with SMTP; Mon\r\n", NULL, NULL, NULL},
	    {"Received: from pop.one.example\r\n", NULL, NULL, NULL},
	    {"Received: from pop.one.example by gate with POP3 (account one, uidl u9\r\n", NULL, NULL, NULL},
	    {"Subject: x\r\n", NULL, NULL, NULL},
	};
	struct world *w = *state;
	struct config *c = config_from_text(accounts);
	struct rebuilt out;
	struct err e = {0, ""};
	size_t want = 0;

	assert_non_null(c);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		char *text = xasprintf("%sA: b\r\n\r\n", table[i].first);
		accept_to(w, text, NULL, i % 2 == 0 ? "anna" : "boris", NULL);
		want += table[i].user != NULL;
		free(text);
	}
	settle(w, NULL);
	close_world(w);
	assert_int_equal(lose_database(w), 0);
	assert_int_equal(begin(w, c, true, &out, &e), 0);
	assert_true(out.database_lost);
	assert_int_equal(out.known, want);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (table[i].user == NULL)
			continue;
		struct ledger_records r = known(w, table[i].host, table[i].user);
		const struct ledger_record *rec = ledger_find(&r, slice_of(table[i].uidl));
		assert_non_null(rec);
		assert_int_equal(rec->size, 8); /* as the provider lists it: without our own line */
		assert_false(rec->closed || rec->skipped);
		assert_true(rec->stored_at > 1700000000);
		ledger_records_free(&r);
	}
	start_world(w);
	config_unref(&c);
}

/* What we put in front is not counted: a server that lists another size has other mail. */
static void what_stands_in_front_is_not_counted(void **state)
{
	static const struct {
		const char *text;
		uint64_t size;
	} table[] = {
	    {"\r\nALARM zone 3\r\n", 14},
	    {"\r\n ALARM zone 3\r\n", 15},
	    {"\r\nA: b\r\n\r\nx\r\n", 13}, /* this empty line is the provider's */
	    {"X-Ofmsrv-Unsorted: no rule\r\nA: b\r\n\r\n", 8},
	    {"X-Ofmsrv-Unsorted: no rule\r\n\r\nALARM\r\n", 7},
	    {"A: b\r\n\r\nbody\r\n", 14},
	};
	struct world *w = *state;
	struct config *c = config_from_text(accounts);
	struct rebuilt out;
	struct err e = {0, ""};
	char uidl[20];

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		char *text =
		    xasprintf("Received: from pop.one.example by gate with POP3 (account one, uidl u%zu); Mon\r\n%s", i,
		              table[i].text);
		accept_to(w, text, NULL, "anna", NULL);
		free(text);
	}
	settle(w, NULL);
	close_world(w);
	assert_int_equal(lose_database(w), 0);
	assert_int_equal(begin(w, c, true, &out, &e), 0);
	struct ledger_records r = known(w, "pop.one.example", "u-one");
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		snprintf(uidl, sizeof uidl, "u%zu", i);
		const struct ledger_record *rec = ledger_find(&r, slice_of(uidl));
		assert_non_null(rec);
		if (rec->size != table[i].size)
			fail_msg("%zu: %u octets", i, (unsigned)rec->size);
	}
	ledger_records_free(&r);
	start_world(w);
	config_unref(&c);
}

static struct outqueue_message *seen;

static void on_message(void *arg, struct outqueue_message *m)
{
	(void)arg;
	assert_null(seen);
	seen = m;
}

static void put(struct world *w, const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", w->config.outqueue, name);
	FILE *f = fopen(path, "w");

	assert_true(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
	free(path);
}

/* Files without rows come back held, with their sender and recipients; what is no message is let alone. */
static void the_outqueue_comes_back_held(void **state)
{
	struct world *w = *state;
	struct config *c = config_from_text(accounts);
	struct rebuilt out;
	struct err e = {0, ""};
	char *path = xasprintf("%s/folder.eml", w->config.outqueue);

	delivery_on_queued(w->delivery, on_queued, w);
	queue_one(w);
	close_world(w);
	assert_int_equal(lose_database(w), 0);
	put(w, "no-envelope.eml", "A: b\r\n\r\n");
	put(w, "bad-envelope.eml", "A: b\r\n\r\n");
	put(w, "bad-envelope.env", "sender\n");
	put(w, ".hidden.eml", "A: b\r\n\r\n");
	put(w, "note.txt", "by hand\n");
	put(w, ".eml", "");
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(begin(w, c, true, &out, &e), 0);
	assert_int_equal(out.queued, 1);
	assert_int_equal(out.unreadable, 2);
	assert_int_equal(outqueue_load(database_conn(w->db), NULL, on_message, NULL, &e), 0);
	assert_non_null(seen);
	assert_string_equal(seen->id, w->queued);
	assert_string_equal(seen->entry.sender, "a@firm.example");
	assert_string_equal(seen->entry.local_sender, "anna");
	assert_int_equal(seen->size, 11);
	assert_true(seen->held);
	assert_int_equal(seen->nrecipients, 1);
	assert_string_equal(seen->recipients[0].address, "x@far.example");
	outqueue_message_free(&seen);
	start_world(w);
	close_world(w);
	/* The next start knows them. */
	assert_int_equal(begin(w, c, false, &out, &e), 0);
	assert_false(out.database_lost);
	assert_int_equal(out.queued, 0);
	start_world(w);
	config_unref(&c);
	free(path);
}

/* A copy of the database from before a clean stop is older than the folders. */
static void an_old_copy_is_as_good_as_none(void **state)
{
	struct world *w = *state;
	struct config *c = config_from_text(accounts);
	struct rebuilt out;
	struct err e = {0, ""};
	char *keep = xasprintf("cp %s/state/ofmsrv.db %s/copy", w->dir, w->dir);
	char *restore = xasprintf("mv %s/copy %s/state/ofmsrv.db", w->dir, w->dir);

	for (int old = 0; old < 2; old++) {
		close_world(w);
		if (old)
			assert_int_equal(system(restore), 0);
		assert_int_equal(begin(w, c, false, &out, &e), 0);
		assert_int_equal(out.database_lost, old);
		if (!old) {
			close_parts(w);
			assert_int_equal(system(keep), 0);
			assert_int_equal(begin(w, c, false, &out, &e), 0);
		}
		start_world(w);
	}
	free(keep);
	free(restore);
	config_unref(&c);
}

/* What stops it leaves the database as it was, and the next start does all of it. */
static void a_rebuilding_that_fails_is_done_again(void **state)
{
	static const char *const triggers[] = {"INSERT ON queue", "UPDATE ON queue", "INSERT ON ledger",
	                                       "INSERT ON fact"};
	struct world *w = *state;
	struct config *c = config_from_text(accounts);
	char *generation = xasprintf("%s/.ofmsrv-generation", w->config.mailboxes);
	struct rebuilt out;
	struct err e = {0, ""};

	delivery_on_queued(w->delivery, on_queued, w);
	queue_one(w);
	accept_to(w, POP3("pop.one.example", "one", "u1") "\r\n", NULL, "anna", NULL);
	settle(w, NULL);
	file_in_place_of(w, "boris"); /* tells nothing, and hinders nothing */
	for (size_t i = 0; i < sizeof triggers / sizeof triggers[0]; i++) {
		char *text = xasprintf("CREATE TRIGGER no BEFORE %s BEGIN SELECT RAISE(ABORT, 'no'); END", triggers[i]);
		close_world(w);
		assert_int_equal(lose_database(w), 0);
		unlink(generation);
		open_parts(w);
		make_mailboxes(w, c);
		assert_int_equal(sql(w, text), 0);
		assert_int_equal(delivery_rebuild(w->delivery, c, true, &out, &e), -1);
		assert_non_null(strstr(e.text, "no"));
		assert_int_equal(sql(w, "DROP TRIGGER no"), 0);
		assert_int_equal(access(generation, F_OK), -1);
		assert_int_equal(delivery_rebuild(w->delivery, c, true, &out, &e), 0);
		assert_int_equal(out.queued, i == 3 ? 0 : 1); /* only the count had failed there */
		assert_int_equal(out.known, 1);
		start_world(w);
		free(text);
	}
	close_world(w);
	unlink(generation);
	assert_int_equal(mkdir(generation, 0700), 0);
	open_parts(w);
	assert_int_equal(delivery_rebuild(w->delivery, c, false, &out, &e), -1);
	assert_int_equal(rmdir(generation), 0);
	assert_int_equal(delivery_rebuild(w->delivery, c, false, &out, &e), 0);
	start_world(w);
	free(generation);
	config_unref(&c);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup_faults, teardown_faults)
	const struct CMUnitTest tests[] = {
	    T(what_was_collected_is_known_again),     T(what_stands_in_front_is_not_counted),
	    T(the_outqueue_comes_back_held),          T(an_old_copy_is_as_good_as_none),
	    T(a_rebuilding_that_fails_is_done_again),
	};

	return cmocka_run_group_tests_name("rebuilding", tests, NULL, NULL);
}
