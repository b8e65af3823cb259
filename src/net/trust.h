/* Certificates that outside servers are verified against, read once for all connections: the system's bundle takes
 * longer to parse than a handshake. A file is read anew when it was changed. Loop thread. */
#ifndef OFM_NET_TRUST_H
#define OFM_NET_TRUST_H

#include <openssl/x509.h>

struct trust;

struct trust *trust_new(void);
/* Of this PEM file; borrowed until the next call. NULL where it cannot be read or holds no certificate. */
X509_STORE *trust_store(struct trust *t, const char *path);
void trust_free(struct trust **t);

#endif
