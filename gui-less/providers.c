#include "providers.h"

#include "base/slice.h"

#include <arpa/nameser.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APP_PASSWORD "It wants an app password, made in the account's security settings; POP must be switched on."

static const char TOKEN[] =
    "Microsoft takes no passwords here, but tokens (OAuth2), which a command of yours has to print.";

static const struct known {
	const char *domains; /* separated by spaces */
	const char *pop3, *smtp;
	uint16_t smtp_port;
	const char *note;
} providers[] = {
    {"gmail.com googlemail.com", "pop.gmail.com", "smtp.gmail.com", 587, APP_PASSWORD},
    {"yandex.ru yandex.com ya.ru yandex.by yandex.kz", "pop.yandex.ru", "smtp.yandex.ru", 465, APP_PASSWORD},
    {"mail.ru bk.ru inbox.ru list.ru internet.ru", "pop.mail.ru", "smtp.mail.ru", 465,
     "It wants a password for external applications, made in the security settings."},
    {"rambler.ru lenta.ru ro.ru", "pop.rambler.ru", "smtp.rambler.ru", 465,
     "Mail programs must be allowed in its settings."},
    {"outlook.com hotmail.com live.com msn.com", "outlook.office365.com", "smtp-mail.outlook.com", 587, TOKEN},
    {"yahoo.com ymail.com", "pop.mail.yahoo.com", "smtp.mail.yahoo.com", 465, APP_PASSWORD},
    {"aol.com", "pop.aol.com", "smtp.aol.com", 465, APP_PASSWORD},
    {"gmx.de gmx.net gmx.at gmx.ch", "pop.gmx.net", "mail.gmx.net", 587, "POP3 must be switched on in its settings."},
    {"gmx.com", "pop.gmx.com", "mail.gmx.com", 587, "POP3 must be switched on in its settings."},
    {"web.de", "pop3.web.de", "smtp.web.de", 587, "POP3 must be switched on in its settings."},
    {"t-online.de magenta.de", "securepop.t-online.de", "securesmtp.t-online.de", 465,
     "It wants the e-mail password, which is not that of the customer centre."},
    {"fastmail.com fastmail.fm", "pop.fastmail.com", "smtp.fastmail.com", 465, APP_PASSWORD},
    {"zoho.com zohomail.com", "pop.zoho.com", "smtp.zoho.com", 465, "POP must be switched on in its settings."},
};

static bool lists(const char *domains, struct slice domain)
{
	struct slice rest = slice_of(domains);

	while (rest.n > 0) {
		struct slice one = slice_sub(rest, 0, slice_find(rest, ' '));
		if (slice_eq_nocase(one, domain))
			return true;
		rest = slice_sub(rest, one.n + 1, rest.n);
	}
	return false;
}

static bool find_known(const char *domain, struct provider *out)
{
	for (size_t i = 0; i < sizeof providers / sizeof providers[0]; i++) {
		const struct known *k = &providers[i];
		if (!lists(k->domains, slice_of(domain)))
			continue;
		snprintf(out->pop3, sizeof out->pop3, "%s", k->pop3);
		snprintf(out->smtp, sizeof out->smtp, "%s", k->smtp);
		out->pop3_port = 995;
		out->pop3_security = "tls";
		out->smtp_port = k->smtp_port;
		out->smtp_security = k->smtp_port == 465 ? "tls" : "starttls";
		out->note = k->note;
		out->token = k->note == TOKEN;
		return true;
	}
	return false;
}

/* ---- SRV ---- */

/* The first of the lowest priority; "." says that the service is not there. */
static bool ask_srv(res_state state, const char *service, const char *domain, char host[static PROVIDERS_HOST_MAX],
                    uint16_t *port)
{
	unsigned char answer[4096];
	char name[600];
	ns_msg msg;
	ns_rr rr;
	unsigned best = 65536;

	snprintf(name, sizeof name, "%s.%s", service, domain);
	int n = res_nquery(state, name, ns_c_in, ns_t_srv, answer, sizeof answer);
	if (n <= 0 || n > (int)sizeof answer || ns_initparse(answer, n, &msg) != 0)
		return false;
	for (int i = 0; i < ns_msg_count(msg, ns_s_an); i++) {
		char target[NS_MAXDNAME];
		if (ns_parserr(&msg, ns_s_an, i, &rr) != 0 || ns_rr_type(rr) != ns_t_srv || ns_rr_rdlen(rr) < 7)
			continue;
		const unsigned char *d = ns_rr_rdata(rr);
		if (ns_get16(d) >= best ||
		    ns_name_uncompress(ns_msg_base(msg), ns_msg_end(msg), d + 6, target, sizeof target) < 0)
			continue;
		size_t length = strlen(target);
		if (length == 0 || length >= PROVIDERS_HOST_MAX || strcmp(target, ".") == 0)
			continue;
		best = ns_get16(d);
		*port = (uint16_t)ns_get16(d + 4);
		memcpy(host, target, length + 1);
	}
	return best < 65536;
}

static void find_in_dns(const char *domain, struct provider *out)
{
	struct __res_state state = {0};

	if (res_ninit(&state) != 0)
		return;
	state.retrans = 2;
	state.retry = 1;
	if (ask_srv(&state, "_pop3s._tcp", domain, out->pop3, &out->pop3_port)) {
		out->pop3_security = "tls";
		out->from_dns = true;
	} else if (ask_srv(&state, "_pop3._tcp", domain, out->pop3, &out->pop3_port)) {
		out->pop3_security = "starttls";
		out->from_dns = true;
	}
	if (ask_srv(&state, "_submissions._tcp", domain, out->smtp, &out->smtp_port))
		out->smtp_security = "tls";
	else if (ask_srv(&state, "_submission._tcp", domain, out->smtp, &out->smtp_port))
		out->smtp_security = "starttls";
	res_nclose(&state);
}

void provider_find(const char *domain, bool use_dns, struct provider *out)
{
	*out = (struct provider){
	    .pop3_port = 995, .smtp_port = 587, .pop3_security = "tls", .smtp_security = "starttls", .note = ""};
	if (!find_known(domain, out) && use_dns && domain[0] != '\0')
		find_in_dns(domain, out);
}
