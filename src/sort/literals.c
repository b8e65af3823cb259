#include "sort/literals.h"

#include "base/buf.h"

#include <string.h>

enum { LONGEST = 1024 };

struct reader {
	const char *p;
	struct buf run;  /* literal characters in a row, up to p */
	size_t last;     /* where its last character starts */
	struct buf best; /* the longest run of this alternative */
	bool sure;
};

static void end_run(struct reader *r)
{
	if (r->run.n > r->best.n) {
		buf_clear(&r->best);
		buf_add_slice(&r->best, buf_slice(&r->run));
	}
	buf_clear(&r->run);
}

static void end_alternative(struct reader *r, struct strlist *out)
{
	end_run(r);
	r->sure = r->sure && r->best.n > 0;
	if (r->sure)
		strlist_add(out, buf_str(&r->best));
	buf_clear(&r->best);
}

/* One character of the pattern that stands for itself. */
static void take_literal(struct reader *r)
{
	size_t n = 1;

	while (((unsigned char)r->p[n] & 0xc0) == 0x80)
		n++;
	r->last = r->run.n;
	r->sure = r->sure && buf_add(&r->run, r->p, n);
	r->p += n;
}

static bool punctuation(char c)
{
	return c != '\0' && strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ", c) != NULL;
}

static void take_escape(struct reader *r)
{
	r->p++;
	if (punctuation(*r->p)) {
		take_literal(r);
		return;
	}
	end_run(r);
	r->sure = r->sure && *r->p != '\0' && strchr("dDwWsSbBAZztrn", *r->p) != NULL;
	r->p++;
}

/* Passes [...]. */
static void skip_class(struct reader *r)
{
	const char *p = r->p + 1;

	p += *p == '^';
	p += *p == ']';
	for (; *p != '\0' && *p != ']'; p++) {
		const char *close = p[0] == '[' && p[1] == ':' ? strstr(p + 2, ":]") : NULL;
		if (close != NULL && strspn(p + 2, "^abcdefghijklmnopqrstuvwxyz") == (size_t)(close - p - 2))
			p = close + 1;
		else if (*p == '[' || (*p == '\\' && (*++p == '\0' || strchr("QEc", *p) != NULL)))
			break; /* what may follow is too rare to be understood here */
	}
	r->sure = r->sure && *p == ']';
	r->p = p + 1;
}

/* Stands at "(": whether what it opens holds no more than it shows. Options, comments, verbs and references do. */
static bool plain_group(const char *p)
{
	static const char *const known[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i)"};

	if (p[1] != '?' && p[1] != '*')
		return true;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strncmp(p, known[i], strlen(known[i])) == 0)
			return true;
	return false;
}

/* Passes (...) with all in it. */
static void skip_group(struct reader *r)
{
	size_t depth = 0;

	do {
		switch (*r->p) {
		case '(':
			r->sure = r->sure && plain_group(r->p);
			depth++;
			r->p++;
			break;
		case ')':
			depth--;
			r->p++;
			break;
		case '[':
			skip_class(r);
			break;
		case '\\':
			r->sure = r->sure && r->p[1] != '\0' && strchr("QEc", r->p[1]) == NULL;
			r->p += r->p[1] != '\0' ? 2 : 1;
			break;
		case '\0':
			r->sure = false;
			break;
		default:
			r->p++;
		}
	} while (depth > 0 && r->sure);
}

/* The character before may be missing where `least` is 0. */
static void repeat(struct reader *r, bool least)
{
	if (!least && r->run.n > 0)
		r->run.n = r->last;
	end_run(r);
}

/* {2}, {2,} and {2,3}; whatever else a brace may be. */
static void take_braces(struct reader *r)
{
	static const char digits[] = "0123456789";
	const char *p = r->p + 1;
	size_t n = strspn(p, digits);

	repeat(r, strspn(p, "0") < n);
	p += n;
	if (*p == ',')
		p += 1 + strspn(p + 1, digits);
	r->sure = r->sure && n > 0 && *p == '}';
	r->p = p + 1;
}

static void take(struct reader *r, struct strlist *out)
{
	switch (*r->p) {
	case '|':
		end_alternative(r, out);
		r->p++;
		break;
	case '(':
		end_run(r);
		skip_group(r);
		break;
	case '[':
		end_run(r);
		skip_class(r);
		break;
	case '.':
	case '^':
	case '$':
		end_run(r);
		r->p++;
		break;
	case '*':
	case '?':
	case '+':
		repeat(r, *r->p == '+');
		r->p++;
		break;
	case '{':
		take_braces(r);
		break;
	case '\\':
		take_escape(r);
		break;
	default:
		r->sure = r->sure && *r->p != ')';
		take_literal(r);
	}
}

bool literals_of(const char *pattern, struct strlist *out)
{
	struct reader r = {.p = pattern, .sure = true};
	struct strlist found = {NULL, 0};

	buf_init(&r.run, LONGEST);
	buf_init(&r.best, LONGEST);
	while (r.sure && *r.p != '\0')
		take(&r, &found);
	end_alternative(&r, &found);
	for (size_t i = 0; r.sure && i < found.n; i++)
		strlist_add(out, found.v[i]);
	strlist_free(&found);
	buf_free(&r.run);
	buf_free(&r.best);
	return r.sure;
}
