/* What a span of time added up to. On the journal's thread, inside journal_ask. */
#ifndef OFM_JOURNAL_SUMMARY_H
#define OFM_JOURNAL_SUMMARY_H

#include "journal/journal.h"

struct journal_person {
	char *name;
	struct journal_count wrote;    /* messages handed to the SMTP server */
	struct journal_count sent;     /* recipients outside that had them */
	struct journal_count received; /* copies put into the mailbox */
};

struct journal_source { /* an account */
	char *name;
	struct journal_count collected;
};

struct journal_summary {
	int64_t from, to; /* wall seconds, the end excluded */
	/* Messages accepted, collected, written, refused; recipients sent, deferred (each once), bounced, dropped. */
	struct journal_count of[JOURNAL_KINDS];
	struct journal_count delivered; /* copies put into mailboxes */
	struct journal_person *people;  /* by name */
	size_t npeople;
	struct journal_source *sources; /* by name */
	size_t nsources;
	unsigned came[24], left[24]; /* messages in, recipients sent to, by hour of the local day */
};

/* from and to are set; the caller frees with journal_summary_free. */
int journal_summarize(struct db_conn *c, struct journal_summary *s, struct err *e);
void journal_summary_free(struct journal_summary *s);

#endif
