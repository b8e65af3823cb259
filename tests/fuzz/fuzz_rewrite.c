/* Rewriting: every byte except the addresses that were replaced, the blind fields and the form of line ends stays; a
 * naive copy says so. */
#include "mail/blind.h"
#include "mail/rewrite.h"

#include "checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct names {
	unsigned char seed;
	char text[64];
};

/* Some addresses have another one, always the same. */
static const char *other(void *arg, struct slice field, const struct address *a)
{
	struct names *n = arg;
	unsigned h = n->seed;

	(void)field;
	for (const char *p = a->local; *p != '\0'; p++)
		h = h * 31 + (unsigned char)*p;
	if (h % 3 == 0)
		return NULL;
	snprintf(n->text, sizeof n->text, h % 3 == 1 ? "alias%u@firm.example" : "\"%u\"@x", h % 100);
	return n->text;
}

static const char *no_other(void *arg, struct slice field, const struct address *a)
{
	(void)field;
	(void)arg;
	(void)a;
	return NULL;
}

static const char *other_for_all(void *arg, struct slice field, const struct address *a)
{
	(void)field;
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
	return among(name,
	             "|from|sender|reply-to|to|cc|resent-from|resent-sender|resent-reply-to|resent-to|resent-cc|"
	             "disposition-notification-to|return-receipt-to|read-receipt-to|x-confirm-reading-to|errors-to|"
	             "mail-followup-to|mail-reply-to|return-path|");
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
		const char *to = lookup(arg, f->name, &l.v[i].address);
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

/* Some addresses are left out. */
static const char *fewer(void *arg, struct slice field, const struct address *a)
{
	const char *to = other(arg, field, a);

	return to != NULL && to[0] == 'a' ? "" : to;
}

static bool rewritten(struct buf *out, const struct header *h, rewrite_lookup *lookup, void *arg)
{
	struct rewrite r = {.lookup = lookup, .arg = arg};

	return rewrite_header(out, h, &r);
}

static size_t longest_line(struct slice s)
{
	size_t longest = 0;

	for (size_t at = 0, n; at < s.n; at += n + 1) {
		n = slice_find(slice_sub(s, at, s.n), '\n');
		longest = n > longest ? n : longest;
	}
	return longest;
}

static void without_blanks(struct slice s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++)
		if (strchr(" \t\r\n", s.p[i]) == NULL || s.p[i] == '\0')
			buf_add_char(out, s.p[i]);
}

/* But for folds, where a line got too long. */
static bool same_but_for_folds(struct slice a, struct slice b)
{
	struct buf x, y;

	buf_init(&x, a.n);
	buf_init(&y, b.n);
	without_blanks(a, &x);
	without_blanks(b, &y);
	bool equal = same(buf_slice(&x), &y);
	buf_free(&x);
	buf_free(&y);
	return equal;
}

static void check_rewritten(const struct header *h, rewrite_lookup *lookup, void *arg)
{
	struct buf naive, got, small;

	buf_init(&naive, SIZE_MAX / 2);
	buf_init(&got, SIZE_MAX / 2);
	naive_rewrite(h, lookup, arg, &naive);
	need(rewritten(&got, h, lookup, arg));
	if (longest_line(buf_slice(&naive)) <= 999)
		need(same(buf_slice(&naive), &got));
	else
		need(same_but_for_folds(buf_slice(&naive), buf_slice(&got)));
	buf_init(&small, got.n > 0 ? got.n - 1 : 0);
	need(rewritten(&small, h, lookup, arg) == (got.n == 0));
	need(small.n <= small.max && (small.n == 0 || memcmp(small.p, got.p, small.n) == 0));
	buf_free(&naive);
	buf_free(&got);
	buf_free(&small);
}

