#include "sort/pattern.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Honest patterns stay below LIGHT_LIMIT and a step or so for each byte. What needs more is tried again with far more,
 * some milliseconds' worth, but not often in one message. */
enum {
	LIGHT_LIMIT = 10000,
	MATCH_LIMIT = 200000,
	DEPTH_LIMIT = 20000,
	HEAP_LIMIT_KIB = 8 * 1024,
	STACK_MIN = 32 * 1024,
	STACK_MAX = 1024 * 1024,
	HEAVY_MOST = 20, /* tries with MATCH_LIMIT in one message */
	HEAVY_QUICK = 2,
	CPU_MOST_MS = 1000, /* of a message's patterns */
	CPU_QUICK_MS = 4,
	LOOK_EVERY = 256 /* matches of short texts, at the clock; a long one counts for many */
};

struct pattern {
	pcre2_code *code;
	enum pattern_kind kind;
	bool compiled; /* to machine code, for pcre2_jit_match */
};

struct pattern_matcher {
	pcre2_match_data *data;
	pcre2_match_context *limits;
	pcre2_jit_stack *stack;
	/* of this message */
	unsigned heavy_left;
	size_t until_look;
	int64_t began_us, cpu_us; /* began_us < 0: the clock was not looked at yet */
	bool spent;
};

static char *error_text(int code, size_t offset)
{
	char text[200];

	if (pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text) < 0)
		strcpy(text, "unknown error");
	return xasprintf("%s, at offset %zu", text, offset);
}

/* Offset of the first letter е or ё, either case, at or behind `at`; the text's length where there is none. All
 * four have two bytes. */
static size_t find_ye(struct slice s, size_t at)
{
	static const char *const letters[] = {"\xd0\xb5", "\xd0\x95", "\xd1\x91", "\xd0\x81"};

	for (; at + 1 < s.n; at++)
		for (size_t i = 0; i < 4; i++)
			if (memcmp(s.p + at, letters[i], 2) == 0)
				return at;
	return s.n;
}

/* The text as a pattern in which е and ё are one letter; NULL where it has neither. The caller frees. */
static char *with_ye(const char *text)
{
	struct slice s = slice_of(text);
	struct buf out;

	if (find_ye(s, 0) == s.n)
		return NULL;
	buf_init(&out, SIZE_MAX / 2);
	for (size_t at = 0, ye = find_ye(s, 0); at < s.n;) {
		char c = s.p[at];
		if (at == ye) {
			buf_add_str(&out, "[\xd0\xb5\xd1\x91]");
			at += 2;
			ye = find_ye(s, at);
			continue;
		}
		if (c > ' ' && c < 0x7f && (c < '0' || c > '9') && (ascii_lower(c) < 'a' || ascii_lower(c) > 'z'))
			buf_add_char(&out, '\\');
		buf_add_char(&out, c);
		at++;
	}
	return buf_steal(&out);
}

struct pattern *pattern_compile(const char *text, enum pattern_kind kind, char **error)
{
	uint32_t options = PCRE2_UTF | PCRE2_CASELESS;
	PCRE2_SIZE offset;
	size_t jit_size = 0;
	int code;

	char *own = kind == PATTERN_TEXT ? with_ye(text) : NULL;
	options |= kind == PATTERN_REGEX ? PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C : own == NULL ? PCRE2_LITERAL : 0;
	text = own != NULL ? own : text;
	pcre2_code *re = pcre2_compile((PCRE2_SPTR)text, strlen(text), options, &code, &offset, NULL);
	free(own);
	if (re == NULL) {
		if (error != NULL)
			*error = error_text(code, offset);
		return NULL;
	}
	struct pattern *p = xcalloc(1, sizeof *p);
	*p = (struct pattern){re, kind, false};
	if (pcre2_jit_compile(re, PCRE2_JIT_COMPLETE) == 0 &&
	    pcre2_pattern_info(re, PCRE2_INFO_JITSIZE, &jit_size) == 0)
		p->compiled = jit_size > 0;
	return p;
}

void pattern_free(struct pattern **p)
{
	if (*p == NULL)
		return;
	pcre2_code_free((*p)->code);
	free(*p);
	*p = NULL;
}

/* Memory that is there or the program ends, as in base/alloc.h. */
static void *must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

