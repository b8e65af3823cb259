#include "check.h"
#include "ctl.h"
#include "explain.h"

#include <stddef.h>

static const char status_help[] =
    "Shows since when the daemon runs, where it listens, how many are connected, how each account's collections\n"
    "went and when the next is due, how long the queue is, and whether a sync runs.\n\n"
    "Times in --json are seconds since 1970.\n";

static const char sync_help[] =
    "Starts a sync now: sends all that is not held, and collects all accounts. With the names of accounts: collects\n"
    "only these, and sends nothing. Where a sync runs, this one begins beside it.\n\n"
    "  --wait    shows the progress, ends with the sync, and exits 1 if any part of it failed\n";

static const char queue_help[] = "The messages that wait for the relay.\n\n"
                                 "  list              all of them (this is what `ofmctl queue` alone does)\n"
                                 "  show ID           one message: its recipients, their states, and its header\n"
                                 "  drop WHICH        removes messages, or recipients, without a bounce\n"
                                 "  retry WHICH       tries again now\n"
                                 "  hold WHICH        keeps messages until they are released\n"
                                 "  release WHICH     ends a hold\n\n"
                                 "WHICH is a message's ID, an address (of the sender or of a recipient), or all.\n";

static const char explain_help[] =
    "Shows which rules match a message, on which text of its header, and whose mailboxes it would reach. Changes\n"
    "nothing, and needs no daemon. FILE may be one from a mailbox, or - for the standard input.\n\n"
    "  --account NAME    as if it had been collected by this account; a message that the gateway itself collected\n"
    "                    says so in its header\n";

static const char users_help[] = "Lists the users with the number and size of the messages in their mailboxes.\n";

static const char passwd_help[] =
    "Sets a user's password. It is asked for twice, without echo; where stdin is no terminal, one line is read from\n"
    "there. Its yescrypt hash replaces the user's password line in the ini file, and a running daemon reloads.\n";

static const char mailbox_help[] =
    "A user's mail, from the files themselves: whoever asks needs the rights to read them, and no daemon need run.\n\n"
    "  list            number, arrival, size, sender and subject of each message (this is what the USER alone does)\n"
    "  show NR         one message, by its number or its unique id in POP3\n"
    "  export [FILE]   all of it as an mbox file (a new one; without FILE: on the standard output)\n"
    "  restore FILE    puts the messages of an mbox file, or a single message, back: all of them or none\n";

static const char rule_help[] =
    "The sorter's rules.\n\n"
    "  list            all of them, in the order in which they are tried\n"
    "  add NAME        writes a rule behind the others in the ini file, and reloads: --field FIELDS, --contains TEXT "
    "or\n"
    "                  --matches PATTERN, --deliver USERS, and perhaps --account NAMES, --not, --copy, --stop\n"
    "  test NAME FILE...  whether a rule matches these messages, and on which text; with --field and --contains or "
    "--matches\n"
    "                  instead of a NAME, a rule that stands nowhere yet\n\n"
    "`ofmctl explain` shows what all rules together make of a message.\n";

static const char account_help[] =
    "The external mailboxes.\n\n"
    "  list            all of them (this is what `ofmctl account` alone does)\n"
    "  add NAME        writes an account into the ini file, and reloads: --host HOST, --user USER, and perhaps "
    "--port,\n"
    "                  --security, --keep, --first, --deliver, --password-file, --password-command. Without these two "
    "it\n"
    "                  asks for the password, or reads a line where stdin is no terminal\n"
    "  enable NAME, disable NAME   switches it on or off\n"
    "  resume NAME     ends a hold:\n\n"
    "A hold is put on an account whose server had changed all its message ids, so that nobody could tell known mail\n"
    "from new.\n\n"
    "  --known    what the server lists now was collected before: only later mail is new\n"
    "  --all      all of it is new, and is collected\n";

static const char journal_help[] =
    "What happened to each message, one line each: where it came from, by which rule it was sorted, who got it, and "
    "for\n"
    "each outside recipient whether it waits, was sent, deferred or bounced, by which relay and with what reply.\n"
    "Kept for 90 days and within 64 MiB.\n\n"
    "  --since T      30m, 2h, 3d (so long ago), today, yesterday, 13:30, 2026-11-24, 2026-11-24T13:30\n"
    "  --user U       the local user who sent or got it\n"
    "  --from A       part of the sender's address; --to A: of a recipient's; --subject S: of the subject\n"
    "  --id ID        the id in the 250 reply, an id of the queue, a Message-ID, or the provider's UIDL\n"
    "  --follow       goes on: a line for each message whenever something became of it\n"
    "  --csv          for a spreadsheet; with --json --follow: an object a line\n";

static const char report_help[] = "What a day added up to: messages collected, accepted from the LAN, refused; copies "
                                  "delivered; recipients outside that\n"
                                  "were sent to, put off (each once), refused for good, dropped; by user and account "
                                  "and hour; the queue and the largest\n"
                                  "mailboxes as they are now.\n\n"
                                  "  --day D    today (the default), yesterday, or 2026-11-24\n";

