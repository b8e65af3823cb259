/* Whether a host and port are this gateway. Asks the kernel for its addresses, and no name server. Room-internal. */
#ifndef OFM_CONFIG_ITSELF_H
#define OFM_CONFIG_ITSELF_H

#include "config/config.h"

struct itself;

struct itself *itself_new(const struct config *c); /* borrows c */
void itself_free(struct itself **s);
/* Whether host:port is what `server` listens on. */
bool itself_is(const struct itself *s, const struct config_server *server, const char *host, uint16_t port);

/* Not this machine, and not on the LAN as far as the name or number tells. */
bool host_is_distant(const char *host);

#endif
