/* LD_PRELOAD: counts allocations into the eight bytes of the file that ALLOC_COUNT names. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t m);
extern void *__libc_realloc(void *p, size_t n);

static atomic_ulong nowhere, *count = &nowhere;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("ALLOC_COUNT");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p = fd >= 0 ? mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (p != MAP_FAILED)
		count = p;
	if (fd >= 0)
		close(fd);
}

void *malloc(size_t n)
{
	atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t m)
{
	atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
	return __libc_calloc(n, m);
}

void *realloc(void *p, size_t n)
{
	atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
	return __libc_realloc(p, n);
}
