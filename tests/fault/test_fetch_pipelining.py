"""Servers that offer PIPELINING and cannot do it: nothing is lost, nothing is collected twice, and they are served one
command at a time from then on."""
import re
import time

import pytest

from lib import pop3liar
from lib.gateway import message


def account(p, **kw):
    keys = {"host": "127.0.0.1", "port": p.port, "security": "none", "user": "u", "password": "secret", "keep": 0,
            "deliver": "anna"}
    keys.update(kw)
    return keys


def learnt(g):
    return g.json("status")["accounts"][0]["learnt"]


def bursts(p, since=0):
    """How many commands came with each piece that the server read."""
    return [len(re.findall(rb"\r\n", b)) for _, b in p.bursts[since:]]


def test_what_comes_behind_a_login_is_lost_there(gateway, provider):
    """As with courier-pop, whose log-in program hands over to another."""
    p = provider([message(f"m{n}") for n in range(20)])
    p.forgets = "login"
    g = gateway({"account one": account(p)})
    began = time.monotonic()
    g.sync()
    assert time.monotonic() - began < 8 and len(g.box("anna")) == 20 and p.mail == {} and learnt(g) == {}
    assert max(bursts(p)) > 10, "pipelined where it may be"


@pytest.mark.parametrize("mechanism", ["USER", "PLAIN"])
def test_nothing_travels_with_a_change_of_state(gateway, provider, ca, mechanism):
    p = provider([message("in")], tls="stls", cert=ca.issue("localhost"), mechanisms=["PLAIN"] if mechanism == "PLAIN" else [],
                 caps=("TOP", "UIDL", "PIPELINING") + (("USER",) if mechanism == "USER" else ()))
    g = gateway({"account one": account(p, security="starttls", host="localhost", ca_file=ca.cert)})
    g.sync()
    lines = [b for _, b in p.bursts]
    states = [b for b in lines if re.match(rb"STLS|USER|PASS|AUTH|AHU", b)]
    assert len(states) >= 3 and all(b.count(b"\r\n") == 1 for b in states), lines
    assert not any(re.search(rb"\n(STLS|USER|PASS|AUTH)", b) for b in lines)


@pytest.mark.parametrize("keep", ["0", "forever"])
def test_all_but_the_first_of_several_commands_is_lost(gateway, provider, keep):
    p = provider([message(f"m{n}") for n in range(5)])
    p.forgets = "behind"
    g = gateway({"account one": account(p, keep=keep)})
    began = time.monotonic()
    g.sync()
    assert g.subjects("anna") == [f"m{n}" for n in range(5)] and time.monotonic() - began < 30
    assert g.box("postmaster") == [] and learnt(g) == {"no_pipelining": 1}
    seen = len(p.bursts)
    p.put(message("m5"))
    g.sync()
    g.restart(kill=True)
    p.put(message("m6"))
    g.sync()
    assert set(bursts(p, seen)) == {1}, "remembered, over a restart too"
    assert g.subjects("anna") == [f"m{n}" for n in range(7)]
    g.reload({"user boris": {"name": "B"}})
    assert learnt(g) == {"no_pipelining": 1}
    p.forgets = None
    seen = len(p.bursts)
    g.reload({"account one": {"timeout": "4m"}})
    assert learnt(g) == {}
    g.sync()
    assert max(bursts(p, seen)) > 1, "a changed section is a new chance"


def test_pipelining_off(gateway, provider):
    p = provider([message(f"m{n}") for n in range(5)])
    g = gateway({"account one": account(p, pipelining="off")})
    g.sync()
    assert set(bursts(p)) == {1} and len(g.box("anna")) == 5 and p.mail == {}


@pytest.mark.parametrize("keep", ["0", "forever"])
def test_a_reply_is_missing_among_many(gateway, provider, keep):
    """The replies behind it are taken for those of other messages. Each message is there in the end, and what was not
    received is not deleted."""
    mail = {f"m{n}": message(f"m{n}", body=b"%d\r\n" % n * 10) for n in range(8)}
    p = provider(list(mail.values()))
    pipelined = []

    def reply(verb, arg, n):
        if verb == "RETR" and arg == "3" and not pipelined:
            pipelined.append(n)
            return b""
        return None

    p.reply = reply
    g = gateway({"account one": account(p, keep=keep)})
    g.ctl("sync", "--wait")
    g.ctl("sync", "--wait")
    assert set(g.subjects("anna")) == set(mail), g.subjects("anna")
    assert len(p.mail) == (8 if keep == "forever" else 0)
    before = len(g.box("anna"))
    g.sync()
    assert len(g.box("anna")) == before


def test_replies_out_of_place(gateway, provider):
    """UIDL and LIST are answered the wrong way round where they come together."""
    p = provider([message("in")])
    held = []

    def reply(verb, arg, n):
        def swapped(s):
            if verb == "UIDL" and s.buffer:
                held.append(n)
                return
            if verb == "LIST" and n in held:
                s.send(b"+OK\r\n1 100\r\n.\r\n+OK\r\n1 u0\r\n.\r\n")
                return
            rows = s.rows()
            s.send("\r\n".join(["+OK", *(f"{i} {u if verb == 'UIDL' else size}" for i, u, size in rows), "."]).encode() + b"\r\n")
        return swapped if verb in ("UIDL", "LIST") else None

    p.reply = reply
    g = gateway({"account one": account(p)})
    g.sync()
    assert g.subjects("anna") == ["in"] and p.mail == {} and learnt(g) == {"no_pipelining": 1}
    assert g.box("postmaster") == []


def test_a_server_that_closes_on_several_commands(gateway, provider):
    p = provider([message("in")])
    p.reply = lambda verb, arg, n: (lambda s: s.end() if s.buffer else s.send(b"+OK\r\n.\r\n")) if verb == "CAPA" and \
        p.said("PASS") and len(p.said("PASS")) == 1 else None
    g = gateway({"account one": account(p)})
    g.sync()
    assert g.subjects("anna") == ["in"] and learnt(g) == {"no_pipelining": 1}


def test_a_slow_server_is_not_taken_for_a_broken_one(gateway, provider):
    """UIDL takes longer than silence is put up with among several commands. Alone it takes as long: so it is not that."""
    p = provider([message("in")])
    p.reply = lambda verb, arg, n: (lambda s: (p.stopped.wait(12), s.send(b"+OK\r\n1 u0\r\n.\r\n"))) if verb == "UIDL" \
        else None
    g = gateway({"account one": account(p, keep="forever")})
    g.sync()
    assert g.subjects("anna") == ["in"] and learnt(g) == {} and p.connections == 2
    g.sync()
    assert p.connections == 3


def test_silence_is_put_up_with_as_long_as_configured(gateway, provider):
    p = provider([message("in")], caps=("TOP", "UIDL", "USER"), reply=lambda verb, arg, n: pop3liar.HANG if verb == "UIDL" else None)
    g = gateway({"account one": account(p, timeout="4s")})
    began = time.monotonic()
    assert g.ctl("sync", "--wait").returncode == 1
    assert 3 < time.monotonic() - began < 8
    p.reply = lambda verb, arg, n: (lambda s: (p.stopped.wait(2.5), s.send(b"+OK slow\r\n"))) if verb in ("USER", "QUIT") else None
    g.sync()
    assert g.subjects("anna") == ["in"]
    p.reply = lambda verb, arg, n: (lambda s: s.drip(b"+OK slow\r\n", 0.7)) if verb == "USER" else None
    began = time.monotonic()
    assert g.ctl("sync", "--wait").returncode == 1
    assert 3 < time.monotonic() - began < 8, "an octet now and then is no log-in"
