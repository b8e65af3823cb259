/* One password line of the ini file, written anew; every other byte stays. */
#include "config/load.h"

#include "base/alloc.h"
#include "config/lines.h"
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

static void append_section(const struct edit *e, struct buf *out)
{
	const char *end = lines_end(e->text);

	buf_add_slice(out, e->text);
	if (e->text.n > 0 && e->text.p[e->text.n - 1] != '\n')
		buf_add_str(out, end);
	buf_printf(out, "%s[user %s]%spassword = %s%s", end, e->user, end, e->hash, end);
}

static const char *special(const struct scan *s, const char *key)
{
	const struct scan_entry *e = lines_entry(lines_section(s, "special", ""), key);

	return e != NULL ? e->value : key;
}

static int apply(const struct edit *e, struct buf *out, struct err *why)
{
	const struct scan_section *s = lines_section(&e->scan, "user", e->user);
	const struct scan_entry *file = lines_entry(s, "password_file"), *password = lines_entry(s, "password");

	if (slice_is_nocase(slice_of(e->user), special(&e->scan, "daemon")))
		return err_set(why, 0, "%s is the daemon user, who cannot log in and needs no password", e->user);
	if (file != NULL && file->value[0] != '\0')
		return err_set(why, 0, "the password of %s stands in %s; change it there", e->user, file->value);
	if (password != NULL)
		lines_replace(e->text, password, e->hash, out);
	else if (s != NULL)
		lines_insert(e->text, s, "password", e->hash, out);
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
	const struct scan_entry *e = lines_entry(lines_section(&scan, "user", user), "password");
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
