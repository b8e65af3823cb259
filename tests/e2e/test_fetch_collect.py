"""Collecting from a real Dovecot: every message once, byte for byte, and deleted only when it is safe."""
import re

import pytest

from lib import scratch
from lib.gateway import body, message


def account(dovecot, box, **kw):
    keys = {"host": "127.0.0.1", "port": dovecot.port, "security": "none", "user": box, "password": "secret",
            "keep": 0, "deliver": "anna"}
    keys.update(kw)
    return {k: v for k, v in keys.items() if v is not None}


def without_stamp(stored):
    """The message as the provider sent it: all but our Received line, which is the first line."""
    first, _, rest = stored.partition(b"\r\n")
    assert re.match(rb"Received: from \S+ by gate\.test with POP3 \(account .*, uidl .*\); ", first), first
    return rest


AWKWARD = [
    message("plain"),
    message("dots", body=b".\r\n..\r\n.dot\r\nend.\r\n.\r\n"),
    message("no body", body=b""),
    b"Subject: header only\r\n\r\n",
    message("8-bit", body=bytes(range(128, 256)) + b"\r\n"),
    message("long line", body=b"x" * 70000 + b"\r\n"),
    message("spilled", body=b"0123456789abcdef" * 20000 + b"\r\n"),
    message("no final newline", body=b"last line"),
]


@pytest.mark.parametrize("kind", ["none", "starttls", "tls", "opportunistic"])
def test_every_message_arrives_as_it_is_and_is_deleted(gateway, dovecot, ca, mailbox, kind):
    dovecot.put(mailbox, *AWKWARD)
    g = gateway({"account info": account(dovecot, mailbox, security=kind, ca_file=ca.cert, host="localhost",
                                         port=dovecot.tls_port if kind == "tls" else dovecot.port,
                                         tls_verify="no" if kind != "none" else None)})
    g.sync()
    got = g.wait_box("anna", len(AWKWARD))
    want = [m if m.endswith(b"\r\n") else m + b"\r\n" for m in AWKWARD]
    assert sorted(map(without_stamp, got)) == sorted(want)
    assert dovecot.count(mailbox) == 0
    g.sync()
    assert len(g.box("anna")) == len(AWKWARD)


@pytest.mark.parametrize("auth", ["auto", "plain", "apop", "cram-md5"])
def test_each_way_of_logging_in(gateway, dovecot, mailbox, auth):
    dovecot.put(mailbox, message("in"))
    g = gateway({"account info": account(dovecot, mailbox, auth=auth)})
    g.sync()
    assert len(g.wait_box("anna")) == 1
    assert ("APOP" in dovecot.log() or "apop" in dovecot.log()) or auth != "apop" or dovecot.count(mailbox) == 0


def test_certificate_is_verified(gateway, dovecot, ca, mailbox):
    dovecot.put(mailbox, message("in"))
    g = gateway({"account info": account(dovecot, mailbox, security="tls", port=dovecot.tls_port, ca_file=ca.cert,
                                         host="localhost")})
    p = g.ctl("sync", "--wait")
    assert p.returncode == 1
    assert "certificate" in g.ctl("status").stdout + p.stdout + p.stderr
    assert dovecot.count(mailbox) == 1 and g.box("anna") == []


def test_pipelining_saves_round_trips(gateway, dovecot, mailbox, proxy):
    dovecot.put(mailbox, *[message(f"m{n}", body=b"line\r\n" * 500) for n in range(200)])
    line = proxy(dovecot.port, delay=0.02)
    g = gateway({"account info": account(dovecot, mailbox, port=line.port)})
    g.sync()
    assert len(g.box("anna")) == 200  # at once: a sync is over when its mail stands in the mailboxes
    assert dovecot.count(mailbox) == 0
    assert line.rounds() < 20, line.rounds()
    print("rounds", line.rounds())


@pytest.mark.parametrize("keep", ["forever", "14d"])
def test_kept_mail_is_not_fetched_again(gateway, dovecot, mailbox, keep):
    dovecot.put(mailbox, *[message(f"m{n}") for n in range(5)])
    g = gateway({"account info": account(dovecot, mailbox, keep=keep)})
    g.sync()
    g.wait_box("anna", 5)
    dovecot.put(mailbox, message("new"))
    g.sync()
    g.restart(kill=True)
    g.sync()
    assert g.subjects("anna") == ["m0", "m1", "m2", "m3", "m4", "new"]
    assert dovecot.count(mailbox) == 6


def test_first_new_takes_nothing_old_and_deletes_nothing(gateway, dovecot, mailbox):
    dovecot.put(mailbox, message("old 1"), message("old 2"))
    g = gateway({"account info": account(dovecot, mailbox, first="new")})
    g.sync()
    dovecot.put(mailbox, message("new"))
    g.sync()
    g.wait_box("anna", 1)
    assert g.subjects("anna") == ["new"]
    assert dovecot.count(mailbox) == 2


