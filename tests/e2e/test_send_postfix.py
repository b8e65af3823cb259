"""The outqueue against a real Postfix: delivery, partial refusal, TLS and log-in, every way of travelling."""
import re

import pytest

from lib import gateway as gw
from lib import scratch


def to(port, **keys):
    return {"relay": {"host": "localhost", "port": port, "security": "none", "auth": "off", "retry": "1s", **keys}}


def mail(g, recipients, sender="anna@office.lan", **kw):
    g.send(sender, recipients, gw.message(sender=sender, to=recipients[0], **kw))


def stored(delivered):
    """The body as Postfix stores it: with LF line ends."""
    return delivered.raw.partition(b"\n\n")[2]


def test_three_recipients_three_fates(gateway, relay):
    relay.refuse({"no@far.example": "550 5.1.1 nobody of that name", "later@far.example": "451 4.2.1 not now"})
    g = gateway(to(relay.port, retry="1h"))
    mail(g, ["yes@far.example", "no@far.example", "later@far.example"], subject="three")
    g.wait_queue(1)
    assert g.ctl("sync", "--wait", timeout=60).returncode == 1  # not all went well
    got = relay.wait("yes@far.example")
    assert got[0].sender == "anna@firm.example"
    assert got[0].message["From"] == "anna@firm.example"
    bounce = g.wait_box("anna")[0]
    assert re.search(rb"Final-Recipient: rfc822; no@far.example\r\nAction: failed\r\nStatus: 5\.1\.1\r\n", bounce)
    assert b"later@far.example" not in bounce.split(b"message/rfc822")[0]
    [entry] = g.json("queue", "list")["messages"]
    states = {r["address"]: r["state"] for r in g.json("queue", "show", entry["id"])["message"]["recipients"]}
    assert states == {"yes@far.example": "delivered", "no@far.example": "bounced", "later@far.example": "waiting"}
    relay.refuse()
    g.sync()
    relay.wait("later@far.example")
    g.wait_queue(0)
    assert len(relay.to("yes@far.example")) == 1
    assert len(g.box("anna")) == 1
    assert not list((g.home / "outqueue").glob("*.e*"))


@pytest.mark.parametrize("kind", ["chunking", "bare", "starttls", "tls", "login"])
def test_each_way_there(gateway, relay, ca, dovecot, kind):
    keys = {
        "chunking": to(relay.notls_port),
        "bare": to(relay.bare_port),
        "starttls": to(relay.port, security="starttls", ca_file=ca.cert),
        "tls": to(relay.tls_port, security="tls", ca_file=ca.cert),
        "login": to(relay.auth_port, security="starttls", ca_file=ca.cert, auth="auto", user=dovecot.add_user("sender"),
                    password="secret"),
    }[kind]
    g = gateway(keys)
    body = b"..dots\r\n.\r\n.x\r\n\xd0\xb9\xff 8-bit\r\nend"
    mail(g, ["a@far.example", "b@far.example"], body=body, subject="bytes")
    big = b"".join(b"%07d line of an attachment, and then some\r\n" % n for n in range(100_000))
    mail(g, ["c@far.example"], body=big, subject="big")
    g.wait_queue(2)
    g.sync()
    assert stored(relay.wait("a@far.example")[0]) == body.replace(b"\r\n", b"\n") + b"\n"
    relay.wait("b@far.example")
    assert stored(relay.wait("c@far.example")[0]) == big.replace(b"\r\n", b"\n")
    g.wait_queue(0)


@pytest.mark.parametrize("bare", [False, True])
def test_two_hundred_messages_take_few_round_trips(gateway, relay, proxy, bare):
    # Some way off, as relays are: next door it can answer faster than a busy disk records its answers, which is waited for.
    line = proxy(relay.bare_port if bare else relay.notls_port, delay=0.01)
    g = gateway(to(line.port, connections=1))
    with g.smtp() as s:
        for n in range(200):
            s.mail("anna@office.lan", ["many@far.example"], gw.message(subject=f"n{n}", to="many@far.example"))
    g.wait_queue(200)
    g.sync()
    relay.wait("many@far.example", 200, 60)
    assert sorted(int(d.message["Subject"][1:]) for d in relay.to("many@far.example")) == list(range(200))
    # One transaction a round trip without CHUNKING; with it, twenty and more.
    assert line.rounds() <= (230 if bare else 30), line.rounds()


def test_relay_down_and_up_again(gateway, relay, proxy):
    line = proxy(relay.notls_port)
    line.down = True
    g = gateway(to(line.port, retry="1s") | {"sync": {"on_send": "yes"}})
    mail(g, ["x@far.example"])
    g.wait_queue(1)

    def tried():
        [m] = g.json("queue", "list")["messages"]
        return m["attempts"] >= 2
    scratch.wait_for(tried, 30, g.log)
    line.down = False
    relay.wait("x@far.example")
    g.wait_queue(0)
    assert g.box("anna") == []


def test_wrong_certificate_sends_no_credentials_and_nothing_bounces(gateway, relay, dovecot):
    g = gateway(to(relay.auth_port, security="starttls", auth="auto", user=dovecot.add_user("sender"), password="secret",
                   retry="1h"))
    mail(g, ["x@far.example"])
    g.wait_queue(1)
    assert g.ctl("sync", "--wait").returncode == 1
    assert g.ctl("sync", "--wait").returncode == 1
    assert g.box("anna") == [] and relay.to("x@far.example") == []
    report = g.wait_box("postmaster")[0]
    assert b"certificate is not trusted" in report and b"ca_file" in report
    g.ctl("sync", "--wait")
    assert len(g.box("postmaster")) == 1  # told once


def test_its_limit_of_messages_slows_all_and_delays_none(gateway, relay):
    """smtpd_client_message_rate_limit: 450 4.7.1 too much mail."""
    g = gateway(to(relay.strict_port, retry="1h") | {"server": {"hostname": "gate.firm.example"}})
    with g.smtp() as s:
        for n in range(60):
            s.mail("anna@office.lan", ["rated@far.example"], gw.message(subject=f"n{n}", to="rated@far.example"))
    g.wait_queue(60)
    g.ctl_ok("sync", "--wait", timeout=120)
    relay.wait("rated@far.example", 60, 60)
    assert "too much mail" in g.log() and "send.deferred" not in g.log()
    g.wait_queue(0)
    [r] = g.json("status")["relays"]
    assert r["learnt"]["rate"] > 25


def test_its_limit_of_recipients_splits(gateway, relay):
    g = gateway(to(relay.strict_port, retry="1h") | {"server": {"hostname": "gate.firm.example"}})
    mail(g, [f"r{n}@many.example" for n in range(50)])
    g.wait_queue(1)
    g.ctl_ok("sync", "--wait", timeout=120)
    g.wait_queue(0)
    for n in range(50):
        assert len(relay.wait(f"r{n}@many.example")) == 1
    [r] = g.json("status")["relays"]
    assert r["learnt"]["recipients_at_once"] == 20
    assert g.box("anna") == []


def test_it_refuses_a_name_without_a_dot(gateway, relay):
    g = gateway(to(relay.strict_port, retry="1h") | {"server": {"hostname": "filesrv"}})
    mail(g, ["x@far.example"])
    g.wait_queue(1)
    g.ctl("sync", "--wait", timeout=60)
    [bounce] = g.wait_box("anna")
    assert b"504 5.5.2" in bounce and b"set hostname in [server]" in re.sub(rb"\s+", b" ", bounce)
