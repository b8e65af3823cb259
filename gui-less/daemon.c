/* What acts on the daemon as a whole: reload, stop. */
#include "client.h"
#include "reload.h"
#include "show.h"

#include <stdio.h>
#include <string.h>

/* One "ofmctl: " line each would only repeat the file's name further right. */
static void put_lines(const char *text)
{
	struct buf b;

	fflush(stdout);
	buf_init(&b, 1024 * 1024);
	show_text(&b, slice_of(text), false);
	if (b.n > 0 && b.p[b.n - 1] != '\n')
		buf_add_char(&b, '\n');
	fputs(buf_str(&b), stderr);
	buf_free(&b);
}

int reload_daemon(struct client *c)
{
	struct control_request r = {.verb = CONTROL_RELOAD};
	json_t *reply = client_ask(c, &r, CLIENT_PATIENCE, NULL, NULL);

	if (reply == NULL)
		return 1;
	put_lines(client_text(reply, "faults"));
	put_lines(client_text(reply, "warnings"));
	int rc = client_ok(reply) ? 0 : 1;
	json_decref(reply);
	return rc;
}

int ctl_reload(const struct ctl_options *o, int argc, char **argv)
{
	if (argc > 1)
		return ctl_usage(argv[0], "it takes no %s", argv[1]);
	struct client *c = client_open(o);
	int rc = c != NULL ? reload_daemon(c) : 1;
	client_close(&c);
	if (rc == 0)
		puts("The configuration was reloaded.");
	return rc;
}

int ctl_stop(const struct ctl_options *o, int argc, char **argv)
{
	struct control_request r = {.verb = CONTROL_STOP};
	enum { STOP_SECONDS = 60 };

	if (argc > 1)
		return ctl_usage(argv[0], "it takes no %s", argv[1]);
	struct client *c = client_open(o);
	json_t *reply = c != NULL ? client_ask(c, &r, CLIENT_PATIENCE, NULL, NULL) : NULL;
	int rc = reply != NULL && client_ok(reply) ? 0 : 1;
	json_decref(reply);
	if (rc == 0 && !client_wait_end(c, STOP_SECONDS))
		rc = ctl_error("ofmsrv has not stopped within %d seconds", STOP_SECONDS);
	client_close(&c);
	if (rc == 0)
		puts("ofmsrv has stopped.");
	return rc;
}
