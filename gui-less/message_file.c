#include "message_file.h"

#include "ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX_BYTES ((size_t)2 << 30)

/* The header is all that counts; what lies behind the maximum is not read. */
bool message_file_read(const char *path, struct buf *out)
{
	char piece[65536];
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	size_t n = 0;

	buf_init(out, FILE_MAX_BYTES);
	if (f == NULL) {
		ctl_error("%s: %s", path, strerror(errno));
		return false;
	}
	errno = 0;
	while ((n = fread(piece, 1, sizeof piece, f)) > 0 && buf_add(out, piece, n))
		;
	bool ok = ferror(f) == 0;
	if (!ok)
		ctl_error("%s: %s", path, strerror(errno));
	if (f != stdin)
		fclose(f);
	if (!ok)
		buf_free(out);
	return ok;
}
