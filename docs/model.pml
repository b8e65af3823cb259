/* How a message becomes safe, as a model for spin: `make model`.
 *
 * Three messages take every road there is:
 *   S  comes by SMTP for two mailboxes, box 0 and box 1
 *   Q  is what of S goes outside: accepted in the same commit, placed in the outqueue, sent to the relay
 *   C  is collected from the provider for box 0
 * A POP3 client may delete what it sees in box 0, another Maildir program may move mail from new/ to cur/, a flush may
 * fail, a commit may end without anybody knowing how, and the program may be killed, or the machine lose its power,
 * between any two steps, those of recovery included.
 *
 * The names of the states are those of QUEUE.md and of src/route/delivery_internal.h.
 *
 * What is on disk: rows (a commit is durable when it succeeds), names in folders (`name`, and `safe_name`: what surely
 * survives a power cut), bytes of files (`spool` for the file in .spool, `bytes` for what a name in a mailbox shows).
 * Each mutation (-DMUT_…) takes one ordering away; every one of them makes an assertion fail. tools/model.py tries all. */

#ifndef CRASHES
#define CRASHES 2
#endif

#define S 0
#define Q 1
#define C 2
#define MESSAGES 3

/* Destinations: S in box 0 and in box 1, C in box 0, Q in the outqueue. */
#define S0 0
#define S1 1
#define C0 2
#define QQ 3
#define DESTS 4

#define ABSENT 0
#define IN_NEW 1 /* or ID.eml */
#define IN_CUR 2

#define NONE 0
#define UNSYNCED 1
#define SYNCED 2
#define TORN 3

/* ---- on disk ---- */
bool row[MESSAGES];    /* table message */
bool linked[MESSAGES]; /* table linked: all was linked, in this boot of the machine */
bool tombstone[DESTS];
byte ledger;        /* C's record: 0 none, 1 open, 2 closed */
byte recipient;     /* Q's: 0 no row, 1 waiting, 2 settled */
byte spool[MESSAGES];
bool spilled;       /* S is large: its bytes are in the spool file alone */
byte name[DESTS], safe_name[DESTS];
byte bytes[DESTS];

/* ---- what others were told, or know ---- */
#define UNTOLD 0
#define ACCEPTED 1 /* 250 */
#define REFUSED 2  /* 452 */
byte smtp_client;
bool smtp_begun, smtp_over; /* the client has sent S; it is gone, with a reply or without */
bool provider_has = true;
bool deleted[DESTS];        /* QUIT was answered +OK */
byte relay_got, reply_lost; /* how often the relay took Q; how often its reply was lost */
bool bounced;               /* a bounce to S's sender was committed */

/* ---- in the program's memory ---- */
#define IDLE 0
#define GATHERED 1
#define TO_WRITE 2
#define WRITTEN 3
#define IN_W 4
#define LINKED 5
#define IN_N 6
byte state[MESSAGES];
bool dest_linked[DESTS];
byte round;      /* 0 none, 1 frozen, 2 synced, 3 linked, 4 rows committed, 5 all committed */
bool in_t[DESTS], unlinked[DESTS]; /* tombstones of this round; those whose file is unlinked */
bool committed;  /* S is, and its client waits for the answer */
bool unknown;    /* S's commit ended without our knowing how */
byte quit_dest;  /* QUIT under way for it, 0xff = none */
byte quit_step;
byte session;    /* with the provider: 0 none, 1 retrieved, 2 stored, 3 DELE sent, 4 QUIT done there, reply on its way */
byte sending;    /* 0 no, 1 the relay has taken it, 5 has refused it, 2 settled in the database, 3 unlinked, 4 flushed */
byte recovery;   /* 0 = the program serves; else the next step */
byte crashes, sync_failures;
bool quiet;

/* ---- crashes ---- */

inline forget()
{
	for (i : 0 .. MESSAGES - 1) {
		state[i] = IDLE
	}
	for (i : 0 .. DESTS - 1) {
		dest_linked[i] = false;
		in_t[i] = false;
		unlinked[i] = false
	}
	round = 0;
	unknown = false;
	committed = false;
	quit_dest = 255;
	quit_step = 0;
	session = 0;
	if
	:: sending == 1 -> reply_lost++
	:: else
	fi
	sending = 0;
	smtp_over = true;
	recovery = 1
}

