/* The automaton of Aho and Corasick over classes of characters, for the first characters of each wanted text; the
 * others are compared where those were found. */
#include "sort/filter.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

enum {
	DEPTH = 6,     /* so few characters keep the table in the processor's cache */
	TAIL_MAX = 64, /* characters behind them that are compared */
	HITS_MAX = 16, /* of one state in one text; whoever has it repeat itself more often names all that begin so */
	CLASS_OTHER = 255,
	NONE = UINT32_MAX
};

struct state {
	uint32_t outputs; /* first of the texts whose beginning ends here, or NONE */
	uint32_t shorter; /* the longest other state with outputs that is an end of this one, or NONE */
	bool any;         /* it or a shorter one has outputs */
};

struct output {
	uint32_t who, next; /* next: with the same beginning, or NONE */
	uint32_t tail;      /* offset of the classes behind the beginning, in `tails` */
	uint32_t ntail;
};

struct filter {
	size_t n; /* wanted texts */
	struct output *outputs;
	struct buf tails;
	unsigned char ids[256]; /* class -> column; 0 for what no text holds */
	uint32_t columns;
	uint32_t *go; /* nstates * columns */
	struct state *states;
	uint32_t nstates;
};

struct filter_scratch {
	unsigned char *hits; /* of a state, in this text */
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
	if (cp == 0x451) /* ё and е are one letter in rules */
		cp = 0x435;
	if (cp >= 0x430 && cp < 0x460)
		return (unsigned char)(0x80 + (cp - 0x430));
	return CLASS_OTHER;
}

/* Classes of the text's first characters; *rest is the offset behind them. */
static size_t beginning(const char *text, unsigned char to[static DEPTH], size_t *rest)
{
	struct slice s = slice_of(text);
	size_t n = 0;
	uint32_t cp = 0;

	*rest = 0;
	for (size_t len; *rest < s.n && n < DEPTH; *rest += len) {
		len = utf8_next(s, *rest, &cp);
		if (len == 0)
			break;
		to[n++] = filter_class(cp);
	}
	return n;
}

/* Gives each class that occurs in a beginning a column. */
static size_t number_classes(struct filter *f, const struct filter_wanted *wanted)
{
	unsigned char classes[DEPTH];
	size_t total = 0, rest;

	f->columns = 1;
	for (size_t i = 0; i < f->n; i++) {
		size_t n = beginning(wanted[i].text, classes, &rest);
		for (size_t k = 0; k < n; k++)
			if (f->ids[classes[k]] == 0)
				f->ids[classes[k]] = (unsigned char)f->columns++;
		total += n;
	}
	return total;
}

static void add_tail(struct filter *f, struct output *o, struct slice tail)
{
	uint32_t cp = 0;

	o->tail = (uint32_t)f->tails.n;
	for (size_t at = 0, len; at < tail.n && o->ntail < TAIL_MAX; at += len, o->ntail++) {
		len = utf8_next(tail, at, &cp);
		if (len == 0)
			return;
		buf_add_char(&f->tails, (char)filter_class(cp));
	}
}

static void insert(struct filter *f, uint32_t which, const struct filter_wanted *wanted)
{
	unsigned char classes[DEPTH];
	size_t rest, n = beginning(wanted->text, classes, &rest);
	struct output *o = &f->outputs[which];
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
	*o = (struct output){.who = wanted->who, .next = f->states[at].outputs};
	add_tail(f, o, slice_sub(slice_of(wanted->text), rest, SIZE_MAX));
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

struct filter *filter_new(const struct filter_wanted *wanted, size_t n)
{
	struct filter *f = xcalloc(1, sizeof *f);

	f->n = n;
	size_t most = number_classes(f, wanted) + 1;
	f->outputs = xcalloc(n + 1, sizeof *f->outputs);
	buf_init(&f->tails, UINT32_MAX);
	f->go = xcalloc(most * f->columns, sizeof *f->go);
	f->states = xcalloc(most, sizeof *f->states);
	f->states[0] = (struct state){NONE, NONE, false};
	f->nstates = 1;
	for (size_t i = 0; i < n; i++)
		insert(f, (uint32_t)i, &wanted[i]);
	connect(f);
	return f;
}

void filter_free(struct filter **f)
{
	if (*f == NULL)
		return;
	free((*f)->outputs);
	buf_free(&(*f)->tails);
	free((*f)->go);
	free((*f)->states);
	free(*f);
	*f = NULL;
}

struct filter_scratch *filter_scratch_new(const struct filter *f)
{
	struct filter_scratch *s = xcalloc(1, sizeof *s);

	s->hits = xcalloc(f->nstates, sizeof *s->hits);
	s->touched = xcalloc(f->nstates, sizeof *s->touched);
	return s;
}

void filter_scratch_free(struct filter_scratch **s)
{
	if (*s == NULL)
		return;
	free((*s)->hits);
	free((*s)->touched);
	free(*s);
	*s = NULL;
}

static unsigned char class_at(struct slice text, size_t *at)
{
	unsigned char c = (unsigned char)text.p[*at];
	uint32_t cp = c;
	size_t len = c < 0x80 ? 1 : utf8_next(text, *at, &cp);

	*at += len != 0 ? len : 1;
	return filter_class(cp);
}

/* Whether the text goes on as the wanted one does. */
static bool goes_on(const struct filter *f, const struct output *o, struct slice text, size_t at)
{
	for (uint32_t i = 0; i < o->ntail; i++)
		if (at >= text.n || class_at(text, &at) != (unsigned char)f->tails.p[o->tail + i])
			return false;
	return true;
}

/* Of the state and its shorter ends. Returns how many states were touched. */
static uint32_t name_outputs(const struct filter *f, struct filter_scratch *s, uint32_t state, struct slice text,
                             size_t at, uint32_t ntouched, uint64_t *bits)
{
	for (; state != NONE && s->hits[state] <= HITS_MAX; state = f->states[state].shorter) {
		bool all = s->hits[state] == HITS_MAX;
		if (s->hits[state]++ == 0)
			s->touched[ntouched++] = state;
		for (uint32_t i = f->states[state].outputs; i != NONE; i = f->outputs[i].next) {
			uint32_t who = f->outputs[i].who;
			uint64_t bit = (uint64_t)1 << who % 64;
			if ((bits[who / 64] & bit) == 0 && (all || goes_on(f, &f->outputs[i], text, at)))
				bits[who / 64] |= bit;
		}
	}
	return ntouched;
}

void filter_run(const struct filter *f, struct filter_scratch *s, struct slice text, uint64_t *bits)
{
	uint32_t state = 0, ntouched = 0;

	for (size_t at = 0; at < text.n;) {
		state = f->go[state * f->columns + f->ids[class_at(text, &at)]];
		if (f->states[state].any)
			ntouched = name_outputs(f, s, state, text, at, ntouched, bits);
	}
	while (ntouched > 0)
		s->hits[s->touched[--ntouched]] = 0;
}
