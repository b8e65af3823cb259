#include "send/dsn.h"

#include "base/clock.h"
#include "base/text.h"
#include "mail/header.h"
#include "mail/rewrite.h"
#include "route/phrase.h"
#include "send/mend.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct texts {
	const char *author, *failed_subject, *delayed_subject, *failed, *expired, *no_answer, *id;
	const char *delayed[2], *more[2]; /* before and behind a number */
};

static const struct texts english = {
    .author = "Mail gateway",
    .failed_subject = "Not delivered: ",
    .delayed_subject = "Delayed, still trying: ",
    .failed = "Your message could not be delivered to the recipients below. They will not be tried again.",
    .delayed = {"Your message has not been delivered to the recipients below yet. You need not do anything:\n"
                "it stays in the queue and is tried again, for ",
                " more hours. If that does not help, you will be told."},
    .expired = "It was tried for as long as is configured, and is given up. The last answer was:",
    .no_answer = "(no answer)",
    .more = {"… and ", " more; the gateway's log names them."},
    .id = "The gateway's log knows the message as",
};

static const struct texts russian = {
    .author = "=?utf-8?B?0J/QvtGH0YLQvtCy0YvQuSDRiNC70Y7Qtw==?=" /* Почтовый шлюз */,
    .failed_subject = "Не доставлено: ",
    .delayed_subject = "Задержано, попытки продолжаются: ",
    .failed = "Ваше письмо не удалось доставить перечисленным ниже получателям. Повторных попыток не будет.",
    .delayed = {"Ваше письмо пока не доставлено перечисленным ниже получателям. Делать ничего не нужно:\n"
                "оно остаётся в очереди, попытки продолжатся ещё ",
                " ч. Если они не помогут, Вы получите сообщение."},
    .expired = "Попытки делались столько времени, сколько задано в настройках, и прекращены. Последний ответ:",
    .no_answer = "(ответа нет)",
    .more = {"… и ещё ", "; они названы в журнале шлюза."},
    .id = "В журнале шлюза это письмо значится как",
};

static const struct texts *texts_of(const struct dsn *d)
{
	return d->russian ? &russian : &english;
}

const char *dsn_status(const struct dsn_recipient *r, bool warning, char buf[static 12])
{
	if (r->expired)
		return "4.4.7";
	if (r->status[0] != '\0')
		return r->status;
	if (r->code == 0)
		return "4.4.1"; /* no answer from host */
	snprintf(buf, 12, "%d.0.0", warning || r->code < 500 ? 4 : 5);
	return buf;
}

enum { LINE_MOST = 990 }; /* octets; RFC 5322 2.1.1 allows 998 */

/* Text of ours and of peers, LF lines: as CRLF lines, none of them too long, each character whole. */
static void add_text(struct buf *out, const char *s)
{
	size_t column = 0;

	for (; *s != '\0'; s++) {
		bool space = *s == ' ', begins = ((unsigned char)*s & 0xc0) != 0x80;
		if (*s == '\n' || (column >= LINE_MOST / 2 && space && column + strcspn(s + 1, " \n") >= LINE_MOST) ||
		    (column >= LINE_MOST - 4 && begins) || column >= LINE_MOST) {
			buf_add_str(out, *s == '\n' ? "\r" : "\r\n");
			column = 0;
		}
		buf_add_char(out, *s);
		column = *s == '\n' ? 0 : column + 1;
	}
}

/* One field with its CRLF, folded where it is too long: at a blank, else where it has to be. */
static void add_field(struct buf *out, struct slice field)
{
	while (field.n > LINE_MOST) {
		size_t n = LINE_MOST;
		while (n > LINE_MOST / 2 && field.p[n] != ' ')
			n--;
		if (field.p[n] != ' ')
			n = LINE_MOST;
		buf_add_slice(out, slice_sub(field, 0, n));
		buf_add_str(out, field.p[n] == ' ' ? "\r\n" : "\r\n ");
		field = slice_sub(field, n, field.n);
	}
	buf_add_slice(out, field);
	buf_add_str(out, "\r\n");
}

