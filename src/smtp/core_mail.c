/* MAIL, RCPT, and the message itself: DATA and BDAT. */
#include "base/text.h"
#include "smtp/core_internal.h"
#include "smtp/params.h"

#include <string.h>

/* ---- envelope ---- */

/* Whether rest is KEYWORD, spaces, ":" and something; *path is what follows. */
static bool after_keyword(struct slice rest, const char *keyword, struct slice *path)
{
	if (!slice_starts_nocase(rest, keyword))
		return false;
	rest = slice_trim(slice_sub(rest, strlen(keyword), rest.n));
	if (rest.n == 0 || rest.p[0] != ':')
		return false;
	*path = slice_trim(slice_sub(rest, 1, rest.n));
	return true;
}

/* Takes the path apart, or answers why not. */
static bool parse_path(struct smtp_core *c, struct slice text, struct address *a, struct slice *params)
{
	if (!utf8_valid(text))
		smtp_core_fault(c, "553 5.6.7 addresses must be UTF-8");
	else if (!address_parse_path(text, a, params))
		smtp_core_fault(c, "501 5.1.7 malformed address");
	else
		return true;
	return false;
}

static void refuse_params(struct smtp_core *c, enum param_result why)
{
	smtp_core_fault(c, why == PARAM_SYNTAX ? "501 5.5.4 malformed parameter" : "555 5.5.4 unknown parameter");
}

