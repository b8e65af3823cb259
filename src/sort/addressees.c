#include "sort/addressees.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

/* An unshared alias, or NAME@domain. NULL for strangers and for the daemon, which collected mail never reaches. */
static const struct config_user *user_of(const struct config *c, const struct address *a)
{
	char *whole = address_format(a);
	const struct config_user *u = config_user_by_alias(c, slice_of(whole));

	free(whole);
	if (u == NULL && slice_eq_nocase(slice_of(a->domain), slice_of(c->domain)))
		u = config_user_by_name(c, slice_of(a->local));
	return u != NULL && !u->is_daemon ? u : NULL;
}

/* ---- addresses as mail programs write them, though no grammar knows them ---- */

static bool holds(struct slice s, const char *what)
{
	return s.n > 0 && memmem(s.p, s.n, what, strlen(what)) != NULL;
}

/* The addresses in a text that is no address list by itself: encoded words with whole lists in them, or quotes around
 * what is no name. Those without a domain are only words. */
static void add_hidden(struct slice s, struct mailbox_list *out)
{
	struct mailbox_list l;
	struct buf text;
	size_t n = 0;

	if (!holds(s, "=?") && slice_find(s, '"') == s.n)
		return;
	buf_init(&text, SIZE_MAX / 2);
	header_decode(&text, s);
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] != '"')
			text.p[n++] = text.p[i];
	text.n = n;
	mailbox_list_parse(buf_slice(&text), &l);
	for (size_t i = 0; i < l.n; i++) {
		if (l.v[i].address.domain[0] == '\0')
			continue;
		if ((out->n & (out->n - 1)) == 0)
			out->v = xreallocarray(out->v, out->n != 0 ? 2 * out->n : 1, sizeof *out->v);
		out->v[out->n++] = l.v[i];
		l.v[i].address = (struct address){NULL, NULL};
	}
	mailbox_list_free(&l);
	buf_free(&text);
}

/* <"anna@firm.example">, <=?utf-8?Q?anna=40firm.example?=>, <=?utf-8?Q?anna?=@firm.example>: what stands there is read
 * once more. */
static void read_again(struct address *a)
{
	struct slice local = slice_of(a->local);
	struct mailbox_list l = {NULL, 0};
	struct buf text;

	if (!holds(local, "=?") && (a->domain[0] != '\0' || slice_find(local, '@') == local.n))
		return;
	buf_init(&text, ADDRESS_MAX);
	header_decode(&text, local);
	if (a->domain[0] != '\0') {
		buf_add_str(&text, "@");
		buf_add_str(&text, a->domain);
	}
	mailbox_list_parse(buf_slice(&text), &l);
	if (l.n == 1 && l.v[0].address.domain[0] != '\0') {
		address_free(a);
		*a = l.v[0].address;
		l.v[0].address = (struct address){NULL, NULL};
	}
	mailbox_list_free(&l);
	buf_free(&text);
}

enum { ODD_MAX = 1000 }; /* of a field: each may open a converter */

static void parse(struct slice value, struct mailbox_list *l)
{
	struct mailbox_list hidden = {NULL, 0};
	size_t at = 0;

	mailbox_list_parse(value, l);
	for (size_t i = 0; i < l->n && i < ODD_MAX; i++) {
		read_again(&l->v[i].address);
		if (l->v[i].element_start > at)
			add_hidden(slice_sub(value, at, l->v[i].element_start - at), &hidden);
		at = l->v[i].element_end;
	}
	if (l->n < ODD_MAX)
		add_hidden(slice_sub(value, at, value.n), &hidden);
	if (hidden.n > 0) {
		l->v = xreallocarray(l->v, l->n + hidden.n, sizeof *l->v);
		memcpy(l->v + l->n, hidden.v, hidden.n * sizeof *l->v);
		l->n += hidden.n;
	}
	free(hidden.v);
	mailbox_list_to_ascii(l);
}

static void look_up(const struct config *c, const struct header_field *f, addressee_found *found, void *arg)
{
	struct mailbox_list l;

	parse(f->value, &l);
	for (size_t i = 0; i < l.n; i++) {
		const struct config_user *u = user_of(c, &l.v[i].address);
		if (u != NULL)
			found(arg, u, f, &l.v[i].address);
	}
	mailbox_list_free(&l);
}

void addressees_by_address(const struct config *c, const struct header *h, addressee_found *found, void *arg)
{
	static const char *const names[] = {"To", "Cc", "Resent-To", "Resent-Cc"};

	for (size_t i = 0; i < h->n; i++)
		for (size_t k = 0; k < sizeof names / sizeof *names; k++)
			if (slice_is_nocase(h->v[i].name, names[k]))
				look_up(c, &h->v[i], found, arg);
}

/* Whether domain is the host's, or one that the host lies in: firm.example for pop.firm.example. */
static bool host_in_domain(const char *host, const char *domain)
{
	struct slice h = slice_of(host), d = slice_of(domain);

	if (d.n == 0 || h.n < d.n || !slice_eq_nocase(slice_sub(h, h.n - d.n, d.n), d))
		return false;
	return h.n == d.n || h.p[h.n - d.n - 1] == '.';
}

/* The address under which the provider keeps the account itself: its log-in name. Where that has no domain, the
 * host's; or any, unless we know the address for somebody's. */
static bool is_own(const struct config *c, const struct config_account *account, const struct address *a)
{
	const char *user = account->login.user;

	if (strchr(user, '@') == NULL)
		return slice_is_nocase(slice_of(a->local), user) &&
		       (host_in_domain(account->login.host, a->domain) || user_of(c, a) == NULL);
	char *whole = address_format(a), *own = address_to_ascii(slice_of(user));
	bool same = slice_is_nocase(slice_of(whole), own);
	free(whole);
	free(own);
	return same;
}

static void cut_prefix(struct address *a, const char *prefix)
{
	size_t n = strlen(prefix);

	if (n > 0 && strlen(a->local) > n && slice_starts_nocase(slice_of(a->local), prefix))
		memmove(a->local, a->local + n, strlen(a->local) - n + 1);
}

/* One envelope field; false where it names nobody but the account. */
static bool look_up_envelope(const struct config *c, const struct config_account *account, const struct header_field *f,
                             addressee_found *found, void *arg)
{
	struct mailbox_list l;
	bool counts = false;

	parse(f->value, &l);
	for (size_t i = 0; i < l.n && !counts; i++)
		counts = !is_own(c, account, &l.v[i].address);
	for (size_t i = 0; i < l.n && counts; i++) {
		cut_prefix(&l.v[i].address, account->envelope_prefix);
		const struct config_user *u = user_of(c, &l.v[i].address);
		if (u != NULL)
			found(arg, u, f, &l.v[i].address);
	}
	mailbox_list_free(&l);
	return counts;
}

/* Number of fields above the first Received line that the provider did not write. */
static size_t trusted_fields(const struct config_account *account, const struct header *h)
{
	unsigned hops = account->envelope_hops;

	for (size_t i = 0; i < h->n; i++)
		if (slice_is_nocase(h->v[i].name, "Received") && hops-- == 0)
			return i;
	return h->n;
}

bool addressees_by_envelope(const struct config *c, const struct config_account *account, const struct header *h,
                            addressee_found *found, void *arg)
{
	size_t trusted = trusted_fields(account, h);
	bool counts = false;

	for (size_t k = 0; k < account->envelope.n && !counts; k++)
		for (size_t i = 0; i < trusted; i++)
			if (slice_is_nocase(h->v[i].name, account->envelope.v[k]))
				counts |= look_up_envelope(c, account, &h->v[i], found, arg);
	return counts;
}
