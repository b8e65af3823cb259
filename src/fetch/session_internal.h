/* What the steps of a session share. */
#ifndef OFM_FETCH_SESSION_INTERNAL_H
#define OFM_FETCH_SESSION_INTERNAL_H

#include "fetch/facts.h"
#include "fetch/picks.h"
#include "fetch/pop3_client.h"
#include "fetch/pop3_reply.h"
#include "fetch/session.h"
#include "net/outside.h"

enum session_phase {
	PHASE_PREPARING,  /* ledger and password */
	PHASE_CONNECTING, /* libcurl */
	PHASE_LOGIN,
	PHASE_LISTING,
	PHASE_MATCHING, /* the ledger's records of what is listed */
	PHASE_LOOKING,  /* headers that decide */
	PHASE_MARKING,  /* changes of the ledger that the listing causes */
	PHASE_COLLECTING,
	PHASE_REMARKING, /* changes that fetched messages caused */
	PHASE_DELETING,  /* DELE and QUIT */
	PHASE_CLOSING,   /* records of what is deleted */
	PHASE_ENDED
};

struct password_wait; /* a password_command under way, which the session may leave behind */

/* Messages that came shorter than listed, and are not decided yet (session_short.c). */
struct doubts {
	struct held *v; /* of each pick; NULL: there never was one */
	size_t n;       /* held now */
	size_t asked;   /* of these, asked for once more to learn whether the server's sizes are true */
	size_t *parked; /* [from, nparked): wait for what is learnt */
	size_t nparked, from;
};

struct session {
	struct session_setup setup;
	struct fetch_rules *rules;
	const struct config_account *account;
	char sid[16];
	int64_t began_ms;
	enum session_phase phase;
	bool stopping, freeing, entered;
	unsigned under_way; /* reads and commits that will call back */
	struct password_wait *waiting;
	char *password;
	bool loaded;
	struct facts facts;

	struct outside *line;
	struct pop3_client *client;
	bool feeding; /* inside pop3_client_feed */
	struct pop3_caps caps;
	struct loop_timer *deadline, *drip;
	int64_t timeout_ms;  /* of the server's silence */
	int64_t patience_ms; /* what of it is in force; 0: nothing is due */
	int64_t moved_ms;    /* when something was last heard or said */
	bool slow, blames_pipelining, login_refused, no_password;
	enum session_crowd crowd;
	uint64_t heard, heard_before; /* bytes; at the last drip check */
	unsigned drips;

	bool capa_done, uidl_done, list_done, has_uidl, uidl_refused, asked_twice;
	struct buf refusal; /* of UIDL or LIST */
	struct listing listing;
	struct picks picks;
	size_t cursor;   /* picks before it were asked for */
	size_t looking;  /* TOPs under way */
	struct buf head; /* of the TOP under way */
	uint64_t got;    /* bytes of the body under way */
	uint64_t lines;  /* its lines */
	struct doubts doubts;
	struct gather *gather;
	size_t storing, refused;
	uint64_t storing_bytes, total, done;
	bool *kept; /* of each pick: stored in this session */
	bool no_room;
	const char *unable; /* where that is so: why nothing can be stored */
	bool unstored;      /* something retrieved is not stored: no QUIT, which some servers take for a receipt */
	bool lasts;         /* the others are here: now those that come last */
	bool came_through, heads_came; /* some message did; some header */
	size_t refused_at;             /* behind the message whose refusal was the last reply; 0 = it was none */
	bool blameless;                /* no message is to blame for the end */
	bool expected;                 /* it was a message that had done so before */
	bool broke, more;              /* a message broke the session; another session has something to do */

	enum session_outcome outcome;
	struct buf text;
	uint64_t listed, stored, deleted;
	uint64_t copies; /* of the stored: most likely known under another name */
};

