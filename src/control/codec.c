#include "control/codec.h"

#include "base/alloc.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* ---- lines ---- */

void codec_lines_init(struct codec_lines *l, size_t max)
{
	*l = (struct codec_lines){.max = max};
	buf_init(&l->b, 2 * max + 2);
}

void codec_lines_free(struct codec_lines *l)
{
	buf_free(&l->b);
	l->scanned = l->taken = 0;
}

bool codec_lines_feed(struct codec_lines *l, struct slice bytes)
{
	if (l->taken > 0)
		buf_drop(&l->b, l->taken);
	l->scanned -= l->taken;
	l->taken = 0;
	return buf_add_slice(&l->b, bytes);
}

enum codec_line codec_lines_next(struct codec_lines *l, struct slice *line)
{
	struct slice rest = slice_sub(buf_slice(&l->b), l->scanned, l->b.n);
	size_t at = slice_find(rest, '\n');
	size_t n = l->scanned + at - l->taken;

	if (n > l->max)
		return CODEC_TOO_LONG;
	if (at == rest.n) {
		l->scanned = l->b.n;
		return CODEC_MORE;
	}
	*line = slice_make(l->b.p + l->taken, n);
	if (n > 0 && line->p[n - 1] == '\r')
		line->n--;
	l->scanned += at + 1;
	l->taken = l->scanned;
	return CODEC_LINE;
}

/* ---- requests ---- */

enum field {
	ACCOUNTS = 1 << 0,
	WAIT = 1 << 1,
	WHAT = 1 << 2,
	AFTER = 1 << 3,
	KNOWN = 1 << 4,
	USER = 1 << 5,
	FROM = 1 << 6,
	TO = 1 << 7,
	ID = 1 << 8,
	SUBJECT = 1 << 9,
	SINCE = 1 << 10,
	BEHIND = 1 << 11,
	EVENT = 1 << 12,
	FOLLOW = 1 << 13,
	UNTIL = 1 << 14
};

enum field_type { TEXT, BOOL, INT, LIST };

/* optional: left out of a request where it is false, 0 or empty. */
static const struct field_row {
	const char *key;
	enum field field;
	enum field_type type;
	size_t offset;
	bool optional;
} fields[] = {
#define FIELD(name, field, type, member, optional)                                                                     \
	{                                                                                                              \
		name, field, type, offsetof(struct control_request, member), optional                                  \
	}
    FIELD("accounts", ACCOUNTS, LIST, accounts, true),
    FIELD("wait", WAIT, BOOL, wait, false),
    FIELD("what", WHAT, TEXT, what, true),
    FIELD("after", AFTER, TEXT, after, true),
    FIELD("known", KNOWN, BOOL, known, false),
    FIELD("user", USER, TEXT, user, true),
    FIELD("from", FROM, TEXT, from, true),
    FIELD("to", TO, TEXT, to, true),
    FIELD("id", ID, TEXT, id, true),
    FIELD("subject", SUBJECT, TEXT, subject, true),
    FIELD("since", SINCE, INT, since, true),
    FIELD("until", UNTIL, INT, until, false),
    FIELD("behind", BEHIND, INT, behind, true),
    FIELD("event", EVENT, INT, event, true),
    FIELD("follow", FOLLOW, BOOL, follow, true),
};

enum { NFIELDS = sizeof fields / sizeof fields[0] };

static const struct verb {
	const char *name;
	unsigned fields, required;
	bool reads;
} verbs[] = {
    [CONTROL_STATUS] = {"status", 0, 0, true},
    [CONTROL_SYNC] = {"sync", ACCOUNTS | WAIT, 0, false},
    [CONTROL_QUEUE] = {"queue", AFTER, 0, true},
    [CONTROL_QUEUE_SHOW] = {"queue-show", WHAT, WHAT, true},
    [CONTROL_QUEUE_DROP] = {"queue-drop", WHAT, WHAT, false},
    [CONTROL_QUEUE_RETRY] = {"queue-retry", WHAT, WHAT, false},
    [CONTROL_QUEUE_HOLD] = {"queue-hold", WHAT, WHAT, false},
    [CONTROL_QUEUE_RELEASE] = {"queue-release", WHAT, WHAT, false},
    [CONTROL_USERS] = {"users", 0, 0, true},
    [CONTROL_JOURNAL] = {"journal", USER | FROM | TO | ID | SUBJECT | SINCE | BEHIND | EVENT | FOLLOW, 0, true},
    [CONTROL_REPORT] = {"report", SINCE | UNTIL, SINCE | UNTIL, true},
    [CONTROL_METRICS] = {"metrics", 0, 0, true},
    [CONTROL_RESUME] = {"resume", WHAT | KNOWN, WHAT | KNOWN, false},
    [CONTROL_RELOAD] = {"reload", 0, 0, false},
    [CONTROL_STOP] = {"stop", 0, 0, false},
};

