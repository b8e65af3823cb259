/* Reading a mailbox: names tell size and time of our own files, so that none of them is opened or even stat()ed. */
#include "store/maildir_internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SCAN_TRIES = 3, COUNT_CHUNK = 64 * 1024, AHEAD = 16 };

struct scan {
	struct maildir_entry *v; /* name is an offset into arena until the end */
	size_t n, cap;
	char *arena;
	size_t used, size;
	bool foreign;
	struct strlist hidden; /* deleted as far as anybody is told */
};

/* ---- what a name says ---- */

/* SECONDS "." 20 lower-case hex digits; returns its length, 0 where the name is of another kind. */
static size_t our_prefix(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	if (digits == 0 || digits > 12 || name[digits] != '.')
		return 0;
	return strspn(name + digits + 1, "0123456789abcdef") == 20 ? digits + 21 : 0;
}

static bool is_ours(const char *name, uint64_t *size)
{
	size_t n = our_prefix(name);

	if (n == 0 || strncmp(name + n, ",S=", 3) != 0)
		return false;
	n += 3;
	return slice_to_u64(maildir_base(name + n), INT64_MAX, size);
}

/* ",X=NUMBER" among the fields behind the unique part. */
static bool name_field(const char *name, char key, uint64_t *out)
{
	struct slice base = maildir_base(name);

	for (size_t i = 0; i + 3 < base.n; i++)
		if (base.p[i] == ',' && base.p[i + 1] == key && base.p[i + 2] == '=') {
			struct slice v = slice_sub(base, i + 3, base.n);

			v.n = slice_find(v, ',');
			return slice_to_u64(v, INT64_MAX, out);
		}
	return false;
}

static bool name_seconds(const char *name, int64_t *out)
{
	size_t n = strspn(name, "0123456789");
	uint64_t v;

	if (name[n] != '.' || !slice_to_u64(slice_make(name, n), 99999999999, &v))
		return false;
	*out = (int64_t)v;
	return true;
}

/* ---- unique ids ---- */

static void uidl_hash(const char *name, char out[static MAILDIR_UIDL_MAX + 1])
{
	static const char hex[] = "0123456789abcdef";
	struct slice base = maildir_base(name);
	unsigned char md[EVP_MAX_MD_SIZE];

	if (EVP_Digest(base.p, base.n, md, NULL, EVP_sha256(), NULL) != 1)
		abort();
	for (size_t i = 0; i < 20; i++) {
		out[2 * i] = hex[md[i] >> 4];
		out[2 * i + 1] = hex[md[i] & 15];
	}
	out[40] = '\0';
}

static struct slice unique_part(const char *name)
{
	struct slice base = maildir_base(name);

	return slice_sub(base, 0, slice_find(base, ','));
}

void maildir_uidl(const char *name, char out[static MAILDIR_UIDL_MAX + 1])
{
	struct slice s = unique_part(name);
	bool fits = s.n >= 1 && s.n <= MAILDIR_UIDL_MAX;

	for (size_t i = 0; fits && i < s.n; i++)
		fits = s.p[i] > ' ' && s.p[i] < 0x7f;
	if (!fits) {
		uidl_hash(name, out);
		return;
	}
	memcpy(out, s.p, s.n);
	out[s.n] = '\0';
}

void maildir_entry_uidl(const struct maildir_entry *en, char out[static MAILDIR_UIDL_MAX + 1])
{
	if (en->twin)
		uidl_hash(en->name, out);
	else
		maildir_uidl(en->name, out);
}

/* ---- files of others: their octets on the wire ---- */

