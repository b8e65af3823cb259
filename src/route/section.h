/* Where a message's header section ends when it is not as it should be. Internal to route/. */
#ifndef OFM_ROUTE_SECTION_H
#define OFM_ROUTE_SECTION_H

#include "mail/header.h"

/* How many of h's fields are the header section: all, or those in front of a line that is no field and belongs to the
 * body. Such a line is only a blot where known fields follow it; a first line that begins with a blank never is. */
size_t section_fields(const struct header *h);
struct section {
	/* There is no header section, and no empty line that says so: fields in front of it would swallow its first
	 * line. */
	bool missing;
	/* How many bytes of the message may hold blind fields: 0 where none does, SECTION_OPEN up to the empty line. */
	uint64_t blind;
};

#define SECTION_OPEN UINT64_MAX

/* head: the message, or its beginning; size: of the whole message. */
struct section section_look(struct slice head, uint64_t size);

#endif
