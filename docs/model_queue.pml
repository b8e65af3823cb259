/* What becomes of each recipient of an outgoing message, as a model for spin: `make model`.
 *
 * One message for three recipients. A transaction takes two of them at most, so there are several. The relay accepts,
 * refuses or defers each RCPT, says that there are too many, refuses or defers the message, or drops the connection at any
 * place. The operator holds, releases, retries and drops. A commit may fail, and the program may be killed between any two
 * steps. Transactions go on while a commit is under way: that is where the order of things matters.
 *
 * docs/model.pml has the way of the message into the outqueue and out of it. The names of the states are those of
 * src/send/sender_internal.h and of QUEUE.md.
 *
 * Each mutation (-DMUT_…) takes one rule away; every one of them makes an assertion fail. tools/model.py tries all. */

#ifndef CRASHES
#define CRASHES 2
#endif
#ifndef OPERATIONS
#define OPERATIONS 2
#endif
#ifndef FAILURES
#define FAILURES 1 /* of commits */
#endif

#define RCPTS 3
#define AT_ONCE 2 /* recipients of a transaction */
#define DEFERRALS 2
#define DROPS 2 /* of connections */

/* A recipient's state, in its row and in memory. */
#define WAITING 0
#define DELIVERED 1
#define BOUNCED 2
#define DROPPED 3

/* ---- on disk ---- */
byte row[RCPTS];
byte dsn[RCPTS]; /* bounces in the sender's mailbox that name this recipient */
bool row_held;

/* ---- what the relay knows ---- */
byte got[RCPTS];       /* how often it took the message for this recipient */
byte reply_lost[RCPTS];
bool refuses[RCPTS];   /* it has refused this recipient, or the message for it */

/* ---- in the program's memory ---- */
byte mem[RCPTS];     /* as far as known to be committed */
byte decided[RCPTS]; /* not committed yet: DELIVERED, BOUNCED (refused), DROPPED; WAITING = nothing is */
bool due[RCPTS];     /* wanted in this attempt */
bool held;
bool drop_wish[RCPTS];
/* the transaction under way */
#define NO_TX 0
#define ENVELOPE 1 /* RCPTs are being answered */
#define DATA 2     /* the message's own reply is awaited */
byte tx;
bool in_tx[RCPTS], answered[RCPTS], accepted[RCPTS];
/* the commit under way */
#define NO_COMMIT 0
#define SUBMITTED 1
#define DURABLE 2 /* and the loop does not know yet */
#define BROKEN 3  /* failed, likewise */
byte commit;
byte snapshot[RCPTS]; /* what it says of whom; WAITING = nothing */

byte crashes, operations, failures, deferrals, drops;
bool over;

#define settled(r) (mem[r] != WAITING)
#define undecided(r) (mem[r] == WAITING && decided[r] == WAITING)
#define some(what) (what(0) || what(1) || what(2))
#define is_due(r) (due[r] && undecided(r))
#define is_decided(r) (decided[r] != WAITING && snapshot[r] == WAITING)
#define is_refused(r) (decided[r] == BOUNCED && snapshot[r] == WAITING)
#define is_harmless(r) (is_decided(r) && decided[r] != BOUNCED)
/* Bounces wait for the end of the attempt, to be one letter. */
#define attempt_over (tx == NO_TX && !some(is_due))

inline end_tx()
{
	for (i : 0 .. RCPTS - 1) {
		if
		:: in_tx[i] && drop_wish[i] && decided[i] != DELIVERED && mem[i] == WAITING -> decided[i] = DROPPED; due[i] = false
		:: else
		fi;
		in_tx[i] = false;
		answered[i] = false;
		accepted[i] = false;
		drop_wish[i] = false
	}
	tx = NO_TX
}

inline check_now()
{
	for (i : 0 .. RCPTS - 1) {
		/* Exactly one bounce for whoever counts as bounced, and none for anybody else. */
		assert((row[i] == BOUNCED) == (dsn[i] == 1));
		assert(dsn[i] <= 1);
		/* Nobody bounces whom the relay has not refused. */
		assert(row[i] != BOUNCED || refuses[i]);
		/* Delivered means that the relay took it; more than once only where a reply was lost. */
		assert(row[i] != DELIVERED || got[i] >= 1);
		assert(got[i] <= 1 + reply_lost[i]);
		/* What is told to be final stays as it is. */
		assert(mem[i] == WAITING || row[i] == mem[i])
	}
}

