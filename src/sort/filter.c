/* The automaton of Aho and Corasick over classes of characters, for the first characters of each wanted text. */
#include "sort/filter.h"

#include "base/alloc.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* A few characters tell texts apart well enough, and keep the table in the processor's cache. */
enum { DEPTH = 6, CLASS_OTHER = 255, NONE = UINT32_MAX };

struct state {
	uint32_t outputs; /* first in `next_output` of the texts that end here, or NONE */
	uint32_t shorter; /* the longest other state with outputs that is an end of this one, or NONE */
	bool any;         /* it or a shorter one has outputs */
};

struct filter {
	size_t n;               /* wanted texts */
	uint32_t *next_output;  /* n of them: chains of texts with the same beginning */
	unsigned char ids[256]; /* class -> column; 0 for what no text holds */
	uint32_t columns;
	uint32_t *go; /* nstates * columns */
	struct state *states;
	uint32_t nstates;
};

struct filter_scratch {
	bool *seen; /* a state, in this text */
	uint32_t *touched;
};

/* Capital and small letters of ASCII and of Cyrillic to U+045F fold here; so do the few characters elsewhere that
 * Unicode says are the same letters. All others share one class. */
unsigned char filter_class(uint32_t cp)
{
	static const unsigned short slavonic[] = {0x432, 0x434, 0x43e, 0x441, 0x442, 0x442, 0x44a}; /* U+1C80 on */

	if (cp < 0x80)
		return (unsigned char)ascii_lower((char)cp);
	if (cp == 0x17f)
		return 's';
	if (cp == 0x212a)
		return 'k';
	if (cp >= 0x1c80 && cp < 0x1c87)
		cp = slavonic[cp - 0x1c80];
	if (cp >= 0x400 && cp < 0x410)
		cp += 0x50;
	else if (cp >= 0x410 && cp < 0x430)
		cp += 0x20;
	if (cp >= 0x430 && cp < 0x460)
		return (unsigned char)(0x80 + (cp - 0x430));
	return CLASS_OTHER;
}

/* Classes of the text's first characters. */
static size_t beginning(const char *text, unsigned char to[static DEPTH])
{
	struct slice s = slice_of(text);
	size_t n = 0;
	uint32_t cp = 0;

	for (size_t at = 0, len; at < s.n && n < DEPTH; at += len) {
		len = utf8_next(s, at, &cp);
		if (len == 0)
			break;
		to[n++] = filter_class(cp);
	}
	return n;
}

/* Gives each class that occurs a column. */
static size_t number_classes(struct filter *f, const char *const *wanted)
{
	unsigned char classes[DEPTH];
	size_t total = 0;

	f->columns = 1;
	for (size_t i = 0; i < f->n; i++) {
		size_t n = wanted[i] != NULL ? beginning(wanted[i], classes) : 0;
		for (size_t k = 0; k < n; k++)
			if (f->ids[classes[k]] == 0)
				f->ids[classes[k]] = (unsigned char)f->columns++;
		total += n;
	}
	return total;
}

static void insert(struct filter *f, uint32_t which, const char *text)
{
	unsigned char classes[DEPTH];
	size_t n = text != NULL ? beginning(text, classes) : 0;
	uint32_t at = 0;

	if (n == 0)
		return;
	for (size_t k = 0; k < n; k++) {
		uint32_t *go = &f->go[at * f->columns + f->ids[classes[k]]];
		if (*go == 0) {
			f->states[f->nstates] = (struct state){NONE, NONE, false};
			*go = f->nstates++;
		}
		at = *go;
	}
	f->next_output[which] = f->states[at].outputs;
	f->states[at].outputs = which;
	f->states[at].any = true;
}

/* Breadth first: where a state has no way, it takes that of its longest end that is a state too. */
static void connect(struct filter *f)
{
	uint32_t *queue = xcalloc(f->nstates, sizeof *queue), *fail = xcalloc(f->nstates, sizeof *fail);
	uint32_t head = 0, tail = 1; /* queue[0] is the root */

	while (head < tail) {
		uint32_t s = queue[head++];
		for (uint32_t c = 1; c < f->columns; c++) {
			uint32_t *go = &f->go[s * f->columns + c], back = s != 0 ? f->go[fail[s] * f->columns + c] : 0;
			if (*go == 0) {
				*go = back;
				continue;
			}
			struct state *to = &f->states[*go];
			const struct state *end = &f->states[back];
			fail[*go] = back;
			to->shorter = end->outputs != NONE ? back : end->shorter;
			to->any = to->any || end->any;
			queue[tail++] = *go;
		}
	}
	free(queue);
	free(fail);
}

struct filter *filter_new(const char *const *wanted, size_t n)
{
	struct filter *f = xcalloc(1, sizeof *f);

	f->n = n;
	size_t most = number_classes(f, wanted) + 1;
	f->next_output = xcalloc(n + 1, sizeof *f->next_output);
	f->go = xcalloc(most * f->columns, sizeof *f->go);
	f->states = xcalloc(most, sizeof *f->states);
	f->states[0] = (struct state){NONE, NONE, false};
	f->nstates = 1;
	for (size_t i = 0; i < n; i++)
		insert(f, (uint32_t)i, wanted[i]);
	connect(f);
	return f;
}

void filter_free(struct filter **f)
{
	if (*f == NULL)
		return;
	free((*f)->next_output);
	free((*f)->go);
	free((*f)->states);
	free(*f);
	*f = NULL;
}

struct filter_scratch *filter_scratch_new(const struct filter *f)
{
	struct filter_scratch *s = xcalloc(1, sizeof *s);

	s->seen = xcalloc(f->nstates, sizeof *s->seen);
	s->touched = xcalloc(f->nstates, sizeof *s->touched);
	return s;
}

void filter_scratch_free(struct filter_scratch **s)
{
	if (*s == NULL)
		return;
	free((*s)->seen);
	free((*s)->touched);
	free(*s);
	*s = NULL;
}

/* Each state's texts are named once a text. Returns how many states were touched. */
static uint32_t name_outputs(const struct filter *f, struct filter_scratch *s, uint32_t at, uint32_t ntouched,
                             uint64_t *bits)
{
	for (; at != NONE && !s->seen[at]; at = f->states[at].shorter) {
		s->seen[at] = true;
		s->touched[ntouched++] = at;
		for (uint32_t i = f->states[at].outputs; i != NONE; i = f->next_output[i])
			bits[i / 64] |= (uint64_t)1 << i % 64;
	}
	return ntouched;
}

void filter_run(const struct filter *f, struct filter_scratch *s, struct slice text, uint64_t *bits)
{
	uint32_t state = 0, ntouched = 0, cp = 0;

	for (size_t at = 0; at < text.n;) {
		unsigned char c = (unsigned char)text.p[at];
		size_t len = c < 0x80 ? 1 : utf8_next(text, at, &cp);
		unsigned char class = filter_class(c < 0x80 ? c : cp);
		at += len != 0 ? len : 1;
		state = f->go[state * f->columns + f->ids[class]];
		if (f->states[state].any)
			ntouched = name_outputs(f, s, state, ntouched, bits);
	}
	while (ntouched > 0)
		s->seen[s->touched[--ntouched]] = false;
}
