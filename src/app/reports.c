/* What the program as a whole tells postmaster, in the language of those who read it. */
#include "app/app_internal.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "route/report.h"

#include <errno.h>
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

void app_mailbox_trouble(void *arg, const char *user, int error)
{
	struct app *a = arg;
	bool ru = a->config->russian;
	char *key = xasprintf("mailbox.%s", user);
	char *body =
	    xasprintf(ru ? "Почта для %s в сохранности, но её нельзя положить в ящик: %s.\n\nПапка: %s/%s\n\n%s"
	                   "Попытка повторяется каждую минуту.\n"
	                 : "Mail for %s is safe, but cannot be put into the mailbox: %s.\n\nFolder: %s/%s\n\n%s"
	                   "It is tried again every minute.\n",
	              user, strerror(error), a->config->mailboxes, user, mailbox_mend(ru, error));

	/* A mailbox that is the postmaster's own cannot take the report either; the log has it. */
	if (error == 0)
		report_forget(a->db, key);
	else if (strcmp(user, a->config->postmaster->name) != 0)
		report_postmaster(a->delivery, a->config, key,
		                  ru ? "В ящик нельзя записать почту" : "A mailbox cannot be written", body);
	free(key);
	free(body);
}

void app_well_again(void *arg, int64_t since, const char *trouble)
{
	struct app *a = arg;
	bool ru = a->config->russian;
	char from[40], until[40];

	clock_rfc5322(since, from);
	clock_rfc5322(clock_wall_s(), until);
	char *body =
	    xasprintf(ru ? "Почту нельзя было принимать и сохранять.\n\nС:       %s\nДо:      %s\nПричина: %s\n\n"
	                   "Всё, что было принято раньше, в сохранности. Отправителей просили повторить позже, а сбор "
	                   "почты ждал.\n"
	                 : "Mail could not be accepted or stored.\n\nFrom:    %s\nUntil:   %s\nTrouble: %s\n\n"
	                   "Whatever had been accepted before is safe. Senders were asked to try again, and "
	                   "collecting has waited.\n",
	              from, until, trouble);
	report_postmaster(a->delivery, a->config, NULL,
	                  ru ? "Почту некоторое время нельзя было сохранять" : "Mail could not be stored for a while",
	                  body);
	free(body);
}

void app_report_rebuild(struct app *a)
{
	const struct rebuilt *r = &a->rebuilt;
	bool ru = a->config->russian;

	if (r->queued == 0 && r->unreadable == 0 && !r->database_lost)
		return;
	char *body = xasprintf(
	    ru ? "База данных шлюза была потеряна, повреждена или старее его папок. Почта в ящиках не тронута.\n\n"
	         "Ожидающих исходящих писем найдено по файлам и придержано: %zu. Смотрите `ofmctl queue`, затем "
	         "`ofmctl queue release all` или `ofmctl queue drop ID`. Некоторые получатели могли их уже получить.\n"
	         "Исходящих файлов без читаемого конверта, оставленных как есть: %zu.\n"
	         "Собранных писем, которые опознаны и не будут собраны снова: %zu.\n"
	       : "The gateway's database was lost, damaged, or older than its folders. Mail in the mailboxes is "
	         "untouched.\n\n"
	         "%zu waiting outgoing messages were found by their files and are now held: see `ofmctl queue`, then "
	         "`ofmctl queue release all` or `ofmctl queue drop ID`. Some of their recipients may have had them "
	         "already.\n"
	         "%zu outgoing files had no readable envelope and were left alone.\n"
	         "%zu collected messages were recognised and will not be collected again.\n",
	    r->queued, r->unreadable, r->known);
	report_postmaster(a->delivery, a->config, NULL,
	                  ru ? "Шлюз восстановил свою базу данных" : "The gateway has rebuilt its database", body);
	free(body);
}
