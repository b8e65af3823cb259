/* Where the big providers' servers are, and what DNS says of the others (RFC 6186, RFC 8314). */
#ifndef OFM_CTL_PROVIDERS_H
#define OFM_CTL_PROVIDERS_H

#include <stdbool.h>
#include <stdint.h>

enum { PROVIDERS_HOST_MAX = 256 };

struct provider {
	char pop3[PROVIDERS_HOST_MAX], smtp[PROVIDERS_HOST_MAX]; /* "" = not known */
	uint16_t pop3_port, smtp_port;
	const char *pop3_security, *smtp_security; /* as in the ini file */
	const char *note;                          /* what its users have to know; "" = nothing */
	bool token;                                /* it takes no passwords, but OAuth2 tokens */
	bool from_dns;
};

/* By the address's domain. use_dns: asks the machine's name server, for a few seconds at most. */
void provider_find(const char *domain, bool use_dns, struct provider *out);

#endif