/* The same fields come out, in order, but for the blind ones and those that are left without an address. */
static void check_fields(const struct header *h, rewrite_lookup *lookup, void *arg)
{
	struct buf got;
	struct header after;
	size_t k = 0;

	buf_init(&got, SIZE_MAX / 2);
	need(rewritten(&got, h, lookup, arg));
	header_scan(&after, buf_slice(&got));
	need(after.end == got.n);
	for (size_t i = 0; i < h->n; i++) {
		if (is_blind(h->v[i].name))
			continue;
		if (k < after.n && slice_eq(after.v[k].name, h->v[i].name))
			k++;
		else
			need(lookup == fewer && is_rewritten(h->v[i].name));
	}
	need(k == after.n);
	header_free(&after);
	buf_free(&got);
}

static bool header_is_one(struct slice text)
{
	struct header h;

	header_scan(&h, text);
	bool one = h.n == 1 && h.end == text.n;
	header_free(&h);
	return one;
}

/* No line gets longer than 998 octets that was not so before: here, where commas stand between all addresses. */
static void check_long_list(struct slice in)
{
	struct header h;
	struct buf text, got;

	buf_init(&text, 1 << 20);
	buf_init(&got, SIZE_MAX / 2);
	buf_add_str(&text, "To: ");
	for (size_t i = 0; i < 100; i++) {
		static const char *const entries[] = {"a@b", "<c@d>", "\"x, y\" <e@f>", "(z) g@h", "i@j (k)", "l"};
		static const char *const between[] = {",", ", ", " ,", ",\r\n ", ",(x)", ", \t"};
		unsigned char how = in.n > 0 ? (unsigned char)in.p[i % in.n] : 0;
		buf_printf(&text, "%s%s", entries[how % 6], i < 99 ? between[how / 6 % 6] : "\r\n");
	}
	header_scan(&h, buf_slice(&text));
	need(rewritten(&got, &h, other_for_all, NULL));
	need(longest_line(buf_slice(&got)) <= 999 && header_is_one(buf_slice(&got)));
	header_free(&h);
	buf_free(&text);
	buf_free(&got);
}

/* Afterwards there is one of each required field, none of them empty, and each of it a field. */
static void check_missing(const struct header *h)
{
	static const char *const names[] = {"Date", "Message-ID", "From"};
	struct rewrite r = {.lookup = no_other, .complete = true};
	struct mailbox_list l;
	struct header after;
	struct buf out;

	buf_init(&out, SIZE_MAX / 2);
	need(rewrite_header(&out, h, &r));
	need(rewrite_add_missing(&out, &r, "anna@firm.example", "gate.example"));
	header_scan(&after, buf_slice(&out));
	for (size_t i = 0; i < 3; i++)
		need(header_count(&after, names[i]) == 1);
	mailbox_list_parse(header_find(&after, "From", 0)->value, &l);
	need(l.n > 0);
	mailbox_list_free(&l);
	need(after.end == out.n);
	header_free(&after);
	buf_free(&out);
}

/* The filter that reads in pieces leaves out what the scanner says is blind. */
static void check_blind(const struct header *h, struct slice in, size_t piece)
{
	struct buf want, got;
	struct blind_filter f;

	buf_init(&want, in.n);
	buf_init(&got, in.n);
	for (size_t i = 0; i < h->n; i++)
		if (!is_blind(h->v[i].name))
			buf_add(&want, in.p + h->v[i].start, h->v[i].end - h->v[i].start);
	buf_add_slice(&want, slice_sub(in, h->end, in.n));
	blind_init(&f, UINT64_MAX);
	for (size_t at = 0; at < in.n; at += piece)
		need(blind_add(&f, slice_sub(in, at, piece), &got));
	need(blind_end(&f, &got));
	need(same(buf_slice(&want), &got));
	blind_free(&f);
	buf_free(&want);
	buf_free(&got);
}

static void work(struct slice large)
{
	struct header h;
	struct buf out;

	buf_init(&out, SIZE_MAX / 2);
	header_scan(&h, large);
	rewritten(&out, &h, other_for_all, NULL);
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
	check_fields(&h, fewer, &names);
	check_long_list(in);
	check_missing(&h);
	check_blind(&h, in, 1 + names.seed % 17);
	header_free(&h);
	need_linear(in, work);
	return 0;
}
