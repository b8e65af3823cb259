/* Bytes of some charset to UTF-8, for headers: whatever comes in, valid UTF-8 in one line comes out. Pure. */
#ifndef OFM_MAIL_CHARSET_H
#define OFM_MAIL_CHARSET_H

#include "base/buf.h"

#include <iconv.h>

enum { CHARSETS_KEPT = 4, CHARSET_NAME_MAX = 40 };

/* Open converters of one header's decoding. Zeroed to begin with; end with charsets_close. */
struct charsets {
	struct {
		char name[CHARSET_NAME_MAX + 1];
		iconv_t cd;
	} v[CHARSETS_KEPT];
	unsigned n, opened;
};

/* Appends UTF-8 text; a NUL, CR or LF in it becomes a space, what is no UTF-8 becomes U+FFFD. Stops between two
 * characters at out's maximum; that becomes what out holds then, so that nothing comes behind the cut. */
void charset_put(struct buf *out, struct slice utf8);
/* Appends bytes said to be of that charset, by names as seen in the wild; of an unknown one as charset_guess. */
void charset_convert(struct charsets *c, struct buf *out, struct slice charset, struct slice bytes);
/* Appends bytes that name no charset: UTF-8 where they are that (or nearly: a text cut off inside a character),
 * else koi8-r or windows-1251, whichever reads more like Russian. */
void charset_guess(struct buf *out, struct slice bytes);
/* The same for bytes of a message that names a charset, "" where none: what is not UTF-8 is read as that, where it is
 * known and can hold such bytes. */
void charset_guess_as(struct charsets *c, struct buf *out, struct slice charset, struct slice bytes);
void charsets_close(struct charsets *c);

#endif
