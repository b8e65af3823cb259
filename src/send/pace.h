/* How fast mail may go to one relay: a configured rate, and the pace that the relay was found to allow. Pure: the
 * caller brings a monotonic clock in milliseconds, the same one each time.
 *
 * Each transaction takes one token; there is one token at a time, so that no relay sees a burst. When the relay refuses
 * for its rate, the lane pauses (a second, then doubling while nothing is taken), one transaction tries whether it
 * takes mail again, and the rest follows a little slower than what it took before. From then on the pace rises slowly.
 */
#ifndef OFM_SEND_PACE_H
#define OFM_SEND_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	PACE_PAUSE_MS = 1000,      /* the first pause */
	PACE_PAUSE_MAX_MS = 64000, /* behind this one the relay counts as down */
	PACE_PROBE_MS = 30000      /* without an answer to the one that tries, another may */
};

struct pace {                  /* all zero: no limit */
	int64_t configured_us; /* between two transactions; 0 = no limit */
	int64_t found_us;      /* what the relay was found to allow; 0 = no limit known */
	int64_t next_us;       /* none begins before */
	int64_t pause_ms;      /* of the newest refusal; 0 = it takes mail */
	int64_t since_ms;      /* `taken` are counted from here */
	uint64_t taken;
	int64_t measured_ms; /* the newest refusal: `measured` were taken in so long, at former_us from each other */
	int64_t measured, former_us;
	unsigned streak; /* taken since the pace changed */
	unsigned turn;   /* counts the refusals that changed it */
	bool paused;     /* nothing was taken since the newest refusal */
	bool trying;     /* … and one is under way that tries */
};

/* Messages a minute; 0 = none, as the configuration and store/learnt.h have them. */
void pace_set(struct pace *p, int64_t configured, int64_t found);
/* How long until the next transaction may begin; 0 = now. */
int64_t pace_wait_ms(const struct pace *p, int64_t now);
/* One begins. Returns its turn, which says later whether it began before the newest slowing. */
unsigned pace_begin(struct pace *p, int64_t now);
/* The relay took one, or refused it for another reason. true: the pace changed. */
bool pace_taken(struct pace *p, unsigned turn, int64_t now);
/* One ended without saying anything about the pace. */
void pace_unknown(struct pace *p, unsigned turn);
/* It was refused for the rate. false: it began before the newest slowing, and says nothing new. */
bool pace_refused(struct pace *p, unsigned turn, int64_t now);
/* There is something new to try: at most the shortest pause. */
void pace_hurry(struct pace *p, int64_t now);
/* Pauses so long that the relay should be left alone; the next pause is the first again. */
bool pace_exhausted(struct pace *p);
/* What was found, in messages a minute; 0 = nothing. */
int64_t pace_found(const struct pace *p);

#endif
