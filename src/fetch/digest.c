#include "fetch/digest.h"

#include "base/alloc.h"
#include "mail/header.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool among(struct slice name, const char *const *names)
{
	for (; *names != NULL; names++)
		if (slice_is_nocase(name, *names))
			return true;
	return false;
}

/* What earlier versions left out; their digests stand in databases. */
static bool rewritten_once(struct slice name)
{
	static const char *const names[] = {"Status",         "X-Status", "X-UIDL",           "X-UID",
	                                    "Content-Length", "Lines",    "X-Mozilla-Status", NULL};

	return among(name, names);
}

/* Fields that a server, its mailbox format or a filter of its adds, changes or drops between two reads. */
static bool rewritten_by_servers(struct slice name)
{
	static const char *const names[] = {"Status",
	                                    "X-Status",
	                                    "X-UIDL",
	                                    "X-UID",
	                                    "X-Keywords",
	                                    "X-IMAP",
	                                    "X-IMAPbase",
	                                    "X-Label",
	                                    "Content-Length",
	                                    "X-Content-Length",
	                                    "Lines",
	                                    "X-Account-Key",
	                                    "Return-Path",
	                                    "Delivered-To",
	                                    "X-Original-To",
	                                    "X-Envelope-To",
	                                    "X-Envelope-From",
	                                    "Envelope-To",
	                                    "Delivery-Date",
	                                    "X-Delivered-To",
	                                    "X-Resolved-To",
	                                    "X-Apparently-To",
	                                    "X-Bogosity",
	                                    "Authentication-Results",
	                                    "X-Gmail-Labels",
	                                    "X-Message-Flag",
	                                    NULL};
	static const char *const families[] = {
	    "X-Mozilla-",  "X-Evolution", "X-Spam",         "X-Virus",     "X-Antivirus",
	    "X-AV-",       "X-Rspamd-",   "X-MS-Exchange-", "X-GMX-",      "X-GM-",
	    "X-UI-",       "X-KAS-",      "X-Amavis-",      "X-CRM114-",   "X-DSPAM-",
	    "X-Dovecot-",  "X-Cyrus-",    "X-Sieve",        "X-MDaemon-",  "X-Yandex-",
	    "X-KMail-",    "ARC-",        "X-Barracuda-",   "X-IronPort-", "X-Balsa-",
	    "X-Sylpheed-", "X-Claws-",    "X-Forefront-",   NULL};

	for (const char *const *f = families; *f != NULL; f++)
		if (slice_starts_nocase(name, *f))
			return true;
	return among(name, names);
}

static bool not_by_the_author(struct slice name)
{
	static const char *const names[] = {"From", "To", "Subject", "Date", "Message-ID", NULL};

	return !among(name, names);
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

/* Without the fields that `leave` names; returns how many there were. */
static size_t digest_fields(const struct header *h, struct slice head, bool (*leave)(struct slice name),
                            unsigned char out[static DIGEST_SIZE])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	size_t n = 0;

	if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		abort();
	for (size_t i = 0; i < h->n; i++) {
		if (leave(h->v[i].name))
			continue;
		add_field(md, slice_sub(head, h->v[i].start, h->v[i].end - h->v[i].start));
		n++;
	}
	EVP_DigestFinal_ex(md, out, NULL);
	EVP_MD_CTX_free(md);
	return n;
}

void digest_header(struct slice head, unsigned char out[static DIGEST_SIZE])
{
	unsigned char all[DIGEST_SIZE], author[DIGEST_SIZE];
	struct header h;

	header_scan(&h, head);
	digest_fields(&h, head, rewritten_by_servers, all);
	if (digest_fields(&h, head, not_by_the_author, author) == 0)
		memset(author, 0, sizeof author);
	header_free(&h);
	memcpy(out, all, DIGEST_HALF);
	memcpy(out + DIGEST_HALF, author, DIGEST_HALF);
}

void digest_header_old(struct slice head, struct digest_old *out)
{
	struct header h;

	header_scan(&h, head);
	digest_fields(&h, head, rewritten_once, out->few);
	digest_fields(&h, head, rewritten_by_servers, out->many);
	header_free(&h);
}

int digest_compare(const unsigned char a[static DIGEST_SIZE], const unsigned char b[static DIGEST_SIZE])
{
	return memcmp(a, b, DIGEST_HALF);
}

bool digest_same(const unsigned char recorded[static DIGEST_SIZE], const unsigned char d[static DIGEST_SIZE],
                 const struct digest_old *old)
{
	return digest_known(recorded) && (digest_compare(recorded, d) == 0 || digest_compare(recorded, old->few) == 0);
}

bool digest_same_author(const unsigned char a[static DIGEST_SIZE], const unsigned char b[static DIGEST_SIZE])
{
	static const unsigned char none[DIGEST_HALF];

	return memcmp(a + DIGEST_HALF, b + DIGEST_HALF, DIGEST_HALF) == 0 &&
	       memcmp(a + DIGEST_HALF, none, DIGEST_HALF) != 0;
}

bool digest_is_unique(struct slice head)
{
	struct header h;

	header_scan(&h, head);
	bool unique = header_find(&h, "Message-ID", 0) != NULL || header_find(&h, "Received", 0) != NULL;
	header_free(&h);
	return unique;
}

bool digest_has_id(struct slice head)
{
	struct header h;

	header_scan(&h, head);
	bool has = header_find(&h, "Message-ID", 0) != NULL;
	header_free(&h);
	return has;
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
