/* Single values, strictly: no sign, no spaces inside, no leading zero, no trailing junk. Pure. Room-internal. */
#ifndef OFM_CONFIG_VALUES_H
#define OFM_CONFIG_VALUES_H

#include "base/slice.h"
#include "config/config.h"

enum { VALUE_USER_MAX = 64, VALUE_LABEL_MAX = 64 };

bool value_number(struct slice s, uint64_t max, uint64_t *out);  /* decimal; "010" is refused */
bool value_switch(struct slice s, bool *out);                    /* yes, no */
bool value_duration(struct slice s, int64_t *out);               /* "0", "30s", "15m", "2h", "5d" */
bool value_time(struct slice s, struct config_time_of_day *out); /* "9:00", "13:30" */
bool value_host(struct slice s);                                 /* a name or a numeric address, no port */
bool value_domain(struct slice s);
bool value_address(struct slice s);    /* local@domain, ASCII */
bool value_user_name(struct slice s);  /* [a-z0-9][a-z0-9._-]{0,63}, upper case allowed */
bool value_field_name(struct slice s); /* RFC 5322 ftext */
bool value_proxy(struct slice s);

#endif
