#include "fetch/pop3_reply.h"

#include "base/alloc.h"
#include "base/bilingual.h"

#include <openssl/evp.h>
#include <stdlib.h>
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

enum { LOOKED_AT = 1024 };

/* Nothing but a person can change it. Other texts stand behind (tests/unit/test_pop3_client.c has whose they are). */
static const char *const for_good[] = {"blocked",
                                       "disabled",
                                       "suspended",
                                       "deactivated",
                                       "inactive",
                                       "not active",
                                       "abnormal",
                                       "not enabled",
                                       "not been enabled",
                                       "is not open",
                                       "not permitted",
                                       "not allowed",
                                       "no access",
                                       "have access",
                                       "does not exist",
                                       "forbidden",
                                       "frozen",
                                       "account is locked",
                                       "account has been locked",
                                       "account locked",
                                       "compromised",
                                       "expired",
                                       "switched off",
                                       "turned off",
                                       "app password",
                                       "application password",
                                       "application-specific",
                                       "application specific",
                                       "authorization code",
                                       "authentication code",
                                       "parol prilozheniya",
                                       "web login",
                                       "log in via your web",
                                       "via your web browser",
                                       "verify your account",
                                       "basic authentication",
                                       "plaintext authentication",
                                       "reqcode",
                                       "passerr",
                                       "gesperrt",
                                       "deaktiviert",
                                       "nicht aktiviert",
                                       "授权码",
                                       "заблокирован",
                                       "отключен",
                                       "пароль приложения",
                                       NULL};

/* A password or a name that is wrong, as most servers say it; some say it when their own database is down. */
static const char *const not_let_in[] = {"invalid",
                                         "incorrect",
                                         "wrong",
                                         "bad password",
                                         "unknown user",
                                         "login fail",
                                         "logon failure",
                                         "authentication failed",
                                         "authentication failure",
                                         "authorization failed",
                                         "falsch",
                                         NULL};

/* It passes by itself. */
static const char *const passing[] = {"in use",
                                      "lock",
                                      "busy",
                                      "already",
                                      "try again",
                                      "try later",
                                      "temporar",
                                      "later",
                                      "too many",
                                      "too often",
                                      "too frequent",
                                      "too fast",
                                      "too soon",
                                      "login limit",
                                      "rate limit",
                                      "bandwidth limit",
                                      "command or bandwidth",
                                      "frequency",
                                      "throttl",
                                      "overload",
                                      "minimum time",
                                      "maximum number",
                                      "unavailable",
                                      "not available",
                                      "internal error",
                                      "server error",
                                      "system error",
                                      "timeout",
                                      "timed out",
                                      "crashed",
                                      "maintenance",
                                      "zu viele",
                                      "zu häufig",
                                      NULL};

/* "Temporarily blocked" is over some day: the word decides what it stands before. */
static bool for_a_while(struct slice text)
{
	static const char *const words[] = {"temporarily", "temporary block", "temporary lock", "blocked for ",
	                                    "locked for ", "временно",        "vorübergehend",  NULL};

	return contains_any(text, words);
}

enum pop3_refusal pop3_reply_refusal(struct slice text, bool login)
{
	static const char *const later_codes[] = {"[IN-USE]", "[LOGIN-DELAY]", "[SYS/TEMP]", NULL};

	text = slice_sub(text, 0, LOOKED_AT);
	if (contains_any(text, later_codes))
		return POP3_LATER;
	if (contains_nocase(text, "[AUTH]"))
		return POP3_WRONG;
	if (!login || (contains_nocase(text, "[SYS/PERM]") && !contains_any(text, for_good)))
		return POP3_UNCLEAR;
	bool permanent = contains_any(text, for_good);
	/* "locked" and "blocked" hold "lock". */
	bool passes = contains_any(text, passing);
	if (permanent && contains_nocase(text, "lock") && !for_a_while(text))
		passes = passes && contains_any(text, (const char *const[]){"busy", "try again", "later", "too ",
		                                                            "limit", "frequency", NULL});
	if (passes && (for_a_while(text) || (!permanent && !contains_any(text, not_let_in))))
		return POP3_LATER;
	return permanent && !passes ? POP3_WRONG : POP3_UNCLEAR;
}

bool pop3_reply_busy(struct slice text)
{
	static const char *const own_faults[] = {"internal", "server error", "system error",
	                                         "crashed",  "read error",   NULL};
	static const char *const codes[] = {"[IN-USE]", "[SYS/TEMP]", NULL};

	text = slice_sub(text, 0, LOOKED_AT);
	return contains_any(text, codes) ||
	       (pop3_reply_refusal(text, true) == POP3_LATER && !contains_any(text, own_faults));
}

