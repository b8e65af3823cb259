"""Addresses and header fields beyond ASCII (RFC 6531, 6532): taken, delivered, passed on as the relay can take them, or told."""
import os
import re

import pytest

from lib import gateway as gw
from lib import postfix as pf
from lib import scratch
from lib.sending import sync, to

SUBJECT = "Счёт № 17"
WITH, WITHOUT = ("PIPELINING", "8BITMIME", "SMTPUTF8"), ("PIPELINING", "8BITMIME")


def letter(to="boris@office.lan", sender="anna@office.lan"):
    return f"From: Анна <{sender}>\r\nTo: {to}\r\nSubject: {SUBJECT}\r\nDate: Mon, 30 Nov 2026 10:00:00 +0000\r\n" \
           "Message-ID: <utf8@client.test>\r\n\r\nтекст\r\n".encode()


def send(g, recipients, message, sender="anna@office.lan", params=" SMTPUTF8"):
    with g.smtp() as s:
        s.ok(f"MAIL FROM:<{sender}>{params}", 250)
        for r in recipients:
            s.ok(f"RCPT TO:<{r}>", 250)
        assert s.data(message)[0] == 250


@pytest.fixture
def null_client():
    """null_client(gateway) starts a Postfix whose relay that is."""
    if os.getuid() != 0:
        pytest.skip("Postfix runs as root alone")
    made = []

    def make(g):
        made.append(pf.NullClient(g.smtp_port))
        return made[-1]
    yield make
    for p in made:
        p.close()


def test_offered(gateway):
    g = gateway()
    with g.smtp() as s:
        assert {"SMTPUTF8", "8BITMIME"} <= set(s.ehlo.split("\n"))


def test_letter_of_a_stock_postfix_arrives(gateway, null_client, relay):
    """A null client gives each letter with a raw subject to whoever offers SMTPUTF8, and to nobody else."""
    g = gateway(to(relay.notls_port))
    n = null_client(g)
    n.sendmail("anna@office.lan", ["boris@office.lan", "x@far.example"], letter().replace(b"\r\n", b"\n"))
    scratch.wait_for(lambda: g.box("boris") or "status=bounced" in n.log(), 60, lambda: n.log() + g.log())
    assert "status=bounced" not in n.log(), n.log()
    got = g.box("boris")[0]
    assert f"\r\nSubject: {SUBJECT}\r\n".encode() in got and b" with UTF8SMTP id " in got
    g.sync()
    assert SUBJECT.encode() in relay.wait("x@far.example")[0].raw


def test_passed_on_where_the_relay_offers_it(gateway, liar):
    r = liar(offers=WITH)
    g = gateway(to(r.port))
    send(g, ["x@far.example"], letter())
    g.sync()
    assert r.verbs("MAIL") == ["MAIL FROM:<anna@firm.example> BODY=8BITMIME SMTPUTF8"]
    assert f"Subject: {SUBJECT}\r\n".encode() in r.accepted[0].data


def test_fields_alone_travel_without_it(gateway, liar):
    r = liar(offers=WITHOUT)
    g = gateway(to(r.port))
    send(g, ["x@far.example"], letter())
    g.sync()
    assert r.verbs("MAIL") == ["MAIL FROM:<anna@firm.example> BODY=8BITMIME"]
    assert f"Subject: {SUBJECT}\r\n".encode() in r.accepted[0].data


@pytest.mark.parametrize("offers", [WITH, WITHOUT], ids=["offered", "not offered"])
def test_domains_travel_in_ascii(gateway, liar, offers):
    r = liar(offers=offers)
    g = gateway(to(r.port))
    send(g, ["x@почта.рф"], letter())
    g.sync()
    assert r.accepted[0].recipients == ["x@xn--80a1acny.xn--p1ai"]


def test_an_address_goes_where_it_can(gateway, liar):
    r = liar(offers=WITH)
    g = gateway(to(r.port))
    send(g, ["борис@far.example", "x@far.example"], letter())
    g.sync()
    [mail] = r.verbs("MAIL")
    assert mail.endswith(" SMTPUTF8")
    assert [x.encode("latin1").decode() for x in r.accepted[0].recipients] == ["борис@far.example", "x@far.example"]


def test_an_address_that_cannot_go_comes_back(gateway, liar):
    r = liar(offers=WITHOUT)
    g = gateway(to(r.port))
    send(g, ["борис@far.example", "x@far.example"], letter())
    sync(g)
    [bounce] = g.wait_box("anna")
    assert "SMTPUTF8" not in r.verbs("MAIL")[0] and r.accepted[0].recipients == ["x@far.example"]
    status = bounce.split(b"message/delivery-status")[1]
    assert b"Status: 5.6.7\r\n" in status and rb"Final-Recipient: utf-8; \x{431}\x{43E}\x{440}\x{438}\x{441}@far.example" in status
    assert "<борис@far.example>".encode() in bounce
    g.wait_queue(0)


def test_it_outlives_a_restart_and_the_database(gateway, liar):
    r = liar(offers=WITH)
    g = gateway(to(r.port))
    send(g, ["x@far.example"], letter())
    g.wait_queue(1)
    g.restart()
    g.kill()
    for p in (g.home / "state").glob("ofmsrv.db*"):
        p.unlink()
    g.start()
    scratch.wait_for(lambda: g.json("queue", "list")["messages"], 20, "the queue rebuilt")
    g.ctl_ok("queue", "release", "all")
    g.sync()
    assert r.verbs("MAIL") == ["MAIL FROM:<anna@firm.example> BODY=8BITMIME SMTPUTF8"]


def test_what_is_no_utf8_is_no_address(gateway):
    g = gateway()
    with g.smtp() as s:
        assert s.cmd(b"MAIL FROM:<\xe0\xed\xed\xe0@x.example> SMTPUTF8")[0] == 553
        s.ok("MAIL FROM:<anna> SMTPUTF8")
        for bad in (b"<a\xff@x.example>", b"<a@\xd0.example>"):
            assert s.cmd(b"RCPT TO:" + bad)[0] == 553
        for bad in ("<a\x85@x.example>", "<a\u2028@x.example>", "<a@x\u3000y.example>"):
            assert s.cmd(f"RCPT TO:{bad}")[0] == 501


def test_pop3_gives_it_as_it_came(gateway):
    g = gateway({"user boris": {"password": "x"}})
    text = letter()
    send(g, ["boris"], text)
    g.wait_box("boris")
    with g.pop3("boris", "x") as p:
        got = p.retr(1)
        assert got.endswith(text)
        assert re.search(rb"^Received: from client\.test .*\r\n\tby gate\.test with UTF8SMTP id ", got, re.M), got
