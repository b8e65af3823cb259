#include "config/schema_rows.h"

#include <stddef.h>

#define C(member) offsetof(struct config, member)
#define X(kind, member) offsetof(struct kind##_extra, member)
#define U(member) offsetof(struct config_user, member)
#define R(member) offsetof(struct config_relay, member)
#define A(member) offsetof(struct config_account, member)
#define RULE(member) offsetof(struct config_rule, member)

enum { MINUTE = 60, HOUR = 3600, DAY = 86400, YEAR = 365 * DAY };

static const struct schema_choice refuse_relay[] = {{"refuse", 0}, {"relay", 1}, {NULL, 0}};
static const struct schema_choice lan_command[] = {{"lan", 0}, {"command", 1}, {NULL, 0}};
static const struct schema_choice keep_alias[] = {{"keep", 0}, {"alias", 1}, {NULL, 0}};
static const struct schema_choice auto_off[] = {{"auto", 0}, {"off", 1}, {NULL, 0}};
static const struct schema_choice en_ru[] = {{"en", 0}, {"ru", 1}, {NULL, 0}};
static const struct schema_choice levels[] = {
    {"error", LOG_ERROR}, {"warning", LOG_WARNING}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}, {NULL, 0}};
static const struct schema_choice offers[] = {
    {"off", AUTH_OFFER_OFF}, {"optional", AUTH_OFFER_OPTIONAL}, {"required", AUTH_OFFER_REQUIRED}, {NULL, 0}};
static const struct schema_choice on_send[] = {
    {"yes", ON_SEND_YES}, {"no", ON_SEND_NO}, {"auto", ON_SEND_AUTO}, {NULL, 0}};
static const struct schema_choice securities[] = {{"none", SECURITY_NONE},
                                                  {"opportunistic", SECURITY_OPPORTUNISTIC},
                                                  {"starttls", SECURITY_STARTTLS},
                                                  {"tls", SECURITY_TLS},
                                                  {NULL, 0}};
static const struct schema_choice relay_auth[] = {
    {"auto", AUTH_AUTO},         {"off", AUTH_OFF},   {"plain", AUTH_PLAIN},     {"login", AUTH_LOGIN},
    {"cram-md5", AUTH_CRAM_MD5}, {"ntlm", AUTH_NTLM}, {"xoauth2", AUTH_XOAUTH2}, {NULL, 0}};
static const struct schema_choice account_auth[] = {{"auto", AUTH_AUTO},
                                                    {"plain", AUTH_PLAIN},
                                                    {"apop", AUTH_APOP},
                                                    {"cram-md5", AUTH_CRAM_MD5},
                                                    {"ntlm", AUTH_NTLM},
                                                    {"xoauth2", AUTH_XOAUTH2},
                                                    {NULL, 0}};

const struct schema_section schema_sections[SECTION_KINDS] = {
    [SECTION_SERVER] = {"server", LABEL_NONE, NULL, "The gateway itself."},
    [SECTION_POP3] = {"pop3", LABEL_NONE, NULL, "The POP3 server, from which the LAN reads its mail."},
    [SECTION_SMTP] = {"smtp", LABEL_NONE, NULL, "The SMTP server, to which the LAN hands its mail."},
    [SECTION_TLS] = {"tls", LABEL_NONE, NULL,
                     "TLS of both servers. Without a certificate STLS and STARTTLS are not offered."},
    [SECTION_IP_FILTER] = {"ip_filter", LABEL_NONE, NULL,
                           "Whom both servers talk to: no `allow` matches, refused; any `deny` matches, refused; else "
                           "served."},
    [SECTION_SPECIAL] = {"special", LABEL_NONE, NULL,
                         "Users with a part of their own. Postmaster and daemon always exist, even unlisted."},
    [SECTION_USER] = {"user", LABEL_MUST, "anna",
                      "A local user; one section each. Names: a-z, 0-9, dot, _ and -, up to 64."},
    [SECTION_GROUP] = {"group", LABEL_MUST, "office",
                       "A group's name stands wherever users do; * is everybody but daemon and boss."},
    [SECTION_CONNECTION] = {"connection", LABEL_NONE, NULL, "The way to the Internet."},
    [SECTION_SYNC] = {"sync", LABEL_NONE, NULL, "When mail is collected and sent."},
    [SECTION_RELAY] = {"relay", LABEL_MAY, NULL,
                       "The upstream SMTP server. Further ones, [relay NAME], serve the senders that they name, the "
                       "first in file order; keys that they leave out are [relay]'s."},
    [SECTION_ACCOUNT] = {"account", LABEL_MUST, "info",
                         "An external POP3 mailbox that is collected; one section each, up to 100."},
    [SECTION_RULE] = {"rule", LABEL_MUST, "invoices",
                      "A sorter rule: if a header field contains a text, deliver to users. In file order."},
    [SECTION_SORTER] = {"sorter", LABEL_NONE, NULL, "What happens to mail that no rule placed."},
};

