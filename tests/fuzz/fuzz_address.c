/* Addresses: a path of the envelope that is taken can be written and read again alike; the addresses of a list lie
 * inside its text, in order, each made of the bytes that it points at; a list put together by the grammar gives just
 * what was put in. */
#include "mail/address.h"

#include "base/text.h"
#include "checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_address(const struct address *a, const struct address *b)
{
	return strcmp(a->local, b->local) == 0 && strcmp(a->domain, b->domain) == 0;
}

/* What goes on into commands, files and logs has no controls, and beyond ASCII is UTF-8. */
static void need_printable(const char *s, bool ascii)
{
	need(utf8_valid(slice_of(s)));
	for (; *s != '\0'; s++)
		need((*s >= ' ' && *s < 0x7f) || (!ascii && (unsigned char)*s >= 0x80));
}

static void need_same_again(const struct address *a)
{
	struct address again;
	char *text = address_format(a);

	struct slice rest;

	need(address_parse_path(slice_of(text), &again, &rest) && rest.n == 0 && same_address(a, &again));
	address_free(&again);
	free(text);
}

static void check_path(struct slice s)
{
	struct address a;
	struct slice rest;

	if (address_parse_path(s, &a, &rest)) {
		need_printable(a.local, false);
		need_printable(a.domain, true);
		need(strlen(a.local) + strlen(a.domain) < ADDRESS_MAX);
		need(rest.n <= s.n && (rest.n == 0 || rest.p + rest.n == s.p + s.n));
		need(rest.n == 0 || rest.p[0] != ' ');
		need(a.local[0] != '\0' || a.domain[0] == '\0');
		if (a.local[0] != '\0')
			need_same_again(&a);
	} else {
		need(a.local == NULL && a.domain == NULL);
	}
	address_free(&a);
	if (address_parse(s, &a)) {
		need(a.local[0] != '\0');
		need_same_again(&a);
	}
	address_free(&a);
}

static bool one_line(const char *s)
{
	return strpbrk(s, "\r\n") == NULL;
}

static void check_mailbox(struct slice s, const struct mailbox *m)
{
	size_t domain = strlen(m->address.domain);
	struct mailbox_list l;

	need(m->start < m->end && m->end <= s.n && domain < m->end - m->start);
	need(m->address.local[0] != '\0' && strlen(m->address.local) + domain < ADDRESS_MAX);
	bool quoted = domain > 0 && s.p[m->end - 1] == '\'' && s.p[m->start] == '\'';
	need(memcmp(s.p + m->end - domain, m->address.domain, domain) == 0 ||
	     (quoted && memcmp(s.p + m->end - 1 - domain, m->address.domain, domain) == 0));
	need(m->element_start <= m->start && m->end <= m->element_end && m->element_end <= s.n);
	need(one_line(m->address.local) && one_line(m->address.domain));
	need(m->angle_start == SIZE_MAX || (m->angle_start < m->start && s.p[m->angle_start] == '<'));
	if (domain == 0)
		return;
	mailbox_list_parse(slice_sub(s, m->start, m->end - m->start), &l);
	need(l.n == 1 && same_address(&l.v[0].address, &m->address));
	mailbox_list_free(&l);
	char *text = address_format(&m->address);
	mailbox_list_parse(slice_of(text), &l);
	need(l.n == 1 && same_address(&l.v[0].address, &m->address));
	mailbox_list_free(&l);
	free(text);
}

static void check_list(struct slice s)
{
	struct mailbox_list l;
	size_t at = 0;

	mailbox_list_parse(s, &l);
	for (size_t i = 0; i < l.n; i++) {
		need(l.v[i].start >= at);
		check_mailbox(s, &l.v[i]);
		at = l.v[i].end;
	}
	mailbox_list_free(&l);
}

struct built {
	struct buf text;
	struct address want[24];
	size_t n;
	bool group;
};

static void add_space(struct built *b, unsigned char how)
{
	static const char *const spaces[] = {
	    "", "", " ", "\r\n ", "(a, b <c@d>)", " (\\) ((x))) ", "\t(,;)", " ( \"x ) ", "\n\t()", "(=?q?)", " ", ""};

	buf_add_str(&b->text, spaces[how % (sizeof spaces / sizeof *spaces)]);
}

static void add_addr_spec(struct built *b, struct slice *in)
{
	static const char *const locals[][2] = {
	    {"anna", "anna"},   {"a.b-c", "a.b-c"},     {"\"a b\"", "a b"}, {"\"x\\\"y, <z@w>\"", "x\"y, <z@w>"},
	    {"\"q\".r", "q.r"}, {"..odd..", "..odd.."}, {"a=b?c", "a=b?c"}, {"'o", "'o"}};
	static const char *const domains[] = {"firm.example", "[127.0.0.1]", "x", "xn--e1afmkfd.example",
	                                      "\xd1\x84.\xd1\x80"};
	unsigned char how = take(in), space = take(in);
	const char *domain = domains[how / 8 % 5];

	buf_add_str(&b->text, locals[how % 8][0]);
	add_space(b, space & 1 ? space / 2 : 0);
	buf_add_str(&b->text, "@");
	add_space(b, space & 1 ? space / 24 : 0);
	buf_add_str(&b->text, domain);
	b->want[b->n++] = (struct address){(char *)(uintptr_t)locals[how % 8][1], (char *)(uintptr_t)domain};
}

static void add_mailbox(struct built *b, struct slice *in)
{
	static const char *const names[] = {
	    "",          "Anna ", "\"Ivanova, Anna <x@y>\" ", "=?utf-8?Q?a,b@c?= ", "J. R. (Bob) ",
	    "\xd0\xaf ", "a b c", "old@name.example "};
	unsigned char how = take(in);

	add_space(b, take(in));
	if (how % 3 == 0) {
		add_addr_spec(b, in);
	} else {
		buf_add_str(&b->text, names[how / 3 % 8]);
		buf_add_str(&b->text, "<");
		add_space(b, how / 24);
		if (how >= 200)
			buf_add_str(&b->text, "@one.example,@two:");
		add_addr_spec(b, in);
		add_space(b, how / 16);
		buf_add_str(&b->text, ">");
	}
	add_space(b, take(in));
}

static void add_separator(struct built *b, unsigned char how)
{
	if (b->group && how % 4 == 0) {
		buf_add_str(&b->text, how & 16 ? ";" : ";,");
		b->group = false;
	} else {
		buf_add_str(&b->text, how & 32 ? ",, ," : ",");
	}
	if (!b->group && how % 8 == 5) {
		buf_add_str(&b->text, how & 64 ? "Nobody:;," : "The \"Group\" (x):");
		b->group = (how & 64) == 0;
	}
}

static void check_built(struct slice in)
{
	struct built b = {.n = 0};
	struct mailbox_list l;

	buf_init(&b.text, 1 << 20);
	while (in.n > 0 && b.n < sizeof b.want / sizeof *b.want) {
		add_mailbox(&b, &in);
		add_separator(&b, take(&in));
	}
	mailbox_list_parse(buf_slice(&b.text), &l);
	need(l.n == b.n);
	for (size_t i = 0; i < l.n; i++)
		need(same_address(&l.v[i].address, &b.want[i]));
	mailbox_list_free(&l);
	check_list(buf_slice(&b.text));
	buf_free(&b.text);
}

static void work(struct slice large)
{
	struct mailbox_list l;

	mailbox_list_parse(large, &l);
	mailbox_list_free(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make((const char *)data, size);

	check_path(in);
	check_list(in);
	check_built(in);
	need_linear(in, work);
	return 0;
}