/* Bytes that no name shows are of no interest: fewer states. */
inline tidy(d)
{
	if
	:: name[d] == ABSENT && safe_name[d] == ABSENT -> bytes[d] = NONE
	:: else
	fi
}

/* What was not flushed may be there or not, whole or not, each by itself. */
inline lose_power()
{
	for (i : 0 .. MESSAGES - 1) {
		if
		:: spool[i] == UNSYNCED -> spool[i] = TORN
		:: spool[i] == UNSYNCED -> spool[i] = SYNCED
		:: spool[i] == UNSYNCED -> spool[i] = NONE
		:: else
		fi
	}
	for (i : 0 .. MESSAGES - 1) {
		linked[i] = false
	}
	for (i : 0 .. DESTS - 1) {
		if
		:: bytes[i] == UNSYNCED -> bytes[i] = TORN
		:: bytes[i] == UNSYNCED -> bytes[i] = SYNCED
		:: else
		fi;
		if
		:: name[i] != safe_name[i] -> name[i] = safe_name[i]
		:: safe_name[i] = name[i]
		fi;
		tidy(i)
	}
}

/* ---- flushing ---- */

inline flush_all()
{
	for (i : 0 .. MESSAGES - 1) {
		if
		:: spool[i] == UNSYNCED -> spool[i] = SYNCED
		:: else
		fi
	}
	for (i : 0 .. DESTS - 1) {
		if
		:: bytes[i] == UNSYNCED -> bytes[i] = SYNCED
		:: else
		fi;
		safe_name[i] = name[i];
		tidy(i)
	}
}

/* The pages are gone, and the next flush would succeed without them. */
inline fail_flush()
{
	for (i : 0 .. MESSAGES - 1) {
		if
		:: spool[i] == UNSYNCED -> spool[i] = TORN
		:: spool[i] == UNSYNCED
		:: else
		fi
	}
}

/* ---- placing ---- */

/* P1: no destination is ever given a message that it has. */
inline link_dest(d, m)
{
	assert(name[d] == ABSENT && spool[m] != NONE);
	name[d] = IN_NEW;
	bytes[d] = spool[m];
	dest_linked[d] = true;
	/* C has one mailbox, and its bytes are in the row: its file may be moved there. */
	if
	:: m == C -> spool[C] = NONE
	:: skip
	fi
}

inline write_spool(m)
{
	if
	:: m == S && spilled
	:: else -> spool[m] = UNSYNCED
	fi
}

#define all_linked(m) ((m == S && dest_linked[S0] && dest_linked[S1]) || (m == C && dest_linked[C0]) || (m == Q && dest_linked[QQ]))

/* Recovery: does this destination still have to be linked? */
#ifdef MUT_RECOVERY_LOOKS_IN_NEW_ALONE
#define FOUND(d) (name[d] == IN_NEW)
#else
#define FOUND(d) (name[d] != ABSENT)
#endif
#define WANTED(d, m) (!(linked[m] || tombstone[d] || FOUND(d)))
#define needs_S (WANTED(S0, S) || WANTED(S1, S))

/* ---- the invariants that hold at every moment ---- */
inline check_now()
{
	for (i : 0 .. DESTS - 1) {
		/* P2: nothing in new/ is ever partial. */
		assert(!(name[i] != ABSENT && bytes[i] == TORN));
	}
	/* P2: nothing is deleted upstream before it is durable here. */
#ifndef WITHOUT_C
	assert(provider_has || row[C] || safe_name[C0] != ABSENT || tombstone[C0] || deleted[C0] || name[C0] != ABSENT);
#endif
	/* Towards the relay: once, and once more for each reply that was lost. */
	assert(relay_got <= 1 + reply_lost)
}

