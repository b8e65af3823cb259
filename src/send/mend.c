#include "send/mend.h"

#include "base/bilingual.h"
#include "send/smtp_topic.h"

#include <stddef.h>
#include <string.h>

enum { PATIENCE = 3, COMMAND_PATIENCE = 2, PORT_SMTP = 25 };

static const struct bilingual_of providers[] = {
    {"gmail.com",
     {"Gmail wants an app password (Google account, Security), which needs 2-step verification;\n"
      "the account's own password is refused.\n",
      "Gmail принимает только пароль приложения (аккаунт Google, Безопасность), для него нужна\n"
      "двухэтапная проверка; обычный пароль не подходит.\n"}},
    {"yandex.ru",
     {"Yandex wants an app password of type Mail (Yandex ID, Security), and mail programs switched on in\n"
      "the mailbox's settings.\n",
      "Яндекс принимает только пароль приложения типа «Почта» (Яндекс ID, Безопасность), а в настройках\n"
      "ящика должны быть разрешены почтовые программы.\n"}},
    {"mail.ru",
     {"Mail.ru wants a password for external applications (Settings, Security), with sending allowed.\n",
      "Mail.ru принимает только пароль для внешнего приложения (Настройки, Безопасность) с правом отправки.\n"}},
    {"rambler.ru",
     {"Rambler wants mail programs allowed in the mailbox's settings.\n",
      "Рамблер требует разрешить почтовые программы в настройках ящика.\n"}},
    {"office365.com",
     {"Microsoft 365 wants SMTP AUTH switched on for the mailbox (admin centre, Mail, Manage email apps), or\n"
      "auth = xoauth2 with a password_command that prints a token.\n",
      "Microsoft 365 требует включить SMTP AUTH для ящика (центр администрирования, Почта, Управление\n"
      "почтовыми приложениями) или auth = xoauth2 с password_command, которая печатает токен.\n"}},
    {"outlook.com",
     {"Outlook.com takes no passwords: set auth = xoauth2 and a password_command that prints a token.\n",
      "Outlook.com не принимает паролей: нужны auth = xoauth2 и password_command, которая печатает токен.\n"}},
    {"yahoo.com", {"Yahoo wants an app password (Account security).\n", "Yahoo принимает только пароль приложения.\n"}},
    {"icloud.com",
     {"iCloud wants an app-specific password (account.apple.com).\n",
      "iCloud принимает только пароль приложения (account.apple.com).\n"}},
    {"mail.me.com",
     {"iCloud wants an app-specific password (account.apple.com).\n",
      "iCloud принимает только пароль приложения (account.apple.com).\n"}},
};

static const struct bilingual by_trouble[] = {
    [MEND_NETWORK] = {"Check the Internet line, and host and port in the relay's section.\n",
                      "Проверьте связь с Интернетом, а в секции сервера host и port.\n"},
    [MEND_BUSY] = {"The server refuses for now. If this lasts, ask the provider.\n",
                   "Сервер временно отказывает. Если это продлится, спросите провайдера.\n"},
    [MEND_NO_SMTP] = {"Check host, port and security in the relay's section: 587 goes with starttls, 465 with tls.\n",
                      "Проверьте host, port и security в секции сервера: 587 для starttls, 465 для tls.\n"},
    [MEND_LOGIN] = {"Check user and password in the relay's section. Many providers want an app password, and some\n"
                    "want mail programs switched on in the mailbox's settings.\n",
                    "Проверьте user и password в секции сервера. Многие провайдеры требуют пароль приложения,\n"
                    "некоторые ещё и разрешить почтовые программы в настройках ящика.\n"},
    [MEND_TOKEN] =
        {"The server refused the OAuth2 token, not a password: it has expired, was revoked, or was issued for\n"
         "another user or without the right to send mail. Check what password_command prints and get a new\n"
         "token.\n",
         "Сервер отверг токен OAuth2, а не пароль: токен истёк, отозван, выдан другому пользователю или без\n"
         "права отправлять почту. Проверьте, что печатает password_command, и получите новый токен.\n"},
    [MEND_HELLO] =
        {"The relay refuses this gateway's name. Set hostname in [server] to a full name with a dot, such as\n"
         "gate.firm.example.\n",
         "Сервер не принимает имя шлюза. Задайте в [server] hostname полное имя с точкой, например\n"
         "gate.firm.example.\n"},
    [MEND_RATE] = {"The relay limits how much mail it takes. Set rate (messages a minute) in its section, or ask the\n"
                   "provider for a higher limit.\n",
                   "Сервер ограничивает объём почты. Задайте в его секции rate (писем в минуту) или попросите\n"
                   "провайдера поднять предел.\n"},
    [MEND_WANTS_LOGIN] = {"The relay wants a log-in: set user and password in its section.\n",
                          "Серверу нужен вход: задайте user и password в его секции.\n"},
    [MEND_COMMAND] = {"Run the password_command by hand, as the gateway's user, and see what it says.\n",
                      "Выполните password_command вручную от имени пользователя шлюза и посмотрите, что она выдаст.\n"},
    [MEND_TRUST] = {"Check the relay's host name and this machine's clock; a private certificate needs ca_file.\n",
                    "Проверьте имя сервера (host) и часы этой машины; для частного сертификата нужен ca_file.\n"},
    [MEND_NO_TLS] = {"Check security and port: 587 goes with starttls, 465 with tls.\n",
                     "Проверьте security и port: 587 для starttls, 465 для tls.\n"},
    [MEND_SETTING] = {"Check host, user and password of the relay's section for characters that do not belong there.\n",
                      "Проверьте, нет ли лишних знаков в host, user и password секции сервера.\n"},
};

