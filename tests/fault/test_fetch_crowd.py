"""Providers that allow few connections at once: the accounts there wait for each other, and nobody is told of a failure."""
import time

import pytest

from lib.gateway import message


def sections(p, n, **kw):
    return {f"account a{i}": {"host": "127.0.0.1", "port": p.port, "security": "none", "user": f"u{i}", "password": "secret",
                              "keep": 0, "deliver": "anna", **kw} for i in range(n)}


class Own:
    """Each log-in finds a mailbox of its own, of one message, and takes its time."""

    def __init__(self, p, seconds=0.5):
        self.p, self.seconds, self.taken = p, seconds, []
        self.turn = 0
        p.mail["x"] = message("of the provider's own reckoning")

    def again(self):
        self.turn += 1
        self.taken = []

    def __call__(self, verb, arg, n):
        def listing(s):
            rows = [] if s.name in self.taken else [f"1 x{self.turn}" if verb == "UIDL" else "1 100"]
            self.p.stopped.wait(self.seconds)
            s.numbers = ["x"]
            s.send("\r\n".join(["+OK", *rows, "."]).encode() + b"\r\n")

        def body(s):
            s.body("", "", message(f"of {s.name}"))

        def gone(s):
            self.taken.append(s.name)
            s.send(b"+OK\r\n")
        return {"UIDL": listing, "LIST": listing, "RETR": body, "DELE": gone}.get(verb)


def status(g):
    return g.json("status")["accounts"]


@pytest.mark.parametrize("crowded", ["-ERR too many connections from your address", "", "-ERR [SYS/TEMP] 421 busy, connection limit"])
def test_twelve_accounts_where_three_may_connect(gateway, provider, crowded):
    p = provider()
    p.reply, p.most, p.crowded = Own(p, 0.2), 3, crowded
    g = gateway(sections(p, 12))
    g.sync()
    assert g.subjects("anna") == sorted(f"of u{i}" for i in range(12))
    assert g.box("postmaster") == [] and all(a["last_error"] == "" for a in status(g))
    assert all(1 <= a["learnt"]["connections"] <= 3 for a in status(g))
    refusals = p.refusals
    p.reply.again()
    g.sync()
    assert p.refusals == refusals, "the limit is known"
    g.restart()
    p.reply.again()
    g.sync()
    assert p.refusals == refusals and len(g.box("anna")) == 36, "over a restart too"
    g.reload({f"account a{i}": {"pipelining": "off"} for i in range(12)})
    assert all(a["learnt"] == {} for a in status(g))


def test_a_limit_at_the_login(gateway, provider):
    """As Dovecot's, which counts when it knows who it is."""
    p = provider()
    own = Own(p)

    def reply(verb, arg, n):
        if verb == "PASS" and p.at_once > 2:
            return "-ERR [IN-USE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=2)"
        return own(verb, arg, n)

    p.reply = reply
    g = gateway(sections(p, 6))
    g.sync()
    assert len(g.box("anna")) == 6 and g.box("postmaster") == []
    assert all(a["last_error"] == "" for a in status(g))


def test_the_others_do_not_wait_for_a_crowded_server(gateway, provider):
    slow, good = provider(), provider([message("in")])
    slow.reply, slow.most = Own(slow, seconds=4), 1
    g = gateway({**sections(slow, 5), "account good": {"host": "127.0.0.1", "port": good.port, "security": "none", "user": "g",
                                                       "password": "secret", "keep": 0, "deliver": "boris"},
                 "sync": {"parallel": 2}})
    g.ctl_ok("sync")
    g.wait_box("boris", 1, seconds=15)
    assert len(g.box("anna")) < 5


def test_refused_with_nobody_else_there_is_a_failure(gateway, provider):
    p = provider([message("in")])
    p.most = 0
    g = gateway(sections(p, 1))
    for _ in range(3):
        assert g.ctl("sync", "--wait").returncode == 1
    assert "too many connections" in status(g)[0]["last_error"]
    assert b"too many connections" in g.wait_box("postmaster", 1)[0]


def test_a_mailbox_in_use_teaches_no_limit(gateway, provider):
    p = provider()
    own, names = Own(p), {}

    def reply(verb, arg, n):
        if verb == "USER":
            names[n] = arg
        if verb == "PASS" and names[n] in ("u0", "u1"):
            return "-ERR [IN-USE] maildrop already locked"
        return own(verb, arg, n)

    p.reply = reply
    g = gateway(sections(p, 6))
    began = time.monotonic()
    assert g.ctl("sync", "--wait").returncode == 1
    assert time.monotonic() - began < 15
    assert [a["name"] for a in status(g) if a["last_error"]] == ["a0", "a1"]
    assert all(a["learnt"] == {} for a in status(g))
    assert g.subjects("anna") == [f"of u{i}" for i in range(2, 6)]
