#include "net/tls.h"

#include <openssl/err.h>

static int fail(struct err *e, const char *what, const char *file)
{
	unsigned long code = ERR_peek_last_error();
	const char *why = code != 0 ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return err_set(e, 0, "[tls] %s %s: %s", what, file, why != NULL ? why : "cannot be used");
}

static int load(SSL_CTX *ctx, const char *certificate, const char *key, struct err *e)
{
	if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1)
		return fail(e, "certificate", certificate);
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		return fail(e, "key", key);
	if (SSL_CTX_check_private_key(ctx) != 1)
		return fail(e, "key does not belong to the certificate:", key);
	return 0;
}

SSL_CTX *tls_server_new(const char *certificate, const char *key, struct err *e)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL) {
		err_set(e, 0, "[tls] certificate: no memory for TLS");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	/* As net/stream.c writes: what is left over later, from another place. The chain is the file's, not searched
	 * for at each handshake. */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	                          SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
	/* A client that hangs up without close_notify has ended its session all the same: the protocols above know
	 * by their own rules whether a command was whole. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_COMPRESSION);
	/* A session is what its client's ticket says: none is kept here, so no two threads share one. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"ofmsrv", 6);
	if (load(ctx, certificate, key, e) != 0) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}