static bool is_ascii(const struct address *a)
{
	for (const char *s = a->local; *s != '\0'; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	for (const char *s = a->domain; *s != '\0'; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

/* RFC 6531 3.4: such an address may only be given where MAIL said SMTPUTF8. */
static bool needs_smtputf8(struct smtp_core *c, const struct address *a, bool said)
{
	if (said || is_ascii(a))
		return false;
	smtp_core_fault(c, "553 5.6.7 an address beyond ASCII needs SMTPUTF8 at MAIL");
	return true;
}

static void mail_parsed(struct smtp_core *c, const struct address *from, struct slice text)
{
	struct smtp_options o;
	struct mail_params p;

	c->hooks->options(c->arg, &o);
	enum param_result r = mail_params_parse(text, o.auth != AUTH_OFFER_OFF, &p);
	if (r != PARAM_OK) {
		refuse_params(c, r);
		return;
	}
	if (needs_smtputf8(c, from, p.utf8))
		return;
	c->utf8 = p.utf8;
	struct smtp_mail m = {*from, p.has_size, p.size, p.eight_bit, p.utf8};
	const char *refusal = c->hooks->mail(c->arg, &m);
	if (refusal == NULL)
		smtp_core_set_state(c, SMTP_MAILED);
	smtp_core_reply(c, refusal != NULL ? refusal : "250 2.1.0 ok");
}

void smtp_cmd_mail(struct smtp_core *c, struct slice rest)
{
	struct slice path, params;
	struct address from;

	if (!after_keyword(rest, "FROM", &path)) {
		smtp_core_fault(c, "501 5.5.4 this is MAIL FROM:<address>");
		return;
	}
	if (!parse_path(c, path, &from, &params))
		return;
	mail_parsed(c, &from, params);
	address_free(&from);
}

static void rcpt_parsed(struct smtp_core *c, const struct address *to, struct slice text)
{
	enum param_result r = rcpt_params_parse(text);

	if (to->local[0] == '\0') {
		smtp_core_fault(c, "501 5.1.3 nobody is no recipient");
		return;
	}
	if (r != PARAM_OK) {
		refuse_params(c, r);
		return;
	}
	if (needs_smtputf8(c, to, c->utf8))
		return;
	const char *refusal = c->hooks->rcpt(c->arg, to);
	if (refusal == NULL)
		smtp_core_set_state(c, SMTP_RCPTED);
	smtp_core_reply(c, refusal != NULL ? refusal : "250 2.1.5 ok");
}

void smtp_cmd_rcpt(struct smtp_core *c, struct slice rest)
{
	struct slice path, params;
	struct address to;

	if (!after_keyword(rest, "TO", &path)) {
		smtp_core_fault(c, "501 5.5.4 this is RCPT TO:<address>");
		return;
	}
	if (!parse_path(c, path, &to, &params))
		return;
	rcpt_parsed(c, &to, params);
	address_free(&to);
}

/* ---- DATA ---- */

void smtp_cmd_data(struct smtp_core *c, struct slice rest)
{
	if (rest.n > 0) {
		smtp_core_fault(c, "501 5.5.4 DATA takes no parameters");
		return;
	}
	const char *refusal = c->hooks->content_begin(c->arg);
	if (refusal != NULL) {
		smtp_core_reply(c, refusal);
		return;
	}
	dot_decoder_init(&c->dot, true);
	smtp_core_set_state(c, SMTP_DATA);
	smtp_core_reply(c, "354 end the message with <CR><LF>.<CR><LF>");
}

static void emit(void *arg, struct slice run)
{
	struct smtp_core *c = arg;

	c->hooks->content(c->arg, run);
}

static void end_content(struct smtp_core *c)
{
	smtp_core_set_state(c, SMTP_STORING);
	c->hooks->content_end(c->arg);
}

size_t smtp_core_take_data(struct smtp_core *c, struct slice in)
{
	bool done = false;
	size_t n = dot_decode(&c->dot, in, emit, c, &done);

	if (done)
		end_content(c);
	return n;
}

void smtp_core_content_done(struct smtp_core *c, const char *reply)
{
	if (c->state != SMTP_STORING)
		return;
	smtp_core_set_state(c, SMTP_READY);
	smtp_core_reply(c, reply);
}

/* ---- BDAT ---- */

static void end_chunk(struct smtp_core *c)
{
	if (c->chunk_refusal != NULL) {
		smtp_core_set_state(c, c->chunk_back);
		smtp_core_fault(c, c->chunk_refusal);
	} else if (c->chunk_last) {
		end_content(c);
	} else {
		smtp_core_set_state(c, SMTP_BDATED);
		buf_printf(&c->out, "250 2.0.0 %llu octets received\r\n", (unsigned long long)c->chunk_size);
	}
}

/* "N" or "N LAST". */
static bool parse_chunk(struct slice rest, uint64_t *size, bool *last)
{
	size_t end = slice_find(rest, ' ');
	struct slice word = slice_trim(slice_sub(rest, end, rest.n));

	*last = slice_is_nocase(word, "LAST");
	return (word.n == 0 || *last) && slice_to_u64(slice_sub(rest, 0, end), INT64_MAX, size);
}

/* The octets behind BDAT are read whatever is wrong with it, or they would be taken for commands. Where their number
 * is not to be understood, nothing behind it can be. */
void smtp_cmd_bdat(struct smtp_core *c, struct slice rest)
{
	if (!parse_chunk(rest, &c->chunk_size, &c->chunk_last)) {
		smtp_core_end(c, "501 5.5.4 this is BDAT octets [LAST]; good-bye");
		return;
	}
	c->chunk_left = c->chunk_size;
	c->chunk_refusal = NULL;
	c->chunk_back = c->state;
	if (c->state == SMTP_RCPTED) {
		c->last_cr = false;
		c->chunk_refusal = c->hooks->content_begin(c->arg);
	} else if (c->state != SMTP_BDATED) {
		c->chunk_refusal = "503 5.5.1 no recipients";
	}
	smtp_core_set_state(c, SMTP_CHUNK);
	if (c->chunk_left == 0)
		end_chunk(c);
}

/* A bare LF becomes CRLF, as in DATA. */
static void emit_lines(struct smtp_core *c, struct slice in)
{
	size_t from = 0;

	for (size_t i = 0; i < in.n; i++) {
		bool after_cr = i > 0 ? in.p[i - 1] == '\r' : c->last_cr;
		if (in.p[i] != '\n' || after_cr)
			continue;
		emit(c, slice_sub(in, from, i - from));
		emit(c, slice_of("\r\n"));
		from = i + 1;
	}
	if (from < in.n)
		emit(c, slice_sub(in, from, in.n));
	c->last_cr = in.p[in.n - 1] == '\r';
}

size_t smtp_core_take_chunk(struct smtp_core *c, struct slice in)
{
	if (in.n > c->chunk_left)
		in = slice_sub(in, 0, (size_t)c->chunk_left);
	if (c->chunk_refusal == NULL)
		emit_lines(c, in);
	c->chunk_left -= in.n;
	if (c->chunk_left == 0)
		end_chunk(c);
	return in.n;
}
