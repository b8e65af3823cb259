/* Passwords from a terminal, without echo, or a line of a pipe. */
#ifndef OFM_CTL_SECRET_H
#define OFM_CTL_SECRET_H

enum { SECRET_LENGTH = 256, SECRET_MAX = SECRET_LENGTH + 2 };

/* Asks by `prompt`, and by `again` (NULL: not) once more; where stdin is no terminal, reads one line. 0, or 1 after an
 * error on stderr. */
int secret_read(const char *prompt, const char *again, char out[static SECRET_MAX]);

#endif
