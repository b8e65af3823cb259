#include "fetch/digest.h"

#include "base/alloc.h"
#include "mail/header.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

static bool rewritten_by_servers(struct slice name)
{
	static const char *const names[] = {"Status",         "X-Status", "X-UIDL",           "X-UID",
	                                    "Content-Length", "Lines",    "X-Mozilla-Status", NULL};

	for (const char *const *n = names; *n != NULL; n++)
		if (slice_is_nocase(name, *n))
			return true;
	return false;
}

/* CR is left out, so that a server which ends the lines of TOP otherwise gives the same. */
static void add_field(EVP_MD_CTX *md, struct slice field)
{
	for (size_t from = 0; from < field.n;) {
		struct slice rest = slice_sub(field, from, field.n);
		size_t n = slice_find(rest, '\r');

		EVP_DigestUpdate(md, rest.p, n);
		from += n + 1;
	}
}

void digest_header(struct slice head, unsigned char out[static DIGEST_SIZE])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	struct header h;

	if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		abort();
	header_scan(&h, head);
	for (size_t i = 0; i < h.n; i++)
		if (!rewritten_by_servers(h.v[i].name))
			add_field(md, slice_sub(head, h.v[i].start, h.v[i].end - h.v[i].start));
	header_free(&h);
	EVP_DigestFinal_ex(md, out, NULL);
	EVP_MD_CTX_free(md);
}

bool digest_known(const unsigned char d[static DIGEST_SIZE])
{
	for (size_t i = 0; i < DIGEST_SIZE; i++)
		if (d[i] != 0)
			return true;
	return false;
}

void digest_hex(const unsigned char d[static DIGEST_SIZE], char out[static 2 * DIGEST_SIZE + 1])
{
	for (size_t i = 0; i < DIGEST_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", d[i]);
}

static int64_t read_date(struct slice text)
{
	char *s = slice_dup(slice_sub(slice_trim(text), 0, 128));
	int64_t t = (int64_t)curl_getdate(s, NULL);

	free(s);
	return t;
}

/* "… ; Tue, 24 Nov 2026 04:00:00 +0000" */
static int64_t received_date(struct slice value)
{
	size_t at = value.n;

	while (at > 0 && value.p[at - 1] != ';')
		at--;
	return at > 0 ? read_date(slice_sub(value, at, value.n)) : -1;
}

int64_t digest_arrival(struct slice head)
{
	struct header h;
	int64_t t = -1;

	header_scan(&h, head);
	const struct header_field *received = header_find(&h, "Received", 0);
	const struct header_field *date = header_find(&h, "Date", 0);
	if (received != NULL)
		t = received_date(received->value);
	if (t < 0 && date != NULL)
		t = read_date(date->value);
	header_free(&h);
	return t;
}
