/* What the program as a whole tells postmaster, in the language of those who read it. */
#include "app/app_internal.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "route/phrase.h"
#include "route/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *mailbox_mend(bool ru, int error)
{
	if (error != ELOOP && error != ENOTDIR)
		return "";
	return ru ? "Ящик и его папки tmp, new и cur должны быть папками: по символическим ссылкам программа не "
	            "ходит.\n\n"
	          : "The mailbox and its folders tmp, new and cur must be folders: symbolic links are not "
	            "followed.\n\n";
}

static void outqueue_trouble(struct app *a, int error)
{
	static const char key[] = "outqueue.write";
	char *why = phrase_in(strerror(error), a->config->russian);
	const struct letter_value values[] = {{"folder", a->config->outqueue}, {"why", why}, {NULL, NULL}};

	if (error != 0) {
		report_postmaster(a->delivery, a->config, key, LETTER_OUTQUEUE, values);
	} else {
		report_forget(a->db, key);
		report_postmaster(a->delivery, a->config, NULL, LETTER_OUTQUEUE_WELL, values);
	}
	free(why);
}

void app_mailbox_trouble(void *arg, const char *user, int error)
{
	struct app *a = arg;
	bool ru = a->config->russian;

	if (user == NULL) {
		outqueue_trouble(a, error);
		return;
	}
	char *key = xasprintf("mailbox.%s", user);
	char *folder = xasprintf("%s/%s", a->config->mailboxes, user), *why = phrase_in(strerror(error), ru);
	const struct letter_value values[] = {
	    {"user", user}, {"folder", folder}, {"why", why}, {"mend", mailbox_mend(ru, error)}, {NULL, NULL}};

	/* A mailbox that is the postmaster's own cannot take the report either; the log has it. */
	if (error == 0)
		report_forget(a->db, key);
	else if (strcmp(user, a->config->postmaster->name) != 0)
		report_postmaster(a->delivery, a->config, key, LETTER_MAILBOX, values);
	free(key);
	free(folder);
	free(why);
}

void app_well_again(void *arg, int64_t since, const char *trouble)
{
	struct app *a = arg;
	char from[40], until[40], *why = phrase_in(trouble, a->config->russian);
	const struct letter_value values[] = {{"from", from}, {"until", until}, {"why", why}, {NULL, NULL}};

	clock_rfc5322(since, from);
	clock_rfc5322(clock_wall_s(), until);
	report_postmaster(a->delivery, a->config, NULL, LETTER_WELL_AGAIN, values);
	free(why);
}

void app_journal_aside(void *arg, const char *aside, const char *why)
{
	struct app *a = arg;
	bool ru = a->config->russian;
	char *file = xasprintf("%s/journal.db", a->config->state), *reason = phrase_in(why, ru);
	const struct letter_value values[] = {{"file", file},
	                                      {"why", why},
	                                      {"aside", aside[0] != '\0' ? aside
	                                                : ru             ? "его больше нет"
	                                                                 : "it is no longer there"},
	                                      {NULL, NULL}};
	int64_t now = clock_mono_ms();

	/* A disk that fails again and again is told once a day; the log has each. A program that is ending tells
	 * nobody. */
	if (a->journal != NULL && (a->journal_told == 0 || now - a->journal_told > 24 * 3600 * 1000)) {
		a->journal_told = now;
		report_postmaster(a->delivery, a->config, NULL, LETTER_JOURNAL, values);
	}
	free(reason);
	free(file);
}

void app_report_rebuild(struct app *a)
{
	const struct rebuilt *r = &a->rebuilt;
	char queued[24], unreadable[24], known[24];
	const struct letter_value values[] = {
	    {"queued", queued}, {"unreadable", unreadable}, {"known", known}, {NULL, NULL}};

	if (r->queued == 0 && r->unreadable == 0 && !r->database_lost)
		return;
	snprintf(queued, sizeof queued, "%zu", r->queued);
	snprintf(unreadable, sizeof unreadable, "%zu", r->unreadable);
	snprintf(known, sizeof known, "%zu", r->known);
	report_postmaster(a->delivery, a->config, NULL, LETTER_REBUILT, values);
}
