/* The configuration as the program uses it: one immutable, reference-counted snapshot per (re)load.
 *
 * Every string is UTF-8, owned by the snapshot and never NULL unless said so; an empty key is "". Durations are
 * seconds. Paths are absolute (joined with the home). Snapshots may be read by any thread; references are atomic. */
#ifndef OFM_CONFIG_CONFIG_H
#define OFM_CONFIG_CONFIG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/slice.h"
#include "base/strlist.h"
#include "net/ip_filter.h"

#include <stdint.h>

enum { CONFIG_MAX_ACCOUNTS = 100 };
#define CONFIG_FOREVER INT64_MAX /* a `keep` or `first` without end */

enum config_security { SECURITY_NONE, SECURITY_OPPORTUNISTIC, SECURITY_STARTTLS, SECURITY_TLS };
enum config_auth_offer { AUTH_OFFER_OFF, AUTH_OFFER_OPTIONAL, AUTH_OFFER_REQUIRED }; /* our SMTP server */
enum config_auth {                                                                   /* log-in to outside servers */
	           AUTH_AUTO,
	           AUTH_OFF,
	           AUTH_PLAIN,
	           AUTH_LOGIN,
	           AUTH_APOP,
	           AUTH_CRAM_MD5,
	           AUTH_NTLM,
	           AUTH_XOAUTH2
};
enum config_on_send { ON_SEND_YES, ON_SEND_NO, ON_SEND_AUTO };
enum config_first { FIRST_ALL, FIRST_NEW, FIRST_AGE };

/* Groups, "*" and repetitions are already resolved: distinct users, in file order. */
struct config_users {
	const struct config_user **v;
	size_t n;
};

struct config_user {
	char *name;     /* lower case */
	char *password; /* plain or $y$…; "" = none; the content of password_file where that was given */
	char *full_name;
	char *alias; /* as written; "" = none */
	bool alias_shared;
	bool is_postmaster, is_daemon, is_boss;
	struct config_users forward_local;
	struct strlist forward_external; /* addresses */
	int64_t keep;                    /* seconds or CONFIG_FOREVER */
	bool listed;                     /* has a section of its own */
};

struct config_login { /* how to reach and enter an outside server */
	char *host;
	uint16_t port;
	enum config_security security;
	bool tls_verify;
	char *ca_file;
	enum config_auth auth;
	char *user;
	char *password;         /* plain, or from password_file */
	char *password_command; /* "" = none */
};

struct config_relay {
	char *label;               /* "" for [relay] itself */
	struct config_login login; /* host "" = nothing can go outside */
	char *sender;
	bool null_sender_alias; /* null_sender = alias */
	unsigned connections;
	bool pipelining_off, chunking_off; /* false: where the server offers it and it was not seen to fail */
	unsigned rate;                     /* messages a minute; 0 = no limit */
	unsigned messages_per_connection;  /* 0 = no limit */
	int64_t retry, max_age;
	struct strlist senders; /* patterns "*@dom" or addresses; empty for [relay] itself */
};

struct config_account {
	char *label;
	struct config_login login;
	bool enabled;
	int64_t keep; /* 0 = delete when stored */
	enum config_first first;
	int64_t first_age;
	uint64_t max_message_kib;
	int64_t timeout;     /* seconds of the provider's silence, log-in included */
	bool pipelining_off; /* false: where the server offers it and it was not seen to fail */
	int64_t every;       /* 0 = [sync] every */
	struct config_users deliver;
	struct strlist envelope;
	unsigned envelope_hops;
	char *envelope_prefix;
	char *mailbox_host; /* whose user the records belong to: the host, lower case; host:port where an account before
	                     * has the same host and user at another port */
};

struct config_rule {
	char *label;
	struct strlist fields; /* "*" alone = any */
	char *contains;        /* exactly one of these two is not NULL */
	char *matches;
	struct strlist accounts; /* labels; empty = mail of all accounts */
	bool invert;             /* not = yes */
	struct config_users deliver;
	bool copy, stop;
	unsigned line; /* of its section header, for messages */
};

struct config_server {
	struct strlist bind;
	uint16_t port, tls_port; /* 0 = off */
	int64_t timeout;
	unsigned max_connections;
	bool auth_tls;
};

struct config_time_of_day {
	uint8_t hour, minute;
};

struct config_daily { /* at a time of day, or not at all */
	bool on;
	struct config_time_of_day at;
};

struct config {
	char *file; /* where it was read from */
	char *home;
	/* [server] */
	char *hostname, *domain;
	bool unknown_local_relay, alias_local;
	char *mailboxes, *outqueue, *state, *control, *log_path, *run_as;
	unsigned log_size_kib;
	enum log_level log_level;
	bool russian; /* language = ru */
	/* servers */
	struct config_server pop3, smtp;
	uint64_t smtp_max_message_kib;
	unsigned smtp_max_recipients;
	enum config_auth_offer smtp_auth;
	char *tls_certificate, *tls_key;
	struct ip_filter ip_filter;
	/* [special]: never NULL but boss */
	const struct config_user *postmaster, *daemon, *boss;
	struct config_daily daily_report;
	bool daemon_reply;
	struct config_user **users; /* postmaster and daemon included, listed or not */
	size_t nusers;
	/* [connection] */
	bool link_command;
	char *link_up, *link_down;
	int64_t link_timeout;
	char *proxy;
	/* [sync] */
	int64_t every;
	struct config_time_of_day *at;
	size_t nat;
	enum config_on_send on_send;
	unsigned parallel;
	int64_t min_interval;
	/* outside */
	struct config_relay *relays; /* relays[0] is [relay] */
	size_t nrelays;
	struct config_account *accounts;
	size_t naccounts;
	struct config_rule *rules;
	size_t nrules;
	/* [sorter] */
	bool by_alias;
	struct config_users unmatched;
	struct strlist files; /* that keys name: certificates, keys, files of passwords */
	/* private to config/ */
	struct config_index *index;
	unsigned *server_lines; /* of the keys of [server], in the order of the schema */
	int refs;
};