static int count_wire(int fd, uint64_t *size)
{
	char *chunk = xmalloc(COUNT_CHUNK);
	uint64_t n = 0;
	char before = '\n';
	ssize_t got;

	while ((got = read(fd, chunk, COUNT_CHUNK)) > 0) {
		const char *p = chunk, *end = chunk + got, *lf;

		n += (uint64_t)got;
		for (; (lf = memchr(p, '\n', (size_t)(end - p))) != NULL; p = lf + 1) {
			char prev = lf > chunk ? lf[-1] : before;

			n += prev != '\r';
		}
		before = end[-1];
	}
	free(chunk);
	/* The last line is ended for the client where the file does not end it. */
	*size = before == '\n' ? n : n + (before == '\r' ? 1 : 2);
	return got < 0 ? -1 : 0;
}

/* Size and time of a file that is not ours; false where it is no message or went away. */
static bool look_at(int dir, struct maildir_entry *en, const char *name)
{
	struct stat st;
	uint64_t s, w;
	int fd, rc;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return false;
	if (!name_seconds(name, &en->arrived))
		en->arrived = st.st_mtim.tv_sec;
	if (name_field(name, 'S', &s) && name_field(name, 'W', &w) && s == (uint64_t)st.st_size) {
		en->size = w; /* as Dovecot writes it */
		return true;
	}
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return false;
	rc = count_wire(fd, &en->size);
	close(fd);
	return rc == 0;
}

/* ---- the scan ---- */

static void arena_add(struct scan *s, struct maildir_entry *en, const char *name)
{
	size_t n = strlen(name) + 1;

	if (s->size - s->used < n) {
		s->size = s->size * 2 + 4096;
		s->arena = xrealloc(s->arena, s->size);
	}
	memcpy(s->arena + s->used, name, n);
	en->name = (char *)(uintptr_t)s->used;
	en->base_n = (uint16_t)maildir_base(name).n;
	s->used += n;
}