/* ---- session.c: life ---- */
void session_set_phase(struct session *s, enum session_phase p);
/* Ends the session; the first call's reason stays. Safe anywhere; s lives until the loop's next turn at least. */
void session_end(struct session *s, enum session_outcome o, const char *text);
void session_note(struct session *s, enum session_outcome o, const char *text); /* a reason, without ending */
/* What came is no sensible reply: ends the session, and says where pipelining may be the cause. */
void session_end_garbled(struct session *s, enum session_outcome o, const char *text);
void session_under_way(struct session *s);
void session_came_back(struct session *s); /* the counterpart; may free s: the last thing a callback does */
void session_progress(struct session *s);
void session_flush(struct session *s); /* commands that wait go out */
void session_step(struct session *s);  /* goes on with whatever the events made possible */
void session_queue(struct session *s, enum pop3_verb v, size_t pick, uint64_t expect);
/* Before all that waits to be sent. */
void session_queue_first(struct session *s, enum pop3_verb v, size_t pick, uint64_t expect);
struct outside *session_open_line(struct session *s, const struct outside_target *t);
void session_forget_password(struct session *s); /* nobody waits for password_command any more */

/* ---- the steps; each is called when its phase begins, and when something of it came in ---- */
void session_prepare(struct session *s);
void session_login(struct session *s);
void session_ask_listing(struct session *s);
/* libcurl's log-in was refused. */
void session_on_login_failed(struct session *s, const char *text, struct slice reply);
enum session_crowd session_crowd_of(struct slice reply);
bool session_may_pipeline(const struct session *s);
void session_list(struct session *s);
void session_look(struct session *s);
void session_mark(struct session *s, enum session_phase next);
void session_collect(struct session *s);
void session_delete(struct session *s);
void session_close_records(struct session *s);

/* ---- session_doubt.c ---- */
/* Message i was stored in this session. */
void session_kept(struct session *s, size_t i);
/* Replies are missing or out of place: what was stored in this session may stand under another message's name. Headers
 * are compared before anything is deleted by its record. */
void session_doubt(struct session *s);
/* ---- session_short.c: messages that come shorter than listed ---- */
/* Message i has come. True: *g was taken over, since it is plainly too short and is asked for once more; false: *g is
 * what to store. */
bool session_holds_short(struct session *s, size_t i, struct gather **g);
/* A message that was held and is to be stored as it came, now that more is known; NULL: none. The caller's. */
struct gather *session_next_undoubted(struct session *s, size_t *i);
void session_refuses_again(struct session *s, size_t i); /* RETR was refused: what was held of it is dropped */
void session_doubts_free(struct session *s);
/* ---- session_hard.c: messages that are not handed out ---- */
void session_blame(struct session *s); /* the connection is lost: by which message? */
void session_on_refused(struct session *s, size_t pick, struct slice text);
void session_on_answered(struct session *s, size_t pick, bool head);
void session_no_longer_hard(struct session *s, size_t pick);
bool session_may_delete(const struct session *s, size_t pick);
bool session_skips_top(const struct session *s, size_t pick);
bool session_arrange(struct session *s);   /* what comes last, and what is left; true: there are headers to ask for */
bool session_tidy_hard(struct session *s); /* true: there is something to save */

/* Events of the client, by verb. */
void session_on_login(struct session *s, const struct pop3_command *cmd, bool ok, struct slice text);
void session_on_listing(struct session *s, const struct pop3_command *cmd, bool ok, struct slice text);
void session_on_listed(struct session *s, const struct pop3_command *cmd, struct slice line);
void session_on_listed_all(struct session *s, const struct pop3_command *cmd);
void session_on_top(struct session *s, const struct pop3_command *cmd, bool ok);
void session_on_top_body(struct session *s, const struct pop3_command *cmd, struct slice run);
void session_on_top_end(struct session *s, const struct pop3_command *cmd);
void session_on_retr(struct session *s, const struct pop3_command *cmd, bool ok, struct slice text);
void session_on_body(struct session *s, const struct pop3_command *cmd, struct slice run);
void session_on_body_end(struct session *s, const struct pop3_command *cmd);
void session_on_delete(struct session *s, const struct pop3_command *cmd, bool ok, struct slice text);
void session_on_quit(struct session *s, const struct pop3_command *cmd, bool ok, struct slice text);

#endif
