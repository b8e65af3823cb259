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

#endif
