#include "digest/words.h"

static const struct digest_words english = {
    .subject = "Mail report",
    .from = "From",
    .to = "to",
    .rows = {"collected", "accepted", "delivered", "sent", "deferred", "bounced", "dropped", "refused"},
    .by_hour = "By hour",
    .in = "in",
    .out = "out",
    .users = "Users",
    .wrote = "wrote",
    .sent = "sent outside",
    .received = "received",
    .accounts = "Accounts",
    .works = "works",
    .queue = "Queue",
    .queue_empty = "empty",
    .oldest = "oldest",
    .boxes = "Largest mailboxes",
    .messages = "messages"};

static const struct digest_words russian_words = {
    .subject = "Отчёт о почте",
    .from = "С",
    .to = "до",
    .rows = {"собрано", "принято", "доставлено", "отправлено", "отложено", "возвращено", "снято", "отказано"},
    .by_hour = "По часам",
    .in = "вход.",
    .out = "исх.",
    .users = "Пользователи",
    .wrote = "написано",
    .sent = "наружу",
    .received = "получено",
    .accounts = "Учётные записи",
    .works = "работает",
    .queue = "Очередь",
    .queue_empty = "пуста",
    .oldest = "старейшее",
    .boxes = "Самые большие ящики",
    .messages = "писем"};

const struct digest_words *digest_words(bool russian)
{
	return russian ? &russian_words : &english;
}

const struct journal_count *digest_row(const struct journal_summary *s, size_t i)
{
	const struct journal_count *rows[] = {
	    &s->of[JOURNAL_COLLECTED], &s->of[JOURNAL_ACCEPTED], &s->delivered,           &s->of[JOURNAL_SENT],
	    &s->of[JOURNAL_DEFERRED],  &s->of[JOURNAL_BOUNCED],  &s->of[JOURNAL_DROPPED], &s->of[JOURNAL_REFUSED]};

	return rows[i];
}
