#include "store/installation.h"

#include "base/random.h"
#include "base/slice.h"
#include "disk/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

static int folder_is_strange(const char *key, const struct id *found, struct err *e)
{
	return err_set(
	    e, 0,
	    "[server] %s: this is not the folder that the gateway used before (its %s %s). Is its disk "
	    "mounted? If the folder is meant to be a new one, remove %s from the state folder and start again",
	    key, id_file, found->text[0] != '\0' ? "differs" : "is missing", state_file);
}

/* The state folder is new: what the other two agree on is the installation. */
static int adopt(int mailboxes, int outqueue, int state, struct id *m, const struct id *q, enum installation *what,
                 struct err *e)
{
	*what = INSTALLATION_STATE_LOST;
	if (m->text[0] != '\0' && q->text[0] != '\0' && strcmp(m->text, q->text) != 0)
		return err_set(
		    e, 0,
		    "[server] mailboxes and outqueue belong to two different installations (their %s differ); "
		    "use two folders that belong together, or remove %s from the one that is to join the other",
		    id_file, id_file);
	struct id id = m->text[0] != '\0' ? *m : *q;
	if (id.text[0] == '\0') {
		*what = INSTALLATION_NEW;
		draw(&id);
	}
	/* The state's id last: until it stands, this step simply happens again. */
	if (m->text[0] == '\0' && write_id(mailboxes, id_file, &id, e) != 0)
		return -1;
	if (q->text[0] == '\0' && write_id(outqueue, id_file, &id, e) != 0)
		return -1;
	return write_id(state, state_file, &id, e);
}

int installation_check(int mailboxes, int outqueue, int state, enum installation *what, struct err *e)
{
	struct id m, q, s;

	if (read_id(mailboxes, id_file, &m, e) != 0 || read_id(outqueue, id_file, &q, e) != 0 ||
	    read_id(state, state_file, &s, e) != 0)
		return -1;
	if (s.text[0] == '\0')
		return adopt(mailboxes, outqueue, state, &m, &q, what, e);
	if (strcmp(m.text, s.text) != 0)
		return folder_is_strange("mailboxes", &m, e);
	if (strcmp(q.text, s.text) != 0)
		return folder_is_strange("outqueue", &q, e);
	*what = INSTALLATION_KNOWN;
	return 0;
}