inline check_end()
{
	/* P1: accepted is delivered to each destination, exactly once; refused is nowhere; else all or nothing. */
	if
	:: smtp_client == ACCEPTED ->
		assert(name[S0] != ABSENT || deleted[S0]);
		assert(name[S1] != ABSENT);
		assert(relay_got >= 1 || bounced)
	:: smtp_client == REFUSED ->
		assert(name[S0] == ABSENT && name[S1] == ABSENT && !deleted[S0] && relay_got == 0 && !bounced)
	:: else ->
		assert((name[S0] != ABSENT || deleted[S0]) == (name[S1] != ABSENT));
		assert((name[S1] != ABSENT) == (relay_got >= 1 || bounced))
	fi;
#ifndef WITHOUT_C
	assert(name[C0] != ABSENT || deleted[C0]);
#endif
	/* What a client has deleted does not come back. */
	assert(!(deleted[S0] && name[S0] != ABSENT));
	assert(!(deleted[C0] && name[C0] != ABSENT));
	/* P3: the outside recipient is settled, and its file is gone. */
	assert(recipient == 0 && name[QQ] == ABSENT);
	/* Nothing stays behind. */
	for (i : 0 .. MESSAGES - 1) {
		assert(!row[i] && spool[i] == NONE)
	}
	for (i : 0 .. DESTS - 1) {
		assert(!tombstone[i])
	}
}

#define busy (state[S] != IDLE || state[Q] != IDLE || state[C] != IDLE || round != 0 || quit_dest != 255 || session != 0 || sending != 0 || unknown)
#define no_tombs (!unlinked[S0] && !unlinked[C0])

