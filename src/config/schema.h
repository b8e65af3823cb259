/* One row per key of the ini file. Parsing, `check`, the sample file and the manual's key list all come from it.
 * Room-internal; config_each_key shows it to others. */
#ifndef OFM_CONFIG_SCHEMA_H
#define OFM_CONFIG_SCHEMA_H

#include "config/config.h"

enum section_kind {
	SECTION_SERVER,
	SECTION_POP3,
	SECTION_SMTP,
	SECTION_TLS,
	SECTION_IP_FILTER,
	SECTION_SPECIAL,
	SECTION_USER,
	SECTION_GROUP,
	SECTION_CONNECTION,
	SECTION_SYNC,
	SECTION_RELAY,
	SECTION_ACCOUNT,
	SECTION_RULE,
	SECTION_SORTER,
	SECTION_KINDS,
	SECTION_NONE = SECTION_KINDS
};

enum label_rule { LABEL_NONE, LABEL_MAY, LABEL_MUST };

struct schema_section {
	const char *name;
	enum label_rule label;
	const char *sample; /* label in the sample file and the manual; NULL = none */
	const char *help;
};

/* What a value is, and with it the C type that its row's offset points to. */
enum value_type {
	VALUE_TEXT,        /* char * */
	VALUE_OPTIONAL,    /* char *, NULL where empty */
	VALUE_PATH,        /* char *, joined with the home; "" stays */
	VALUE_HOST,        /* char *: a name or an address */
	VALUE_DOMAIN,      /* char * */
	VALUE_ADDRESS,     /* char *: local@domain */
	VALUE_USER_NAME,   /* char *, lower case */
	VALUE_PROXY,       /* char * */
	VALUE_SYSTEM_USER, /* char * */
	VALUE_SWITCH,      /* bool */
	VALUE_EITHER,      /* bool: choices are {false, true} */
	VALUE_CHOICE,      /* an enum */
	VALUE_DURATION,    /* int64_t */
	VALUE_KEEP,        /* int64_t, also "forever" */
	VALUE_FIRST,       /* struct config_account itself: first and first_age */
	VALUE_PORT,        /* uint16_t */
	VALUE_COUNT,       /* unsigned */
	VALUE_SIZE,        /* uint64_t */
	VALUE_DAILY,       /* struct config_daily */
	/* lists, from here on: may go on in KEY2, KEY3, ... */
	VALUE_NAMES,     /* struct strlist, anything */
	VALUE_ADDRESSES, /* struct strlist of numeric addresses */
	VALUE_FIELDS,    /* struct strlist of header field names; "*" */
	VALUE_SENDERS,   /* struct strlist of addresses and *@domain */
	VALUE_RANGES,    /* struct range_list */
	VALUE_TIMES,     /* struct time_list */
	VALUE_USERS,     /* struct config_users */
	VALUE_FORWARD,   /* struct config_user itself: forward_local and forward_external */
	VALUE_ACCOUNTS,  /* struct strlist of account labels */
	VALUE_TYPES
};

struct range_list {
	struct ip_range *v;
	size_t n;
};

struct time_list {
	struct config_time_of_day *v;
	size_t n;
};

struct schema_choice {
	const char *name; /* NULL ends */
	int value;
};

enum {
	ROW_RESTART = 1,  /* takes effect at start alone */
	ROW_SECRET = 2,   /* never shown */
	ROW_EXTRA = 4,    /* the offset is into the section's extras */
	ROW_EMPTY = 8,    /* may stand empty though there is a default (lists and strings) */
	ROW_LOGIN = 16,   /* one of the forms of a password, or what stands for them */
	ROW_NAMED = 32,   /* only in [KIND LABEL] */
	ROW_REQUIRED = 64 /* no default */
};

struct schema_row {
	enum section_kind section;
	const char *key;
	enum value_type type;
	size_t offset;
	const char *fallback; /* as it would stand in the file */
	int64_t min, max;
	const struct schema_choice *choices;
	unsigned flags;
	const char *sample; /* value shown in the sample file instead of the default; NULL = the default */
	const char *help;
};

/* What a section says that is not in the structs of config.h. */
struct main_extra {
	struct range_list allow, deny;
	struct time_list at;
	char *postmaster, *daemon, *boss;
};

struct user_extra {
	char *password_file;
};

struct group_extra {
	struct config_users members;
};

struct login_extra { /* relays and accounts */
	char *password_file;
	char *account; /* relays: whose log-in to take */
};

const struct schema_section *schema_section(enum section_kind kind);
/* Rows of one kind stand together; n becomes their number. */
const struct schema_row *schema_rows(enum section_kind kind, size_t *n);
enum section_kind schema_kind_by_name(struct slice name); /* SECTION_NONE where there is none */
bool schema_is_list(enum value_type type);
/* The key that `name` was most likely meant to be, or NULL. */
const char *schema_nearest_key(enum section_kind kind, const char *name);
const char *schema_nearest_section(const char *name);
/* "yes or no", "1s to 1d", "none, starttls, tls": what may stand there. */
void schema_describe(const struct schema_row *row, char *out, size_t size);

#endif
