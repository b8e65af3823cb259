#include "route/section.h"

#include "mail/rewrite.h"

/* Whether what stands behind a line that is no field is still the header section, and that line a blot in it. */
static bool fields_follow(const struct header *h, size_t i)
{
	static const char *const known[] = {"From",         "To",       "Cc",         "Bcc",
	                                    "Date",         "Subject",  "Message-ID", "MIME-Version",
	                                    "Content-Type", "Received", "Resent-Bcc"};

	for (size_t k = 0; k < sizeof known / sizeof *known; k++)
		if (header_find(h, known[k], i) != NULL)
			return true;
	return false;
}

static bool begins_blank(const struct header *h)
{
	return h->bytes.n > 0 && (h->bytes.p[0] == ' ' || h->bytes.p[0] == '\t');
}

/* A bundle of fields at the end is no line of text. */
static bool has_bundle(const struct header *h)
{
	return h->n == HEADER_MAX_FIELDS;
}

size_t section_fields(const struct header *h)
{
	if (begins_blank(h))
		return 0;
	for (size_t i = 0; i < h->n - has_bundle(h); i++)
		if (h->v[i].name.n == 0)
			return fields_follow(h, i) ? h->n : i;
	return h->n;
}

static bool has_blind(const struct header *h, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (rewrite_is_blind(h->v[i].name))
			return true;
	return n == HEADER_MAX_FIELDS;
}

struct section section_look(struct slice head, uint64_t size)
{
	struct section s = {false, 0};
	struct header h;

	header_scan(&h, head);
	size_t n = section_fields(&h);
	s.missing = h.n > 0 && n == 0;
	if (n == h.n && ((h.body == h.end && head.n < size) || has_blind(&h, n)))
		s.blind = SECTION_OPEN;
	else if (n < h.n && has_blind(&h, n))
		s.blind = h.v[n].start;
	header_free(&h);
	return s;
}