bool pop3_reply_crowded(struct slice text)
{
	static const char *const words[] = {"too many connections",   "too many concurrent",
	                                    "too many simultaneous",  "too many open",
	                                    "too many sessions",      "too many active",
	                                    "too many pop",           "too many users",
	                                    "too many clients",       "maximum number of connections",
	                                    "maximum connections",    "maximum number of sessions",
	                                    "max connections",        "connection limit",
	                                    "connections from your",  "connections from this",
	                                    "connections per",        "number of connections",
	                                    "concurrent connections", "simultaneous connections",
	                                    "simultaneous sessions",  "concurrent sessions",
	                                    "zu viele verbindungen",  NULL};

	text = slice_sub(text, 0, LOOKED_AT);
	return contains_any(text, words) || slice_starts_nocase(text, "421") || contains_nocase(text, "-ERR 421");
}

bool pop3_reply_in_use(struct slice text)
{
	static const char *const words[] = {"[IN-USE]",     "in use",        "locked by",    "is locked",
	                                    "already lock", "maildrop lock", "mailbox lock", NULL};

	text = slice_sub(text, 0, LOOKED_AT);
	return contains_any(text, words) && pop3_reply_refusal(text, true) == POP3_LATER;
}

/* ---- tokens ---- */

/* "status":"401" or "status": 401 */
static int status_in(const char *json)
{
	const char *at = strstr(json, "\"status\"");

	if (at == NULL)
		return 0;
	at += strlen("\"status\"");
	at += strspn(at, " \t:\"");
	int status = 0;
	for (int digits = 0; digits < 3 && *at >= '0' && *at <= '9'; digits++)
		status = status * 10 + (*at++ - '0');
	return status;
}

int pop3_reply_challenge(struct slice reply, struct buf *out)
{
	struct slice b64 = slice_trim(slice_sub(reply, 1, LOOKED_AT));
	size_t whole = b64.n - b64.n % 4;

	if (reply.n < 2 || reply.p[0] != '+' || reply.p[1] != ' ' || whole == 0)
		return -1;
	unsigned char *json = xcalloc(1, whole / 4 * 3 + 1);
	int n = EVP_DecodeBlock(json, (const unsigned char *)b64.p, (int)whole);
	int status = n > 0 && json[0] == '{' ? status_in((const char *)json) : -1;

	for (int i = 0; status >= 0 && i < n && i < 300 && json[i] != '\0'; i++)
		buf_add_char(out, json[i] >= ' ' && json[i] < 0x7f ? (char)json[i] : '?');
	free(json);
	return status;
}

static const struct bilingual token_refused = {
    "The token that password_command prints is not accepted: it has expired or was revoked, or it is for another "
    "mailbox or another scope. A password is of no use here: get a new token, then `ofmctl reload`.",
    "Токен, который печатает password_command, не принят: он истёк или отозван, либо выдан для другого ящика или с "
    "другими правами (scope). Пароль здесь не поможет: получите новый токен, затем `ofmctl reload`."};

const char *pop3_reply_token_mend(bool russian)
{
	return bilingual_in(&token_refused, russian);
}

/* ---- providers ---- */

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
    {"qq.com",
     {"QQ says the same for a wrong password, for POP3 switched off and for too many log-ins: switch POP3 on in the "
      "mailbox settings, use the authorization code from there as password, and collect less often.",
      "QQ отвечает одинаково на неверный пароль, выключенный POP3 и слишком частые входы: включите POP3 в настройках "
      "ящика, укажите паролем код авторизации оттуда и собирайте почту реже."}},
    {"163.com",
     {"163 wants POP3 switched on in the mailbox settings, and the authorization code from there as password.",
      "163 требует включить POP3 в настройках ящика и указать паролем код авторизации оттуда."}},
    {"126.com",
     {"126 wants POP3 switched on in the mailbox settings, and the authorization code from there as password.",
      "126 требует включить POP3 в настройках ящика и указать паролем код авторизации оттуда."}},
    {"gmx.net",
     {"GMX wants POP3 switched on in the mailbox settings, and an app password with 2-factor authentication.",
      "GMX требует включить POP3 в настройках ящика, а при двухфакторной проверке ещё и пароль приложения."}},
    {"gmx.com",
     {"GMX wants POP3 switched on in the mailbox settings, and an app password with 2-factor authentication.",
      "GMX требует включить POP3 в настройках ящика, а при двухфакторной проверке ещё и пароль приложения."}},
    {"web.de",
     {"web.de wants POP3 switched on in the mailbox settings, and an app password with 2-factor authentication.",
      "web.de требует включить POP3 в настройках ящика, а при двухфакторной проверке ещё и пароль приложения."}},
    {"aol.com", {"AOL wants an app password (Account security).", "AOL принимает только пароль приложения."}},
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
