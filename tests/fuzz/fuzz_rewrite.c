/* Rewriting: every byte except the addresses that were replaced, the blind fields and the form of line ends stays; a
 * naive copy says so. */
#include "mail/rewrite.h"

#include "checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct names {
	unsigned char seed;
	char text[64];
};

/* Some addresses have another one, always the same. */
static const char *other(void *arg, const struct address *a)
{
	struct names *n = arg;
	unsigned h = n->seed;

	for (const char *p = a->local; *p != '\0'; p++)
		h = h * 31 + (unsigned char)*p;
	if (h % 3 == 0)
		return NULL;
	snprintf(n->text, sizeof n->text, h % 3 == 1 ? "alias%u@firm.example" : "\"%u\"@x", h % 100);
	return n->text;
}

static const char *no_other(void *arg, const struct address *a)
{
	(void)arg;
	(void)a;
	return NULL;
}

static const char *other_for_all(void *arg, const struct address *a)
{
	(void)arg;
	(void)a;
	return "all@firm.example";
}

static bool among(struct slice name, const char *list)
{
	char *lower = slice_dup(name), *key;

	ascii_lower_in_place(lower);
	bool hit = name.n > 0 && strlen(lower) == name.n && strchr(lower, '|') == NULL;
	if (hit) {
		struct buf b;
		buf_init(&b, SIZE_MAX / 2);
		buf_printf(&b, "|%s|", lower);
		key = buf_steal(&b);
		hit = strstr(list, key) != NULL;
		free(key);
	}
	free(lower);
	return hit;
}

static bool is_blind(struct slice name)
{
	return among(name, "|bcc|resent-bcc|");
}

static bool is_rewritten(struct slice name)
{
	return among(name, "|from|sender|reply-to|to|cc|resent-from|resent-sender|resent-reply-to|resent-to|resent-cc|"
	                   "disposition-notification-to|return-receipt-to|");
}

/* The field with its addresses replaced, line ends as they are. */
static void naive_replace(const struct header *h, const struct header_field *f, rewrite_lookup *lookup, void *arg,
                          struct buf *out)
{
	size_t value = (size_t)(f->value.p - h->bytes.p), at = f->start;
	struct mailbox_list l = {NULL, 0};

	if (is_rewritten(f->name))
		mailbox_list_parse(f->value, &l);
	for (size_t i = 0; i < l.n; i++) {
		const char *to = lookup(arg, &l.v[i].address);
		if (to == NULL)
			continue;
		buf_add(out, h->bytes.p + at, value + l.v[i].start - at);
		buf_add_str(out, to);
		at = value + l.v[i].end;
	}
	buf_add(out, h->bytes.p + at, f->end - at);
	mailbox_list_free(&l);
}

static void naive_rewrite(const struct header *h, rewrite_lookup *lookup, void *arg, struct buf *out)
{
	struct buf raw;

	buf_init(&raw, SIZE_MAX / 2);
	for (size_t i = 0; i < h->n; i++)
		if (!is_blind(h->v[i].name)) {
			naive_replace(h, &h->v[i], lookup, arg, &raw);
			if (raw.n == 0 || raw.p[raw.n - 1] != '\n')
				buf_add_str(&raw, "\r\n");
		}
	for (size_t i = 0; i < raw.n; i++)
		if (raw.p[i] == '\n' && (i == 0 || raw.p[i - 1] != '\r'))
			buf_add_str(out, "\r\n");
		else
			buf_add_char(out, raw.p[i]);
	buf_free(&raw);
}

static void check_rewritten(const struct header *h, rewrite_lookup *lookup, void *arg)
{
	struct buf naive, got, small;

	buf_init(&naive, SIZE_MAX / 2);
	buf_init(&got, SIZE_MAX / 2);
	naive_rewrite(h, lookup, arg, &naive);
	need(rewrite_header(&got, h, lookup, arg));
	need(same(buf_slice(&naive), &got));
	buf_init(&small, got.n > 0 ? got.n - 1 : 0);
	need(rewrite_header(&small, h, lookup, arg) == (got.n == 0));
	need(small.n <= small.max && (small.n == 0 || memcmp(small.p, got.p, small.n) == 0));
	buf_free(&naive);
	buf_free(&got);
	buf_free(&small);
}

/* The same fields come out, in order, but for the blind ones. */
static void check_fields(const struct header *h, rewrite_lookup *lookup, void *arg)
{
	struct buf got;
	struct header after;
	size_t k = 0;

	buf_init(&got, SIZE_MAX / 2);
	need(rewrite_header(&got, h, lookup, arg));
	header_scan(&after, buf_slice(&got));
	need(after.end == got.n);
	for (size_t i = 0; i < h->n; i++) {
		if (is_blind(h->v[i].name))
			continue;
		need(k < after.n && slice_eq(after.v[k].name, h->v[i].name));
		k++;
	}
	need(k == after.n);
	header_free(&after);
	buf_free(&got);
}

/* What is added makes the header complete, and is a field each. */
static void check_missing(const struct header *h)
{
	static const char *const names[] = {"Date", "Message-ID", "From"};
	struct buf more;
	struct header added;

	buf_init(&more, 4096);
	need(rewrite_add_missing(&more, h, "anna@firm.example", "gate.example"));
	header_scan(&added, buf_slice(&more));
	for (size_t i = 0; i < 3; i++)
		need((header_count(h, names[i]) == 0) == (header_count(&added, names[i]) == 1));
	need(added.end == more.n);
	header_free(&added);
	buf_free(&more);
}

static void work(struct slice large)
{
	struct header h;
	struct buf out;

	buf_init(&out, SIZE_MAX / 2);
	header_scan(&h, large);
	rewrite_header(&out, &h, other_for_all, NULL);
	header_free(&h);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make((const char *)data, size);
	struct names names = {.seed = take(&in)};
	struct header h;

	header_scan(&h, in);
	check_rewritten(&h, no_other, NULL);
	check_rewritten(&h, other, &names);
	check_rewritten(&h, other_for_all, NULL);
	check_fields(&h, other, &names);
	check_missing(&h);
	header_free(&h);
	need_linear(in, work);
	return 0;
}
