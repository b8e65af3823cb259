#include "fetch/pop3_reply.h"

#include "base/bilingual.h"

#include <string.h>

static struct slice next_word(struct slice *rest)
{
	*rest = slice_trim(*rest);
	size_t n = slice_find(*rest, ' ');
	struct slice word = slice_sub(*rest, 0, n);

	*rest = slice_sub(*rest, n, rest->n);
	return word;
}

void pop3_caps_line(struct pop3_caps *caps, struct slice line)
{
	struct slice word = next_word(&line);

	if (slice_is_nocase(word, "PIPELINING"))
		caps->pipelining = true;
	else if (slice_is_nocase(word, "TOP"))
		caps->top = true;
	else if (slice_is_nocase(word, "UIDL"))
		caps->uidl = true;
	else if (slice_is_nocase(word, "USER"))
		caps->user = true;
	else if (slice_is_nocase(word, "SASL")) {
		while (line.n > 0)
			caps->sasl_plain |= slice_is_nocase(next_word(&line), "PLAIN");
	} else if (slice_is_nocase(word, "LOGIN-DELAY")) {
		uint64_t s;

		if (slice_to_u64(next_word(&line), 7 * 24 * 3600, &s))
			caps->login_delay = (int64_t)s;
	}
}

void pop3_caps_transcript(struct pop3_caps *caps, const char *transcript)
{
	struct slice rest = slice_of(transcript);
	struct pop3_caps seen = {0};
	bool first = true;

	*caps = (struct pop3_caps){0};
	while (rest.n > 0) {
		size_t n = slice_find(rest, '\n');
		struct slice line = slice_sub(rest, 0, n);

		rest = slice_sub(rest, n + 1, rest.n);
		/* A status line begins each reply; only CAPA's is followed by others and a dot. */
		if (slice_starts_nocase(line, "+OK") || slice_starts_nocase(line, "-ERR") || first)
			seen = (struct pop3_caps){0};
		else if (slice_is(line, ".")) {
			*caps = seen;
			caps->known = true;
		} else
			pop3_caps_line(&seen, line);
		first = false;
	}
}

static bool contains_nocase(struct slice text, const char *word)
{
	for (size_t i = 0; i < text.n; i++)
		if (slice_starts_nocase(slice_sub(text, i, text.n), word))
			return true;
	return false;
}

static bool contains_any(struct slice text, const char *const *words)
{
	for (; *words != NULL; words++)
		if (contains_nocase(text, *words))
			return true;
	return false;
}

enum pop3_refusal pop3_reply_refusal(struct slice text, bool login)
{
	static const char *const later_codes[] = {"[IN-USE]", "[LOGIN-DELAY]", "[SYS/TEMP]", NULL};
	static const char *const later_words[] = {
	    "in use", "lock",     "busy",      "already",     "try again",      "try later", "temporar",
	    "later",  "too many", "too often", "unavailable", "internal error", "timeout",   NULL,
	};

	text = slice_sub(text, 0, 1024);
	if (contains_any(text, later_codes))
		return POP3_LATER;
	if (contains_nocase(text, "[AUTH]"))
		return POP3_WRONG;
	if (contains_nocase(text, "[SYS/PERM]") || !login)
		return POP3_UNCLEAR;
	return contains_any(text, later_words) ? POP3_LATER : POP3_UNCLEAR;
}

static const struct bilingual_of providers[] = {
    {"gmail.com",
     {"Gmail wants POP switched on (Settings, Forwarding and POP/IMAP) and an app password, which needs "
      "2-step verification; the account's own password is refused.",
      "Gmail требует включить POP (Настройки, Пересылка и POP/IMAP) и пароль приложения, для него нужна "
      "двухэтапная проверка; обычный пароль не подходит."}},
    {"googlemail.com",
     {"Gmail wants POP switched on and an app password; the account's own password is refused.",
      "Gmail требует включить POP и пароль приложения; обычный пароль не подходит."}},
    {"yandex.ru",
     {"Yandex wants POP3 switched on (Mail settings, Email clients) and an app password of type Mail.",
      "Яндекс требует включить POP3 (Все настройки, Почтовые программы) и пароль приложения типа «Почта»."}},
    {"yandex.com",
     {"Yandex wants POP3 switched on (Mail settings, Email clients) and an app password of type Mail.",
      "Яндекс требует включить POP3 (Все настройки, Почтовые программы) и пароль приложения типа «Почта»."}},
    {"mail.ru",
     {"Mail.ru wants a password for external applications (Settings, Security) with POP3 allowed.",
      "Mail.ru требует пароль для внешнего приложения (Настройки, Безопасность) с доступом по POP3."}},
    {"rambler.ru",
     {"Rambler wants mail programs allowed in the mailbox settings.",
      "Рамблер требует разрешить почтовые программы в настройках ящика."}},
    {"outlook.com",
     {"Microsoft takes no passwords over POP3: set auth = xoauth2 and a password_command that prints a "
      "token, and switch POP on in the mailbox settings.",
      "Microsoft не принимает паролей по POP3: нужны auth = xoauth2, password_command, которая печатает "
      "токен, и POP, включённый в настройках ящика."}},
    {"office365.com",
     {"Microsoft takes no passwords over POP3: set auth = xoauth2 and a password_command that prints "
      "a token, and switch POP on for the mailbox.",
      "Microsoft не принимает паролей по POP3: нужны auth = xoauth2, password_command, которая печатает "
      "токен, и POP, включённый для ящика."}},
    {"hotmail.com",
     {"Microsoft takes no passwords over POP3: set auth = xoauth2 and a password_command.",
      "Microsoft не принимает паролей по POP3: нужны auth = xoauth2 и password_command."}},
    {"yahoo.com", {"Yahoo wants an app password (Account security).", "Yahoo принимает только пароль приложения."}},
    {"icloud.com", {"iCloud offers no POP3 at all.", "iCloud не даёт POP3 вовсе."}},
};

static const struct bilingual any_provider = {
    "Check user and password in the ini file, that POP3 is switched on for the mailbox, and whether the provider "
    "wants an app password.",
    "Проверьте user и password в файле ini, включён ли у ящика POP3 и не требует ли провайдер пароля "
    "приложения."};

const char *pop3_reply_mend(const char *host, bool russian)
{
	const struct bilingual *t = bilingual_for(providers, sizeof providers / sizeof providers[0], host);

	return bilingual_in(t != NULL ? t : &any_provider, russian);
}