inline choose()
{
	n = 0;
	for (i : 0 .. RCPTS - 1) {
		if
		:: is_due(i) && n < AT_ONCE -> in_tx[i] = true; n++
		:: else
		fi
	}
	n = 0;
	tx = ENVELOPE
}

inline submit(with_bounces)
{
	for (i : 0 .. RCPTS - 1) {
		if
		:: is_harmless(i) || (with_bounces && is_refused(i)) -> snapshot[i] = decided[i]
		:: else
		fi
	}
	commit = SUBMITTED
}

active proctype gateway()
{
	byte i, n, r;

	for (i : 0 .. RCPTS - 1) {
		due[i] = true
	}
	do
	/* ---- a transaction ---- */
#ifdef MUT_HELD_IS_SENT
	:: atomic { !over && tx == NO_TX && some(is_due) -> choose(); assert(!row_held) }
#else
	:: atomic { !over && tx == NO_TX && !held && some(is_due) -> choose(); assert(!row_held) }
#endif
	:: atomic { tx == ENVELOPE ->
		/* replies come in the order of the commands */
		r = 0;
		do
		:: r < RCPTS && (!in_tx[r] || answered[r]) -> r++
		:: else -> break
		od;
		if
		:: r < RCPTS ->
			answered[r] = true;
			if
			:: accepted[r] = true
			:: refuses[r] = true; decided[r] = BOUNCED
			:: deferrals < DEFERRALS -> deferrals++; due[r] = false
			/* too many recipients: others of this transaction were accepted; again in the next */
			:: r > 0 && accepted[r - 1] ->
#ifdef MUT_TOO_MANY_IS_A_REFUSAL
				decided[r] = BOUNCED
#else
				skip
#endif
			fi
		:: r == RCPTS && (accepted[0] || accepted[1] || accepted[2]) -> tx = DATA
		:: else -> end_tx()
		fi;
		r = 0 }
	:: atomic { tx == DATA ->
		if
		:: for (i : 0 .. RCPTS - 1) {
			if
			:: accepted[i] -> got[i]++; decided[i] = DELIVERED
			:: else
			fi
		   }
		:: for (i : 0 .. RCPTS - 1) {
			if
			:: accepted[i] -> refuses[i] = true; decided[i] = BOUNCED
			:: else
			fi
		   }
		:: deferrals < DEFERRALS -> deferrals++;
		   for (i : 0 .. RCPTS - 1) {
			if
			:: accepted[i] -> due[i] = false
			:: else
			fi
		   }
		fi;
		end_tx() }
	/* The connection is lost: before the last byte nothing was taken, behind it nobody knows. */
	:: atomic { tx != NO_TX && drops < DROPS ->
		drops++;
		if
		:: tx == DATA ->
			for (i : 0 .. RCPTS - 1) {
				if
				:: accepted[i] -> got[i]++; reply_lost[i]++; due[i] = false
				:: else
				fi
			}
		:: skip
		fi;
		end_tx() }

	/* ---- what was decided is committed: at once, but bounces at the attempt's end, in one commit with their states ---- */
	:: atomic { commit == NO_COMMIT && some(is_harmless) && !attempt_over -> submit(false) }
	:: atomic { commit == NO_COMMIT && some(is_decided) && attempt_over -> submit(true) }
#ifdef MUT_UNDECIDED_BOUNCE_IS_RECORDED
	/* In mid-attempt the refused ones are recorded too, without their bounce. */
	:: atomic { commit == SUBMITTED && !attempt_over ->
		for (i : 0 .. RCPTS - 1) {
			if
			:: is_refused(i) -> row[i] = BOUNCED
			:: else
			fi
		}
		for (i : 0 .. RCPTS - 1) {
			if
			:: snapshot[i] != WAITING -> row[i] = snapshot[i]
			:: else
			fi
		}
		commit = DURABLE; check_now() }
#endif
	:: atomic { commit == SUBMITTED ->
		for (i : 0 .. RCPTS - 1) {
			if
			:: snapshot[i] != WAITING ->
				row[i] = snapshot[i];
#ifndef MUT_BOUNCE_COMMITS_APART
				if
				:: snapshot[i] == BOUNCED -> dsn[i]++
				:: else
				fi
#endif
			:: else
			fi
		}
		commit = DURABLE }
	:: atomic { commit == SUBMITTED && failures < FAILURES -> failures++; commit = BROKEN }
	/* The completion acts on what was committed, whatever has been decided since. */
	:: atomic { commit == DURABLE ->
		for (i : 0 .. RCPTS - 1) {
#ifdef MUT_COMPLETION_ACTS_ON_NOW
			if
			:: decided[i] == BOUNCED && attempt_over -> mem[i] = BOUNCED; decided[i] = WAITING
			:: snapshot[i] != WAITING && decided[i] != BOUNCED -> mem[i] = snapshot[i]; decided[i] = WAITING
			:: else
			fi;
#else
			if
			:: snapshot[i] != WAITING -> mem[i] = snapshot[i]; decided[i] = WAITING
			:: else
			fi;
#endif
			snapshot[i] = WAITING
		}
#ifdef MUT_BOUNCE_COMMITS_APART
		for (i : 0 .. RCPTS - 1) {
			if
			:: row[i] == BOUNCED && dsn[i] == 0 -> dsn[i]++
			:: else
			fi
		}
#endif
		commit = NO_COMMIT;
		check_now() }
	:: atomic { commit == BROKEN ->
		for (i : 0 .. RCPTS - 1) {
#ifdef MUT_FAILED_COMMIT_IS_FORGOTTEN
			if
			:: snapshot[i] != WAITING -> mem[i] = snapshot[i]; decided[i] = WAITING
			:: else
			fi;
#endif
			snapshot[i] = WAITING
		}
		commit = NO_COMMIT;
		check_now() }

	/* ---- the operator; hold and release are rows of their own, committed before they are answered ---- */
	:: atomic { !over && operations < OPERATIONS && !row_held -> operations++; row_held = true; held = true }
	:: atomic { row_held -> row_held = false; held = false }
	:: atomic { !over && operations < OPERATIONS ->
		operations++;
		r = 0;
		do
		:: r < RCPTS - 1 -> r++
		:: break
		od;
		if
		:: in_tx[r] -> drop_wish[r] = true
#ifdef MUT_DROP_OF_WHAT_IS_DECIDED
		:: !in_tx[r] && mem[r] == WAITING -> decided[r] = DROPPED; snapshot[r] = WAITING;
			if
			:: commit == NO_COMMIT
			:: else -> snapshot[r] = DROPPED; row[r] = DROPPED
			fi
#else
		:: !in_tx[r] && undecided(r) -> decided[r] = DROPPED; due[r] = false
#endif
		:: else
		fi;
		r = 0;
		check_now() }

	/* ---- the next retry ---- */
	:: atomic { !over && attempt_over && commit == NO_COMMIT && !some(is_decided) &&
		(undecided(0) || undecided(1) || undecided(2)) ->
		for (i : 0 .. RCPTS - 1) {
			due[i] = undecided(i)
		} }

	/* ---- a crash: memory is gone, the rows are read again ---- */
	:: atomic { !over && crashes < CRASHES ->
		crashes++;
		for (i : 0 .. RCPTS - 1) {
			/* a reply that was read and not committed is a lost one */
			if
			:: decided[i] == DELIVERED && row[i] == WAITING -> reply_lost[i]++
			:: else
			fi;
			mem[i] = row[i];
			decided[i] = WAITING;
			snapshot[i] = WAITING;
			due[i] = row[i] == WAITING;
			in_tx[i] = false;
			answered[i] = false;
			accepted[i] = false;
			drop_wish[i] = false
		}
		tx = NO_TX;
		commit = NO_COMMIT;
		held = row_held;
		check_now() }

	/* ---- the end: every recipient is settled, exactly once ---- */
	:: atomic { !over && settled(0) && settled(1) && settled(2) && tx == NO_TX && commit == NO_COMMIT && !row_held ->
		over = true;
		check_now();
		for (i : 0 .. RCPTS - 1) {
			assert(row[i] != WAITING);
			/* Nobody was bounced who has the message, but where the relay's reply was lost. */
			assert(row[i] != BOUNCED || got[i] == 0 || reply_lost[i] > 0);
			assert(row[i] != DROPPED || dsn[i] == 0)
		}
		break }
	od
}
