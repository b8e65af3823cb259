/* Addresses: of the envelope (RFC 5321 4.1.2) and in header fields (RFC 5322 3.4). Pure. */
#ifndef OFM_MAIL_ADDRESS_H
#define OFM_MAIL_ADDRESS_H

#include "base/buf.h"
#include "base/strlist.h"

/* An envelope path taken apart. local is unquoted ("a b"@x and a\ b alike), domain "" where there was none. */
struct address {
	char *local;
	char *domain; /* without the brackets' meaning touched: "[127.0.0.1]" stays */
};

enum { ADDRESS_MAX = 320 }; /* 64 + "@" + 255 */

/* "<a@b>" or "a@b" or "<>" (both parts "") or "<@route:a@b>" (the route is dropped); `rest` is what stands behind
 * the path (parameters), without leading blanks. Text may be UTF-8 (RFC 6531); the domain becomes ASCII. What devices
 * make of a path is understood too: a name before the address ("Name <a@b>", "<Name <a@b>>"), a dot
 * behind the domain, "mailto:". false for control characters, NUL, bytes that are no UTF-8, over-long or malformed
 * paths. The caller frees with address_free. */
bool address_parse_path(struct slice text, struct address *out, struct slice *rest);
/* A bare address as people write it in the ini file: "anna@firm.example" or "anna". Nothing behind it. */
bool address_parse(struct slice text, struct address *out);
void address_free(struct address *a);
/* "anna@почта.рф" with its domain in A-labels; any other text, and what is no domain, as it is. The caller frees. */
char *address_to_ascii(struct slice text);
/* "local@domain", local quoted where it must be; "" for the null sender; "local" without a domain. Caller frees. */
char *address_format(const struct address *a);

/* One address in a header field. */
struct mailbox {
	struct address address;
	size_t start, end;  /* byte offsets of the addr-spec itself within the field's value: what rewriting replaces */
	size_t angle_start; /* offset of '<' or SIZE_MAX */
	/* Offsets of all that stands between the separators around it: display name, comments, blanks. */
	size_t element_start, element_end;
};

struct mailbox_list {
	struct mailbox *v;
	size_t n;
};

/* Reads an address-list: groups, comments, quoted strings, folds, obsolete routes, missing commas, 'a@b' in single
 * quotes (they count as a part of it) and broken parts (skipped up to the next comma). Linear in value's length; at
 * most 100,000 addresses are kept. */
void mailbox_list_parse(struct slice value, struct mailbox_list *out);
/* Domains in other alphabets become A-labels, as envelope and configuration have them; of a thousand of them at most.
 */
void mailbox_list_to_ascii(struct mailbox_list *l);
void mailbox_list_free(struct mailbox_list *l);

#endif
