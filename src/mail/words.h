/* Encoded words (RFC 2047) and encoded parameters (RFC 2231), one at a time, to bytes of their charset. Pure.
 *
 * Both readers look no further than to the end of what they read, or to where another might begin, so that whoever
 * tries them at every place of a text still takes linear time. */
#ifndef OFM_MAIL_WORDS_H
#define OFM_MAIL_WORDS_H

#include "base/buf.h"

struct encoded_word {
	struct slice charset; /* without RFC 2231's language */
	char encoding;        /* 'b' or 'q' */
	struct slice text;
	size_t end; /* offset behind it */
};

/* Whether an encoded word starts at s.p[at]. Blanks in its text and missing blanks around it are forgiven, for
 * clients write such; base64 that is none is not. */
bool encoded_word_parse(struct slice s, size_t at, struct encoded_word *w);
/* Appends its bytes; never more than w->text.n. */
void encoded_word_bytes(const struct encoded_word *w, struct buf *out);

struct encoded_param {
	struct slice name;    /* without the stars and numbers */
	struct slice charset; /* "" where none is said */
	size_t end;           /* offset behind the last part read */
};

/* Whether at s.p[at], a ';', starts a parameter as RFC 2231 writes it: NAME*=charset'language'text, or numbered
 * parts from NAME*0 up. Then appends its bytes to out, all parts that follow one another in order joined. */
bool encoded_param_parse(struct slice s, size_t at, struct encoded_param *p, struct buf *out);

#endif
