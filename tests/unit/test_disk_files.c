/* Small files that are whole or absent, and the ballast, on a disk that refuses. */
#include "disk/ballast.h"
#include "disk/file.h"
#include "fault_rig.h"

struct folder {
	char path[64];
	int fd;
};

static int open_folder(void **state)
{
	struct folder *f = xcalloc(1, sizeof *f);

	calm();
	strcpy(f->path, "/tmp/ofm.files.XXXXXX");
	assert_non_null(mkdtemp(f->path));
	f->fd = open(f->path, O_RDONLY | O_DIRECTORY);
	*state = f;
	return 0;
}

static int remove_folder(void **state)
{
	struct folder *f = *state;
	char *rm = xasprintf("rm -rf %s", f->path);

	calm();
	close(f->fd);
	assert_int_equal(system(rm), 0);
	free(rm);
	free(f);
	return 0;
}

static void holds(const struct folder *f, const char *name, const char *want)
{
	struct buf b;

	buf_init(&b, 1000);
	assert_int_equal(file_read(f->fd, name, &b, NULL), 0);
	assert_string_equal(buf_str(&b), want);
	buf_free(&b);
}

static void a_file_that_cannot_be_replaced_stays(void **state)
{
	static const struct {
		enum call call;
		int error;
		size_t n;
	} steps[] = {{CREATE, EACCES, 3}, {WRITE, ENOSPC, 2 * WRITE_MIN}, {FSYNC, EIO, 3}, {RENAME, EIO, 3}};
	struct folder *f = *state;
	char text[2 * WRITE_MIN];

	memset(text, 'x', sizeof text);
	assert_int_equal(file_write_durable(f->fd, "a", slice_of("old"), NULL), 0);
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		struct err e = {0, ""};
		fail_at(0, steps[i].call, steps[i].error, NULL, 0, 1);
		assert_int_equal(file_write_durable(f->fd, "a", slice_make(text, steps[i].n), &e), -1);
		assert_int_equal(e.code, steps[i].error);
		holds(f, "a", "old");
		assert_int_equal(entries(f->path, ".", true), 1); /* nothing temporary is left */
	}
	fail_at(0, FSYNC, EIO, NULL, 1, 1); /* it stands, and nobody knows whether it will after a power cut */
	assert_int_equal(file_write_durable(f->fd, "a", slice_of("new"), NULL), -1);
	assert_int_equal(file_write_durable(f->fd, "a", slice_of("new"), NULL), 0);
	holds(f, "a", "new");
	assert_int_equal(entries(f->path, ".", true), 1);
}

static void what_is_no_small_file_is_not_read(void **state)
{
	static const struct {
		const char *name;
		int error;
	} table[] = {{"none", ENOENT}, {"link", ELOOP}, {"folder", EISDIR}, {"large", EFBIG}};
	struct folder *f = *state;
	struct err e = {0, ""};

	assert_int_equal(mkdirat(f->fd, "folder", 0700), 0);
	assert_int_equal(symlinkat("large", f->fd, "link"), 0);
	assert_int_equal(file_write_durable(f->fd, "large", slice_of("0123456789"), &e), 0);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct buf b;
		buf_init(&b, 9);
		assert_int_equal(file_read(f->fd, table[i].name, &b, &e), -1);
		assert_int_equal(e.code, table[i].error);
		buf_free(&b);
	}
	holds(f, "large", "0123456789");
}

static blkcnt_t blocks(const struct folder *f)
{
	struct stat st;

	return fstatat(f->fd, "ballast", &st, 0) == 0 ? st.st_blocks : -1;
}

static void ballast_takes_its_space_or_none(void **state)
{
	struct folder *f = *state;

	fail_at(0, ALLOCATE, ENOSPC, NULL, 0, 1);
	assert_false(ballast_fill(f->fd));
	assert_int_equal(blocks(f), -1);
	for (int i = 0; i < 2; i++) { /* made; found */
		assert_true(ballast_fill(f->fd));
		assert_true(blocks(f) * 512 >= BALLAST_BYTES);
	}
	ballast_release(f->fd);
	assert_int_equal(blocks(f), -1);
	/* Length is no space. */
	int fd = openat(f->fd, "ballast", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, BALLAST_BYTES), 0);
	close(fd);
	assert_true(ballast_fill(f->fd));
	assert_true(blocks(f) * 512 >= BALLAST_BYTES);
	ballast_release(f->fd);
	assert_int_equal(symlinkat("elsewhere", f->fd, "ballast"), 0);
	assert_false(ballast_fill(f->fd));
	assert_int_equal(entries(f->path, ".", true), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_folder, remove_folder)
	const struct CMUnitTest tests[] = {
	    T(a_file_that_cannot_be_replaced_stays),
	    T(what_is_no_small_file_is_not_read),
	    T(ballast_takes_its_space_or_none),
	};

	return cmocka_run_group_tests_name("small files", tests, NULL, NULL);
}
