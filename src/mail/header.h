/* The header section of a message (RFC 5322 2.2), as it lies in memory. Pure. */
#ifndef OFM_MAIL_HEADER_H
#define OFM_MAIL_HEADER_H

#include "base/buf.h"

/* One field as it stands; slices point into the scanned bytes. */
struct header_field {
	struct slice name;  /* without the colon and spaces before it; "" for a line that is no field */
	struct slice value; /* raw: from behind the colon to before the final line end, folds included */
	size_t start, end;  /* byte offsets of the whole field, its final line end included */
};

struct header {
	struct slice bytes; /* what was scanned: the header section alone */
	struct header_field *v;
	size_t n;
	size_t end;  /* offset behind the header section: of the empty line, or of all bytes */
	size_t body; /* offset of the first byte behind the empty line, or of all bytes where there is none */
};

/* What comes behind so many fields is kept as one last "field" without a name, so that a flood of tiny lines does not
 * cost many times its size in memory. */
enum { HEADER_MAX_FIELDS = 100000 };

/* Scans bytes (a message, or its beginning); lines end in LF or CRLF. Linear time; any bytes. The bytes stay the
 * caller's and must outlive h. Free with header_free. */
void header_scan(struct header *h, struct slice bytes);
void header_free(struct header *h);
/* First field of that name without case, at or behind index `from`; NULL where there is none. */
const struct header_field *header_find(const struct header *h, const char *name, size_t from);
size_t header_count(const struct header *h, const char *name);

/* The charset that the message itself names in Content-Type; "" where it names none. */
struct slice header_charset(const struct header *h);

/* Appends value without blanks at its ends, unfolded (a fold with its blanks becomes one space), RFC 2047 words and
 * RFC 2231 parameters decoded, raw 8-bit as UTF-8 by the fallback list (utf-8; koi8-r or windows-1251, whichever reads
 * more like Russian): always valid UTF-8 without NUL, CR and LF. Broken words stay as they are. Linear time; stops
 * silently at out's maximum. */
void header_decode(struct buf *out, struct slice value);
/* The same for a field of a message that names a charset: raw 8-bit that is no UTF-8 is read as that. */
void header_decode_as(struct buf *out, struct slice value, struct slice charset);

#endif