def test_first_new_of_an_empty_mailbox_takes_what_comes(gateway, dovecot, mailbox):
    g = gateway({"account info": account(dovecot, mailbox, first="new")})
    g.sync()
    dovecot.put(mailbox, message("new"))
    g.sync()
    assert len(g.wait_box("anna", 1)) == 1


def test_first_days_takes_the_recent_ones(gateway, dovecot, mailbox):
    from email.utils import formatdate
    import time
    dovecot.put(mailbox, b"Subject: old\r\nDate: Tue, 01 Jan 2019 10:00:00 +0000\r\n\r\nx\r\n",
                b"Subject: recent\r\nDate: " + formatdate(time.time() - 86400).encode() + b"\r\n\r\nx\r\n")
    g = gateway({"account info": account(dovecot, mailbox, first="30d")})
    g.sync()
    g.wait_box("anna", 1)
    assert g.subjects("anna") == ["recent"]
    assert dovecot.count(mailbox) == 1


def test_large_mail_stays_and_is_told_once(gateway, dovecot, mailbox):
    dovecot.put(mailbox, message("small"), message("large", body=b"x" * 200000 + b"\r\n"))
    g = gateway({"account info": account(dovecot, mailbox, max_message_kib=100)})
    g.sync()
    g.sync()
    g.wait_box("anna", 1)
    assert g.subjects("anna") == ["small"] and dovecot.count(mailbox) == 1
    [report] = g.wait_box("postmaster", 1)
    assert b'KiB, anna@office.lan: "large"\r\n' in report
    g.reload({"account info": {"max_message_kib": 0}})
    g.sync()
    g.wait_box("anna", 2)
    assert g.subjects("anna") == ["large", "small"] and dovecot.count(mailbox) == 0


def test_unmatched_mail_goes_to_postmaster_and_says_why(gateway, dovecot, mailbox):
    dovecot.put(mailbox, message("whose", to="nobody@far.example"))
    g = gateway({"account info": account(dovecot, mailbox, deliver=None)})
    g.sync()
    assert b"\r\nX-Ofmsrv-Unsorted: " in g.wait_box("postmaster", 1)[0]


def test_wrong_password_stops_trying_and_is_told_once(gateway, dovecot, mailbox):
    g = gateway({"account info": account(dovecot, mailbox, password="wrong"), "sync": {"every": "1s"}})
    told = g.wait_box("postmaster", 1)
    assert b"refuse" in told[0]
    tries = g.log().count("event=fetch.begin") or g.log().count("fetch.begin")
    import time
    time.sleep(2.5)
    assert (g.log().count("fetch.begin")) == tries == 1
    assert g.ctl("sync", "--wait").returncode == 1
    dovecot.put(mailbox, message("in"))
    g.reload({"account info": {"password": "secret"}})
    g.sync()
    g.wait_box("anna", 1)
    assert len(g.wait_box("postmaster", 2)) == 2  # it works again


@pytest.mark.parametrize("after", [0, 40, 200, 400, 700, 1000, 2000, 5000, 20000, 30000])
def test_a_cut_session_loses_and_repeats_nothing(gateway, dovecot, mailbox, proxy, after):
    want = [message(f"m{n}", body=b"line\r\n" * 300) for n in range(20)]
    dovecot.put(mailbox, *want)
    line = proxy(dovecot.port)
    line.cut_after = after
    g = gateway({"account info": account(dovecot, mailbox, port=line.port)})
    assert g.ctl("sync", "--wait").returncode == 1
    line.cut_after = None
    g.sync()
    got = g.wait_box("anna", 20)
    assert sorted(map(without_stamp, got)) == sorted(want)
    assert dovecot.count(mailbox) == 0


def test_hundred_accounts_at_once(gateway, dovecot):
    boxes = [dovecot.add_user(f"hundred{n}") for n in range(100)]
    for b in boxes:
        dovecot.put(b, message(f"to {b}"))
    sections = {f"account {b}": account(dovecot, b) for b in boxes}
    sections["sync"] = {"parallel": 100}
    g = gateway(sections)
    g.sync()
    g.wait_box("anna", 100)
    assert g.subjects("anna") == sorted(f"to {b}" for b in boxes)
    assert all(dovecot.count(b) == 0 for b in boxes)


def test_password_command_is_run(gateway, dovecot, mailbox):
    dovecot.put(mailbox, message("in"))
    g = gateway({"account info": account(dovecot, mailbox, password=None, password_command="echo secret")})
    g.sync()
    assert len(g.wait_box("anna", 1)) == 1
    assert "secret" not in g.log()


def test_renamed_section_keeps_its_records(gateway, dovecot, mailbox):
    dovecot.put(mailbox, message("one"))
    g = gateway({"account info": account(dovecot, mailbox, keep="forever")})
    g.sync()
    g.wait_box("anna", 1)
    g.drop("account info")
    g.reload({"account renamed": account(dovecot, mailbox, keep="forever")})
    g.sync()
    assert g.subjects("anna") == ["one"]
