/* The inside of send/: what its files share. Everything on the loop's thread.
 *
 * One message's attempt:  choose (attempt.c) → lane.c → relay_conn.c, transactions → attempt.c, outcomes → record.c or
 * bounce.c, commit → waiting again, or grave.c, the files and rows go.
 *
 * What is decided stands in the targets (dirty, failed) until a commit takes it along: a record (record.c) is a
 * snapshot of some of them, and its end acts on that snapshot alone. One commit of a message is under way at a time.
 * A refused recipient becomes BOUNCED in no other commit than the one that stores its bounce. */
#ifndef OFM_SEND_SENDER_INTERNAL_H
#define OFM_SEND_SENDER_INTERNAL_H

#include "net/outside.h"
#include "queue/retry.h"
#include "send/mend.h"
#include "send/pace.h"
#include "send/sender.h"
#include "send/smtp_client.h"

#include <sys/queue.h>

enum {
	SENDER_CONNECT_MS = 60 * 1000,
	SENDER_REPLY_MS = 300 * 1000, /* silence where a reply is awaited (RFC 5321 4.5.3.2) */
	SENDER_FINAL_MS = 600 * 1000, /* … the one to a whole message (4.5.3.2.6) */
	SENDER_STALL_MS = 900 * 1000, /* without a finished transaction or chunk, whatever trickles */
	SENDER_IDLE_MS = 3 * 1000,    /* a connection without work stays open so long */
	SENDER_LINGER_MS = 20 * 1000, /* … where work is there and the relay's pace has it wait no longer than that */
	SENDER_PICK_AHEAD_MS = 1000,  /* a message is taken in hand at most so long before it may go */
	SENDER_QUIT_MS = 5 * 1000,    /* for the reply to QUIT */
	SENDER_MEND_MS = 3 * 1000,    /* between tries to commit what could not be committed */
	SENDER_RECENT_MS = 60 * 1000, /* a relay that took mail so lately and turns us away has a limit */
	SENDER_RELAY_PAUSE_MS = 30 * 1000, /* new mail tries a failing relay no more often */
	SENDER_HIGH_WATER = 256 * 1024,
	SENDER_CAREFUL = 10, /* after a break, so many messages go one at a time, or as many as the next session has */
	SENDER_DISMISSALS = 5,         /* a message at which the relay says 421 so often waits alone */
	SENDER_BREAKS = 2,             /* … or at which the connection breaks */
	SENDER_BOUNCES_A_DAY = 1000,   /* to one reader */
	HELD_BACK_SOON_MS = 60 * 1000, /* from the first bounce that was held back to its list */
	HELD_BACK_LEFT_MS = 2 * 1000   /* the same for what was left at the start */
};

struct lane;
struct relay_conn;
struct run;

struct target {          /* what an attempt knows of a recipient beside its row */
	int64_t next_ms; /* monotonic */
	bool wanted;     /* in this attempt, and not settled yet */
	bool sending;    /* in the transaction under way */
	bool deferred;   /* this attempt ended in a refusal for now */
	bool failed;     /* refused for good or expired; becomes BOUNCED with its bounce's commit */
	bool reporting;  /* that commit is under way */
	bool expired;
	bool by_relay; /* waits for the relay as a whole: due as soon as that works again */
	bool drop;     /* asked for while sending */
	bool dirty;    /* the row is behind */
	int code;
	char status[SMTP_STATUS_MAX];
};

enum message_state {
	MESSAGE_WAITING, /* nobody has it */
	MESSAGE_TRYING, /* an attempt: in a lane's work list or a connection's hands, or its file is being looked for */
	MESSAGE_CLOSING /* the attempt has ended; what it decided is being committed, bounce included */
};

struct message {
	TAILQ_ENTRY(message) all;  /* by time of queueing */
	TAILQ_ENTRY(message) work; /* of a lane */
	struct message *same_hash;
	struct sender *s;
	struct outqueue_message *q;
	struct target *t;   /* as many as q->recipients */
	int64_t counted_ms; /* monotonic moment that q->waited belongs to */
	enum message_state state;
	bool in_work;         /* of its lane */
	bool unplaced;        /* its files do not stand in outqueue/ yet */
	bool eager;           /* asked for while closing: try again at once */
	bool dirty;           /* the message's own row is behind */
	bool any_failed;      /* somebody in this attempt was not delivered to; the newest is … */
	size_t failed_at;     /* … this recipient */
	bool committing;      /* a commit, or what has to be read for one, is under way: it must not go */
	bool mend;            /* a commit failed: try again by the timer */
	bool warning;         /* this attempt's end sends the delay warning */
	struct lane *unsaved; /* the relay has taken it and no commit says so yet: counted there; NULL = not */
	struct lane *lane;    /* of the newest attempt; lanes live as long as the sender */
	char *relay;          /* host of the newest try, NULL = none */
	char sid[12];         /* of that try's connection */
	size_t *tx;           /* recipients of the transaction under way */
	bool by_data;         /* the relay refused its BDAT: DATA is tried */
	unsigned dismissals;  /* connections of this attempt that ended with a 421 at this message */
	bool unknown;         /* … or whose reply was lost with a connection, in this attempt */
	uint64_t barred_at;   /* MAIL was refused for want of a log-in when the lane had taken so many; 0 = not */
	unsigned slowed;      /* times that the relay's rate limit met it while it took others … */
	uint64_t slowed_at;   /* … of which it had taken so many the last time; 0 = not yet */
	struct run **runs;    /* who waits for this attempt */
	size_t nruns;
};

