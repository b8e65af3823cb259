/* Do mailboxes, outqueue and state belong together? One random id stands in all three folders
 * (mailboxes/.ofmsrv-id, outqueue/.ofmsrv-id, state/ofmsrv.id), so that a disk that is not mounted, or a folder of
 * another installation, stops the start instead of being taken for an emptied one. */
#ifndef OFM_STORE_INSTALLATION_H
#define OFM_STORE_INSTALLATION_H

#include "base/err.h"

enum installation {
	INSTALLATION_KNOWN,     /* all three agree */
	INSTALLATION_NEW,       /* none had an id: a first start; now they have one */
	INSTALLATION_STATE_LOST /* the state folder had none: its database was lost, and has to be rebuilt */
};

/* Descriptors of the three folders. 0 and *what; -1 with advice in e: nothing may be touched. Blocks. */
int installation_check(int mailboxes, int outqueue, int state, enum installation *what, struct err *e);

enum installation_seen {
	INSTALLATION_FINE,          /* or nobody can tell from here */
	INSTALLATION_WITHOUT_STATE, /* a start would build a new database; *key and e say what to look at */
	INSTALLATION_WRONG          /* a start would fail; the same */
};
/* What a start would find, by the folders' paths; changes nothing. *key: which of [server] it is about. */
enum installation_seen installation_look(const char *mailboxes, const char *outqueue, const char *state,
                                         const char **key, struct err *e);

#endif
