"""language = ru: what people read is Russian down to the reason, whatever causes it."""
import email
import email.policy
import os
import re

import pytest

from lib import scratch
from lib.gateway import message
from lib.sending import mail, sync, to

SRC = scratch.ROOT / "src"
# A line that a person reads and no letter of Russian stands in it: addresses, commands, keys and what peers said are
# quoted or indented alone.
PROSE = re.compile(r"\b[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}\b")


def texts(raw):
    m = email.message_from_bytes(raw, policy=email.policy.default)
    part = m.get_body(("plain",))
    return str(m["Subject"]).strip(), part.get_content()


def assert_russian(raw, *words, said=()):
    """Russian through and through; `said` is what a peer said, and may stand there as it is."""
    subject, text = texts(raw)
    assert re.search("[А-я]", subject), subject
    for s in said:
        assert s in text, (s, text)
        text = text.replace(s, "")
    plain = re.sub(r"`[^`]*`|\([^)]*\)|«[^»]*»", "", text)
    plain = "\n".join(line for line in plain.splitlines() if not line.strip().startswith("ofmctl "))
    assert not PROSE.search(plain), PROSE.search(plain).group() + "\n" + text
    for w in words:
        assert w in text, (w, text)


def account(dovecot, user, **more):
    return {"host": "127.0.0.1", "port": dovecot.port, "security": "none", "user": user, "password": "secret", **more}


def collect(g, times=1):
    for _ in range(times):
        g.ctl("sync", "--wait")


@pytest.fixture
def russian(gateway):
    return lambda sections: gateway({"server": {"language": "ru"}, **sections})


def test_log_in_refused_and_working_again(russian, dovecot, mailbox):
    g = russian({"account info": account(dovecot, mailbox, password="wrong")})
    collect(g, 2)
    [m] = g.wait_box("postmaster")
    assert_russian(m, "info", mailbox, "вход отклонён", "пароля приложения", "ofmctl sync", said=["Authentication failed."])
    g.reload({"account info": {"password": "secret"}})
    collect(g)
    assert_russian(g.wait_box("postmaster", 2)[1], "снова работает")


def test_a_server_that_is_not_there(russian, dovecot, mailbox):
    g = russian({"account info": account(dovecot, mailbox, port=scratch.free_port())})
    collect(g, 3)
    [m] = g.wait_box("postmaster")
    assert_russian(m, "нет соединения", "ofmctl test account", "127.0.0.1")


def test_too_large(russian, dovecot, mailbox):
    dovecot.put(mailbox, message("big", body=b"x" * 70 * 997 + b"\r\n"))
    g = russian({"account info": account(dovecot, mailbox, max_message_kib=10)})
    collect(g)
    [m] = g.wait_box("postmaster")
    assert_russian(m, "письмо 1: 68 КиБ", "10 КиБ", mailbox, "max_message_kib")


def test_a_rule_that_runs_away(russian, dovecot, mailbox):
    dovecot.put(mailbox, message("a" * 400 + "!", to="anna@firm.example"))
    g = russian({"account info": account(dovecot, mailbox),
                 "rule wild": {"field": "Subject", "matches": "^(a+)+$", "deliver": "boris"}})
    collect(g)
    [m] = g.wait_box("postmaster")
    assert_russian(m, "[rule wild]", "^(a+)+$", "ofmctl rule test")
    assert len(g.wait_box("anna")) == 1


def test_a_line_that_does_not_come_up(russian):
    g = russian({"connection": {"type": "command", "up": '"echo no carrier; exit 7"', "down": "/bin/true"}})
    collect(g)
    [m] = g.wait_box("postmaster")
    assert_russian(m, "код возврата 7", "вручную", said=["no carrier"])


def test_a_relay_whose_password_does_not_come(gateway):
    g = gateway({"server": {"language": "ru"}} | to(scratch.free_port(), auth="plain", user="me",
                                                    password_command="exit 3"))
    mail(g, "x@far.example")
    g.wait_queue(1)
    for _ in range(3):
        sync(g)
    [m] = g.wait_box("postmaster")
    assert_russian(m, "ничего не напечатала", "вручную")


