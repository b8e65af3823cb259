/* What went wrong, in words for the person who must mend it. */
#ifndef OFM_BASE_ERR_H
#define OFM_BASE_ERR_H

struct err {
	int code; /* errno, an SQLite code, or 0: whatever the setter knew */
	char text[512];
};

/* Formats text; returns -1, so that `return err_set(e, ...)` reads well. e may be NULL. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same, with ": " and strerror(errno) at the end and errno as the code. */
int err_errno(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
