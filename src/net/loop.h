/* The event loop: one thread runs all sessions; other threads hand results to it. */
#ifndef OFM_NET_LOOP_H
#define OFM_NET_LOOP_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct loop;
struct trust;

struct loop *loop_new(void); /* NULL where libevent fails */
void loop_free(struct loop **l);
struct event_base *loop_base(struct loop *l);
/* A loop on a thread of its own, for what is work and not waiting; begun when first asked for. Its thread talks to l by
 * loop_post alone. loop_free ends it; what is posted to it then still runs. */
struct loop *loop_helper(struct loop *l);
/* Who does what would keep the loop's thread busy: runs work(arg) elsewhere, then posts done(arg). NULL: nobody, as at
 * first. Loop thread only. */
typedef void loop_crew(void *crew, void (*work)(void *arg), void (*done)(void *arg), void *arg);
void loop_set_crew(struct loop *l, loop_crew *run, void *crew);
/* work(arg) on the crew and later done(arg) here; both at once where there is no crew. Loop thread only. */
void loop_hand_over(struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg);
/* Shared by all connections that are opened on this loop; loop thread alone. */
struct trust *loop_trust(struct loop *l);
/* Runs until loop_stop. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* Any thread: fn(arg) runs on the loop's thread, soon, in order of posting. Never blocks. */
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg);

/* Runs what was posted and is still waiting; false where nothing was. For the end, when no other thread posts any more.
 */
bool loop_drain(struct loop *l);

/* A one-shot timer on the loop's thread. Takes nothing; the owner frees it. */
struct loop_timer;
struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg);
void loop_timer_set(struct loop_timer *t, int64_t ms); /* from now, never earlier; replaces an earlier setting */
void loop_timer_cancel(struct loop_timer *t);
void loop_timer_free(struct loop_timer **t);

/* Bulk work that comes in pieces, at the back of what people wait for: those who asked have their turn one after
 * another, as many in a round of the loop as fit into two milliseconds, one at least; in a helper's round one. Part of
 * its owner, zeroed; loop thread only. */
struct loop_turn {
	TAILQ_ENTRY(loop_turn) link;
	void (*fn)(void *arg); /* one piece; it may ask again, or free the owner */
	void *arg;
	bool waiting;
};
void loop_turn_ask(struct loop *l, struct loop_turn *t, void (*fn)(void *arg), void *arg);
/* It does not want its turn any more, if it wanted one. */
void loop_turn_leave(struct loop *l, struct loop_turn *t);

/* Part of something that has no owner any more and ends by itself, later: where the loop ends first, loop_free calls
 * end(arg), which frees it. Loop thread only. */
struct loop_orphan {
	LIST_ENTRY(loop_orphan) link;
	void (*end)(void *arg);
	void *arg;
};
void loop_adopt(struct loop *l, struct loop_orphan *o, void (*end)(void *arg), void *arg);
/* It ends by itself now. end must call it too. */
void loop_disown(struct loop_orphan *o);

#endif