active proctype gateway()
{
	byte i, m;

	quit_dest = 255;
#ifdef WITHOUT_C
	provider_has = false;
	ledger = 2;
#endif
#ifdef WITHOUT_S
	smtp_begun = true;
	smtp_over = true;
#else
	if
	:: spilled = true
	:: spilled = false
	fi;
#endif

	do
	/* ---- by SMTP: gather, commit, answer ---- */
	:: atomic { !recovery && !smtp_over && !smtp_begun ->
		smtp_begun = true;
		if
		:: spilled -> spool[S] = UNSYNCED
		:: else
		fi;
		state[S] = GATHERED }
#ifdef MUT_SPILL_NOT_FLUSHED
#define SPILL_READY true
#else
#define SPILL_READY (!spilled || spool[S] == SYNCED)
	:: atomic { !recovery && state[S] == GATHERED && spilled && spool[S] == UNSYNCED -> spool[S] = SYNCED }
#endif
#ifdef MUT_ANSWER_BEFORE_COMMIT
	:: atomic { !recovery && !smtp_over && state[S] == GATHERED && smtp_client == UNTOLD -> smtp_client = ACCEPTED }
#endif
	:: atomic { !recovery && state[S] == GATHERED && SPILL_READY ->
		row[S] = true;
#ifndef MUT_QUEUE_COMMITS_APART
		row[Q] = true;
		recipient = 1;
		state[Q] = TO_WRITE;
#endif
		committed = true;
		state[S] = TO_WRITE }
#ifdef MUT_QUEUE_COMMITS_APART
	:: atomic { !recovery && row[S] && state[S] != IDLE && recipient == 0 && relay_got == 0 && !row[Q] ->
		row[Q] = true; recipient = 1; state[Q] = TO_WRITE }
#endif
	/* Or the connection breaks, and the client will never know. */
	:: atomic { !recovery && !smtp_over && committed ->
		committed = false;
		smtp_over = true;
		if
		:: smtp_client = ACCEPTED
		:: skip
		fi }
	/* A commit that failed, and whose rows may be there all the same after a restart. */
	:: atomic { !recovery && !smtp_over && state[S] == GATHERED && SPILL_READY ->
		unknown = true;
		state[S] = IDLE;
		if
		:: row[S] = true; row[Q] = true; recipient = 1
		:: skip
		fi }
	:: atomic { !recovery && unknown ->
#ifdef MUT_REFUSED_BEFORE_HEALED
		smtp_client = REFUSED; smtp_over = true;
#endif
		unknown = false;
#ifndef MUT_REFUSED_BEFORE_HEALED
		row[S] = false; row[Q] = false; recipient = 0;
		spool[S] = NONE;
		smtp_client = REFUSED;
#endif
		smtp_over = true }

	/* ---- from the provider: retrieve, commit, DELE, QUIT, close the record ---- */
	:: atomic { !recovery && provider_has && session == 0 && ledger == 0 && state[C] == IDLE -> session = 1 }
#ifdef MUT_DELE_BEFORE_COMMIT
	:: atomic { !recovery && session == 1 -> session = 3 }
#endif
	:: atomic { !recovery && session == 1 ->
		row[C] = true;
#ifndef MUT_LEDGER_COMMITS_APART
		ledger = 1;
#endif
		state[C] = TO_WRITE;
		session = 2 }
	:: atomic { !recovery && session == 2 -> ledger = 1; session = 3 }
	/* Known from an earlier session, whose QUIT we did not see confirmed: deleted unread. */
	:: atomic { !recovery && provider_has && session == 0 && ledger == 1 -> session = 3 }
	:: atomic { !recovery && session == 3 -> provider_has = false; session = 4 }
#ifdef MUT_RECORD_CLOSED_BEFORE_QUIT
	:: atomic { !recovery && session == 3 && ledger == 1 -> ledger = 0 }
#endif
	:: atomic { !recovery && session == 4 -> ledger = 2; session = 0 }
	/* QUIT's reply was lost: the record stays open until a listing comes without it. */
	:: atomic { !recovery && session == 4 -> session = 0 }
	:: atomic { !recovery && !provider_has && session == 0 && ledger == 1 -> ledger = 2 }

	/* ---- write ---- */
	:: atomic { !recovery && state[S] == TO_WRITE -> write_spool(S); state[S] = WRITTEN }
	:: atomic { !recovery && state[Q] == TO_WRITE -> write_spool(Q); state[Q] = WRITTEN }
	:: atomic { !recovery && state[C] == TO_WRITE -> write_spool(C); state[C] = WRITTEN }

	/* ---- settle, in rounds ---- */
	/* 1. freeze W, N, T */
	:: atomic { !recovery && round == 0 &&
		(state[S] == WRITTEN || state[Q] == WRITTEN || state[C] == WRITTEN || state[S] == LINKED || state[Q] == LINKED ||
		 state[C] == LINKED || !no_tombs) ->
		for (i : 0 .. MESSAGES - 1) {
			if
			:: state[i] == WRITTEN -> state[i] = IN_W
			:: state[i] == LINKED -> state[i] = IN_N
			:: else
			fi
		}
		for (i : 0 .. DESTS - 1) {
			in_t[i] = unlinked[i];
			unlinked[i] = false
		}
		round = 1 }
	/* 2. syncfs */
#ifdef MUT_LINK_BEFORE_SYNC
	:: atomic { !recovery && round == 1 -> round = 2 }
#else
	:: atomic { !recovery && round == 1 -> flush_all(); round = 2 }
	:: atomic { !recovery && round == 1 && sync_failures == 0 ->
		sync_failures++;
		fail_flush();
#ifdef MUT_FAILED_SYNC_IS_TRIED_AGAIN
		skip }
#else
		for (i : 0 .. MESSAGES - 1) {
			if
			:: state[i] == IN_W -> state[i] = TO_WRITE
#ifndef MUT_ONLY_THE_ROUND_IS_WRITTEN_ANEW
			:: state[i] == WRITTEN -> state[i] = TO_WRITE /* written while the flush failed */
#endif
			:: state[i] == IN_N -> state[i] = LINKED
			:: else
			fi
		}
		for (i : 0 .. DESTS - 1) {
			unlinked[i] = unlinked[i] || in_t[i];
			in_t[i] = false
		}
		round = 0 }
