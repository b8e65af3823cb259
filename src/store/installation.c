#include "store/installation.h"

#include "base/random.h"
#include "base/slice.h"
#include "disk/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ID_BYTES = 16, ID_TEXT = 2 * ID_BYTES };

static const char id_file[] = ".ofmsrv-id";
static const char state_file[] = "ofmsrv.id";

struct id {
	char text[ID_TEXT + 1]; /* "" where the folder has none */
};

static int read_id(int dirfd, const char *name, struct id *id, struct err *e)
{
	struct buf b;

	*id = (struct id){""};
	buf_init(&b, 256);
	int rc = file_read(dirfd, name, &b, e);
	if (rc == 0) {
		struct slice s = slice_trim(buf_slice(&b));
		if (s.n == ID_TEXT)
			memcpy(id->text, s.p, s.n);
		else
			rc = err_set(e, 0, "%s: damaged; remove it only if its folder is the right one", name);
	} else if (e->code == ENOENT) {
		rc = 0;
	}
	buf_free(&b);
	return rc;
}

static int write_id(int dirfd, const char *name, const struct id *id, struct err *e)
{
	char line[ID_TEXT + 2];

	snprintf(line, sizeof line, "%s\n", id->text);
	return file_write_durable(dirfd, name, slice_of(line), e);
}

static void draw(struct id *id)
{
	unsigned char r[ID_BYTES];

	random_bytes(r, sizeof r);
	for (size_t i = 0; i < sizeof r; i++)
		snprintf(id->text + 2 * i, 3, "%02x", r[i]);
}

struct ids {
	struct id mailboxes, outqueue, state;
};

static int read_ids(int mailboxes, int outqueue, int state, struct ids *x, struct err *e)
{
	bool ok = read_id(mailboxes, id_file, &x->mailboxes, e) == 0 &&
	          read_id(outqueue, id_file, &x->outqueue, e) == 0 && read_id(state, state_file, &x->state, e) == 0;
	return ok ? 0 : -1;
}

static bool same(const struct id *a, const struct id *b)
{
	return strcmp(a->text, b->text) == 0;
}

static bool stands(const struct id *id)
{
	return id->text[0] != '\0';
}

/* The key whose folder is the wrong one, and why in e; NULL where all may be used. */
static const char *wrong_folder(const struct ids *x, struct err *e)
{
	const struct id *wrong = !same(&x->mailboxes, &x->state) ? &x->mailboxes : &x->outqueue;

	if (!stands(&x->state)) {
		if (!stands(&x->mailboxes) || !stands(&x->outqueue) || same(&x->mailboxes, &x->outqueue))
			return NULL;
		err_set(e, 0,
		        "it belongs to another installation than mailboxes (their %s differ); use two folders that "
		        "belong together, or remove %s from the one that is to join the other",
		        id_file, id_file);
		return "outqueue";
	}
	if (same(wrong, &x->state))
		return NULL;
	err_set(
	    e, 0,
	    "this is not the folder that the gateway used before (its %s %s). Is its disk mounted? If the folder is "
	    "meant to be a new one, remove %s from the state folder and start again",
	    id_file, stands(wrong) ? "differs" : "is missing", state_file);
	return wrong == &x->mailboxes ? "mailboxes" : "outqueue";
}

/* The state folder is new: what the other two agree on is the installation. */
static int adopt(int mailboxes, int outqueue, int state, const struct ids *x, enum installation *what, struct err *e)
{
	struct id id = stands(&x->mailboxes) ? x->mailboxes : x->outqueue;

	*what = INSTALLATION_STATE_LOST;
	if (!stands(&id)) {
		*what = INSTALLATION_NEW;
		draw(&id);
	}
	/* The state's id last: until it stands, this step simply happens again. */
	if (!stands(&x->mailboxes) && write_id(mailboxes, id_file, &id, e) != 0)
		return -1;
	if (!stands(&x->outqueue) && write_id(outqueue, id_file, &id, e) != 0)
		return -1;
	return write_id(state, state_file, &id, e);
}

int installation_check(int mailboxes, int outqueue, int state, enum installation *what, struct err *e)
{
	struct err why = {0, ""};
	struct ids x;

	if (read_ids(mailboxes, outqueue, state, &x, e) != 0)
		return -1;
	const char *key = wrong_folder(&x, &why);
	if (key != NULL)
		return err_set(e, 0, "[server] %s: %s", key, why.text);
	if (!stands(&x.state))
		return adopt(mailboxes, outqueue, state, &x, what, e);
	*what = INSTALLATION_KNOWN;
	return 0;
}

enum installation_seen installation_look(const char *mailboxes, const char *outqueue, const char *state,
                                         const char **key, struct err *e)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	int fd[] = {open(mailboxes, flags), open(outqueue, flags), open(state, flags)};
	bool first = fd[2] < 0 && errno == ENOENT; /* the start makes it */
	enum installation_seen seen = INSTALLATION_FINE;
	struct ids x = {{""}, {""}, {""}};

	if (fd[0] >= 0 && fd[1] >= 0 && (fd[2] >= 0 || first) && read_id(fd[0], id_file, &x.mailboxes, e) == 0 &&
	    read_id(fd[1], id_file, &x.outqueue, e) == 0 && (first || read_id(fd[2], state_file, &x.state, e) == 0)) {
		*key = wrong_folder(&x, e);
		if (*key != NULL)
			seen = INSTALLATION_WRONG;
		else if (!stands(&x.state) && (stands(&x.mailboxes) || stands(&x.outqueue)))
			seen = INSTALLATION_WITHOUT_STATE;
	}
	if (seen == INSTALLATION_WITHOUT_STATE) {
		*key = "state";
		err_set(
		    e, 0,
		    "mailboxes and outqueue were used before, and this folder was not. Is its disk mounted? A start "
		    "would make a new database, and hold the outgoing mail");
	}
	for (size_t i = 0; i < sizeof fd / sizeof *fd; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	return seen;
}