enum { NVERBS = sizeof verbs / sizeof verbs[0] };

const char *codec_verb_name(enum control_verb v)
{
	return verbs[v].name;
}

bool codec_verb_reads(enum control_verb v)
{
	return verbs[v].reads;
}

/* jansson refuses NUL in strings unless asked to allow it, so C strings hold all of them. */
static int take_text(const json_t *v, const char *key, char **out, struct err *e)
{
	if (!json_is_string(v))
		return err_set(e, 0, "%s: a string is needed", key);
	if (json_string_length(v) == 0 || json_string_length(v) > CODEC_TEXT_MAX)
		return err_set(e, 0, "%s: 1 to %d bytes are needed", key, CODEC_TEXT_MAX);
	*out = xstrdup(json_string_value(v));
	return 0;
}

static int take_bool(const json_t *v, const char *key, bool *out, struct err *e)
{
	if (!json_is_boolean(v))
		return err_set(e, 0, "%s: true or false is needed", key);
	*out = json_is_true(v);
	return 0;
}

static int take_accounts(const json_t *v, struct strlist *out, struct err *e)
{
	if (!json_is_array(v) || json_array_size(v) > CODEC_ACCOUNTS_MAX)
		return err_set(e, 0, "accounts: a list of at most %d is needed", CODEC_ACCOUNTS_MAX);
	for (size_t i = 0; i < json_array_size(v); i++) {
		char *label = NULL;
		if (take_text(json_array_get(v, i), "accounts", &label, e) != 0)
			return -1;
		strlist_add(out, label);
		free(label);
	}
	return 0;
}

static int take_int(const json_t *v, const char *key, int64_t *out, struct err *e)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return err_set(e, 0, "%s: a number from 0 is needed", key);
	*out = json_integer_value(v);
	return 0;
}

static const struct field_row *field_named(const char *key)
{
	for (size_t i = 0; i < NFIELDS; i++)
		if (strcmp(key, fields[i].key) == 0)
			return &fields[i];
	return NULL;
}

static int take_field(struct control_request *r, const char *key, const json_t *v, unsigned *seen, struct err *e)
{
	const struct field_row *f = field_named(key);

	if (f == NULL || (f->field & verbs[r->verb].fields) == 0)
		return err_set(e, 0, "%s has no field \"%.40s\"", verbs[r->verb].name, key);
	void *to = (char *)r + f->offset;
	*seen |= f->field;
	switch (f->type) {
	case TEXT:
		return take_text(v, key, to, e);
	case BOOL:
		return take_bool(v, key, to, e);
	case INT:
		return take_int(v, key, to, e);
	case LIST:
		break;
	}
	return take_accounts(v, to, e);
}

static int find_verb(const json_t *object, enum control_verb *out, struct err *e)
{
	const char *name = json_string_value(json_object_get(object, "do"));

	if (name == NULL)
		return err_set(e, 0, "a request is {\"do\":COMMAND,…}");
	for (int i = 0; i < NVERBS; i++)
		if (strcmp(name, verbs[i].name) == 0) {
			*out = (enum control_verb)i;
			return 0;
		}
	return err_set(e, 0, "there is no command \"%.40s\"", name);
}

static int say_needs(const struct verb *v, struct err *e)
{
	struct buf b;

	buf_init(&b, 400);
	for (size_t i = 0; i < NFIELDS; i++)
		if ((v->required & fields[i].field) != 0)
			buf_printf(&b, "%s\"%s\"", b.n > 0 ? " and " : "", fields[i].key);
	err_set(e, 0, "%s needs %s", v->name, buf_str(&b));
	buf_free(&b);
	return -1;
}

static int from_json(json_t *object, struct control_request *out, struct err *e)
{
	const char *key;
	json_t *v;
	unsigned seen = 0;

	if (!json_is_object(object))
		return err_set(e, 0, "a request is one JSON object on a line");
	if (find_verb(object, &out->verb, e) != 0)
		return -1;
	json_object_foreach(object, key, v)
	{
		if (strcmp(key, "do") != 0 && take_field(out, key, v, &seen, e) != 0)
			return -1;
	}
	return (verbs[out->verb].required & ~seen) != 0 ? say_needs(&verbs[out->verb], e) : 0;
}

