/* Inside `ofmctl top`: what is known, and how it is drawn. */
#ifndef OFM_CTL_TOP_H
#define OFM_CTL_TOP_H

#include "client.h"

#include <stdbool.h>
#include <stdint.h>

enum { TOP_EVENTS = 100, TOP_NOTE = 200, TOP_NAME = 300 };

enum top_pane { TOP_ACCOUNTS, TOP_QUEUE, TOP_PANES };

struct top {
	const struct ctl_options *o;
	struct client *client;    /* NULL: no daemon answers */
	json_t *status;           /* of "metrics"; NULL = never heard */
	json_t *queue;            /* the first page's messages */
	char *events[TOP_EVENTS]; /* a line each, the newest at `nevents` - 1, round and round */
	size_t nevents;
	int64_t behind, event; /* the journal's cursor */
	bool following;
	enum top_pane pane;
	/* A row is chosen by its name or id, whatever goes or comes above it. */
	size_t chosen[TOP_PANES];              /* where it was last seen */
	char chosen_name[TOP_PANES][TOP_NAME]; /* "" = none yet */
	bool lost[TOP_PANES];                  /* it has gone: nothing is chosen until a key says so */
	char note[TOP_NOTE];                   /* what the last key did, or why nothing is known */
	char asked[TOP_NAME];                  /* the id that "y" drops; "" = nothing was asked */
	bool colours;
};

/* ---- top_data.c ---- */

/* Asks the daemon anew; says in the note where it does not answer. */
void top_refresh(struct top *t);
void top_forget(struct top *t);
/* One request; its outcome goes into the note. Whether it succeeded. */
bool top_do(struct top *t, const struct control_request *r, const char *done);
/* The pane's rows. */
const json_t *top_rows(const struct top *t, enum top_pane pane);
/* The chosen row of the pane; NULL where there is none. */
const json_t *top_chosen(const struct top *t, enum top_pane pane);
/* Chooses row i, or the last one before it. */
void top_choose(struct top *t, enum top_pane pane, size_t i);

/* ---- top_draw.c ---- */

void top_draw(const struct top *t);

#endif
