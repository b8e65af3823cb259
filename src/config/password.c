/* One password line of the ini file, written anew; every other byte stays. */
#include "config/load.h"

#include "base/alloc.h"
#include "config/rewrite.h"
#include "config/values.h"

#include <stdlib.h>
#include <string.h>

struct edit {
	struct slice text; /* the file */
	struct scan scan;  /* of it, without a byte order mark */
	const char *user;
	const char *hash;
};

static struct scan_section *find_section(const struct scan *s, const char *kind, const char *label)
{
	for (size_t i = 0; i < s->n; i++) {
		struct slice name = slice_of(s->v[i].name);
		size_t word = 0;
		while (word < name.n && name.p[word] != ' ' && name.p[word] != '\t')
			word++;
		if (slice_is_nocase(slice_sub(name, 0, word), kind) &&
		    slice_is_nocase(slice_trim(slice_sub(name, word, name.n)), label))
			return &s->v[i];
	}
	return NULL;
}

static const struct scan_entry *find_entry(const struct scan_section *s, const char *key)
{
	for (size_t i = 0; s != NULL && i < s->n; i++)
		if (strcmp(s->v[i].key, key) == 0)
			return &s->v[i];
	return NULL;
}

/* Line nr (from 1) of the file, its end included. */
static struct slice line_of(struct slice text, unsigned nr)
{
	for (size_t at = 0; at < text.n;) {
		struct slice rest = slice_sub(text, at, text.n);
		size_t n = slice_find(rest, '\n');
		n += n < rest.n;
		if (--nr == 0)
			return slice_sub(rest, 0, n);
		at += n;
	}
	return slice_sub(text, text.n, 0);
}

static const char *line_end(struct slice line)
{
	return line.n >= 2 && line.p[line.n - 2] == '\r' ? "\r\n" : "\n";
}

/* Where in `password = "x" ; words` the comment begins, blanks before it included; its length where there is none. */
static size_t comment_at(struct slice line)
{
	size_t at = slice_find(line, '=') + 1;

	while (at < line.n && (line.p[at] == ' ' || line.p[at] == '\t'))
		at++;
	if (at < line.n && (line.p[at] == '"' || line.p[at] == '\'')) {
		char quote = line.p[at];
		for (at++; at < line.n && line.p[at] != quote;)
			at++;
	}
	while (at < line.n && line.p[at] != ';' && line.p[at] != '#')
		at++;
	if (at >= line.n)
		return line.n;
	while (line.p[at - 1] == ' ' || line.p[at - 1] == '\t')
		at--;
	return at;
}

static void replace_line(const struct edit *e, const struct scan_entry *entry, struct buf *out)
{
	struct slice line = line_of(e->text, entry->line);
	size_t before = (size_t)(line.p - e->text.p), eq = slice_find(line, '=');
	const char *end = line_end(line);
	bool ended = line.n > 0 && line.p[line.n - 1] == '\n';
	struct slice body = slice_sub(line, 0, line.n - (ended ? strlen(end) : 0));
	struct slice comment = slice_sub(body, comment_at(body), body.n);

	buf_add(out, e->text.p, before);
	buf_add(out, line.p, eq + 1);
	buf_printf(out, " %s", e->hash);
	if (comment.n > 0 && eq + 2 + strlen(e->hash) + 1 + comment.n <= SCAN_LINE_MAX) {
		if (comment.p[0] == ';' || comment.p[0] == '#')
			buf_add_char(out, ' ');
		buf_add_slice(out, comment);
	}
	if (ended)
		buf_add_str(out, end);
	buf_add_slice(out, slice_sub(e->text, before + line.n, e->text.n));
}

/* Behind the section's header. */
static void insert_line(const struct edit *e, const struct scan_section *s, struct buf *out)
{
	struct slice header = line_of(e->text, s->line);
	size_t behind = (size_t)(header.p - e->text.p) + header.n;
	const char *end = line_end(header);

	buf_add(out, e->text.p, behind);
	if (header.p[header.n - 1] != '\n')
		buf_add_str(out, end);
	buf_printf(out, "password = %s%s", e->hash, end);
	buf_add_slice(out, slice_sub(e->text, behind, e->text.n));
}

