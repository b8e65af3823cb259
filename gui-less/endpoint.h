/* Where the daemon's control socket is. */
#ifndef OFM_CTL_ENDPOINT_H
#define OFM_CTL_ENDPOINT_H

#include "ctl.h"

/* [server] control of the ini file, read by a scan for this key alone: the daemon must be reachable while its file is
 * faulty, or is not ours to read (it holds passwords; the group of the socket need not see them). Then, and where the
 * key is not written: state/control.sock in the home. The caller frees. */
char *endpoint_find(const struct ctl_options *o);
/* Where a daemon of this home listens whose file has named no other socket at its start. The caller frees. */
char *endpoint_default(const struct ctl_options *o);
/* The same of a text, for tests: the key's value, or NULL. The caller frees. */
char *endpoint_scan(const char *ini);

#endif
