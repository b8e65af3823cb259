#include "fetch/stamp.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static bool ascii(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s >= 0x7f)
			return false;
	return true;
}

/* Within a comment (RFC 5322 3.2.2): parentheses and backslashes quoted; other alphabets as one encoded word. */
static void add_comment_text(struct buf *out, const char *s)
{
	if (!ascii(s)) {
		size_t n = strlen(s);
		unsigned char *b64 = xcalloc(1, 4 * ((n + 2) / 3) + 1);

		EVP_EncodeBlock(b64, (const unsigned char *)s, (int)n);
		buf_printf(out, "=?utf-8?B?%s?=", (const char *)b64);
		free(b64);
		return;
	}
	for (; *s != '\0'; s++) {
		if (*s == '(' || *s == ')' || *s == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, *s < ' ' ? ' ' : *s);
	}
}

void stamp_write(struct buf *out, const struct config *c, const struct config_account *a, const char *uidl,
                 const struct sorter_verdict *v)
{
	char date[40];

	clock_rfc5322(clock_wall_s(), date);
	buf_printf(out, "Received: from %s by %s with POP3 (account ", a->login.host, c->hostname);
	add_comment_text(out, a->label);
	buf_add_str(out, ", uidl ");
	add_comment_text(out, uidl);
	buf_printf(out, "); %s\r\n", date);
	if (v->why == SORTED_TO_POSTMASTER)
		buf_add_str(out,
		            "X-Ofmsrv-Unsorted: no rule matches, the account has no `deliver`, and no address in its "
		            "headers is a user's\r\n");
}
