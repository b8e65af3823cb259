/* What may reach libcurl, and what its failures mean. Pure. */
#ifndef OFM_NET_OUTSIDE_TEXT_H
#define OFM_NET_OUTSIDE_TEXT_H

#include "base/buf.h"
#include "net/outside.h"

#include <curl/curl.h>

/* NULL where t may be handed to libcurl, which would pass CR and LF on as commands; else why not. */
const char *outside_text_refuse(const struct outside_target *t);

struct outside_reading { /* a failure as libcurl left it */
	CURLcode rc;
	const char *why;    /* its error buffer */
	struct slice reply; /* the server's last line */
	bool upgrades;      /* STLS or STARTTLS was to come */
	bool greeted;       /* the greeting was a friendly one */
};

/* What kind of failure it was; appends an explanation for people to text. */
enum outside_failure outside_text_explain(const struct outside_reading *r, struct buf *text);

#endif
