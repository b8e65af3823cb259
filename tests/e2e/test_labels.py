"""Labels are compared without case in every alphabet, everywhere in the same way."""
import pytest

from lib import scratch
from lib.gateway import message

LABEL, LOUD = "ящик Straße", "ЯЩИК sTRAßE"


@pytest.fixture
def g(gateway, dovecot, mailbox):
    box = {"host": "127.0.0.1", "port": dovecot.port, "security": "none", "user": mailbox, "password": "secret"}
    dovecot.put(mailbox, message("invoice 1", sender="shop@far.example", to="info@firm.example"))
    return gateway({f"account {LABEL}": box,
                    "relay Почта": {"host": "127.0.0.1", "port": scratch.free_port(), "senders": "anna@firm.example",
                                    "security": "none", "account": LOUD},
                    "rule Счета": {"field": "Subject", "contains": "invoice", "account": LOUD, "deliver": "anna"}})


def test_one_comparison(g):
    assert g.ctl("check").returncode == 0
    g.ctl_ok("sync", LOUD, "--wait")
    assert g.subjects("anna") == ["invoice 1"]
    eml = g.home / "one.eml"
    eml.write_bytes(message("invoice 2"))
    assert "anna" in g.ctl_ok("explain", eml, "--account", LOUD)
    assert "yes" in g.ctl_ok("rule", "test", "сЧЕТА", eml)
    assert g.ctl("test", "account", LOUD).returncode == 0
    assert "no [relay" not in g.ctl("test", "relay", "ПОЧТА").stderr
    assert "not held" in g.ctl("account", "resume", LOUD, "--known").stderr
    g.ctl_ok("account", "disable", LOUD)
    p = g.ctl("sync", LOUD)
    assert p.returncode == 1 and "not enabled" in p.stderr
    g.ctl_ok("account", "enable", LOUD)
    p = g.ctl("account", "add", LOUD, "--host", "x.example", "--user", "u", "--password-command", "true")
    assert p.returncode == 1 and "already" in p.stderr
    p = g.ctl("rule", "add", "СЧЕТА", "--field", "Subject", "--contains", "x", "--deliver", "anna")
    assert p.returncode == 1, "a second rule of that name"
