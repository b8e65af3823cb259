/* TLS of our own servers. */
#ifndef OFM_NET_TLS_H
#define OFM_NET_TLS_H

#include "base/err.h"

#include <openssl/ssl.h>

/* A server context from a PEM chain and key: TLS 1.2 and up, small buffers (SSL_MODE_RELEASE_BUFFERS), sessions in
 * tickets alone. Handshakes on several threads may share it. NULL with e naming the file. The caller frees with
 * SSL_CTX_free; streams hold their own reference. */
SSL_CTX *tls_server_new(const char *certificate, const char *key, struct err *e);

#endif
