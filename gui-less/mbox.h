/* mbox files ("mboxrd": each message behind a line "From SENDER DATE", lines that begin with From or >From get one more
 * >, an empty line behind each), read and written in pieces of any size, and putting messages into a mailbox. */
#ifndef OFM_CTL_MBOX_H
#define OFM_CTL_MBOX_H

#include "base/slice.h"
#include "store/maildir.h"

#include <stdio.h>

/* Where a line stands as far as its quoting is concerned. Part of the readers and writers below. */
struct mbox_line {
	uint64_t marks; /* ">" at its beginning */
	unsigned from;  /* so many letters of "From " behind them */
	bool inside;    /* it is known which kind of line it is */
	bool cr;        /* a CR that may be part of the line's end */
};

/* ---- writing ---- */

struct mbox_writer {
	FILE *f; /* borrowed; look at ferror() and fflush() in the end */
	struct mbox_line line;
	bool any; /* the line has begun */
};

void mbox_write_begin(struct mbox_writer *w, FILE *f, int64_t arrived);
/* Line ends become LF. */
void mbox_write(struct mbox_writer *w, struct slice piece);
void mbox_write_end(struct mbox_writer *w);

/* ---- reading ---- */

struct mbox_reader {
	/* A message's bytes, its line ends CRLF; the first of them begin a message. Both return 0 to go on. */
	int (*data)(void *arg, struct slice piece);
	int (*end)(void *arg);
	void *arg;
	/* private */
	struct mbox_line line;
	bool started, mbox; /* mbox: the file began with "From "; else it is one message */
	bool any;           /* the line has begun */
	bool separator;     /* the line is a message's "From " */
	bool empty;         /* the last line was empty, and has not been handed on */
	bool open;          /* a message has begun */
};

/* Takes the next piece; what data or end returned. */
int mbox_read(struct mbox_reader *r, struct slice piece);
/* The file's end. -1 with e where an mbox file ends in the middle of a line: it was cut off. */
int mbox_read_end(struct mbox_reader *r, struct err *e);

/* ---- into a mailbox ---- */

/* Messages on their way into one mailbox: all of them appear at the end, or none. */
struct mbox_place;

struct mbox_place *mbox_place_open(struct maildir *m, const char *user, struct err *e);
/* More of the message under way; the first piece begins one. */
int mbox_place_add(struct mbox_place *p, struct slice piece, struct err *e);
/* It is whole. */
int mbox_place_end(struct mbox_place *p, struct err *e);
/* keep: puts them into new/, durably; else forgets them. */
int mbox_place_close(struct mbox_place **p, bool keep, struct err *e);

#endif
