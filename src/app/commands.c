#include "app/commands.h"

#include <string.h>

static bool knows(const struct commands *c, const char *command)
{
	for (size_t i = 0; i < c->known.n; i++)
		if (strcmp(c->known.v[i], command) == 0)
			return true;
	return false;
}

static void learn(struct commands *c, const char *command)
{
	if (command[0] != '\0' && !knows(c, command))
		strlist_add(&c->known, command);
}

static void learn_all(struct commands *c, const struct config *config)
{
	learn(c, config->link_up);
	learn(c, config->link_down);
	for (size_t i = 0; i < config->nrelays; i++)
		learn(c, config->relays[i].login.password_command);
	for (size_t i = 0; i < config->naccounts; i++)
		learn(c, config->accounts[i].login.password_command);
}

void commands_init(struct commands *c, const struct options *o, const struct config *config)
{
	*c = (struct commands){.options = o};
	learn_all(c, config);
}

bool commands_allowed(void *arg, const char *command)
{
	struct commands *c = arg;
	struct config_findings found;

	if (knows(c, command))
		return true;
	struct config *config = config_load(c->options->file, c->options->home, &found);
	config_findings_free(&found);
	if (config != NULL)
		learn_all(c, config);
	config_unref(&config);
	return knows(c, command);
}

void commands_free(struct commands *c)
{
	strlist_free(&c->known);
}
