/* Whether what people did to the queue is done. */
#include "send/sender_internal.h"

enum sender_acted sender_acted(const struct sender *s, const char *id)
{
	const struct message *m = message_find(s, id);
	bool late = false;

	if (m == NULL)
		return SENDER_DONE;
	if (m->committing || m->dirty || m->mend || !message_waits(m))
		return SENDER_COMMITTING;
	for (size_t i = 0; i < m->q->nrecipients; i++) {
		if (m->t[i].dirty)
			return SENDER_COMMITTING;
		late = late || m->t[i].drop;
	}
	return late ? SENDER_WITH_RELAY : SENDER_DONE;
}
