#include "net/trust.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

/* A PEM file with so many self-signed certificates. */
static void write_file(const char *path, int n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	for (int i = 0; i < n; i++) {
		EVP_PKEY *key = EVP_EC_gen("P-256");
		X509 *x = X509_new();
		unsigned char name[] = {'a', (unsigned char)('0' + i), 0};

		ASN1_INTEGER_set(X509_get_serialNumber(x), i + 1);
		X509_gmtime_adj(X509_getm_notBefore(x), 0);
		X509_gmtime_adj(X509_getm_notAfter(x), 3600);
		X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, name, -1, -1, 0);
		X509_set_issuer_name(x, X509_get_subject_name(x));
		X509_set_pubkey(x, key);
		assert_int_not_equal(X509_sign(x, key, EVP_sha256()), 0);
		PEM_write_X509(f, x);
		X509_free(x);
		EVP_PKEY_free(key);
	}
	fclose(f);
}

static int count(X509_STORE *s)
{
	return s == NULL ? -1 : sk_X509_OBJECT_num(X509_STORE_get0_objects(s));
}

static void test_read_once_and_anew_when_changed(void **state)
{
	struct trust *t = trust_new();
	char path[] = "/tmp/ofm.trust.XXXXXX";

	(void)state;
	close(mkstemp(path));
	write_file(path, 2);
	X509_STORE *first = trust_store(t, path);
	assert_int_equal(count(first), 2);
	assert_ptr_equal(trust_store(t, path), first);
	write_file(path, 3);
	assert_int_equal(count(trust_store(t, path)), 3);
	assert_int_equal(truncate(path, 0), 0);
	assert_null(trust_store(t, path));
	unlink(path);
	assert_null(trust_store(t, path));
	write_file(path, 1);
	assert_int_equal(count(trust_store(t, path)), 1);
	unlink(path);
	trust_free(&t);
	assert_null(t);
	trust_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_read_once_and_anew_when_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