#endif
#endif
	/* 3. link W into every destination, one by one */
	:: atomic { !recovery && round == 2 && state[S] == IN_W && !dest_linked[S0] -> link_dest(S0, S) }
	:: atomic { !recovery && round == 2 && state[S] == IN_W && !dest_linked[S1] -> link_dest(S1, S) }
	:: atomic { !recovery && round == 2 && state[C] == IN_W && !dest_linked[C0] -> link_dest(C0, C) }
	:: atomic { !recovery && round == 2 && state[Q] == IN_W && !dest_linked[QQ] -> link_dest(QQ, Q) }
	:: atomic { !recovery && round == 2 && (state[S] != IN_W || all_linked(S)) && (state[C] != IN_W || all_linked(C)) &&
		(state[Q] != IN_W || all_linked(Q)) -> round = 3 }
	/* 4. commit: W is linked, rows of N go; then, in a commit that follows, T */
	:: atomic { !recovery && round == 3 ->
		for (i : 0 .. MESSAGES - 1) {
			if
			:: state[i] == IN_W && row[i] ->
				linked[i] = true;
#ifdef MUT_ROW_DROPPED_WITH_ITS_LINKS
				row[i] = false
#endif
			:: state[i] == IN_N -> row[i] = false; linked[i] = false
			:: else
			fi
		}
		round = 4 }
	:: atomic { !recovery && round == 4 ->
		for (i : 0 .. DESTS - 1) {
			if
			:: in_t[i] -> tombstone[i] = false; in_t[i] = false
			:: else
			fi
		}
		round = 5 }
#ifdef MUT_TOMBSTONES_GO_FIRST
	:: atomic { !recovery && round == 3 ->
		for (i : 0 .. DESTS - 1) {
			if
			:: in_t[i] -> tombstone[i] = false; in_t[i] = false
			:: else
			fi
		} }
#endif
	/* 5. unlink the spool files of N */
	:: atomic { !recovery && round == 5 ->
		for (i : 0 .. MESSAGES - 1) {
			if
			:: state[i] == IN_N ->
				state[i] = IDLE;
				spool[i] = NONE
			:: state[i] == IN_W ->
				state[i] = LINKED;
#ifdef MUT_SPOOL_GOES_BEFORE_THE_ROW
				spool[i] = NONE
#endif
			:: else
			fi
		}
		round = 0 }

	/* ---- a POP3 client deletes in box 0: tombstone, +OK, unlink ---- */
	:: atomic { !recovery && quit_dest == 255 && name[S0] != ABSENT && !deleted[S0] && !tombstone[S0] -> quit_dest = S0 }
	:: atomic { !recovery && quit_dest == 255 && name[C0] != ABSENT && !deleted[C0] && !tombstone[C0] -> quit_dest = C0 }
#ifdef MUT_QUIT_WITHOUT_TOMBSTONE
	:: atomic { !recovery && quit_dest != 255 && quit_step == 0 -> quit_step = 1 }
#else
	:: atomic { !recovery && quit_dest != 255 && quit_step == 0 -> tombstone[quit_dest] = true; quit_step = 1 }
#endif
	:: atomic { !recovery && quit_dest != 255 && quit_step == 1 -> deleted[quit_dest] = true; quit_step = 2 }
	:: atomic { !recovery && quit_dest != 255 && quit_step == 2 ->
		name[quit_dest] = ABSENT;
#ifdef MUT_TOMBSTONE_GOES_AT_QUIT
		tombstone[quit_dest] = false;
#else
		unlinked[quit_dest] = tombstone[quit_dest];
#endif
		quit_dest = 255;
		quit_step = 0 }

	/* ---- another Maildir program has seen a message ---- */
	:: atomic { name[S0] == IN_NEW -> name[S0] = IN_CUR }

	/* ---- to the relay: its reply is committed, the files go, that is flushed, the rows go ---- */
#ifdef MUT_SETTLED_BEFORE_THE_REPLY
	:: atomic { !recovery && sending == 0 && recipient == 1 && dest_linked[QQ] && name[QQ] != ABSENT -> recipient = 2 }
#endif
	:: atomic { !recovery && sending == 0 && recipient == 1 && state[Q] != TO_WRITE && name[QQ] != ABSENT ->
		if
		:: relay_got++; sending = 1
		:: relay_got == 0 && !bounced -> sending = 5
		fi }
	:: atomic { !recovery && sending == 1 -> recipient = 2; sending = 2 }
	:: atomic { !recovery && sending == 5 ->
		recipient = 2;
#ifdef MUT_BOUNCE_COMMITS_APART
		sending = 6 }
	:: atomic { !recovery && sending == 6 -> bounced = true; sending = 2 }
#else
		bounced = true;
		sending = 2 }
