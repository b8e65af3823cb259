#include "base/clock.h"

#include "base/random.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DAY_S = 86400, JUMP_S = 600 };

static int64_t now_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t now_ms(clockid_t id)
{
	return now_us(id) / 1000;
}

int64_t clock_mono_ms(void)
{
	return now_ms(CLOCK_MONOTONIC);
}

int64_t clock_mono_us(void)
{
	return now_us(CLOCK_MONOTONIC);
}

int64_t clock_wall_s(void)
{
	return (int64_t)time(NULL);
}

int64_t clock_wall_ms(void)
{
	return now_ms(CLOCK_REALTIME);
}

int64_t clock_wall_us(void)
{
	return now_us(CLOCK_REALTIME);
}

void clock_watch_start(struct clock_watch *w)
{
	*w = (struct clock_watch){clock_wall_s(), clock_mono_ms() / 1000, false};
}

bool clock_watch_jumped(struct clock_watch *w, int64_t *by)
{
	struct clock_watch now;

	clock_watch_start(&now);
	int64_t drift = now.wall_s - w->wall_s - (now.mono_s - w->mono_s);
	*by = 0;
	if (drift > JUMP_S || drift < -JUMP_S) {
		*by = drift;
		*w = now;
		w->jumped = true;
	} else if (now.mono_s - w->mono_s >= DAY_S) {
		w->jumped = false;
	}
	return w->jumped;
}

/* Names of our own: strftime's follow the locale, RFC 5322's do not. */
void clock_rfc5322(int64_t wall_s, char out[static 40])
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t t = (time_t)wall_s;
	struct tm tm;

	localtime_r(&t, &tm);
	long off = tm.tm_gmtoff / 60;
	char sign = off < 0 ? '-' : '+';
	if (off < 0)
		off = -off;
	snprintf(out, 40, "%.3s, %d %.3s %04d %02d:%02d:%02d %c%02ld%02ld", days + 3 * tm.tm_wday, tm.tm_mday,
	         months + 3 * tm.tm_mon, (tm.tm_year + 1900) % 10000, tm.tm_hour, tm.tm_min, tm.tm_sec, sign,
	         off / 60 % 100, off % 60);
}

void clock_iso8601(int64_t wall_s, char out[static 24])
{
	time_t t = (time_t)wall_s;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static char boot_id[40];

/* Where the machine does not tell: one of our own, which no other process takes for its boot. */
static void draw_boot_id(void)
{
	unsigned char r[16];

	random_bytes(r, sizeof r);
	for (size_t i = 0; i < sizeof r; i++)
		snprintf(boot_id + 2 * i, 3, "%02x", r[i]);
}

static void read_boot_id(void)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, boot_id, 36) : -1;

	if (n == 36)
		boot_id[36] = '\0';
	else
		draw_boot_id();
	if (fd >= 0)
		close(fd);
}

const char *clock_boot_id(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, read_boot_id);
	return boot_id;
}
