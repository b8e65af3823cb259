/* What refusals speak of: replies as servers really give them. */
#include "send/smtp_topic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	enum smtp_topic topic;
	const char *reply;
} rows[] = {
    /* what was asked */
    {SMTP_TOPIC_COMMAND, "250 2.1.0 too many messages"},
    {SMTP_TOPIC_COMMAND, "550 5.1.1 <x@y.example>: Recipient address rejected: User unknown in virtual mailbox table"},
    {SMTP_TOPIC_COMMAND,
     "450 4.2.0 <x@y.example>: Recipient address rejected: Greylisted, see http://postgrey.example/"},
    {SMTP_TOPIC_COMMAND, "451 4.7.1 Greylisting in action, please come back in 00:05:00"},
    {SMTP_TOPIC_COMMAND, "452 4.2.2 The email account that you tried to reach is over quota"},
    {SMTP_TOPIC_COMMAND,
     "450-4.2.1 The user you are trying to contact is receiving mail at a rate that 450-4.2.1 prevents "
     "additional messages from being delivered."},
    {SMTP_TOPIC_COMMAND, "450 4.2.1 The recipient has exceeded message rate limit. Try again later."},
    {SMTP_TOPIC_COMMAND, "554 5.7.1 <x@y.example>: Relay access denied"},
    {SMTP_TOPIC_COMMAND, "552 5.3.4 Message size exceeds fixed limit"},
    {SMTP_TOPIC_COMMAND, "550 5.7.1 Generated content is rejected, limit of patience"},
    {SMTP_TOPIC_COMMAND, "421 4.3.2 Service shutting down"},
    {SMTP_TOPIC_COMMAND, "550 5.3.1 mail system full"},
    {SMTP_TOPIC_COMMAND, "450 4.2.1 mailbox busy"},
    {SMTP_TOPIC_COMMAND, "452 too many messages in the user's inbox"},
    /* busy */
    {SMTP_TOPIC_BUSY, "452 4.3.1 Insufficient system storage"},
    {SMTP_TOPIC_BUSY, "452 Insufficient system resources"},
    {SMTP_TOPIC_BUSY, "451 4.7.500 Server busy. Please try again later"},
    {SMTP_TOPIC_BUSY, "451 4.4.5 Please try again later"},
    {SMTP_TOPIC_COMMAND, "554 5.7.1 Message rejected under suspicion of SPAM"},
    {SMTP_TOPIC_COMMAND, "550 5.7.1 Too much spam in this message"},
    /* log-in */
    {SMTP_TOPIC_LOGIN, "530 5.7.0 Must issue a STARTTLS command first"},
    {SMTP_TOPIC_LOGIN, "535 5.7.8 Error: authentication failed"},
    {SMTP_TOPIC_LOGIN, "534 5.7.9 Please log in with your web browser"},
    {SMTP_TOPIC_LOGIN, "538 Encryption required"},
    /* rate */
    {SMTP_TOPIC_RATE, "454 Throttling failure: Maximum sending rate exceeded."},
    {SMTP_TOPIC_RATE, "454 Throttling failure: Daily message quota exceeded."},
    {SMTP_TOPIC_RATE, "450 4.7.1 Error: too much mail from 192.0.2.7"},
    {SMTP_TOPIC_RATE, "450 4.7.1 Error: too many recipients from 192.0.2.7"},
    {SMTP_TOPIC_RATE, "421 4.4.2 Message submission rate for this client has exceeded the configured limit"},
    {SMTP_TOPIC_RATE, "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail"},
    {SMTP_TOPIC_RATE, "450 4.7.28 please wait"},
    {SMTP_TOPIC_RATE, "451 4.7.1 Ratelimit \"user\" exceeded"},
    {SMTP_TOPIC_RATE, "452 4.7.1 Rate limit exceeded, try again in a minute"},
    {SMTP_TOPIC_RATE, "451 Domain firm.example has exceeded the max emails per hour (100/100 (100%)) allowed"},
    {SMTP_TOPIC_RATE, "450 too many messages, slow down"},
    {SMTP_TOPIC_RATE, "450 4.7.1 Quota exceeded for this hour"},
    {SMTP_TOPIC_RATE, "450 Requested action not taken: sending frequency too high"},
    {SMTP_TOPIC_RATE, "450 4.7.1 Client host rejected: cannot process so fast"},
    {SMTP_TOPIC_RATE, "454 4.7.1 Limit of 100 messages in 24 hours reached"},
    {SMTP_TOPIC_RATE, "421 4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred due to unexpected volume"},
    {SMTP_TOPIC_RATE, "451 4.7.0 You are sending too fast"},
    {SMTP_TOPIC_RATE, "450 4.7.0 Hourly sending limit reached"},
    {SMTP_TOPIC_RATE, "451 4.7.24 too many recipients per hour"},
    {SMTP_TOPIC_RATE, "550 5.4.5 Daily user sending limit exceeded"},
    /* recipients */
    {SMTP_TOPIC_RECIPIENTS, "452 4.5.3 Error: too many recipients"},
    {SMTP_TOPIC_RECIPIENTS, "550 5.5.3 Too many recipients"},
    {SMTP_TOPIC_RECIPIENTS, "452 too many recipients"},
    {SMTP_TOPIC_RECIPIENTS, "552 Too many recipients received this session: recipients limit is 50"},
    {SMTP_TOPIC_RECIPIENTS, "554 5.5.0 Number of recipients exceeds the limit of 25"},
    {SMTP_TOPIC_RECIPIENTS, "451 4.3.0 Maximum number of recipients per message exceeded"},
    {SMTP_TOPIC_RECIPIENTS, "452 4.5.3 Your message has too many recipients"},
    {SMTP_TOPIC_RECIPIENTS, "550 5.5.3"},
    /* messages in a connection */
    {SMTP_TOPIC_MESSAGES, "421 4.7.0 too many messages in this connection"},
    {SMTP_TOPIC_MESSAGES, "421 Too many transactions per session"},
    {SMTP_TOPIC_MESSAGES, "452 4.7.0 Too many mails in one session, reconnect"},
    {SMTP_TOPIC_MESSAGES, "421 4.4.5 Message limit for a single connection reached"},
    /* connections */
    {SMTP_TOPIC_CONNECTIONS, "421 4.7.0 mail.isp.example Error: too many connections from 192.0.2.7"},
    {SMTP_TOPIC_CONNECTIONS, "432 4.3.2 Concurrent connections limit exceeded"},
    {SMTP_TOPIC_CONNECTIONS, "421 Too many concurrent SMTP connections; please try again later."},
    /* pipelining, BDAT, our name */
    {SMTP_TOPIC_PIPELINING, "503 5.5.0 <DATA>: Data command rejected: Improper use of SMTP command pipelining"},
    {SMTP_TOPIC_PIPELINING, "554 SMTP synchronization error"},
    {SMTP_TOPIC_CHUNKING, "503 5.5.1 BDAT not allowed here"},
    {SMTP_TOPIC_HELLO, "504 5.5.2 <filesrv>: Helo command rejected: need fully-qualified hostname"},
    {SMTP_TOPIC_HELLO, "501 5.5.4 Invalid HELO/EHLO argument"},
};

static void topics(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (smtp_topic_of_line(rows[i].reply) != rows[i].topic)
			fail_msg("%s: %d", rows[i].reply, (int)smtp_topic_of_line(rows[i].reply));
}

static void words_over_several_lines(void **state)
{
	struct smtp_reader r;
	size_t used;

	(void)state;
	smtp_reader_init(&r);
	assert_int_equal(smtp_reader_feed(&r, slice_of("451-4.7.1 TOO MANY\r\n451 4.7.1 messages today\r\n"), &used),
	                 SMTP_READ_DONE);
	assert_int_equal(smtp_topic_of(&r.reply), SMTP_TOPIC_COMMAND); /* the code stands between them */
	assert_int_equal(smtp_reader_feed(&r, slice_of("451-TOO MANY\r\n451 messages today\r\n"), &used),
	                 SMTP_READ_DONE);
	assert_int_equal(smtp_topic_of(&r.reply), SMTP_TOPIC_RATE);
	smtp_reader_free(&r);
	assert_int_equal(smtp_topic_of_line(""), SMTP_TOPIC_COMMAND);
	assert_int_equal(smtp_topic_of_line("no reply"), SMTP_TOPIC_COMMAND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(topics),
	    cmocka_unit_test(words_over_several_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