static bool regular(int dir, const struct dirent *en)
{
	struct stat st;

	if (en->d_type == DT_REG)
		return true;
	return fstatat(dir, en->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static void take(struct scan *s, int dir, const struct dirent *d, bool in_cur)
{
	struct maildir_entry en = {.in_cur = in_cur};

	if (maildir_among(&s->hidden, d->d_name))
		return;
	if (is_ours(d->d_name, &en.size)) {
		if (!regular(dir, d))
			return;
		en.ours = true;
		name_seconds(d->d_name, &en.arrived);
	} else if (!look_at(dir, &en, d->d_name)) {
		return;
	}
	if (s->n == s->cap) {
		s->cap = s->cap * 2 + 64;
		s->v = xreallocarray(s->v, s->cap, sizeof *s->v);
	}
	s->foreign = s->foreign || !en.ours;
	arena_add(s, &en, d->d_name);
	s->v[s->n++] = en;
}

/* *changed: something was renamed, added or removed meanwhile. */
static int scan_sub(struct maildir *m, const char *user, const char *sub, struct scan *s, bool *changed, struct err *e)
{
	DIR *d = maildir_stream(m, user, sub, e);
	struct stat before, after;
	struct dirent *en;
	int rc = 0;

	if (d == NULL)
		return -1;
	if (fstat(dirfd(d), &before) != 0)
		rc = err_errno(e, "folder %s of mailbox %s", sub, user);
	while (rc == 0 && (en = maildir_next(d)) != NULL)
		take(s, dirfd(d), en, sub[0] == 'c');
	if (rc == 0 && errno != 0)
		rc = err_errno(e, "folder %s of mailbox %s cannot be read", sub, user);
	if (rc == 0 && fstat(dirfd(d), &after) != 0)
		rc = err_errno(e, "folder %s of mailbox %s", sub, user);
	if (rc == 0)
		*changed =
		    before.st_mtim.tv_sec != after.st_mtim.tv_sec || before.st_mtim.tv_nsec != after.st_mtim.tv_nsec;
	closedir(d);
	return rc;
}

static int cmp_slice(struct slice a, struct slice b)
{
	int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

static struct slice base_of(const struct maildir_entry *en)
{
	return slice_make(en->name, en->base_n);
}

static int cmp_entry(const void *pa, const void *pb)
{
	const struct maildir_entry *a = pa, *b = pb;
	int c;

	if (a->arrived != b->arrived)
		return a->arrived < b->arrived ? -1 : 1;
	c = cmp_slice(base_of(a), base_of(b));
	return c != 0 ? c : (int)a->in_cur - (int)b->in_cur;
}

/* A message that moved from new/ to cur/ between the two readings was seen twice: the later place counts. */
static size_t drop_doubles(struct maildir_entry *v, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		bool same = kept > 0 && cmp_slice(base_of(&v[kept - 1]), base_of(&v[i])) == 0;

		v[same ? kept - 1 : kept++] = v[i];
	}
	return kept;
}

static int cmp_unique(const void *pa, const void *pb)
{
	const struct maildir_entry *a = *(struct maildir_entry *const *)pa, *b = *(struct maildir_entry *const *)pb;

	return cmp_slice(unique_part(a->name), unique_part(b->name));
}

static void mark_twins(struct maildir_list *l)
{
	struct maildir_entry **by = xcalloc(l->n > 0 ? l->n : 1, sizeof(struct maildir_entry *));

	for (size_t i = 0; i < l->n; i++)
		by[i] = &l->v[i];
	qsort(by, l->n, sizeof(struct maildir_entry *), cmp_unique);
	for (size_t i = 1; i < l->n; i++)
		if (cmp_unique(&by[i - 1], &by[i]) == 0)
			by[i - 1]->twin = by[i]->twin = true;
	/* Ours keep their own: they are unique among themselves, and clients know them. */
	for (size_t i = 0; i < l->n; i++)
		by[i]->twin = by[i]->twin && !by[i]->ours;
	free(by);
}

/* Names in the order of their entries: a million of them are in no cache, and where each lies somewhere else, to wait
 * for memory costs more than all that is done with them. */
static void lay_in_order(struct scan *s)
{
	char *to = xmalloc(s->used), *end = to;

	for (size_t i = 0; i < s->n; i++) {
		if (s->n - i > AHEAD)
			__builtin_prefetch(s->v[i + AHEAD].name);
		char *name = end;
		end = stpcpy(end, s->v[i].name) + 1;
		s->v[i].name = name;
	}
	free(s->arena);
	s->arena = to;
}

static void finish(struct scan *s, struct maildir_list *out)
{
	for (size_t i = 0; i < s->n; i++)
		s->v[i].name = s->arena + (uintptr_t)s->v[i].name;
	if (s->n > 1) {
		qsort(s->v, s->n, sizeof *s->v, cmp_entry);
		lay_in_order(s);
	}
	out->n = drop_doubles(s->v, s->n);
	out->v = out->n > 0 ? xreallocarray(s->v, out->n, sizeof *s->v) : s->v;
	out->arena = s->arena;
	out->total = 0;
	if (s->foreign)
		mark_twins(out);
	for (size_t i = 0; i < out->n; i++)
		out->total += out->v[i].size;
}

/* A rename inside cur/ while it is read may hide the name; new/ only loses names, to cur/, which comes later. */
static int scan_both(struct maildir *m, const char *user, struct scan *s, struct err *e)
{
	bool changed = true;

	for (int tries = 0; changed && tries < SCAN_TRIES; tries++) {
		s->n = s->used = 0;
		if (scan_sub(m, user, "new", s, &changed, e) != 0 || scan_sub(m, user, "cur", s, &changed, e) != 0)
			return -1;
	}
	return 0;
}

int maildir_scan(struct maildir *m, const char *user, struct maildir_list *out, struct err *e)
{
	struct scan s = {0};
	int rc;

	*out = (struct maildir_list){0};
	maildir_hidden_of(m, user, &s.hidden);
	rc = scan_both(m, user, &s, e);
	strlist_free(&s.hidden);
	if (rc != 0) {
		free(s.v);
		free(s.arena);
		return -1;
	}
	finish(&s, out);
	return 0;
}

void maildir_list_free(struct maildir_list *l)
{
	free(l->v);
	free(l->arena);
	*l = (struct maildir_list){0};
}
