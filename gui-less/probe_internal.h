/* What the steps of a trial share. */
#ifndef OFM_CTL_PROBE_INTERNAL_H
#define OFM_CTL_PROBE_INTERNAL_H

#include "base/slice.h"
#include "probe.h"

enum { PROBE_ANSWER_MS = 20000 };

#define PROBE_HOSTNAME_HINT                                                                                            \
	"The server wants a full name of this machine: set [server] hostname, for instance to gate.firm.example."

struct probing {
	const struct probe *p;
	json_t *list;
	struct loop *loop;
	struct outside *line;
	bool ready, failed;
	enum outside_failure failure;
	char text[800], reply[400]; /* of the failure */
	char *password;
	/* Takes what the server sent; false where the awaited reply is complete. */
	bool (*hear)(struct probing *g, struct slice in);
	void *hearer;
};

/* Prints or appends one step, and returns ok. */
bool probe_tell(struct probing *g, const char *step, bool ok, const char *text, const char *mend);
/* Opens a connection anew, with or without libcurl's log-in; what became of it is in g. */
void probe_open(struct probing *g, bool login);
/* Runs until g->hear is content or the connection fails (g->failed): silence for PROBE_ANSWER_MS is a failure. */
void probe_wait(struct probing *g);

bool probe_pop3(struct probing *g); /* log-in, listing */
bool probe_smtp(struct probing *g); /* log-in, sending */

#endif