/* One fault or warning. */
struct config_finding {
	bool fault; /* false: a warning */
	unsigned line;
	char *section, *key; /* "" where it concerns none */
	char *text;          /* what is wrong, and the mend */
};

struct config_findings {
	struct config_finding *v;
	size_t n;
	size_t faults;
};

/* What config asks of rooms above it; each may be NULL. */
struct config_hooks {
	/* Why this is no PCRE2 pattern (the caller frees), or NULL where it is one: sorter_pattern_error. */
	char *(*pattern_error)(const char *pattern);
	/* NULL where nobody looks. Whether the three folders belong together: NULL, or why not (the caller frees), with
	 * the key of [server] that it is about, and whether a start would fail. */
	char *(*folders_error)(const struct config *c, const char **key, bool *fault);
};

/* Reads and checks FILE; collects every fault and warning in one pass. Returns a snapshot with one reference where
 * there is no fault, else NULL. home is absolute. Blocks on file reads. */
struct config *config_load_with(const char *file, const char *home, const struct config_hooks *hooks,
                                struct config_findings *found);
/* The same without hooks: patterns are not looked at. Programs use config_load_with; this is for tests. */
struct config *config_load(const char *file, const char *home, struct config_findings *found);
/* The same from memory; file is only the name that stands in messages and in the snapshot. */
struct config *config_load_text(struct slice text, const char *file, const char *home, const struct config_hooks *hooks,
                                struct config_findings *found);
void config_findings_free(struct config_findings *found);
/* "FILE:LINE: [section] key: text" without newline; the caller frees. */
char *config_finding_format(const char *file, const struct config_finding *f);

struct config *config_ref(const struct config *c);
void config_unref(struct config **c); /* sets NULL, accepts NULL */

/* Look-ups without case; NULL where there is none. Constant or logarithmic time. */
const struct config_user *config_user_by_name(const struct config *c, struct slice name);
/* Only an alias that exactly one user holds. */
const struct config_user *config_user_by_alias(const struct config *c, struct slice address);
/* Whether anybody holds this alias, shared or not. */
bool config_is_alias(const struct config *c, struct slice address);
const struct config_account *config_account_by_label(const struct config *c, struct slice label);
/* The relay for mail of this sender (after rewriting): the first in file order whose `senders` match, else
 * relays[0]. NULL where that one has no host. */
const struct config_relay *config_relay_for(const struct config *c, struct slice sender);

/* What of `now` differs from `before` and needs a restart: "mailboxes", …; NULL where nothing does. */
const char *config_needs_restart(const struct config *before, const struct config *now);
/* The line of a key of [server]; where it is not written the section's, or 1. */
unsigned config_server_line(const struct config *c, const char *key);

/* Calls fn with every password and token that the snapshot holds, hashes too; for log_secret. */
void config_secrets(const struct config *c, void (*fn)(void *arg, const char *secret), void *arg);

/* The schema, for manuals: all keys in the order of the sample file. Strings are constants but for `range`, which
 * lives as long as the call. */
struct config_key_info {
	const char *section;      /* "server", "user", "relay", ... */
	const char *label;        /* "anna" where the section has a label, else NULL */
	const char *section_help; /* of the whole section */
	const char *key;
	const char *fallback; /* the default as it would stand in the file */
	const char *range;    /* "yes or no", "a port from 0 to 65535": what may stand there */
	const char *help;
	bool list;     /* may go on in KEY2, KEY3, ... */
	bool required; /* there is no default */
	bool restart;  /* takes effect at start alone */
	bool secret;
};
void config_each_key(void (*fn)(void *arg, const struct config_key_info *key), void *arg);
/* The commented sample file, etc/ofmsrv.ini. */
void config_sample_write(struct buf *out);

/* Puts `hash` into the password line of [user NAME] in FILE, atomically and durably; every other byte stays. Adds the
 * line, and for a postmaster who exists only by default the section, where there is none. -1 with e where there is no
 * such user, the password stands in a file of its own, or the ini file is faulty or cannot be written. */
int config_set_password(const char *file, const char *user, const char *hash, struct err *e);

struct config_setting {
	const char *key, *value; /* the key in lower case; the value as it is meant, without quotes */
};

/* Appends the value as it has to stand in the file: quoted where it would be cut, trimmed or read as a quote. -1 with e
 * where the file cannot carry it. */
int config_quote(const char *value, struct buf *out, struct err *e);

struct config_edit { /* everything borrowed */
	const char *file, *home;
	const struct config_hooks *hooks;
	const char *kind, *label; /* "rule", "invoices"; label "" = none */
	bool add;                 /* the section is new: it goes to the file's end */
	const struct config_setting *set;
	size_t n;
};

/* Adds a section, or sets keys of one, atomically and durably; every other byte stays. -1 with e, and nothing changed,
 * where the file has a fault or would have one. */
int config_edit(const struct config_edit *ed, struct err *e);

#endif
