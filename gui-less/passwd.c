#include "base/alloc.h"
#include "client.h"
#include "config/config.h"
#include "local.h"
#include "reload.h"
#include "secret.h"
#include "store/passwords.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check(const char *password)
{
	if (password[0] == '\0')
		return ctl_error("an empty password would let anybody in; nothing was changed");
	for (const char *p = password; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return ctl_error("a control character cannot be typed in a mail program; nothing was changed");
	return 0;
}

/* The daemon may well be down: the ini file is what counts. */
static int tell_daemon(const struct ctl_options *o, const char *user)
{
	if (!client_reachable(o)) {
		printf("The password of %s is set; ofmsrv is not running, and reads it at its start.\n", user);
		return 0;
	}
	struct client *c = client_open(o);
	int rc = c != NULL ? reload_daemon(c) : 1;
	client_close(&c);
	if (rc == 0)
		printf("The password of %s is set, and is in force.\n", user);
	else
		ctl_error("the password of %s stands in %s, but is not in force", user, o->file);
	return rc;
}

/* Asked before a password is typed in vain. A faulty file is config_set_password's to judge. */
static bool is_user(const struct ctl_options *o, const char *name)
{
	struct config_findings found;
	struct config *c = config_load(o->file, o->home, &found);
	bool is = c == NULL || config_user_by_name(c, slice_of(name)) != NULL;

	config_findings_free(&found);
	config_unref(&c);
	return is;
}

int ctl_passwd(const struct ctl_options *o, int argc, char **argv)
{
	char password[SECRET_MAX], hash[256];
	struct err e = {.text = ""};

	if (argc < 2 || argv[1][0] == '-')
		return ctl_usage(argv[0], "a USER is needed");
	if (argc > 2)
		return ctl_usage(argv[0], "it takes no %s: the password is asked for", argv[2]);
	if (local_changeable(o) != 0)
		return 1;
	if (!is_user(o, argv[1]))
		return ctl_error("there is no user %s in %s (ofmctl users lists them); add [user %s] there first",
		                 argv[1], o->file, argv[1]);
	int rc = secret_read("New password: ", "Once more: ", password);
	if (rc == 0)
		rc = check(password);
	if (rc == 0 && passwords_hash(password, hash, &e) != 0)
		rc = ctl_error("%s", e.text);
	explicit_bzero(password, sizeof password);
	if (rc == 0 && config_set_password(o->file, argv[1], hash, &e) != 0)
		rc = ctl_error("%s", e.text);
	return rc == 0 ? tell_daemon(o, argv[1]) : rc;
}
