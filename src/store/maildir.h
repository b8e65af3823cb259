/* Maildirs: mailboxes/NAME/{tmp,new,cur}. Names and scanning; placing is the settler's, deleting by tombstones.
 *
 * A file of ours is named SECONDS.20HEX,S=SIZE and holds exactly SIZE octets as they go over the wire. Any other
 * name is somebody else's file: its wire size has to be counted (bare LF is sent as CRLF). */
#ifndef OFM_STORE_MAILDIR_H
#define OFM_STORE_MAILDIR_H

#include "base/err.h"
#include "base/slice.h"
#include "base/strlist.h"
#include "disk/database.h"

#include <stdint.h>

enum { MAILDIR_NAME_MAX = 255, MAILDIR_UIDL_MAX = 70 };

struct maildir; /* the root: mailboxes/ with its descriptor, opened once and kept */

struct maildir *maildir_open(const char *mailboxes, struct err *e);
void maildir_free(struct maildir **m);
int maildir_root_fd(const struct maildir *m);
/* Makes NAME/{tmp,new,cur} where missing (mode 0700); refuses symlinks. What was made is durable after maildir_flush or
 * any syncfs of its file system: a thousand mailboxes need one flush. */
int maildir_create(struct maildir *m, const char *user, struct err *e);
/* Flushes what maildir_create has made since the last time; nothing where that is nothing. */
int maildir_flush(struct maildir *m, struct err *e);
/* Removes from NAME/tmp what nobody has touched for 36 hours at `now`. */
void maildir_sweep_tmp(struct maildir *m, const char *user, int64_t now);
/* Whether such a failure is this one mailbox's own, for somebody to mend: a symbolic link, a file, or a folder of
 * somebody else in its place. All other mailboxes are none the worse. */
bool maildir_is_broken(int code);
/* A descriptor of mailboxes/NAME/new or /cur, opened with O_NOFOLLOW at each step; the caller closes it. -1 with e. */
int maildir_open_dir(struct maildir *m, const char *user, const char *sub, struct err *e);
/* Whether a name with this base (up to ':') stands in new/ or cur/. 1, 0, or -1 with e. */
int maildir_has(struct maildir *m, const char *user, const char *base, struct err *e);

/* One message of a mailbox as a POP3 session sees it. */
struct maildir_entry {
	char *name;      /* as in the folder; lives in the list's arena */
	uint64_t size;   /* octets on the wire */
	int64_t arrived; /* wall seconds: from the name, or the file's mtime where it has none */
	uint16_t base_n; /* of the name, so much tells the message: up to ':' */
	bool in_cur;
	bool ours; /* bytes are sent as they are; else bare LF becomes CRLF */
	bool twin; /* another name would give the same unique id: see maildir_entry_uidl */
};

struct maildir_list {
	struct maildir_entry *v; /* oldest first: by arrival seconds in the name, then by name */
	size_t n;
	uint64_t total;
	char *arena; /* all names */
};

/* Scans new/ and cur/ (no subfolder, no symlink, no dot file), without opening files of ours. For a worker: blocks. */
int maildir_scan(struct maildir *m, const char *user, struct maildir_list *out, struct err *e);
void maildir_list_free(struct maildir_list *l);
/* The unique id: the name up to ',' or ':' where that is 1..70 printable characters, else 40 hex digits of its
 * SHA-256. Never changes when flags or folders do. */
void maildir_uidl(const char *name, char out[static MAILDIR_UIDL_MAX + 1]);
/* The same for an entry of a scan; foreign names that share the part before ',' are told apart by that hash. */
void maildir_entry_uidl(const struct maildir_entry *en, char out[static MAILDIR_UIDL_MAX + 1]);
/* An open descriptor of the message, O_NOFOLLOW, regular files only; follows a rename between new/ and cur/ or of
 * flags. -1 with e (code ENOENT: gone). */
int maildir_open_message(struct maildir *m, const char *user, const struct maildir_entry *en, struct err *e);
/* The same, and its size, where no disk has to be waited for, and the message stands where the scan saw it; -1
 * otherwise. For the loop's thread. */
int maildir_open_message_cached(struct maildir *m, const char *user, const struct maildir_entry *en, uint64_t *size);
/* Unlinks it wherever it stands; 0 where it is already gone. */
int maildir_unlink(struct maildir *m, const char *user, const char *base, struct err *e);
/* The same for many, reading each folder once at most. -1 with e where any of them may still be there. */
int maildir_unlink_list(struct maildir *m, const char *user, const struct strlist *bases, struct err *e);
/* Deleted as far as anybody is told: scans that begin from now on do not show these, wherever they stand, until
 * maildir_show (sets NULL, accepts NULL). Both names are borrowed until then. Any thread. */
struct maildir_hidden;
struct maildir_hidden *maildir_hide(struct maildir *m, const char *user, const struct strlist *bases);
void maildir_show(struct maildir *m, struct maildir_hidden **h);

/* Tombstones: deletions that QUIT has confirmed. Table tombstone(mailbox, name). */
extern const char tombstone_schema[];
int tombstone_add(struct db_conn *c, const char *mailbox, const char *base, struct err *e);
int tombstone_has(struct db_conn *c, const char *mailbox, const char *base, struct err *e); /* 1, 0, -1 */
int tombstone_remove(struct db_conn *c, const char *mailbox, const char *base, struct err *e);
/* Calls fn for each of a mailbox, or of all where mailbox is NULL; the strings are valid during the call alone. */
int tombstone_each(struct db_conn *c, const char *mailbox, void (*fn)(void *arg, const char *mailbox, const char *base),
                   void *arg, struct err *e);

#endif
