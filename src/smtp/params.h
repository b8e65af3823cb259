/* Parameters of MAIL and RCPT (RFC 5321 4.1.2, 1870, 6152, 6531, 4954; of RFC 3461 the syntax alone). Pure. */
#ifndef OFM_SMTP_PARAMS_H
#define OFM_SMTP_PARAMS_H

#include "base/buf.h"

enum param_result {
	PARAM_OK,
	PARAM_SYNTAX, /* 501 */
	PARAM_UNKNOWN /* 555: well formed, but not of an extension that is offered */
};

struct mail_params {
	bool has_size, has_body, has_auth;
	uint64_t size;
	bool eight_bit;
	bool utf8; /* SMTPUTF8 */
};

enum param_result mail_params_parse(struct slice text, bool auth_offered, struct mail_params *out);
enum param_result rcpt_params_parse(struct slice text);
/* RFC 3461 4: "+" and two upper-case hex digits, or "!".."~" but "+" and "=". false where it is none, or stands for
 * controls or bytes over 0x7e. */
bool xtext_decode(struct slice text, struct buf *out);

#endif
