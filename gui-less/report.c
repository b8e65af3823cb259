/* ofmctl report: what a day added up to. */
#include "base/clock.h"
#include "client.h"
#include "show.h"
#include "when.h"

#include <stdio.h>
#include <string.h>

static const char *day_of(int argc, char **argv)
{
	if (argc == 1)
		return "today";
	if (argc == 2 && strncmp(argv[1], "--day=", 6) == 0)
		return argv[1] + 6;
	if (argc == 3 && strcmp(argv[1], "--day") == 0)
		return argv[2];
	return NULL;
}

int ctl_report(const struct ctl_options *o, int argc, char **argv)
{
	struct control_request r = {.verb = CONTROL_REPORT};
	const char *day = day_of(argc, argv);

	if (day == NULL)
		return ctl_usage(argv[0], "only --day DAY may stand here");
	if (!when_day(day, clock_wall_s(), &r.since, &r.until))
		return ctl_usage(argv[0], "--day wants today, yesterday or 2026-11-24, not %s", day);
	/* Mailboxes are counted file by file. */
	json_t *reply = client_simple(o, &r, 600);
	if (reply == NULL)
		return 1;
	if (o->json) {
		json_object_del(reply, "text");
		client_print_json(reply);
	} else {
		struct buf text;
		buf_init(&text, 4 * 1024 * 1024);
		show_text(&text, slice_of(client_text(reply, "text")), false);
		fputs(buf_str(&text), stdout);
		buf_free(&text);
	}
	json_decref(reply);
	return 0;
}