static const char metrics_help[] =
    "What Prometheus collects, in its text format: counts since the start, the queue, each account. With --json the "
    "same\nand more, for other programs.\n\n"
    "  --output FILE   writes the file anew, atomically, for node_exporter's textfile collector; where ofmsrv does not "
    "answer,\n"
    "                  that stands in it (ofmsrv_up 0), and the status is 1\n";

static const char health_help[] =
    "One line for Nagios, Icinga and the like, and their exit status: 0 all is well, 1 warning (an account fails or is "
    "held,\n"
    "mail waits in the queue for long), 2 critical (ofmsrv does not answer, the disk is full, no account works, mail "
    "waits for\n"
    "very long), 3 unknown.\n\n"
    "  --warning T, --critical T   how long the oldest message may wait in the queue (4h, 1d)\n";

static const char test_help[] = "Tries an account or the relay as it stands in the ini file: the name, the connection, "
                                "TLS and its certificate, the log-in,\n"
                                "and says in words what fails and what usually helps. Collects and sends nothing. "
                                "Needs no daemon, but the right to read\n"
                                "the passwords.\n\n"
                                "  account NAME    an [account NAME]\n"
                                "  relay [NAME]    [relay], or a [relay NAME]\n";

static const char init_help[] =
    "Asks for what a first configuration needs (the local domain, the mailbox at the "
    "provider, the relay, users, rules),\n"
    "suggests the servers of the big providers and those that DNS names for others (RFC "
    "6186), tries both log-ins, and writes\n"
    "a commented ini file that `ofmctl check` finds sound. Then it says what to type into "
    "Thunderbird. Answers may come from\n"
    "a pipe, one a line.\n\n"
    "  --force     writes over an ini file that somebody has changed since its installation\n"
    "  --no-test   tries no log-in\n"
    "  --no-dns    asks no name server for suggestions\n";

static const char top_help[] = "The gateway at a glance, on a terminal: accounts with their progress, the queue, the "
                               "last hour's traffic, a column a\n"
                               "minute, and the last messages.\n\n"
                               "  s  sync all            a  sync the chosen account\n"
                               "  r  retry the chosen message now    h  hold or release it    d  drop it (asks)\n"
                               "  Tab  from the queue to the accounts and back    Up, Down (k, j)  choose    q  quit\n";

static const char reload_help[] =
    "Reads the ini file again. A faulty one is refused, with every fault on stderr, and the old one stays in force.\n";

static const char stop_help[] =
    "Stops the daemon: it accepts nothing more, lets running transactions end, up to half a minute, and exits.\n";

/* In the order of `ofmctl --help`. */
const struct ctl_command ctl_commands[] = {
    {"init", "[--force] [--no-test] [--no-dns]", "write a first configuration, by questions", init_help, false,
     ctl_init},
    {"check", "[FILE]", "looks for faults and warnings in the ini file, without a daemon",
     "Prints every fault and warning of the configuration in one pass, as\n"
     "FILE:LINE: [section] key: what is wrong, and the mend. Needs no daemon. Status 1 on a fault.\n"
     "`ofmctl check --sample` prints a commented ini file, `ofmctl check --keys` all keys as JSON.\n",
     true, ctl_check},
    {"status", "", "what the gateway is doing", status_help, true, ctl_status},
    {"sync", "[ACCOUNT...] [--wait]", "send and collect now", sync_help, false, ctl_sync},
    {"queue", "[list | show ID | drop|retry|hold|release ID|ADDRESS|all]", "the messages that wait for the relay",
     queue_help, true, ctl_queue},
    {"explain", "FILE.eml [--account NAME]", "how the sorter would place a message", explain_help, true, ctl_explain},
    {"users", "", "users and their mailboxes", users_help, true, ctl_users},
    {"mailbox", "USER [list | show NR | export [FILE] | restore FILE]", "a user's mail: seen, exported, restored",
     mailbox_help, true, ctl_mailbox},
    {"rule", "[list | add NAME --field F --contains T --deliver U | test NAME FILE...]", "the sorter's rules",
     rule_help, true, ctl_rule},
    {"passwd", "USER", "set a user's password", passwd_help, false, ctl_passwd},
    {"journal", "[--since T] [--user U] [--from A] [--to A] [--subject S] [--id ID] [--follow] [--csv]",
     "what happened to each message", journal_help, true, ctl_journal},
    {"report", "[--day D]", "what a day added up to", report_help, true, ctl_report},
    {"account", "[list | add NAME --host H --user U | enable|disable NAME | resume NAME --known|--all]",
     "the external mailboxes", account_help, true, ctl_account},
    {"test", "account NAME | relay [NAME]", "try an account or the relay", test_help, true, ctl_test},
    {"top", "", "the gateway at a glance, live", top_help, false, ctl_top},
    {"metrics", "[--output FILE]", "counts for Prometheus", metrics_help, true, ctl_metrics},
    {"health", "[--warning T] [--critical T]", "one line for Nagios", health_help, true, ctl_health},
    {"reload", "", "read the ini file again", reload_help, false, ctl_reload},
    {"stop", "", "stop the daemon", stop_help, false, ctl_stop},
    {NULL, NULL, NULL, NULL, false, NULL},
};