TAILQ_HEAD(message_list, message);
TAILQ_HEAD(lane_list, lane);
TAILQ_HEAD(relay_conn_list, relay_conn);
TAILQ_HEAD(run_list, run);

enum { SENDER_HASH = 65536 }; /* chains stay short with 100,000; pages that nobody uses cost nothing */

struct sender {
	struct sender_deps d;
	struct config *config;
	struct message_list messages;
	struct message *hash[SENDER_HASH];
	size_t n;
	struct lane_list lanes;
	struct run_list runs;
	struct strlist arrivals; /* ids to be read from the database */
	struct strlist stuck;    /* the same, of those whose files do not stand in outqueue/ */
	bool loading;
	int64_t next_due; /* cached; -1 = unknown */
	/* grave.c */
	struct strlist dead;
	bool burying;
	struct bounce_count **bounces; /* of the last 24 hours, a reader each; they stay where they are */
	size_t nbounces;
	/* held_back.c */
	struct loop_timer *list_timer;
	bool list_waits, listing, list_again; /* the timer is set; a list is under way; another has to follow */
	/* missing.c */
	bool folder_lost; /* outqueue is not the folder it was, and postmaster knows */
	struct loop_timer *mend_timer;
	bool mending;
	struct loop_timer *soon_timer; /* run.c */
	/* stopping */
	bool stopping;
	struct loop_timer *stop_timer;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* ---- messages.c: the table ---- */

/* Takes q. NULL where the id is known already (q is freed). */
struct message *message_add(struct sender *s, struct outqueue_message *q);
struct message *message_find(const struct sender *s, const char *id);
void message_remove(struct message **m);
bool message_waits(const struct message *m); /* a recipient is not final */
/* Its age in seconds, counted up to now and stored. */
int64_t message_age(struct message *m);
char *message_path(const struct sender *s, const char *id, const char *suffix); /* the caller frees */

/* ---- attempt.c: one try of one message ---- */

/* Whether attempt_start would find anybody. */
bool attempt_due(const struct message *m, bool all);
/* Chooses the recipients that are due (all: every waiting one) and gives it to its lane; false where there are none. */
bool attempt_start(struct message *m, bool all);
/* The transaction that m was in has ended; t is freed. blame: the connection was lost at this one. */
void attempt_transaction(struct message *m, struct smtp_transaction *t, bool blame);
/* Picks the next recipients, at most SMTP_CLIENT_RECIPIENTS; NULL where none is left. */
struct smtp_transaction *attempt_next(struct message *m);
/* Ends the attempt for whoever is still wanted. */
void attempt_relay_failed(struct message *m, const char *why, int64_t next_ms);
/* Put off without having been tried; why "" leaves the last reply. */
void attempt_postpone(struct message *m, const char *why, int64_t next_ms);
void attempt_gone(struct message *m);                  /* the file was removed by hand: dropped */
void attempt_unreadable(struct message *m, int error); /* the file; tried again later */
/* The attempt ends without an outcome for whoever is still wanted. */
void attempt_idle(struct message *m);
/* At the stop: the same, and a failure for those who wait for it. */
void attempt_abandon(struct message *m);
/* Whether somebody is still to be sent to, or being sent to, in this attempt. */
bool attempt_wants(const struct message *m);
/* Ends the attempt of a message that is not on the wire yet; false where it is, or where there is none. */
bool attempt_withdraw(struct message *m);
/* Recipient i, which is in no transaction and no commit, is dropped. */
void attempt_drop(struct message *m, size_t i);
/* Commits what is due, bounces when the attempt is over, and lets a message rest or go when nothing is. May free m. */
void attempt_settle(struct message *m);
/* A commit has ended well, and record_done was called. May free m. */
void attempt_committed(struct message *m);

/* ---- record.c: states on their way into the database ---- */

struct record;
bool record_is_due(const struct message *m); /* rows are behind */
bool record_tells(const struct message *m);  /* somebody is to be bounced or warned about */
/* A snapshot of all dirty targets and the age. tells: with the failed ones, as many as a report lists, as BOUNCED, or
 * the warning; they are `reporting` until the end. */
struct record *record_new(struct message *m, bool tells);
void record_hold_back(struct record *rec, const char *reader); /* no bounce: postmaster's list has them */
void record_free(void *record);
/* As acceptance_extra. Refuses, without a code, where the sender was told in an earlier commit that was thought lost.
 */
int record_apply(struct db_conn *c, void *record, struct err *e);
int record_undo(struct db_conn *c, void *record, struct err *e);
bool record_told(const struct record *rec);                      /* that was so: as good as committed */
void record_done(struct message *m, const struct record *rec);   /* it is committed */
void record_failed(struct message *m, const struct record *rec); /* it is not: tried again by the timer */
/* Commits m's dirty targets, or takes rec and commits it; then attempt_committed. */
void record_commit(struct message *m);
void record_submit(struct record *rec);
void sender_mend_later(struct sender *s);

/* For the journal: what became of recipient i. */
void record_note(const struct message *m, enum journal_kind kind, size_t i);

/* ---- bounce.c ---- */

/* Writes the bounce or warning and commits it with m's states, then attempt_committed. */
void bounce_send(struct message *m);
void bounce_forget(struct sender *s); /* frees what was counted */

/* ---- held_back.c: what the cap on bounces has held back ---- */

/* A list goes to postmaster in so many ms, if none is on its way sooner. */
void held_back_tell(struct sender *s, int64_t ms);
/* What was left at the last stop. Before the loop runs. */
int held_back_load(struct sender *s, struct db_conn *c, struct err *e);

/* ---- missing.c: a queue file that cannot be opened ---- */

/* Looks at the folder, on a worker, and then ends m's attempt: dropped, put off, or unreadable. */
void missing_file(struct message *m, int error);
void missing_found(struct sender *s); /* a file was opened */
int missing_load(struct sender *s, struct db_conn *c, struct err *e);

/* ---- grave.c ---- */

/* All is final and committed: the files go, then the rows. */
void grave_dig(struct sender *s, const char *id);
void grave_work(struct sender *s);

/* ---- lane.c: one relay ---- */

struct lane {
	TAILQ_ENTRY(lane) entry;
	struct sender *s;
	char *label;
	struct message_list work;
	size_t nwork;
	struct relay_conn_list conns;
	struct relay_conn_list gone; /* ended, and freed from the loop */
	size_t nconns;               /* that take work: not quitting */
	size_t unsaved;              /* messages that the relay has taken and no commit says so yet */
	size_t cap;                  /* connections that the relay was seen to take at once; 0 = not known */
	unsigned failures, barren;
	int64_t failed_ms, next_ms;
	struct pace pace;
	struct loop_timer *pace_timer; /* the next may begin */
	uint64_t taken;                /* messages that the relay took, counted from 1 */
	int64_t taken_ms;              /* when it last did; 0 = never */
	char *limit_reply;             /* the newest reply about its limits, NULL = none */
	char *limit_sender;            /* whose message met them, NULL = none */
	bool careful;                  /* one transaction at a time, until a session went well */
	unsigned breaks;               /* connections in a row that were lost early with several under way */
	size_t dismissed_after;        /* messages in the newest connection that ended too early */
	bool chunking_works;           /* BDAT was taken since the configuration was read */
	struct strlist unwelcome; /* senders whose MAIL was refused for want of a log-in since mail was last taken */
	char *login_reply;        /* … in these words */
	bool told;                /* postmaster knows that it does not work */
	char *secret;             /* what password_command said */
	int64_t secret_until;
	bool asking, forced, kicking, kick_again;
};

void lane_add(struct sender *s, struct message *m, bool front);
void lane_rest_all(struct sender *s); /* nobody waits for anything: idle connections end */
/* Behind all others, still in the same attempt. */
void lane_add_last(struct message *m);
struct message *lane_take(struct lane *l);
/* Takes m back from its lane or connection, unless a transaction of it has begun; then false. */
bool lane_withdraw(struct message *m);
void lane_drop(struct message *m); /* out of the work list, if it is there */
void lane_kick(struct lane *l);
void lane_pump(struct lane *l); /* connections that waited go on with what they have in hand */
/* forced: also those that are being left alone after a failure. */
void lane_kick_all(struct sender *s, bool forced);
struct lane *lane_get(struct sender *s, const char *label);  /* made where there is none */
const struct config_relay *lane_relay(const struct lane *l); /* NULL: no longer configured */
/* A message got its final reply. */
void lane_works(struct lane *l);
/* m was taken, for somebody at least; and when that is committed, or m goes. */
void lane_taken(struct lane *l, struct message *m);
void lane_saved(struct message *m);
/* Whether one more transaction may begin: what is neither answered nor committed would be sent again after a crash, and
 * the relay's pace is kept. Where only the pace is in the way, the lane is pumped in time. */
bool lane_may_begin(struct lane *l);
int64_t lane_wait_ms(const struct lane *l); /* until the pace allows the next one */
/* A connection is gone (already out of conns). */
struct lane_loss {
	bool connected; /* it had been logged in */
	bool progress;  /* at least one transaction was answered */
	bool slowed;    /* the relay's limit ended it: the pace knows */
	enum mend_trouble trouble;
	enum smtp_topic topic;
	const char *text;
};
void lane_lost(struct lane *l, const struct lane_loss *loss);
/* The relay takes nothing: what waits for it is put off, and postmaster told where that lasts. */
void lane_fail(struct lane *l, const struct lane_loss *loss);
void lane_configure(struct sender *s, const struct config *before); /* NULL: the first one */
void lane_abandon_all(struct sender *s);                            /* all connections, at once */
void lane_free_all(struct sender *s);                               /* when no message is left to count in one */

/* ---- lane_learnt.c: what its replies say of a relay, and what is remembered of it (store/learnt.h) ---- */

int64_t lane_known(const struct lane *l, enum learnt_what what); /* 0 = nothing */
void lane_learn(struct lane *l, enum learnt_what what, int64_t value);
void lane_read_pace(struct lane *l); /* from the configuration and what is known */
/* Forgets what is known of the relays whose section differs from `before`. */
void lanes_forget_changed(struct sender *s, const struct config *before);
size_t lane_recipients(const struct lane *l);  /* at most, in one transaction */
size_t lane_messages(const struct lane *l);    /* at most, in one connection; 0 = no limit */
size_t lane_connections(const struct lane *l); /* at most, at once */
/* m's transaction has ended with t, whose fates may still be changed here. Whether the relay said something about the
 * message or a recipient. */
bool lane_heard(struct lane *l, struct message *m, struct smtp_transaction *t);
/* The relay takes no more for now, in these words: the next one waits. */
void lane_slow(struct lane *l, unsigned turn, const char *reply);
/* After lane_heard or lane_slow, once m is back in the lane: a relay that takes nothing for long is left alone. */
void lane_judge_pace(struct lane *l);
/* The relay refused m's sender for want of a log-in in this connection, or has refused enough others: m waits for the
 * relay as a whole, and true is returned. */
bool lane_unwelcome(struct lane *l, struct message *m);
/* A connection was lost: after how many messages, with how many without a reply, and whether the relay said 421. */
void lane_note_loss(struct lane *l, size_t ended, size_t unfinished, const struct smtp_client *client);
/* ---- relay_target.c: from a relay's section to net/outside.h, and back ---- */

/* Borrows from r, c and secret. */
struct outside_target relay_target(const struct config_relay *r, const struct config *c, const char *secret);
/* Why no connection came about, with the server's last line where that is not in it; the caller frees. */
char *relay_failure_text(const char *text, const char *reply);
/* Where a log-in was refused because of its token: that, in words, with the server's reason; the caller frees. */
char *relay_token_refused(const struct config_relay *r, enum outside_failure f, const char *reply,
                          const char *transcript);
enum mend_trouble relay_trouble(enum outside_failure f, const char *reply);

/* ---- outage.c: what postmaster hears of a relay, once an outage ---- */

/* What was told before this start. Before the loop runs. */
int outage_load(struct sender *s, struct db_conn *c, struct err *e);
void outage_tell(struct lane *l, const struct lane_loss *loss);
void outage_over(struct lane *l);

/* ---- relay_conn.c ---- */

void relay_conn_open(struct lane *l, const struct config_relay *r, const char *secret);
void relay_conn_pump(struct relay_conn *c);
void relay_conn_retire(struct relay_conn *c);                          /* takes no new work; QUIT when idle */
void relay_conn_abandon(struct relay_conn *c);                         /* at once, at the stop */
void relay_conn_rest(struct relay_conn *c);                            /* QUIT, if it has nothing to do */
bool relay_conn_let_go(struct relay_conn *c, const struct message *m); /* true: it had m, and had not begun with it */
void relay_conn_destroy_gone(struct lane *l);
struct relay_conn *relay_conn_next(struct relay_conn *c);
size_t relay_conn_unfinished(const struct relay_conn *c); /* transactions without their final reply */
size_t relay_conn_at_risk(const struct relay_conn *c);    /* how many may be without reply or commit; 0 = not open */
bool relay_conn_available(const struct relay_conn *c);    /* it is being opened, or takes a message now */

/* ---- run.c, sender.c ---- */

void run_attempt_over(struct message *m, bool failed, const char *error);
void sender_run_soon(struct sender *s); /* what is due, from the loop */
void runs_loaded(struct sender *s);     /* what had been queued is in the table */
void runs_buried(struct sender *s);     /* no files are on their way out */
void runs_free(struct sender *s);

void sender_check_stopped(struct sender *s);

#endif
