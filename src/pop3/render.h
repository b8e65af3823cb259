/* A stored message as RETR and TOP send it: dots stuffed, files of others with CRLF line ends. Pure, incremental. */
#ifndef OFM_POP3_RENDER_H
#define OFM_POP3_RENDER_H

#include "base/buf.h"

#include <stdint.h>

struct pop3_render {
	bool mend_lf;  /* a bare LF becomes CRLF */
	bool headers;  /* TOP: the empty line is still to come */
	int64_t lines; /* TOP: body lines still to come; -1 = all of it */
	bool done;     /* TOP: enough; the rest is not needed */
	bool any, line_start, after_cr, after_crlf;
	bool empty_line; /* nothing but a CR in this line so far */
};

/* top: body lines, or -1 for the whole message. */
void pop3_render_init(struct pop3_render *r, bool mend_lf, int64_t top);
/* Appends to out at most 2 * in.n + 8 bytes, for which there must be room. */
void pop3_render(struct pop3_render *r, struct slice in, struct buf *out);
/* Whether `in` goes out as it stands, byte for byte: then it counts as rendered, and the caller sends it by himself. */
bool pop3_render_as_is(struct pop3_render *r, struct slice in);
/* The end of the last line, where it has none, and the final dot. */
void pop3_render_end(struct pop3_render *r, struct buf *out);

#endif
