#include "config/scan.h"

#include "base/alloc.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct scanner {
	struct scan *out;
	struct config_findings *found;
	unsigned line;
	bool bad; /* the line at hand has been told as a fault */
};

static struct scan_section *section_now(struct scanner *s)
{
	return s->out->n != 0 ? &s->out->v[s->out->n - 1] : NULL;
}

static void __attribute__((format(printf, 3, 4))) fault(struct scanner *s, const char *key, const char *fmt, ...)
{
	struct scan_section *now = section_now(s);
	va_list ap;

	s->bad = true;
	va_start(ap, fmt);
	findings_add(s->found, true, (struct place){s->line, now != NULL ? now->name : "", key}, fmt, ap);
	va_end(ap);
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct slice trim(struct slice s)
{
	while (s.n > 0 && blank(s.p[0]))
		s = slice_sub(s, 1, s.n - 1);
	while (s.n > 0 && blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool opens_comment(struct slice s)
{
	return s.n > 0 && (s.p[0] == ';' || s.p[0] == '#');
}

/* What no line may hold, a comment neither. */
static void check_bytes(struct scanner *s, struct slice raw, const char *key)
{
	struct slice line = raw;

	if (raw.n > SCAN_LINE_MAX)
		fault(s, key, "the line has %zu bytes, and iniparser reads %d; a list may go on in KEY2, KEY3, ...",
		      raw.n, SCAN_LINE_MAX);
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (memchr(line.p, '\0', line.n) != NULL)
		fault(s, key, "there is a NUL byte in this line; is this a text file? Write the line anew");
	else if (!utf8_valid(line))
		fault(s, key, "this is no UTF-8 text; convert the file: iconv -f windows-1251 -t utf-8");
	else
		for (size_t i = 0; i < line.n; i++)
			if (((unsigned char)line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == 0x7f) {
				fault(s, key, "there is a control character (0x%02x) in this line; remove it",
				      (unsigned)(unsigned char)line.p[i]);
				break;
			}
}

static void add_section(struct scanner *s, struct slice name, struct slice from, bool bad)
{
	struct scan *o = s->out;

	if ((o->n & (o->n - 1)) == 0)
		o->v = xreallocarray(o->v, o->n != 0 ? o->n * 2 : 1, sizeof *o->v);
	o->v[o->n++] = (struct scan_section){.name = slice_dup(name), .line = s->line, .bad = bad, .text = from};
}

static void scan_header(struct scanner *s, struct slice line, struct slice from)
{
	size_t close = slice_find(line, ']');
	struct slice name = trim(slice_sub(line, 1, close == line.n ? line.n : close - 1));
	struct slice rest = close < line.n ? trim(slice_sub(line, close + 1, line.n)) : slice_make("", 0);

	add_section(s, name, from, false);
	if (close == line.n)
		fault(s, "", "the section header has no closing ]; add it");
	else if (opens_comment(rest))
		fault(s, "",
		      "a comment behind a section header hides the section from iniparser; give it a line of its own");
	else if (rest.n > 0)
		fault(s, "", "there is text behind the section header; give it a line of its own");
	else if (name.n == 0)
		fault(s, "", "the section has no name; write one between [ and ]");
	else if (slice_find(name, '[') < name.n || slice_find(name, ':') < name.n || slice_find(name, '"') < name.n)
		fault(s, "", "section names and labels cannot hold [ ] : or \"; choose another");
	section_now(s)->bad = s->bad;
}

/* Behind `key =`: the value as iniparser reads it; s->bad where that is not what stands there. */
static struct slice quoted_value(struct scanner *s, const char *key, struct slice text)
{
	char quote = text.p[0];
	struct slice inner = slice_sub(text, 1, text.n);
	size_t close = slice_find(inner, quote);
	struct slice rest = trim(slice_sub(inner, close + 1, inner.n));

	if (close == inner.n)
		fault(s, key, "the quote that opens here is never closed; add the closing %c", quote);
	else if (rest.n > 0 && !opens_comment(rest))
		fault(s, key,
		      "there is text behind the closing quote; only a comment may stand there (a value that holds "
		      "one kind of quote goes between the other kind)");
	return slice_sub(inner, 0, close);
}

static struct slice bare_value(struct scanner *s, const char *key, struct slice text)
{
	size_t cut = 0;

	while (cut < text.n && text.p[cut] != ';' && text.p[cut] != '#')
		cut++;
	if (cut < text.n && !blank(text.p[cut - 1]))
		fault(s, key,
		      "the value would be cut at the %c in it: put it between quotes, or a space before the %c of a "
		      "comment",
		      text.p[cut], text.p[cut]);
	return trim(slice_sub(text, 0, cut));
}

static struct slice scan_value(struct scanner *s, const char *key, struct slice raw)
{
	struct slice text = trim(raw);

	if (text.n == 0)
		return slice_make("", 0);
	if (opens_comment(text)) {
		/* `key =   ; words` is an empty value with a comment; `key = #Qw1` is somebody's password. */
		if (text.p == raw.p || (text.n > 1 && !blank(text.p[1])))
			fault(s, key,
			      "the value begins with %c, so iniparser takes it for a comment and the value for empty; "
			      "put it "
			      "between quotes%s",
			      text.p[0], strncmp(key, "password", 8) == 0 ? " or into a password_file" : "");
		return slice_make("", 0);
	}
	if (text.p[0] == '"' || text.p[0] == '\'')
		return quoted_value(s, key, text);
	return bare_value(s, key, text);
}

static bool key_is_sound(struct slice key)
{
	for (size_t i = 0; i < key.n; i++) {
		char c = ascii_lower(key.p[i]);
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'))
			return false;
	}
	return key.n > 0 && key.n <= 64;
}

/* What stands before the line's =, in lower case; "" where that is no key. The caller frees it. */
static char *key_of(struct slice line)
{
	size_t eq = slice_find(line, '=');
	struct slice key = trim(slice_sub(line, 0, eq));
	char *name = slice_dup(eq < line.n && key_is_sound(key) ? key : slice_make("", 0));

	ascii_lower_in_place(name);
	return name;
}

static void scan_entry(struct scanner *s, struct slice line, const char *key)
{
	struct scan_section *now = section_now(s);
	size_t eq = slice_find(line, '=');

	if (eq == line.n) {
		fault(s, "", "this is neither [section] nor key = value nor a comment; a comment begins with ; or #");
		return;
	}
	if (key[0] == '\0') {
		fault(s, "", "what stands before the = is no key; keys are letters, digits and _");
		return;
	}
	struct slice value = scan_value(s, key, slice_sub(line, eq + 1, line.n));
	if (now == NULL) {
		fault(s, key, "the key stands before the first section; move it below its [section]");
		return;
	}
	if ((now->n & (now->n - 1)) == 0)
		now->v = xreallocarray(now->v, now->n != 0 ? now->n * 2 : 1, sizeof *now->v);
	now->v[now->n++] = (struct scan_entry){
	    .key = slice_dup(slice_of(key)), .value = slice_dup(value), .line = s->line, .bad = s->bad};
}

static void scan_text(struct scanner *s, struct slice line, struct slice from, const char *key)
{
	if (line.n == 0)
		return;
	if (line.p[line.n - 1] == '\\')
		fault(s, key,
		      "the line ends in \\, with which iniparser joins the next line to it, %s; remove the \\ or "
		      "put the value between quotes",
		      opens_comment(line) ? "even from a comment" : "silently");
	if (opens_comment(line))
		return;
	if (line.p[0] == '[')
		scan_header(s, line, from);
	else
		scan_entry(s, line, key);
}

static void scan_line(struct scanner *s, struct slice raw, struct slice from)
{
	struct slice line = trim(raw.n > 0 && raw.p[raw.n - 1] == '\r' ? slice_sub(raw, 0, raw.n - 1) : raw);
	char *key = key_of(line);

	s->bad = false;
	check_bytes(s, raw, key);
	if (!s->bad || memchr(raw.p, '\0', raw.n) == NULL)
		scan_text(s, line, from, key);
	free(key);
}

void scan_run(struct slice text, struct scan *out, struct config_findings *found)
{
	struct scanner s = {.out = out, .found = found, .line = 0};

	*out = (struct scan){NULL, 0};
	for (size_t at = 0; at < text.n;) {
		struct slice rest = slice_sub(text, at, text.n);
		size_t end = slice_find(rest, '\n');
		size_t before = out->n;
		s.line++;
		scan_line(&s, slice_sub(rest, 0, end), rest);
		if (out->n > before && before > 0)
			out->v[before - 1].text.n = (size_t)(rest.p - out->v[before - 1].text.p);
		at += end + 1;
	}
}

void scan_free(struct scan *s)
{
	for (size_t i = 0; i < s->n; i++) {
		for (size_t k = 0; k < s->v[i].n; k++) {
			free(s->v[i].v[k].key);
			free(s->v[i].v[k].value);
		}
		free(s->v[i].v);
		free(s->v[i].name);
	}
	free(s->v);
	*s = (struct scan){NULL, 0};
}