static void append_section(const struct edit *e, struct buf *out)
{
	const char *end = line_end(line_of(e->text, 1));

	buf_add_slice(out, e->text);
	if (e->text.n > 0 && e->text.p[e->text.n - 1] != '\n')
		buf_add_str(out, end);
	buf_printf(out, "%s[user %s]%spassword = %s%s", end, e->user, end, e->hash, end);
}

static const char *special(const struct scan *s, const char *key)
{
	const struct scan_entry *e = find_entry(find_section(s, "special", ""), key);

	return e != NULL ? e->value : key;
}

static int apply(const struct edit *e, struct buf *out, struct err *why)
{
	const struct scan_section *s = find_section(&e->scan, "user", e->user);
	const struct scan_entry *file = find_entry(s, "password_file"), *password = find_entry(s, "password");

	if (slice_is_nocase(slice_of(e->user), special(&e->scan, "daemon")))
		return err_set(why, 0, "%s is the daemon user, who cannot log in and needs no password", e->user);
	if (file != NULL && file->value[0] != '\0')
		return err_set(why, 0, "the password of %s stands in %s; change it there", e->user, file->value);
	if (password != NULL)
		replace_line(e, password, out);
	else if (s != NULL)
		insert_line(e, s, out);
	else if (slice_is_nocase(slice_of(e->user), special(&e->scan, "postmaster")))
		append_section(e, out);
	else
		return err_set(why, 0, "there is no user %s; add [user %s] first", e->user, e->user);
	return 0;
}

/* What will be read from the new text is what was meant; anything else must not reach the file. */
static int verify(struct slice text, const char *user, const char *hash, struct err *why)
{
	struct config_findings found = {NULL, 0, 0};
	struct scan scan;

	if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
		text = slice_sub(text, 3, text.n);
	scan_run(text, &scan, &found);
	const struct scan_entry *e = find_entry(find_section(&scan, "user", user), "password");
	bool good = found.faults == 0 && e != NULL && strcmp(e->value, hash) == 0;
	scan_free(&scan);
	config_findings_free(&found);
	return good ? 0 : err_set(why, 0, "the line could not be written such that it reads the same again");
}

static bool hash_is_plain(const char *hash)
{
	size_t n = strlen(hash);

	for (size_t i = 0; i < n; i++)
		if (hash[i] <= ' ' || hash[i] >= 0x7f || strchr(";#\"'\\=", hash[i]) != NULL)
			return false;
	return n > 0 && n < 512;
}

static int edit_text(struct slice text, const char *user, const char *hash, struct buf *out, struct err *why)
{
	struct config_findings found = {NULL, 0, 0};
	struct edit e = {.text = text, .user = user, .hash = hash};
	size_t mark = text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	int rc;

	scan_run(slice_sub(text, mark, text.n), &e.scan, &found);
	if (found.faults != 0)
		rc = err_set(why, 0, "the ini file has faults; mend them first: ofmctl check");
	else
		rc = apply(&e, out, why);
	if (rc == 0)
		rc = verify(buf_slice(out), user, hash, why);
	scan_free(&e.scan);
	config_findings_free(&found);
	return rc;
}

int config_set_password(const char *file, const char *user, const char *hash, struct err *e)
{
	struct rewrite r;
	struct buf out;
	int rc = -1;

	if (!value_user_name(slice_of(user)))
		return err_set(e, 0, "%s is no user's name", user);
	if (!hash_is_plain(hash))
		return err_set(e, 0, "the hash holds characters that cannot stand in the ini file");
	char *lower = xstrdup(user);
	ascii_lower_in_place(lower);
	buf_init(&out, REWRITE_MAX + 4096);
	if (rewrite_open(&r, file, e) == 0) {
		rc = edit_text(buf_slice(&r.text), lower, hash, &out, e);
		if (rc == 0)
			rc = rewrite_commit(&r, buf_slice(&out), e);
		rewrite_close(&r);
	}
	buf_free(&out);
	free(lower);
	return rc;
}
