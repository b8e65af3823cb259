"""[special] daemon_reply: whoever writes to the daemon is told what was sent and collected."""
import email
import email.policy
import time

import pytest

from lib import gateway as gw, liar, scratch
from lib.gateway import message


def call(g, *senders):
    for s in senders:
        g.send(s, ["daemon@office.lan"], message("please", sender=s, to="daemon@office.lan"))


def replies(g, user, n=1):
    def found():
        return [m for m in g.box(user) if b"Auto-Submitted: auto-generated" in m]
    scratch.wait_for(lambda: len(found()) >= n, 60, lambda: f"{n} replies; {g.log()[-2500:]}")
    return [email.message_from_bytes(m, policy=email.policy.default) for m in found()]


@pytest.fixture
def far():
    r = liar.Liar(lambda verb, arg, c: "450 4.2.0 later" if verb == "RCPT" and "slow" in arg else None)
    yield r
    r.close()


def with_all(gateway, far, dovecot, mailbox, more=None):
    return gateway(gw.merged({
        "special": {"daemon_reply": "yes"},
        "relay": {"host": "127.0.0.1", "port": far.port, "security": "none"},
        "account shop": {"host": "127.0.0.1", "port": dovecot.port, "security": "none", "user": mailbox,
                         "password": "secret"}}, more))


def test_reply_says_what_was_done(gateway, far, dovecot, mailbox):
    dovecot.put(mailbox, message("a", to="boris@firm.example"), message("b", to="boris@firm.example"))
    g = with_all(gateway, far, dovecot, mailbox)
    g.send("boris@office.lan", ["x@far.example"], message("out"))
    g.wait_queue(1)
    call(g, "anna@office.lan")
    m = replies(g, "anna")[0]
    assert m["Subject"] == "Sync done: 2 collected, 1 sent" and m["Return-Path"] == "<>"
    text = m.get_content()
    assert "shop" in text and "Sent outside, by recipients: 1;" in text
    assert not replies(g, "boris", 0), "nobody else is told"


def test_reply_says_what_failed_in_russian(gateway, far, dovecot, mailbox):
    g = with_all(gateway, far, dovecot, mailbox,
                 {"server": {"language": "ru"}, "account shop": {"port": scratch.free_port()}})
    g.send("boris@office.lan", ["slow@far.example"], message("out"))
    g.wait_queue(1)
    call(g, "anna@office.lan")
    m = replies(g, "anna")[0]
    assert m["Subject"].strip() == "Сеанс связи завершён с ошибками: собрано 0, отправлено 0"
    text = m.get_content()
    assert "отложено: 1" in text and "Ещё ждёт в очереди: 1" in text and "администратору" in text
    assert any(line.startswith("  shop") and len(line.split()) > 2 for line in text.splitlines()), text


def test_each_caller_is_told_once(gateway, far, dovecot, mailbox):
    g = with_all(gateway, far, dovecot, mailbox, {"sync": {"min_interval": "3s"}})
    call(g, "anna@office.lan")
    replies(g, "anna")
    # Both fall into the interval: one sync serves them.
    call(g, "anna@office.lan", "boris@office.lan", "anna@office.lan")
    replies(g, "boris")
    time.sleep(1)
    assert (len(replies(g, "anna")), len(replies(g, "boris"))) == (2, 1)


def test_off_by_default(gateway, far, dovecot, mailbox):
    g = with_all(gateway, far, dovecot, mailbox, {"special": {"daemon_reply": None}})
    call(g, "anna@office.lan")
    scratch.wait_for(lambda: "sync.end" in g.log(), 30, "the sync")
    time.sleep(0.5)
    assert g.box("anna") == []


def test_reload_switches_it_on(gateway, far, dovecot, mailbox):
    g = with_all(gateway, far, dovecot, mailbox, {"special": {"daemon_reply": "no"}})
    g.reload({"special": {"daemon_reply": "yes"}})
    call(g, "anna@office.lan")
    assert replies(g, "anna")


@pytest.mark.parametrize("sender, extra", [("anna@office.lan", b"Auto-Submitted: auto-replied (vacation)\r\n"),
                                           ("", b"")], ids=["Auto-Submitted", "from <>"])
def test_automatic_letters_start_a_sync_and_get_no_answer(gateway, far, dovecot, mailbox, sender, extra):
    """Or two programs would answer each other for ever."""
    g = with_all(gateway, far, dovecot, mailbox, {"sync": {"min_interval": "1s"}, "user anna": {"password": "pw"}})
    with g.smtp() as s:
        s.auth_plain("anna", "pw")
        s.mail(sender, ["daemon@office.lan"], message("out of office", to="daemon@office.lan", extra=extra))
    scratch.wait_for(lambda: "sync.end" in g.log(), 30, "the sync")
    g.send("anna@office.lan", ["daemon@office.lan"], message("by hand", extra=b"Auto-Submitted: No\r\n"))
    replies(g, "anna")
    time.sleep(1)
    assert len(replies(g, "anna")) == 1
