"""The main job whole: provider's mailbox, sorter, LAN user's mail program, and back out through the relay."""
import email
import email.policy

import pytest

from lib import clients, mailers
from lib.dovecot import Dovecot
from lib.gateway import message


@pytest.fixture
def provider(ca):
    """A Dovecot whose certificate is good for localhost."""
    d = Dovecot(ca, cert=ca.issue("localhost"))
    yield d
    d.close()


def test_provider_to_mail_program_and_back_out(gateway, provider, dovecot, relay, ca):
    """TLS with its certificate verified on every line outside; log-in at the relay with the account's own password."""
    provider.put("info", message("=?koi8-r?B?096j1A==?= 7", "client@far.example", "info@firm.example", b"please pay\r\n"))
    provider.put("sales", message("order", "client@far.example", "Anna <anna@firm.example>", b"ten of them\r\n"),
                message("who", "client@far.example", "someone@firm.example", b"?\r\n"))
    dovecot.add_user("info")  # whom the relay's log-in asks
    outside = {"host": "localhost", "security": "tls", "ca_file": ca.cert, "password": "secret"}
    local_cert, local_key = ca.issue("gate.test", also=("localhost",))
    g = gateway({
        "tls": {"certificate": local_cert, "key": local_key},
        "user anna": {"password": "pw"}, "user boris": {"password": "pw"}, "user chief": {"password": "pw"},
        "special": {"boss": "chief"},
        "account info": {**outside, "port": provider.tls_port, "user": "info", "keep": 0},
        "account sales": {**outside, "port": provider.port, "security": "starttls", "user": "sales", "keep": "forever"},
        "relay": {"host": "localhost", "port": relay.auth_port, "security": "starttls", "ca_file": ca.cert,
                  "account": "info"},
        "rule invoices": {"field": "Subject", "contains": "счёт", "deliver": "boris"},
        "connection": {"type": "command", "up": '"echo up >>line"', "down": '"echo down >>line"'},
    })
    # a letter to the daemon starts the session
    g.send("anna@office.lan", ["daemon@office.lan"], message("now"))
    g.wait_box("boris")
    g.wait_box("anna")
    g.wait_box("postmaster")
    assert g.subjects("anna") == ["order"] and g.subjects("postmaster") == ["who"]
    assert provider.count("info") == 0 and provider.count("sales") == 2
    # the mail program reads it
    with mailers.Mpop(g.pop3_port, "starttls", ca.cert, "anna", "pw") as mua:
        (order,) = mua.read()
    assert order.endswith(b"\nten of them\n")
    # and answers: the answer waits, the colleague has his copy at once, and the boss too
    with mailers.Msmtp(g.smtp_port, "starttls", ca.cert, "anna", "pw") as mua:
        mua.send("anna@office.lan", ["client@far.example", "boris@office.lan"],
                 message("Re: order", "anna@office.lan", "client@far.example, boris@office.lan", b"coming\r\n"))
    g.wait_queue(1)
    g.wait_box("boris", 2)
    assert "Re: order" in g.subjects("chief")
    assert not relay.to("client@far.example")
    g.sync()
    (out,) = relay.wait("client@far.example")
    assert out.sender == "anna@firm.example" and out.message["From"] == "anna@firm.example"
    assert out.message["To"] == "client@far.example, boris@firm.example"
    g.wait_queue(0)
    # nothing comes twice, and nobody got more than theirs
    g.sync()
    assert len(g.box("anna")) == 0 and len(g.box("boris")) == 2 and len(g.box("postmaster")) == 1
    assert len(relay.to("client@far.example")) == 1
    assert (g.home / "line").read_text().split() == ["up", "down"] * 3


def test_refusals_come_back_and_only_for_those_refused(gateway, relay, ca):
    relay.refuse({"no@far.example": "550 5.1.1 nobody here", "later@far.example": "451 4.2.1 come later"})
    g = gateway({"relay": {"host": "127.0.0.1", "port": relay.notls_port, "security": "none", "auth": "off"}})
    g.send("anna@office.lan", ["yes@far.example", "no@far.example", "later@far.example"], message("three"))
    g.wait_queue(1)
    g.ctl("sync", "--wait")
    assert len(relay.wait("yes@far.example")) == 1
    (bounce,) = g.wait_box("anna")
    report = email.message_from_bytes(bounce, policy=email.policy.default)
    assert report.get_content_type() == "multipart/report" and report.get_param("report-type") == "delivery-status"
    text = bounce.decode()
    assert "no@far.example" in text and "nobody here" in text and "later@far.example" not in text.split("Subject: three")[0]
    g.wait_queue(1)
    relay.refuse()
    g.sync()
    relay.wait("later@far.example")
    g.wait_queue(0)
    assert len(relay.to("yes@far.example")) == 1 and len(g.box("anna")) == 1


def test_two_gateways_kill_and_restart_lose_and_double_nothing(gateway):
    """One plays the provider for the other; both are killed with mail at every stage."""
    far = gateway({"server": {"domain": "far.example", "hostname": "far.test"}, "user info": {"password": "pw"},
                   "user client": {}}, name="far")
    near = gateway({"account a": {"host": "127.0.0.1", "port": far.pop3_port, "security": "none", "user": "info",
                                  "password": "pw", "keep": 0, "deliver": "anna"},
                    "relay": {"host": "127.0.0.1", "port": far.smtp_port, "security": "none", "auth": "off"}}, name="near")
    with far.smtp() as s, near.smtp() as t:
        for n in range(30):
            s.mail("info@far.example", "info@far.example", message(f"in{n:02}"))
            t.mail("anna@office.lan", ["boris@office.lan", "client@far.example"], message(f"out{n:02}"))
    near.restart(kill=True)
    far.restart(kill=True)
    near.sync()
    # What is accepted is safe at once, and stands in the folders a moment later.
    near.wait_box("anna", 30)
    near.wait_box("boris", 30)
    far.wait_box("client", 30)
    assert near.subjects("anna") == [f"in{n:02}" for n in range(30)]
    assert near.subjects("boris") == [f"out{n:02}" for n in range(30)]
    assert far.subjects("client") == [f"out{n:02}" for n in range(30)]
    assert far.box("info") == []
    with clients.POP3(near.pop3_port, "anna", "x") as p:
        assert p.stat()[0] == 30
    near.wait_queue(0)