/* Fields of CRLF lines, as they come; the last line may be empty. */
static void add_fields(struct buf *out, struct buf *fields)
{
	struct slice all = buf_slice(fields);

	while (all.n > 0) {
		struct slice line = slice_sub(all, 0, slice_find(all, '\n'));
		all = slice_sub(all, line.n + 1, all.n);
		add_field(out, slice_sub(line, 0, line.n > 0 && line.p[line.n - 1] == '\r' ? line.n - 1 : line.n));
	}
	buf_free(fields);
}

static void add_subject(struct buf *out, const struct dsn *d, const struct header *h)
{
	const struct header_field *f = header_find(h, "Subject", 0);
	struct buf subject;

	buf_init(&subject, 400);
	buf_add_str(&subject, d->warning ? texts_of(d)->delayed_subject : texts_of(d)->failed_subject);
	if (f != NULL)
		header_decode_as(&subject, f->value, header_charset(h));
	rewrite_add_field(out, "Subject", buf_str(&subject));
	buf_free(&subject);
}

static void add_head(struct buf *out, const struct dsn *d, const struct header *h)
{
	struct buf fields;
	char date[40];

	clock_rfc5322(d->now, date);
	buf_init(&fields, SIZE_MAX / 2);
	buf_printf(&fields, "Return-Path: <>\r\nFrom: %s <postmaster@%s>\r\n", texts_of(d)->author, d->domain);
	buf_printf(&fields, "To: <%s>\r\n", d->to);
	add_subject(&fields, d, h);
	buf_printf(&fields, "Date: %s\r\nMessage-ID: <%s@%s>\r\n", date, d->boundary, d->hostname);
	add_fields(out, &fields);
	buf_add_str(out, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
	buf_printf(out, "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n\r\n",
	           d->boundary);
}

static void open_part(struct buf *out, const struct dsn *d, const char *type, const char *encoding)
{
	buf_printf(out, "--%s\r\nContent-Type: %s\r\n", d->boundary, type);
	if (encoding != NULL)
		buf_printf(out, "Content-Transfer-Encoding: %s\r\n", encoding);
	buf_add_str(out, "\r\n");
}

static size_t listed(const struct dsn *d)
{
	return d->n < DSN_RECIPIENTS_MAX ? d->n : DSN_RECIPIENTS_MAX;
}

static void add_human(struct buf *out, const struct dsn *d)
{
	const struct texts *t = texts_of(d);
	struct buf text;

	buf_init(&text, SIZE_MAX / 2);
	if (d->warning)
		buf_printf(&text, "%s%" PRId64 "%s", t->delayed[0], (d->left + 3599) / 3600, t->delayed[1]);
	else
		buf_add_str(&text, t->failed);
	buf_add_str(&text, "\n\n");
	for (size_t i = 0; i < listed(d); i++) {
		const struct dsn_recipient *r = &d->recipients[i];
		buf_printf(&text, "  <%s>\n", r->address);
		if (r->expired)
			buf_printf(&text, "      %s\n", t->expired);
		char *reply = phrase_in(r->reply, d->russian);
		buf_printf(&text, "      %s\n", reply[0] != '\0' ? reply : t->no_answer);
		free(reply);
		const char *advice = d->warning ? NULL : mend_refusal(r->status, r->reply, r->expired, d->russian);
		buf_printf(&text, "%s%s%s\n", advice != NULL ? "      " : "", advice != NULL ? advice : "",
		           advice != NULL ? "\n" : "");
	}
	if (d->n > listed(d))
		buf_printf(&text, "%s%zu%s\n\n", t->more[0], d->n - listed(d), t->more[1]);
	buf_printf(&text, "%s %s.\n", t->id, d->id);
	add_text(out, buf_str(&text));
	buf_free(&text);
}

/* Fields of the machine's part are ASCII (RFC 3464 2.1.1): other bytes of a reply become question marks. */
static void add_ascii(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++)
		buf_add_char(out, *s >= ' ' && *s < 0x7f ? *s : '?');
}