def test_a_mailbox_that_cannot_be_written(russian):
    g = russian({"user carl": {}})
    g.stop()
    (g.home / "mailboxes" / "carl").rename(g.home / "elsewhere")
    os.symlink(g.home / "elsewhere", g.home / "mailboxes" / "carl")
    g.start()
    g.send("anna@office.lan", ["carl"], message("kept"))
    [m] = g.wait_box("postmaster")
    assert_russian(m, "символическ", "carl")


def test_a_bounce(gateway, liar):
    far = liar(lambda verb, arg, c: "550 5.1.1 no such user here" if verb == "RCPT" else None)
    g = gateway({"server": {"language": "ru"}} | to(far.port))
    mail(g, "x@far.example", subject="письмо")
    g.wait_queue(1)
    sync(g)
    [m] = g.wait_box("anna")
    assert_russian(m, "x@far.example", "опечатки", said=["550 5.1.1 no such user here"])


# ---- by the source: whoever adds a text adds its translation ----

def patterns():
    """The phrases of src/route/phrase.c as regular expressions."""
    table = (SRC / "route/phrase.c").read_text()
    rows = re.findall(r'\{\s*"((?:[^"\\]|\\.)*)",\s*"((?:[^"\\]|\\.)*)"\}', table)
    assert len(rows) > 70
    return [re.compile("".join(".*" if c == "*" else re.escape(c) for c in en) + "$", re.S) for en, _ in rows]


LITERAL = r'"((?:[^"\\]|\\.)*)"'
SOURCES = [("fetch/*.c", r"session_(?:end|note)\(\s*\w+,\s*SESSION_\w+,\s*" + LITERAL),
           ("fetch/*.c", r"err_set\(e, 0,\s*" + LITERAL),
           ("fetch/session*.c", r"(?:buf_add_str|buf_printf)\(&why,\s*" + LITERAL),
           ("fetch/session*.c", r"snprintf\(text,[^\"]*" + LITERAL),
           ("send/*.c", r"\.text = " + LITERAL), ("send/*.c", r"attempt_relay_failed\(m, " + LITERAL),
           ("send/smtp_*.c", r"\bsmtp_client_fail\(c, " + LITERAL), ("send/relay_target.c", r"buf_add_str\(&shown, " + LITERAL),
           ("net/outside*.c", r"outside_fail\(o, OUTSIDE_\w+,\s*" + LITERAL),
           ("net/outside_text.c", r"return " + LITERAL),
           ("net/outside_text.c", r"\{(?:r->rc|CURLE_\w+), OUTSIDE_\w+, " + LITERAL),
           ("sync/run.c", r"buf_(?:add_str|printf)\(out, " + LITERAL)]
# Ends of connections that are nobody's trouble, and what only the log gets.
QUIET = {"", "stopped", "done", "no longer wanted", "the gateway was stopped", ": ", "dropped: its file was removed"}


@pytest.mark.parametrize("glob,pattern", SOURCES)
def test_every_text_is_translated(glob, pattern):
    found = [t for p in sorted(SRC.glob(glob)) for t in re.findall(pattern, p.read_text())]
    assert found, "the source has changed: this test has to look elsewhere"
    known = patterns()
    for t in set(found) - QUIET:
        text = re.sub(r"%l*z?[dusi]", "7", t)
        text += " (reason)" if "CURLE" in pattern else "said" if text.endswith(": ") else ""
        assert any(k.match(text) for k in known), f"src/route/phrase.c knows no Russian for: {t}"


def test_no_report_is_written_but_as_a_letter():
    """Letters exist in both languages (tests/unit/test_letters.c): nothing else may go to postmaster."""
    callers = {str(p.relative_to(SRC)) for p in SRC.glob("*/*.c") if "report_format" in p.read_text()}
    assert callers == {"route/report.c", "digest/digest.c", "sync/reply.c"}, "these write in two languages by themselves"
