#include "base/io.h"

#include <errno.h>
#include <unistd.h>

int io_write_all(int fd, struct slice s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0) /* takes nothing and gives no reason: never a reason to go on for ever */
			errno = EIO;
		if (n <= 0)
			return -1;
		s = slice_sub(s, (size_t)n, s.n);
	}
	return 0;
}