/* clang-format off: a table to be read */
const struct schema_row schema_table[] = {
#define ROW(kind, key_, type_, offset_, fallback_, ...)                                                                \
	{                                                                                                              \
		.section = SECTION_##kind, .key = key_, .type = VALUE_##type_, .offset = offset_,                      \
		.fallback = fallback_, __VA_ARGS__                                                                     \
	}
#define HELP(text) .help = text
#define RANGE(a, b) .min = a, .max = b
#define FLAGS(f) .flags = f
#define CHOICES(c) .choices = c
#define SAMPLE(s) .sample = s

    ROW(SERVER, "hostname", HOST, C(hostname), "",
        HELP("full name for greetings, EHLO and headers; empty = the machine's name")),
    ROW(SERVER, "domain", DOMAIN, C(domain), "office.lan",
        HELP("the local (fictive) domain: NAME@domain and a bare NAME are local")),
    ROW(SERVER, "unknown_local", EITHER, C(unknown_local_relay), "refuse", CHOICES(refuse_relay),
        HELP("relay = addresses in domain that are no users go outside (it is the firm's real domain)")),
    ROW(SERVER, "alias_local", SWITCH, C(alias_local), "yes",
        HELP("no = mail to a colleague's alias leaves and comes back")),
    ROW(SERVER, "mailboxes", PATH, C(mailboxes), "mailboxes", FLAGS(ROW_RESTART),
        HELP("folder of the mailboxes; must exist")),
    ROW(SERVER, "outqueue", PATH, C(outqueue), "outqueue", FLAGS(ROW_RESTART),
        HELP("folder of the mail that waits for the relay; must exist")),
    ROW(SERVER, "state", PATH, C(state), "state", FLAGS(ROW_RESTART),
        HELP("folder of the database and locks; created")),
    ROW(SERVER, "control", PATH, C(control), "state/control.sock", FLAGS(ROW_RESTART), HELP("the socket of ofmctl")),
    ROW(SERVER, "log", PATH, C(log_path), "ofmsrv.log", HELP("the log file")),
    ROW(SERVER, "log_size_kib", COUNT, C(log_size_kib), "100", RANGE(0, 999),
        HELP("the log and its predecessor together never exceed it; 0 = no log")),
    ROW(SERVER, "log_level", CHOICE, C(log_level), "info", CHOICES(levels), HELP("how much is logged")),
    ROW(SERVER, "run_as", SYSTEM_USER, C(run_as), "", FLAGS(ROW_RESTART),
        HELP("user to become when started as root; empty = ofmsrv where it exists")),
    ROW(SERVER, "language", EITHER, C(russian), "en", CHOICES(en_ru), HELP("of reports, bounces and daemon replies")),

    ROW(POP3, "bind", ADDRESSES, C(pop3.bind), "0.0.0.0, ::", HELP("addresses to listen on; :: alone means IPv6 only")),
    ROW(POP3, "port", PORT, C(pop3.port), "110", HELP("0 = off")),
    ROW(POP3, "tls_port", PORT, C(pop3.tls_port), "0", HELP("995 = implicit TLS; 0 = off")),
    ROW(POP3, "timeout", DURATION, C(pop3.timeout), "10m", RANGE(1, DAY),
        HELP("silence after which the connection is closed")),
    ROW(POP3, "max_connections", COUNT, C(pop3.max_connections), "1000", RANGE(1, 100000),
        HELP("at once; one address may hold half of them, 10 at least")),
    ROW(POP3, "auth_tls", SWITCH, C(pop3.auth_tls), "no", HELP("yes = log-in only under TLS")),

    ROW(SMTP, "bind", ADDRESSES, C(smtp.bind), "0.0.0.0, ::", HELP("addresses to listen on; :: alone means IPv6 only")),
    ROW(SMTP, "port", PORT, C(smtp.port), "25", HELP("0 = off")),
    ROW(SMTP, "tls_port", PORT, C(smtp.tls_port), "0", HELP("465 = implicit TLS; 0 = off")),
    ROW(SMTP, "timeout", DURATION, C(smtp.timeout), "5m", RANGE(1, DAY),
        HELP("silence after which the connection is closed")),
    ROW(SMTP, "max_connections", COUNT, C(smtp.max_connections), "1000", RANGE(1, 100000),
        HELP("at once; one address may hold half of them, 10 at least")),
    ROW(SMTP, "max_message_kib", SIZE, C(smtp_max_message_kib), "0", RANGE(0, 1LL << 40),
        HELP("limits only what goes outside; 0 = no limit")),
    ROW(SMTP, "max_recipients", COUNT, C(smtp_max_recipients), "1000", RANGE(1, 100000), HELP("of one message")),
    ROW(SMTP, "auth", CHOICE, C(smtp_auth), "optional", CHOICES(offers), HELP("log-in of LAN users")),
    ROW(SMTP, "auth_tls", SWITCH, C(smtp.auth_tls), "no", HELP("yes = log-in only under TLS")),

    ROW(TLS, "certificate", PATH, C(tls_certificate), "", HELP("PEM chain")),
    ROW(TLS, "key", PATH, C(tls_key), "", HELP("PEM key")),

    ROW(IP_FILTER, "enabled", SWITCH, C(ip_filter.enabled), "yes", HELP("no = everybody is served")),
    ROW(IP_FILTER, "allow", RANGES, X(main, allow),
        "127.0.0.0/8, 10.0.0.0/8, 169.254.0.0/16, 192.168.0.0/16, 172.16.0.0/12, ::1, fe80::/10, fc00::/7",
        FLAGS(ROW_EXTRA | ROW_EMPTY), HELP("CIDR, address/netmask, a-b ranges, single addresses")),
    ROW(IP_FILTER, "deny", RANGES, X(main, deny), "", FLAGS(ROW_EXTRA), HELP("the same; wins over allow")),

    ROW(SPECIAL, "postmaster", USER_NAME, X(main, postmaster), "postmaster", FLAGS(ROW_EXTRA),
        HELP("gets reports, and all mail that nobody else gets")),
    ROW(SPECIAL, "daemon", USER_NAME, X(main, daemon), "daemon", FLAGS(ROW_EXTRA),
        HELP("any message to it starts a sync; cannot log in, owns no mailbox")),
    ROW(SPECIAL, "boss", USER_NAME, X(main, boss), "", FLAGS(ROW_EXTRA),
        HELP("gets a copy of all mail that the LAN sends; empty = no copies")),
    ROW(SPECIAL, "daily_report", DAILY, C(daily_report), "no",
        HELP("07:00 = then postmaster gets a report on the mail of the last 24 hours")),
    ROW(SPECIAL, "daemon_reply", SWITCH, C(daemon_reply), "no",
        HELP("yes = whoever wakes the daemon is told what was sent and collected")),

    ROW(USER, "password", TEXT, U(password), "", FLAGS(ROW_SECRET | ROW_LOGIN),
        HELP("plain or $y$ hash (ofmctl passwd writes one); empty = any is accepted, but not for postmaster, boss and "
             "SMTP AUTH")),
    ROW(USER, "password_file", PATH, X(user, password_file), "", FLAGS(ROW_EXTRA | ROW_LOGIN),
        HELP("file whose only line is the password, instead")),
    ROW(USER, "name", TEXT, U(full_name), "", SAMPLE("Anna Ivanova"), HELP("full name")),
    ROW(USER, "alias", ADDRESS, U(alias), "", SAMPLE("anna@firm.example"),
        HELP("the real Internet address; one that several users hold is for sending alone")),
    ROW(USER, "forward", FORWARD, 0, "", HELP("further recipients, local or external, beside the mailbox")),
    ROW(USER, "keep", KEEP, U(keep), "forever", RANGE(1, 100LL * YEAR), HELP("90d = older mail is removed; forever")),

    ROW(GROUP, "members", USERS, X(group, members), "", FLAGS(ROW_EXTRA), SAMPLE("anna"), HELP("users and groups")),

    ROW(CONNECTION, "type", EITHER, C(link_command), "lan", CHOICES(lan_command),
        HELP("command = a line that has to be raised (dial-up, VPN, LTE)")),
    ROW(CONNECTION, "up", TEXT, C(link_up), "",
        HELP("command before a sync; where it fails the sync fails, and postmaster is told")),
    ROW(CONNECTION, "down", TEXT, C(link_down), "", HELP("command after it, whatever happened")),
    ROW(CONNECTION, "timeout", DURATION, C(link_timeout), "120s", RANGE(1, DAY), HELP("for each of the commands")),
    ROW(CONNECTION, "proxy", PROXY, C(proxy), "",
        HELP("socks5h://host:port or http://host:port, for collecting and sending")),

    ROW(SYNC, "every", DURATION, C(every), "15m", RANGE(0, YEAR),
        HELP("counted from the end of the last one, the first at start; 0 = only by hand or by the daemon user")),
    ROW(SYNC, "at", TIMES, X(main, at), "", FLAGS(ROW_EXTRA),
        HELP("09:00, 13:30 (local time), beside `every`; a missed one is made up once")),
    ROW(SYNC, "on_send", CHOICE, C(on_send), "auto", CHOICES(on_send),
        HELP("send soon after mail was queued; auto = yes with type = lan")),
    ROW(SYNC, "parallel", COUNT, C(parallel), "16", RANGE(1, CONFIG_MAX_ACCOUNTS), HELP("accounts collected at once")),
    ROW(SYNC, "min_interval", DURATION, C(min_interval), "10s", RANGE(0, DAY),
        HELP("daemon users cannot start syncs faster")),

    ROW(RELAY, "host", HOST, R(login.host), "", HELP("empty = nothing can go outside")),
    ROW(RELAY, "port", PORT, R(login.port), "587", RANGE(1, 65535),
        HELP("587 with starttls, 465 with tls, 25 for old servers")),
    ROW(RELAY, "security", CHOICE, R(login.security), "starttls", CHOICES(securities),
        HELP("none and opportunistic can be listened to")),
    ROW(RELAY, "tls_verify", SWITCH, R(login.tls_verify), "yes", HELP("no = anybody may pretend to be the server")),
    ROW(RELAY, "ca_file", PATH, R(login.ca_file), "", HELP("PEM certificates to trust; empty = the system's")),
    ROW(RELAY, "auth", CHOICE, R(login.auth), "auto", CHOICES(relay_auth), HELP("how to log in")),
    ROW(RELAY, "user", TEXT, R(login.user), "", FLAGS(ROW_LOGIN), HELP("log-in name; empty = no log-in")),
    ROW(RELAY, "password", TEXT, R(login.password), "", FLAGS(ROW_SECRET | ROW_LOGIN), HELP("plain")),
    ROW(RELAY, "password_file", PATH, X(login, password_file), "", FLAGS(ROW_EXTRA | ROW_LOGIN),
        HELP("file whose only line is the password, instead")),
    ROW(RELAY, "password_command", TEXT, R(login.password_command), "", FLAGS(ROW_LOGIN),
        HELP("command that prints the password (xoauth2: the token), instead")),
    ROW(RELAY, "sender", ADDRESS, R(sender), "",
        HELP("envelope and From for senders without alias (scanners, tills); empty = they get 550")),
    ROW(RELAY, "null_sender", EITHER, R(null_sender_alias), "keep", CHOICES(keep_alias),
        HELP("alias = read receipts from <> leave with the From user's alias")),
    ROW(RELAY, "connections", COUNT, R(connections), "4", RANGE(1, 100), HELP("at once")),
    ROW(RELAY, "pipelining", EITHER, R(pipelining_off), "auto", CHOICES(auto_off),
        HELP("off = one command at a time; auto learns when the server's pipelining is broken")),
    ROW(RELAY, "chunking", EITHER, R(chunking_off), "auto", CHOICES(auto_off),
        HELP("off = DATA instead of BDAT; auto learns when the server's CHUNKING is broken")),
    ROW(RELAY, "rate", COUNT, R(rate), "0", RANGE(0, 1000000),
        HELP("messages a minute; 0 = no limit, but a server that refuses for its rate slows down all that goes to it")),
    ROW(RELAY, "messages_per_connection", COUNT, R(messages_per_connection), "0", RANGE(0, 1000000),
        HELP("then a new connection is made; 0 = no limit")),
    ROW(RELAY, "retry", DURATION, R(retry), "5m", RANGE(1, 4 * HOUR), HELP("first retry, then doubling to 4h")),
    ROW(RELAY, "max_age", DURATION, R(max_age), "5d", RANGE(1, YEAR),
        HELP("then it bounces; a warning goes to the sender after 4h")),
    ROW(RELAY, "senders", SENDERS, R(senders), "", FLAGS(ROW_NAMED), SAMPLE("*@second.example, bob@firm.example"),
        HELP("[relay NAME] alone: whose mail goes this way, by the rewritten sender, as *@second.example")),
    ROW(RELAY, "account", TEXT, X(login, account), "", FLAGS(ROW_EXTRA | ROW_LOGIN),
        HELP("takes that account's user and password")),

    ROW(ACCOUNT, "host", HOST, A(login.host), "", FLAGS(ROW_REQUIRED), SAMPLE("pop.provider.example"),
        HELP("the provider's POP3 server")),
    ROW(ACCOUNT, "port", PORT, A(login.port), "995", RANGE(1, 65535), HELP("995 with tls, 110 otherwise")),
    ROW(ACCOUNT, "security", CHOICE, A(login.security), "tls", CHOICES(securities),
        HELP("none and opportunistic can be listened to")),
    ROW(ACCOUNT, "tls_verify", SWITCH, A(login.tls_verify), "yes", HELP("no = anybody may pretend to be the server")),
    ROW(ACCOUNT, "ca_file", PATH, A(login.ca_file), "", HELP("PEM certificates to trust; empty = the system's")),
    ROW(ACCOUNT, "auth", CHOICE, A(login.auth), "auto", CHOICES(account_auth), HELP("how to log in")),
    ROW(ACCOUNT, "user", TEXT, A(login.user), "", FLAGS(ROW_LOGIN | ROW_REQUIRED), SAMPLE("info@firm.example"),
        HELP("log-in name")),
    ROW(ACCOUNT, "password", TEXT, A(login.password), "", FLAGS(ROW_SECRET | ROW_LOGIN), HELP("plain")),
    ROW(ACCOUNT, "password_file", PATH, X(login, password_file), "", FLAGS(ROW_EXTRA | ROW_LOGIN),
        HELP("file whose only line is the password, instead")),
    ROW(ACCOUNT, "password_command", TEXT, A(login.password_command), "", FLAGS(ROW_LOGIN),
        HELP("command that prints the password (xoauth2: the token), instead")),
    ROW(ACCOUNT, "enabled", SWITCH, A(enabled), "yes", HELP("no = not collected")),
    ROW(ACCOUNT, "keep", KEEP, A(keep), "0", RANGE(0, 100LL * YEAR),
        HELP("0 = delete there when safely stored here; 14d = that long after; forever")),
    ROW(ACCOUNT, "first", FIRST, 0, "all", RANGE(1, 100LL * YEAR),
        HELP("of what lies there at the first collection: all, new (none of it), 30d; what is not taken is never "
             "deleted")),
    ROW(ACCOUNT, "max_message_kib", SIZE, A(max_message_kib), "0", RANGE(0, 1LL << 40),
        HELP("larger ones stay there, and postmaster is told once, with sender and subject; 0 = no limit")),
    ROW(ACCOUNT, "timeout", DURATION, A(timeout), "5m", RANGE(1, DAY),
        HELP("silence of the provider after which the session ends; log-in included")),
    ROW(ACCOUNT, "pipelining", EITHER, A(pipelining_off), "auto", CHOICES(auto_off),
        HELP("off = one command at a time; auto learns when the server's pipelining is broken")),
    ROW(ACCOUNT, "every", DURATION, A(every), "", RANGE(0, YEAR), HELP("own interval; empty or 0 = [sync] every")),
    ROW(ACCOUNT, "deliver", USERS, A(deliver), "", HELP("whose mail it is when no rule matches")),
    ROW(ACCOUNT, "envelope", FIELDS, A(envelope), "Delivered-To, X-Original-To, X-Envelope-To, Envelope-To",
        FLAGS(ROW_EMPTY), HELP("for domain mailboxes: headers that name the true recipient")),
    ROW(ACCOUNT, "envelope_hops", COUNT, A(envelope_hops), "0", RANGE(0, 100),
        HELP("the provider's own Received lines to look past")),
    ROW(ACCOUNT, "envelope_prefix", TEXT, A(envelope_prefix), "", HELP("qmail's, cut off the local part")),

    ROW(RULE, "field", FIELDS, RULE(fields), "", FLAGS(ROW_REQUIRED), SAMPLE("Subject"),
        HELP("header fields; * = any")),
    ROW(RULE, "contains", OPTIONAL, RULE(contains), "", SAMPLE("invoice"),
        HELP("text, without case, in the decoded header")),
    ROW(RULE, "matches", OPTIONAL, RULE(matches), "", HELP("PCRE2 pattern, instead of contains")),
    ROW(RULE, "account", ACCOUNTS, RULE(accounts), "", HELP("only mail of these accounts")),
    ROW(RULE, "not", SWITCH, RULE(invert), "no", HELP("yes = when no instance of the field matches")),
    ROW(RULE, "deliver", USERS, RULE(deliver), "", FLAGS(ROW_REQUIRED), SAMPLE("anna"), HELP("users and groups")),
    ROW(RULE, "copy", SWITCH, RULE(copy), "no",
        HELP("yes = these get a copy, and the steps after the rules still seek the addressee")),
    ROW(RULE, "stop", SWITCH, RULE(stop), "no", HELP("yes = later rules are not tried")),

    ROW(SORTER, "by_alias", SWITCH, C(by_alias), "yes", HELP("place by the addresses in envelope headers, To and Cc")),
    ROW(SORTER, "unmatched", USERS, C(unmatched), "", HELP("who gets the rest; empty = postmaster")),
};
/* clang-format on */

const size_t schema_table_size = sizeof schema_table / sizeof schema_table[0];