struct pattern_matcher *pattern_matcher_new(void)
{
	struct pattern_matcher *m = xcalloc(1, sizeof *m);

	m->data = must(pcre2_match_data_create(1, NULL));
	m->limits = must(pcre2_match_context_create(NULL));
	pcre2_set_depth_limit(m->limits, DEPTH_LIMIT);
	pcre2_set_heap_limit(m->limits, HEAP_LIMIT_KIB);
	m->stack = pcre2_jit_stack_create(STACK_MIN, STACK_MAX, NULL); /* NULL where PCRE2 has no JIT */
	if (m->stack != NULL)
		pcre2_jit_stack_assign(m->limits, NULL, m->stack);
	pattern_matcher_begin(m, false);
	return m;
}

void pattern_matcher_free(struct pattern_matcher **m)
{
	if (*m == NULL)
		return;
	pcre2_match_data_free((*m)->data);
	pcre2_match_context_free((*m)->limits);
	pcre2_jit_stack_free((*m)->stack);
	free(*m);
	*m = NULL;
}

static struct slice cut(struct slice text)
{
	size_t n = PATTERN_REGEX_BYTES;

	while (n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
		n--;
	return slice_sub(text, 0, n);
}

static int64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void pattern_matcher_begin(struct pattern_matcher *m, bool quick)
{
	m->heavy_left = quick ? HEAVY_QUICK : HEAVY_MOST;
	m->cpu_us = (int64_t)(quick ? CPU_QUICK_MS : CPU_MOST_MS) * 1000;
	m->began_us = -1;
	m->until_look = LOOK_EVERY;
	m->spent = false;
}

bool pattern_matcher_spent(const struct pattern_matcher *m)
{
	return m->spent;
}

static void look_at_the_clock(struct pattern_matcher *m, size_t bytes)
{
	size_t counts = 1 + bytes / 128;

	if (m->until_look > counts) {
		m->until_look -= counts;
		return;
	}
	m->until_look = LOOK_EVERY;
	int64_t now = cpu_us();
	if (m->began_us < 0)
		m->began_us = now;
	else if (now - m->began_us > m->cpu_us)
		m->spent = true;
}

static int run(const struct pattern *p, struct pattern_matcher *m, struct slice text, uint32_t options, size_t limit)
{
	PCRE2_SPTR subject = (PCRE2_SPTR)(text.p != NULL ? text.p : "");

	pcre2_set_match_limit(m->limits, (uint32_t)limit);
	if (p->compiled)
		return pcre2_jit_match(p->code, subject, text.n, 0, options, m->data, m->limits);
	return pcre2_match(p->code, subject, text.n, 0, options | PCRE2_NO_UTF_CHECK, m->data, m->limits);
}

/* A regex, within what the message may still cost. */
static int run_within(const struct pattern *p, struct pattern_matcher *m, struct slice text, uint32_t options)
{
	int r = run(p, m, text, options, LIGHT_LIMIT + text.n);

	look_at_the_clock(m, text.n);
	if (r != PCRE2_ERROR_MATCHLIMIT)
		return r;
	if (m->heavy_left == 0) {
		m->spent = true;
		return r;
	}
	m->heavy_left--;
	return run(p, m, text, options, MATCH_LIMIT);
}

enum pattern_result pattern_match(const struct pattern *p, struct pattern_matcher *m, struct slice text, size_t *start)
{
	uint32_t options = 0;
	int r;

	if (p->kind == PATTERN_REGEX && m->spent)
		return PATTERN_SKIPPED;
	if (p->kind == PATTERN_REGEX && text.n > PATTERN_REGEX_BYTES) {
		text = cut(text);
		options = PCRE2_NOTEOL; /* "$" means the end of the whole */
	}
	r = p->kind == PATTERN_REGEX ? run_within(p, m, text, options) : run(p, m, text, options, UINT32_MAX);
	switch (r) {
	case PCRE2_ERROR_MATCHLIMIT:
	case PCRE2_ERROR_DEPTHLIMIT:
	case PCRE2_ERROR_HEAPLIMIT:
	case PCRE2_ERROR_JIT_STACKLIMIT:
		return PATTERN_RUNAWAY;
	default:
		if (r < 0)
			return PATTERN_NO;
		*start = pcre2_get_ovector_pointer(m->data)[0];
		return PATTERN_YES;
	}
}
