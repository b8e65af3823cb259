/* One line from the terminal that is not shown while it is typed. */
#ifndef OFM_CTL_PROMPT_H
#define OFM_CTL_PROMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Prints the question and reads from the standard input, without its line end. A signal that ends or stops the program
 * meanwhile (Ctrl-C, Ctrl-Z) finds the terminal as it was; behind a stop the question is asked again. False at the end
 * of input, or where the line is longer than size - 1 bytes. */
bool prompt_hidden(FILE *screen, const char *question, char *out, size_t size);

#endif
