#include "sort/pattern.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Far more than honest patterns need on a header's text, and some milliseconds for the others. */
enum {
	MATCH_LIMIT = 200000,
	DEPTH_LIMIT = 20000,
	HEAP_LIMIT_KIB = 8 * 1024,
	STACK_MIN = 32 * 1024,
	STACK_MAX = 1024 * 1024
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
};

static char *error_text(int code, size_t offset)
{
	char text[200];

	if (pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text) < 0)
		strcpy(text, "unknown error");
	return xasprintf("%s, at offset %zu", text, offset);
}

struct pattern *pattern_compile(const char *text, enum pattern_kind kind, char **error)
{
	uint32_t options = PCRE2_UTF | PCRE2_CASELESS;
	PCRE2_SIZE offset;
	size_t jit_size = 0;
	int code;

	options |= kind == PATTERN_TEXT ? PCRE2_LITERAL : PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;
	pcre2_code *re = pcre2_compile((PCRE2_SPTR)text, strlen(text), options, &code, &offset, NULL);
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
	pcre2_set_match_limit(m->limits, MATCH_LIMIT);
	pcre2_set_depth_limit(m->limits, DEPTH_LIMIT);
	pcre2_set_heap_limit(m->limits, HEAP_LIMIT_KIB);
	m->stack = pcre2_jit_stack_create(STACK_MIN, STACK_MAX, NULL); /* NULL where PCRE2 has no JIT */
	if (m->stack != NULL)
		pcre2_jit_stack_assign(m->limits, NULL, m->stack);
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

enum pattern_result pattern_match(const struct pattern *p, struct pattern_matcher *m, struct slice text, size_t *start)
{
	uint32_t options = 0;
	int r;

	if (p->kind == PATTERN_REGEX && text.n > PATTERN_REGEX_BYTES) {
		text = cut(text);
		options = PCRE2_NOTEOL; /* "$" means the end of the whole */
	}
	PCRE2_SPTR subject = (PCRE2_SPTR)(text.p != NULL ? text.p : "");
	if (p->compiled)
		r = pcre2_jit_match(p->code, subject, text.n, 0, options, m->data, m->limits);
	else
		r = pcre2_match(p->code, subject, text.n, 0, options | PCRE2_NO_UTF_CHECK, m->data, m->limits);
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