#endif
	:: atomic { !recovery && sending == 0 && recipient == 2 -> sending = 2 }
	:: atomic { !recovery && sending == 2 -> name[QQ] = ABSENT; sending = 3 }
	:: atomic { !recovery && sending == 3 -> safe_name[QQ] = name[QQ]; sending = 4 }
	:: atomic { !recovery && sending == 4 -> recipient = 0; sending = 0 }
#ifdef MUT_QUEUE_ROWS_GO_FIRST
	:: atomic { !recovery && sending == 2 -> recipient = 0; sending = 0 }
#endif

	/* ---- recovery, before anything is served ---- */
	/* 1. what is still to be placed is written anew */
	:: atomic { recovery == 1 ->
		if
		:: row[S] && needs_S -> write_spool(S); assert(spool[S] != NONE && spool[S] != TORN)
		:: else
		fi;
		if
		:: row[C] && WANTED(C0, C) -> write_spool(C)
		:: else
		fi;
		if
		:: row[Q] && recipient == 1 && WANTED(QQ, Q) -> write_spool(Q)
		:: else
		fi;
		recovery = 2 }
	/* 2. flushed */
#ifdef MUT_RECOVERY_LINKS_BEFORE_SYNC
	:: atomic { recovery == 2 -> recovery = 3 }
#else
	:: atomic { recovery == 2 -> flush_all(); recovery = 3 }
#endif
	/* 3. linked, one by one */
	:: atomic { recovery == 3 ->
		if
		:: row[S] && WANTED(S0, S) -> link_dest(S0, S)
		:: else
		fi;
		recovery = 4 }
	:: atomic { recovery == 4 ->
		if
		:: row[S] && WANTED(S1, S) -> link_dest(S1, S)
		:: else
		fi;
		recovery = 5 }
	:: atomic { recovery == 5 ->
		if
		:: row[C] && WANTED(C0, C) -> link_dest(C0, C)
		:: else
		fi;
		if
		:: row[Q] && recipient == 1 && WANTED(QQ, Q) -> link_dest(QQ, Q)
		:: else
		fi;
		recovery = 6 }
	/* 4. flushed again */
#ifdef MUT_RECOVERY_DROPS_BEFORE_SYNC
	:: atomic { recovery == 6 -> recovery = 7 }
#else
	:: atomic { recovery == 6 -> flush_all(); recovery = 7 }
#endif
	/* 5. the rows go, in one commit */
	:: atomic { recovery == 7 ->
		for (i : 0 .. MESSAGES - 1) {
			row[i] = false;
			linked[i] = false
		}
		recovery = 8 }
	/* 6. tombstones: unlink, flush, drop */
	:: atomic { recovery == 8 ->
		for (i : 0 .. DESTS - 1) {
			if
#ifndef MUT_RECOVERY_LEAVES_DELETED_FILES
			:: tombstone[i] -> name[i] = ABSENT
#endif
			:: else
			fi
		}
		recovery = 9 }
	:: atomic { recovery == 9 -> flush_all(); recovery = 10 }
	:: atomic { recovery == 10 ->
		for (i : 0 .. DESTS - 1) {
			if
			:: tombstone[i] -> tombstone[i] = false; deleted[i] = true
			:: else
			fi;
			dest_linked[i] = false
		}
		recovery = 11 }
	/* 7. whatever lies in the spool belongs to nobody; a queue entry without its file was dropped by hand, or sent */
	:: atomic { recovery == 11 ->
		for (i : 0 .. MESSAGES - 1) {
			spool[i] = NONE
		}
		if
		:: recipient != 0 && name[QQ] == ABSENT ->
			assert(recipient == 2);
			recipient = 0
		:: else
		fi;
		recovery = 0 }

	/* ---- crashes ---- */
	:: atomic { crashes < CRASHES && !quiet -> crashes++; forget() }
	:: atomic { crashes < CRASHES && !quiet -> crashes++; lose_power(); forget(); check_now() }

	/* ---- the end: nothing is left to do ---- */
	:: atomic { !recovery && !busy && no_tombs && smtp_over && !provider_has && ledger != 1 && recipient == 0 &&
		!row[S] && !row[C] && !row[Q] ->
		quiet = true;
		check_now();
		check_end();
		break }
	od
}
