/* Sections and keys of the ini file, written by ofmctl: every byte that is not concerned stays. */
#include "config/load.h"

#include "base/alloc.h"
#include "config/lines.h"
#include "config/rewrite.h"
#include "config/schema.h"

#include <stdlib.h>
#include <string.h>

int config_quote(const char *value, struct buf *out, struct err *e)
{
	size_t n = strlen(value);
	bool plain = n > 0 && strpbrk(value, ";#\\") == NULL && value[0] != '"' && value[0] != '\'' &&
	             value[0] != ' ' && value[n - 1] != ' ';

	if (strpbrk(value, "\r\n") != NULL)
		return err_set(e, 0, "a value cannot go over several lines");
	if (plain) {
		buf_add_str(out, value);
		return 0;
	}
	const char *mark = strchr(value, '"') == NULL ? "\"" : "'";
	if (strpbrk(value, mark) != NULL)
		return err_set(e, 0,
		               "a value with both kinds of quotes cannot stand in the ini file; put a password into a "
		               "file of its own, and write password_file");
	buf_printf(out, "%s%s%s", mark, value, mark);
	return 0;
}

static int add_section(struct slice text, const struct config_edit *ed, struct buf *out, struct err *e)
{
	const char *end = lines_end(text);

	buf_add_slice(out, text);
	if (text.n > 0 && text.p[text.n - 1] != '\n')
		buf_add_str(out, end);
	buf_printf(out, "%s[%s%s%s]%s", text.n > 0 ? end : "", ed->kind, ed->label[0] != '\0' ? " " : "", ed->label,
	           end);
	for (size_t i = 0; i < ed->n; i++) {
		buf_printf(out, "%s = ", ed->set[i].key);
		if (config_quote(ed->set[i].value, out, e) != 0)
			return -1;
		buf_add_str(out, end);
	}
	return 0;
}

/* One key after another, each on the text that the one before has left. */
static int set_key(struct slice text, const struct config_edit *ed, size_t i, struct buf *out, struct err *e)
{
	size_t mark = text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	struct config_findings found = {NULL, 0, 0};
	struct scan scan;
	struct buf value;
	int rc;

	buf_init(&value, SCAN_LINE_MAX);
	scan_run(slice_sub(text, mark, text.n), &scan, &found);
	const struct scan_section *s = lines_section(&scan, ed->kind, ed->label);
	const struct scan_entry *entry = lines_entry(s, ed->set[i].key);
	rc = s == NULL ? err_set(e, 0, "there is no [%s %s] (ofmctl %s lists them)", ed->kind, ed->label, ed->kind)
	               : config_quote(ed->set[i].value, &value, e);
	if (rc == 0 && entry != NULL)
		lines_replace(text, entry, buf_str(&value), out);
	else if (rc == 0)
		lines_insert(text, s, ed->set[i].key, buf_str(&value), out);
	buf_free(&value);
	scan_free(&scan);
	config_findings_free(&found);
	return rc;
}

static int set_keys(struct slice text, const struct config_edit *ed, struct buf *out, struct err *e)
{
	struct buf from;
	int rc = 0;

	buf_init(&from, REWRITE_MAX);
	buf_add_slice(out, text);
	for (size_t i = 0; i < ed->n && rc == 0; i++) {
		buf_clear(&from);
		buf_add_slice(&from, buf_slice(out));
		buf_clear(out);
		rc = set_key(buf_slice(&from), ed, i, out, e);
	}
	buf_free(&from);
	return rc;
}

/* What will be read from the new text is what was meant. */
static int verify(struct slice text, const struct config_edit *ed, struct err *e)
{
	size_t mark = text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	struct config_findings found = {NULL, 0, 0};
	struct scan scan;
	int rc = 0;

	scan_run(slice_sub(text, mark, text.n), &scan, &found);
	const struct scan_section *s = lines_section(&scan, ed->kind, ed->label);
	for (size_t i = 0; i < ed->n && rc == 0; i++) {
		const struct scan_entry *entry = lines_entry(s, ed->set[i].key);
		if (entry == NULL || strcmp(entry->value, ed->set[i].value) != 0)
			rc = err_set(e, 0, "%s could not be written such that it reads the same again", ed->set[i].key);
	}
	scan_free(&scan);
	config_findings_free(&found);
	return rc;
}

static bool has_section(struct slice text, const struct config_edit *ed)
{
	size_t mark = text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	struct config_findings found = {NULL, 0, 0};
	struct scan scan;

	scan_run(slice_sub(text, mark, text.n), &scan, &found);
	bool has = lines_section(&scan, ed->kind, ed->label) != NULL;
	scan_free(&scan);
	config_findings_free(&found);
	return has;
}

/* The first fault of the text as a whole, if it has one. */
static int check(struct slice text, const struct config_edit *ed, struct err *e)
{
	struct config_findings found = {NULL, 0, 0};
	struct config *c = config_load_text(text, ed->file, ed->home, ed->hooks, &found);
	int rc = c != NULL ? 0 : -1;

	for (size_t i = 0; i < found.n && rc != 0; i++) {
		if (!found.v[i].fault)
			continue;
		char *line = config_finding_format(ed->file, &found.v[i]);
		err_set(e, 0, "%s", line);
		free(line);
		break;
	}
	config_unref(&c);
	config_findings_free(&found);
	return rc;
}

static int edit_text(struct slice text, const struct config_edit *ed, struct buf *out, struct err *e)
{
	/* A fault that was there before is not ours to be blamed for. */
	if (check(text, ed, e) != 0)
		return -1;
	if (ed->add && has_section(text, ed))
		return err_set(e, 0, "there is a [%s %s] already", ed->kind, ed->label);
	if ((ed->add ? add_section(text, ed, out, e) : set_keys(text, ed, out, e)) != 0)
		return -1;
	if (out->n >= REWRITE_MAX)
		return err_set(e, 0, "the ini file would grow too large");
	return verify(buf_slice(out), ed, e) == 0 ? check(buf_slice(out), ed, e) : -1;
}

int config_edit(const struct config_edit *ed, struct err *e)
{
	struct rewrite r;
	struct buf out;
	int rc = -1;

	buf_init(&out, REWRITE_MAX);
	if (rewrite_open(&r, ed->file, e) == 0) {
		rc = edit_text(buf_slice(&r.text), ed, &out, e);
		if (rc == 0)
			rc = rewrite_commit(&r, buf_slice(&out), e);
		rewrite_close(&r);
	}
	buf_free(&out);
	return rc;
}
