/* TLS sessions that may be resumed. Tickets come in on the loop's thread, behind a handshake of TLS 1.3; the opener's
 * uses them. */
#include "base/alloc.h"
#include "net/outside_internal.h"

#include <pthread.h>
#include <stdlib.h>

struct outside_memory {
	unsigned refs; /* the loop's thread */
	CURLSH *share;
	pthread_mutex_t locks[CURL_LOCK_DATA_LAST]; /* one for each kind, as libcurl wants it */
};

static void lock(CURL *easy, curl_lock_data what, curl_lock_access how, void *arg)
{
	struct outside_memory *m = arg;

	(void)easy;
	(void)how;
	pthread_mutex_lock(&m->locks[what]);
}

static void unlock(CURL *easy, curl_lock_data what, void *arg)
{
	struct outside_memory *m = arg;

	(void)easy;
	pthread_mutex_unlock(&m->locks[what]);
}

struct outside_memory *outside_memory_new(void)
{
	struct outside_memory *m = xcalloc(1, sizeof *m);

	m->refs = 1;
	m->share = curl_share_init();
	if (m->share == NULL)
		abort();
	for (size_t i = 0; i < CURL_LOCK_DATA_LAST; i++)
		pthread_mutex_init(&m->locks[i], NULL);
	curl_share_setopt(m->share, CURLSHOPT_LOCKFUNC, lock);
	curl_share_setopt(m->share, CURLSHOPT_UNLOCKFUNC, unlock);
	curl_share_setopt(m->share, CURLSHOPT_USERDATA, m);
	curl_share_setopt(m->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	return m;
}

struct outside_memory *outside_memory_ref(struct outside_memory *m)
{
	if (m != NULL)
		m->refs++;
	return m;
}

void outside_memory_unref(struct outside_memory **mp)
{
	struct outside_memory *m = *mp;

	*mp = NULL;
	if (m == NULL || --m->refs > 0)
		return;
	curl_share_cleanup(m->share);
	for (size_t i = 0; i < CURL_LOCK_DATA_LAST; i++)
		pthread_mutex_destroy(&m->locks[i]);
	free(m);
}

void outside_memory_use(struct outside_memory *m, CURL *easy)
{
	if (m != NULL)
		curl_easy_setopt(easy, CURLOPT_SHARE, m->share);
}