static const struct bilingual port_25 = {
    "Check the Internet line, and host and port in the relay's section. Many lines block port 25:\n"
    "providers take mail on 587 (security = starttls) or 465 (security = tls).\n",
    "Проверьте связь с Интернетом, а в секции сервера host и port. Порт 25 часто закрыт: провайдеры\n"
    "принимают почту на 587 (security = starttls) или 465 (security = tls).\n"};

unsigned mend_patience(enum mend_trouble t)
{
	switch (t) {
	case MEND_NETWORK:
	case MEND_BUSY:
	case MEND_NO_SMTP:
	case MEND_RATE:
		return PATIENCE;
	case MEND_COMMAND: /* often it fails for want of the same line */
		return COMMAND_PATIENCE;
	default:
		return 1;
	}
}

static const struct bilingual *words_for(enum mend_trouble t, const char *host, uint16_t port)
{
	const struct bilingual *own = NULL;

	if (t == MEND_NETWORK && port == PORT_SMTP)
		return &port_25;
	if (t == MEND_LOGIN)
		own = bilingual_for(providers, sizeof providers / sizeof providers[0], host);
	return own != NULL ? own : &by_trouble[t];
}

const char *mend_text(enum mend_trouble t, const char *host, uint16_t port, bool russian)
{
	return bilingual_in(words_for(t, host, port), russian);
}

/* ---- messages ---- */

static const struct {
	const char *status; /* its beginning, up to a dot or the end */
	struct bilingual mend;
} statuses[] = {
    {"5.1.1", {"Check the address for a typing mistake.", "Проверьте, нет ли опечатки в адресе."}},
    {"5.1.2", {"Check the address behind the @ for a typing mistake.", "Проверьте, нет ли опечатки в адресе после @."}},
    {"5.1.3", {"Check the address for a typing mistake.", "Проверьте, нет ли опечатки в адресе."}},
    {"5.1.7",
     {"Your own address is not accepted: ask your administrator.",
      "Ваш собственный адрес не принят: обратитесь к администратору."}},
    {"5.1.8",
     {"Your own address is not accepted: ask your administrator.",
      "Ваш собственный адрес не принят: обратитесь к администратору."}},
    {"5.1.10", {"Check the address for a typing mistake.", "Проверьте, нет ли опечатки в адресе."}},
    {"5.2.1",
     {"The recipient's mailbox is switched off: reach them by another way.",
      "Ящик получателя отключён: свяжитесь с ним иначе."}},
    {"5.2.2",
     {"The recipient's mailbox is full: send it again later.", "Ящик получателя переполнен: отправьте ещё раз позже."}},
    {"5.2.3",
     {"The message is too large: send it in parts, or a link.",
      "Письмо слишком велико: отправьте по частям или ссылкой."}},
    {"5.3.4",
     {"The message is too large: send it in parts, or a link.",
      "Письмо слишком велико: отправьте по частям или ссылкой."}},
    {"5.7",
     {"It was refused by a rule, perhaps as spam. If the answer does not help, ask your administrator.",
      "Письмо отклонено по правилам, возможно, как спам. Если ответ не поможет, обратитесь к администратору."}},
};

static const struct bilingual too_late = {"Check the address, or send it again later.",
                                          "Проверьте адрес или отправьте ещё раз позже."};

const char *mend_message(const char *status, bool expired, bool russian)
{
	const struct bilingual *w = expired ? &too_late : NULL;

	for (size_t i = 0; w == NULL && i < sizeof statuses / sizeof statuses[0]; i++) {
		size_t n = strlen(statuses[i].status);
		if (strncmp(status, statuses[i].status, n) == 0 && (status[n] == '\0' || status[n] == '.'))
			w = &statuses[i].mend;
	}
	return w != NULL ? bilingual_in(w, russian) : NULL;
}

static const struct bilingual our_name = {
    "The relay does not accept this gateway's name: ask your administrator to set hostname in [server] to a full name.",
    "Сервер не принимает имя этого шлюза: попросите администратора задать в [server] hostname полное имя."};

const char *mend_refusal(const char *status, const char *reply, bool expired, bool russian)
{
	if (!expired && smtp_topic_of_line(reply) == SMTP_TOPIC_HELLO)
		return bilingual_in(&our_name, russian);
	return mend_message(status, expired, russian);
}