int codec_request_parse(struct slice line, struct control_request *out, struct err *e)
{
	json_error_t je;
	json_t *object = json_loadb(line.n > 0 ? line.p : "", line.n, JSON_REJECT_DUPLICATES, &je);
	int rc = -1;

	*out = (struct control_request){0};
	if (object == NULL)
		return err_set(e, 0, "no JSON: %s", je.text);
	rc = from_json(object, out, e);
	json_decref(object);
	if (rc != 0)
		codec_request_free(out);
	return rc;
}

void codec_request_free(struct control_request *r)
{
	for (size_t i = 0; i < NFIELDS; i++)
		if (fields[i].type == TEXT)
			free(*(char **)((char *)r + fields[i].offset));
	strlist_free(&r->accounts);
	*r = (struct control_request){0};
}

static json_t *list_value(const struct strlist *l)
{
	json_t *list = l->n > 0 ? json_array() : NULL;

	for (size_t i = 0; i < l->n; i++)
		json_array_append_new(list, codec_text(slice_of(l->v[i])));
	return list;
}

/* NULL where the field is left out. */
static json_t *field_value(const struct control_request *r, const struct field_row *f)
{
	const void *at = (const char *)r + f->offset;
	const char *text;

	switch (f->type) {
	case TEXT:
		text = *(char *const *)at;
		return text != NULL ? codec_text(slice_of(text)) : NULL;
	case BOOL:
		return f->optional && !*(const bool *)at ? NULL : json_boolean(*(const bool *)at);
	case INT:
		return f->optional && *(const int64_t *)at == 0 ? NULL : json_integer(*(const int64_t *)at);
	case LIST:
		break;
	}
	return list_value(at);
}

char *codec_request_format(const struct control_request *r)
{
	const struct verb *v = &verbs[r->verb];
	json_t *o = json_object();

	codec_set_text(o, "do", v->name);
	for (size_t i = 0; i < NFIELDS; i++) {
		json_t *value = (v->fields & fields[i].field) != 0 ? field_value(r, &fields[i]) : NULL;
		if (value != NULL)
			json_object_set_new(o, fields[i].key, value);
	}
	return codec_line_of(o);
}

/* ---- replies ---- */

json_t *codec_ok(void)
{
	json_t *o = json_object();

	codec_set_bool(o, "ok", true);
	return o;
}

json_t *codec_error(const char *text)
{
	json_t *o = json_object();

	codec_set_bool(o, "ok", false);
	codec_set_text(o, "error", text);
	return o;
}

json_t *codec_event(const char *name)
{
	json_t *o = json_object();

	codec_set_text(o, "event", name);
	return o;
}

static json_t *repaired(struct slice s)
{
	struct buf b;
	uint32_t cp;

	buf_init(&b, 4 * s.n + 1);
	for (size_t at = 0; at < s.n;) {
		size_t n = utf8_next(s, at, &cp);
		if (n == 0 || cp == 0)
			buf_printf(&b, "\\x%02x", (unsigned char)s.p[at++]);
		else {
			buf_add(&b, s.p + at, n);
			at += n;
		}
	}
	json_t *v = json_stringn_nocheck(buf_str(&b), b.n);
	buf_free(&b);
	return v;
}

json_t *codec_text(struct slice s)
{
	return utf8_valid(s) && slice_find(s, '\0') == s.n ? json_stringn_nocheck(s.n > 0 ? s.p : "", s.n)
	                                                   : repaired(s);
}

void codec_set_text(json_t *object, const char *key, const char *s)
{
	json_object_set_new(object, key, codec_text(slice_of(s != NULL ? s : "")));
}

void codec_set_int(json_t *object, const char *key, int64_t i)
{
	json_object_set_new(object, key, json_integer(i));
}

void codec_set_bool(json_t *object, const char *key, bool b)
{
	json_object_set_new(object, key, json_boolean(b));
}

char *codec_line_of(json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);
	char *line = xasprintf("%s\n", text != NULL ? text : "{\"ok\":false,\"error\":\"the reply is no JSON\"}");

	free(text);
	json_decref(object);
	return line;
}

json_t *codec_reply_parse(struct slice line, struct err *e)
{
	json_error_t je;
	json_t *o = json_loadb(line.n > 0 ? line.p : "", line.n, 0, &je);

	if (json_is_object(o) &&
	    (json_is_boolean(json_object_get(o, "ok")) || json_is_string(json_object_get(o, "event"))))
		return o;
	json_decref(o);
	err_set(e, 0, "the daemon's answer is no reply of this version");
	return NULL;
}
