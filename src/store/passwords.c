#include "store/passwords.h"

#include "base/alloc.h"
#include "base/random.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

enum {
	DIGEST = 32,
	REMEMBERED = 4096, /* slots; a power of two. A collision forgets the older one, which costs one hash more. */
	AT_ONCE = 2        /* hashes under way: guessing must not take every worker from those who deliver mail */
};

struct passwords {
	struct loop *loop;
	struct workers *workers;
	unsigned char key[DIGEST];
	unsigned char (*known)[DIGEST]; /* made with the first hash */
	struct check *first, **last;    /* those that wait for their turn */
	unsigned running;
	unsigned generation; /* what was begun before a forget is not remembered */
	bool ending;
};

struct check {
	struct check *next;
	struct passwords *p;
	unsigned generation;
	bool ok;
	unsigned char digest[DIGEST];
	void (*done)(void *arg, bool ok);
	void *arg;
	char *setting;
	char password[]; /* wiped */
};

struct passwords *passwords_new(struct loop *l, struct workers *w)
{
	struct passwords *p = xcalloc(1, sizeof *p);

	p->loop = l;
	p->workers = w;
	p->last = &p->first;
	random_bytes(p->key, sizeof p->key);
	return p;
}

static void destroy(struct passwords *p)
{
	free(p->known);
	OPENSSL_cleanse(p->key, sizeof p->key);
	free(p);
}

void passwords_free(struct passwords **pp)
{
	struct passwords *p = *pp;

	if (p == NULL)
		return;
	*pp = NULL;
	p->ending = true;
	if (p->running == 0)
		destroy(p);
}

void passwords_forget(struct passwords *p)
{
	p->generation++;
	random_bytes(p->key, sizeof p->key);
	free(p->known);
	p->known = NULL;
}

/* Keyed, so that neither memory nor timing tells anything about a password. */
static void digest_of(const struct passwords *p, const char *stored, struct slice password, unsigned char out[DIGEST])
{
	unsigned n = DIGEST;
	size_t len = strlen(stored) + 1;
	unsigned char *text = xmalloc(len + password.n);

	memcpy(text, stored, len);
	memcpy(text + len, password.p, password.n);
	if (HMAC(EVP_sha256(), p->key, DIGEST, text, len + password.n, out, &n) == NULL || n != DIGEST)
		abort();
	OPENSSL_cleanse(text, len + password.n);
	free(text);
}

static unsigned char *slot_of(const struct passwords *p, const unsigned char d[DIGEST])
{
	return p->known[(d[0] | (unsigned)d[1] << 8) % REMEMBERED];
}

static bool remembered(const struct passwords *p, const unsigned char d[DIGEST])
{
	return p->known != NULL && CRYPTO_memcmp(slot_of(p, d), d, DIGEST) == 0;
}

static void remember(struct passwords *p, const unsigned char d[DIGEST])
{
	if (p->known == NULL)
		p->known = xcalloc(REMEMBERED, DIGEST);
	memcpy(slot_of(p, d), d, DIGEST);
}

/* Equal length or not, it takes the same time: digests are compared. */
static bool same_plain(const struct passwords *p, const char *stored, struct slice password)
{
	unsigned char a[DIGEST], b[DIGEST];

	digest_of(p, "", slice_of(stored), a);
	digest_of(p, "", password, b);
	return CRYPTO_memcmp(a, b, DIGEST) == 0;
}

static void hash(void *arg)
{
	struct check *c = arg;
	struct crypt_data *data = xcalloc(1, sizeof *data);
	const char *got = crypt_r(c->password, c->setting, data);
	size_t n = strlen(c->setting);

	c->ok = got != NULL && got[0] != '*' && strlen(got) == n && CRYPTO_memcmp(got, c->setting, n) == 0;
	OPENSSL_cleanse(data, sizeof *data);
	free(data);
	OPENSSL_cleanse(c->password, strlen(c->password));
}

static void hashed(void *arg);

static void start_next(struct passwords *p)
{
	while (p->running < AT_ONCE && p->first != NULL) {
		struct check *c = p->first;

		p->first = c->next;
		if (p->first == NULL)
			p->last = &p->first;
		p->running++;
		workers_run(p->workers, hash, hashed, c);
	}
}

static void hashed(void *arg)
{
	struct check *c = arg;
	struct passwords *p = c->p;
	void (*done)(void *, bool) = c->done;
	void *done_arg = c->arg;
	bool ok = c->ok;

	if (ok && c->generation == p->generation)
		remember(p, c->digest);
	free(c->setting);
	free(c);
	p->running--;
	start_next(p);
	if (p->ending && p->running == 0)
		destroy(p);
	done(done_arg, ok);
}

static void enqueue(struct passwords *p, const char *stored, struct slice password, const unsigned char d[DIGEST],
                    void (*done)(void *arg, bool ok), void *arg)
{
	struct check *c = xcalloc(1, sizeof *c + password.n + 1);

	c->p = p;
	c->generation = p->generation;
	memcpy(c->digest, d, DIGEST);
	c->done = done;
	c->arg = arg;
	c->setting = xstrdup(stored);
	memcpy(c->password, password.p, password.n);
	*p->last = c;
	p->last = &c->next;
	start_next(p);
}

void passwords_check(struct passwords *p, const struct config_user *u, struct slice password, bool any_if_empty,
                     void (*done)(void *arg, bool ok), void *arg)
{
	unsigned char d[DIGEST];

	if (u->password[0] == '\0') {
		done(arg, any_if_empty);
		return;
	}
	/* A NUL would end what crypt sees; and no one types one. */
	if (slice_find(password, '\0') < password.n || password.n >= CRYPT_MAX_PASSPHRASE_SIZE) {
		done(arg, false);
		return;
	}
	if (strncmp(u->password, "$y$", 3) != 0) {
		done(arg, same_plain(p, u->password, password));
		return;
	}
	digest_of(p, u->password, password, d);
	if (remembered(p, d))
		done(arg, true);
	else
		enqueue(p, u->password, password, d, done, arg);
}

int passwords_hash(const char *password, char out[static 256], struct err *e)
{
	char random[32], setting[CRYPT_GENSALT_OUTPUT_SIZE];
	struct crypt_data *data;
	const char *got;
	int rc = 0;

	random_bytes(random, sizeof random);
	if (crypt_gensalt_rn("$y$", 0, random, sizeof random, setting, sizeof setting) == NULL)
		return err_errno(e, "no salt for a password hash");
	data = xcalloc(1, sizeof *data);
	got = crypt_r(password, setting, data);
	if (got == NULL || got[0] == '*' || strlen(got) >= 256)
		rc = err_errno(e, "the password cannot be hashed");
	else
		memcpy(out, got, strlen(got) + 1);
	OPENSSL_cleanse(data, sizeof *data);
	free(data);
	return rc;
}
