/* The dot codec of SMTP's DATA (RFC 5321 4.5.2) and POP3's multi-line replies (RFC 1939 3). Pure, incremental. */
#ifndef OFM_MAIL_DOT_H
#define OFM_MAIL_DOT_H

#include "base/buf.h"

/* Decoder: feed bytes as they come. Only CRLF.CRLF ends the data (or .CRLF as its very first line). */
struct dot_decoder {
	unsigned char state;
	bool bare_lf_to_crlf; /* SMTP in: a bare LF becomes CRLF in the output; never an end of data */
};

void dot_decoder_init(struct dot_decoder *d, bool bare_lf_to_crlf);
/* Consumes from `in`, hands decoded runs to emit (which may be called many times; a run points into `in` or to a
 * constant). Returns the bytes consumed: all of `in`, or up to and including the end mark; *done then. */
size_t dot_decode(struct dot_decoder *d, struct slice in, void (*emit)(void *arg, struct slice run), void *arg,
                  bool *done);

/* Encoder: stuffs dots at line starts. At the end dot_encode_end appends what ends the data: CRLF first where the
 * message did not end in one. A line starts after CRLF alone: what has bare LFs goes through crlf_normalize first. */
struct dot_encoder {
	unsigned char state;
};

void dot_encoder_init(struct dot_encoder *e);
/* false where out is full; out may then hold a part of `in`. */
bool dot_encode(struct dot_encoder *e, struct slice in, struct buf *out);
bool dot_encode_end(struct dot_encoder *e, struct buf *out);
/* Whether `in` holds a CRLF. anywhere or begins with a dot at a line start: false = it may be sent as it is. */
bool dot_needs_stuffing(const struct dot_encoder *e, struct slice in);
/* Notes that `in` was sent as it is. */
void dot_encode_skip(struct dot_encoder *e, struct slice in);

/* Every bare CR and bare LF becomes CRLF; *last_cr carries over between calls. */
bool crlf_normalize(struct slice in, bool *last_cr, struct buf *out);

#endif