static bool eight_bit(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return true;
	return false;
}

/* RFC 6533 3: beyond ASCII as "utf-8; \x{431}@far.example". */
static void add_final_recipient(struct buf *out, struct slice address)
{
	bool utf8 = eight_bit(address) && utf8_valid(address);
	uint32_t cp;

	if (!utf8) {
		buf_add_str(out, "\r\nFinal-Recipient: rfc822; ");
		char *text = slice_dup(address);
		add_ascii(out, text);
		free(text);
		return;
	}
	buf_add_str(out, "\r\nFinal-Recipient: utf-8; ");
	for (size_t at = 0; at < address.n;) {
		at += utf8_next(address, at, &cp);
		if (cp > ' ' && cp < 0x7f && cp != '\\' && cp != '+' && cp != '=')
			buf_add_char(out, (char)cp);
		else
			buf_printf(out, "\\x{%X}", (unsigned)cp);
	}
}

static void add_recipient(struct buf *out, const struct dsn *d, const struct dsn_recipient *r)
{
	char date[40], status[12];

	add_final_recipient(out, slice_of(r->address));
	buf_printf(out, "\r\nAction: %s\r\nStatus: %s\r\n", d->warning ? "delayed" : "failed",
	           dsn_status(r, d->warning, status));
	if (d->relay[0] != '\0' && r->code != 0)
		buf_printf(out, "Remote-MTA: dns; %s\r\n", d->relay);
	if (r->reply[0] != '\0') {
		buf_printf(out, "Diagnostic-Code: %s; ", r->code != 0 ? "smtp" : "x-ofmsrv");
		add_ascii(out, r->reply);
		buf_add_str(out, "\r\n");
	}
	clock_rfc5322(d->now, date);
	buf_printf(out, "Last-Attempt-Date: %s\r\n", date);
	if (d->warning) {
		clock_rfc5322(d->now + d->left, date);
		buf_printf(out, "Will-Retry-Until: %s\r\n", date);
	}
}

static void add_status_part(struct buf *out, const struct dsn *d)
{
	struct buf fields;
	char date[40];

	open_part(out, d, "message/delivery-status", NULL);
	clock_rfc5322(d->queued_at, date);
	buf_init(&fields, SIZE_MAX / 2);
	buf_printf(&fields, "Reporting-MTA: dns; %s\r\nX-Ofmsrv-Queue-Id: %s\r\nArrival-Date: %s\r\n", d->hostname,
	           d->id, date);
	for (size_t i = 0; i < listed(d); i++)
		add_recipient(&fields, d, &d->recipients[i]);
	add_fields(out, &fields);
}

static void add_original(struct buf *out, const struct dsn *d, const struct header *h)
{
	struct slice part = d->whole ? d->original : slice_sub(d->original, 0, h->end);

	open_part(out, d, d->whole ? "message/rfc822" : "text/rfc822-headers", eight_bit(part) ? "8bit" : NULL);
	buf_add_slice(out, part);
	if (part.n > 0 && part.p[part.n - 1] != '\n')
		buf_add_str(out, "\r\n");
}

void dsn_format(struct buf *out, const struct dsn *d)
{
	struct header h;

	header_scan(&h, d->original);
	add_head(out, d, &h);
	open_part(out, d, "text/plain; charset=utf-8", "8bit");
	add_human(out, d);
	buf_add_str(out, "\r\n");
	add_status_part(out, d);
	buf_add_str(out, "\r\n");
	add_original(out, d, &h);
	buf_printf(out, "\r\n--%s--\r\n", d->boundary);
	header_free(&h);
}
