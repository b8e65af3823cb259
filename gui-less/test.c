/* ofmctl test: an account or a relay tried as it stands in the ini file. */
#include "base/text.h"
#include "client.h"
#include "local.h"
#include "probe.h"

#include <stdio.h>
#include <string.h>

static int run(const struct ctl_options *o, const struct probe *p)
{
	json_t *list = o->json ? json_array() : NULL;

	if (list == NULL)
		printf("%s: %s%s%s, port %u\n", p->label, p->login->user, p->login->user[0] != '\0' ? " on " : "",
		       p->login->host, p->login->port);
	bool ok = probe_run(p, list);
	if (list != NULL) {
		json_t *wrap = json_pack("{s:s, s:b, s:o}", "tested", p->label, "works", ok, "steps", list);
		client_print_json(wrap);
		json_decref(wrap);
	}
	return ok ? 0 : 1;
}

static int test_account(const struct ctl_options *o, const struct config *c, const char *name)
{
	const struct config_account *a = config_account_by_label(c, slice_of(name));

	if (a == NULL)
		return ctl_error("there is no [account %s] in %s (ofmctl account lists them)", name, o->file);
	const struct probe p = {.protocol = OUTSIDE_POP3,
	                        .label = a->label,
	                        .login = &a->login,
	                        .proxy = c->proxy,
	                        .hello = "",
	                        .home = c->home,
	                        .pipelining_off = a->pipelining_off};
	return run(o, &p);
}

static int test_relay(const struct ctl_options *o, const struct config *c, const char *name)
{
	const struct config_relay *r = NULL;

	for (size_t i = 0; i < c->nrelays && r == NULL; i++)
		if (text_eq_nocase(slice_of(c->relays[i].label), slice_of(name)))
			r = &c->relays[i];
	if (r == NULL)
		return ctl_error("there is no [relay %s] in %s", name, o->file);
	if (r->login.host[0] == '\0')
		return ctl_error("[relay] has no host: nothing can go outside");
	const struct probe p = {.protocol = OUTSIDE_SMTP,
	                        .label = r->label[0] != '\0' ? r->label : "relay",
	                        .login = &r->login,
	                        .proxy = c->proxy,
	                        .hello = c->hostname,
	                        .home = c->home,
	                        .pipelining_off = r->pipelining_off,
	                        .sender = probe_sender(c, r)};
	return run(o, &p);
}

int ctl_test(const struct ctl_options *o, int argc, char **argv)
{
	bool account = argc > 1 && strcmp(argv[1], "account") == 0, relay = argc > 1 && strcmp(argv[1], "relay") == 0;

	if (argc > 1 && !account && !relay)
		return ctl_unknown_part(argv[0], argv[1], (const char *const[]){"account", "relay", NULL});
	if (argc < 2 || argc > 3 || (account && argc != 3))
		return ctl_usage(argv[0], argc > 3 ? "one at a time" : "account NAME, or relay");
	struct config *c = local_config(o);
	if (c == NULL)
		return 1;
	int rc = account ? test_account(o, c, argv[2]) : test_relay(o, c, argc > 2 ? argv[2] : "");
	config_unref(&c);
	return rc;
}
