/* The end of a session at the server: DELE and QUIT. Only a confirmed QUIT counts as deleted. */
#include "base/log.h"
#include "base/text.h"
#include "fetch/session_internal.h"

void session_delete(struct session *s)
{
	for (size_t i = 0; i < s->picks.n; i++)
		if (s->picks.v[i].action == PICK_DELE && session_may_delete(s, i)) {
			s->picks.v[i].asked = true;
			session_queue(s, POP3_DELE, i, 0);
		}
	session_queue(s, POP3_QUIT, 0, 0);
}

void session_on_delete(struct session *s, const struct pop3_command *cmd, bool ok, struct slice text)
{
	s->picks.v[cmd->tag].asked = false;
	s->refused_at = ok ? 0 : cmd->tag + 1;
	if (ok) {
		s->picks.v[cmd->tag].deleted = true;
		s->deleted++;
		return;
	}
	log_warning("fetch.delete_refused", kv_s("sid", s->sid), kv_u("number", cmd->number), kv_n("reply", text));
}

void session_on_quit(struct session *s, const struct pop3_command *cmd, bool ok, struct slice text)
{
	struct buf why;

	(void)cmd;
	if (!ok && s->deleted > 0) {
		buf_init(&why, 512);
		buf_add_str(&why, "the server did not confirm the deletions: ");
		text_escape(&why, text, 300);
		s->deleted = 0;
		session_end(s, SESSION_LATER, buf_str(&why));
		buf_free(&why);
		return;
	}
	if (s->deleted > 0)
		session_close_records(s);
	else
		session_end(s, SESSION_WELL, "");
}
