#include "config/values.h"

#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	char l = ascii_lower(c);

	return is_digit(c) || (l >= 'a' && l <= 'z');
}

bool value_number(struct slice s, uint64_t max, uint64_t *out)
{
	if (s.n > 1 && s.p[0] == '0')
		return false;
	return slice_to_u64(s, max, out);
}

bool value_switch(struct slice s, bool *out)
{
	*out = slice_is_nocase(s, "yes");
	return *out || slice_is_nocase(s, "no");
}

bool value_duration(struct slice s, int64_t *out)
{
	uint64_t n, unit;

	if (slice_is(s, "0")) {
		*out = 0;
		return true;
	}
	if (s.n < 2)
		return false;
	switch (s.p[s.n - 1]) {
	case 's':
		unit = 1;
		break;
	case 'm':
		unit = 60;
		break;
	case 'h':
		unit = 3600;
		break;
	case 'd':
		unit = 86400;
		break;
	default:
		return false;
	}
	if (!value_number(slice_sub(s, 0, s.n - 1), (uint64_t)INT64_MAX / 86400, &n))
		return false;
	*out = (int64_t)(n * unit);
	return true;
}

bool value_time(struct slice s, struct config_time_of_day *out)
{
	size_t colon = slice_find(s, ':');
	struct slice h = slice_sub(s, 0, colon), m = slice_sub(s, colon + 1, s.n);
	uint64_t hour, minute;

	if (h.n < 1 || h.n > 2 || m.n != 2 || !slice_to_u64(h, 23, &hour) || !slice_to_u64(m, 59, &minute))
		return false;
	*out = (struct config_time_of_day){(uint8_t)hour, (uint8_t)minute};
	return true;
}

/* Letters, digits, - and _, and what is not ASCII (libcurl knows international names); no empty label. */
static bool dotted_name(struct slice s)
{
	size_t label = 0;

	if (s.n == 0 || s.n > 253)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool dash = c == '-';
		if (c == '.') {
			if (label == 0 || s.p[i - 1] == '-')
				return false;
			label = 0;
		} else if ((dash && label == 0) || !(is_alnum(c) || dash || c == '_' || (unsigned char)c >= 0x80)) {
			return false;
		} else if (++label > 63) {
			return false;
		}
	}
	return label > 0 && s.p[s.n - 1] != '-';
}

bool value_domain(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return dotted_name(s);
}

bool value_host(struct slice s)
{
	struct ip_addr a;

	return ip_addr_parse(s, &a, NULL) == 0 || dotted_name(s);
}

static bool local_part(struct slice s)
{
	if (s.n == 0 || s.n > 64 || s.p[0] == '.' || s.p[s.n - 1] == '.')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.' && s.p[i - 1] == '.')
			return false;
		if (!is_alnum(s.p[i]) && (s.p[i] == '\0' || strchr(".!#$%&'*+-/=?^_`{|}~", s.p[i]) == NULL))
			return false;
	}
	return true;
}

bool value_address(struct slice s)
{
	size_t at = slice_find(s, '@');

	return at < s.n && local_part(slice_sub(s, 0, at)) && value_domain(slice_sub(s, at + 1, s.n));
}

bool value_user_name(struct slice s)
{
	if (s.n == 0 || s.n > VALUE_USER_MAX || !is_alnum(s.p[0]))
		return false;
	for (size_t i = 1; i < s.n; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '.' && s.p[i] != '_' && s.p[i] != '-')
			return false;
	return true;
}

bool value_field_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == ':')
			return false;
	return s.n > 0 && s.n <= 128;
}

bool value_proxy(struct slice s)
{
	size_t skip = slice_starts_nocase(s, "socks5h://") ? 10 : slice_starts_nocase(s, "http://") ? 7 : 0;
	struct slice at = slice_sub(s, skip, s.n);
	size_t colon = at.n;
	uint64_t port;

	while (colon > 0 && at.p[colon - 1] != ':')
		colon--;
	if (skip == 0 || colon < 2 || !value_number(slice_sub(at, colon, at.n), 65535, &port) || port == 0)
		return false;
	struct slice host = slice_sub(at, 0, colon - 1);
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = slice_sub(host, 1, host.n - 2);
	return value_host(host);
}
