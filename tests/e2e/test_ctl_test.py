"""ofmctl test takes the roads of collecting and of sending, up to where nothing is changed yet."""
import json

import pytest

from lib import pop3liar
from lib.gateway import message
from lib.sending import to


def steps(g, *args):
    p = g.ctl("test", *args, "--json")
    r = json.loads(p.stdout)
    assert r["works"] == (p.returncode == 0)
    return {s["step"]: s for s in r["steps"]}, p.returncode


def account(server, **more):
    return {"account a": {"host": "127.0.0.1", "port": server.port, "security": "none", "user": "u", "password": "secret", **more}}


def together(server, one, other):
    """Whether both commands came in one piece."""
    return any(one in b and other in b for b in (x[1] if isinstance(x, tuple) else x.encode() for x in server.bursts))


# ---- account ----

@pytest.mark.parametrize("off", [False, True], ids=["pipelined", "one by one"])
def test_an_account_is_listed_as_collecting_would(gateway, provider, off):
    p = provider([message("a"), message("b")])
    g = gateway(account(p, **({"pipelining": "off"} if off else {})), start=False)
    got, status = steps(g, "account", "a")
    assert status == 0 and got["mailbox"]["text"].startswith("2 messages"), got
    assert len(p.said("UIDL")) == len(p.said("LIST")) == 1 and not p.said("RETR") and not p.said("DELE")
    assert together(p, b"UIDL", b"LIST") != off
    assert not together(p, b"PASS", b"UIDL") and not together(p, b"USER", b"PASS"), "no command travels over the log-in"


def test_broken_pipelining_is_named(gateway, provider):
    """A server that hangs up where a second command comes before its reply to the first."""
    p = provider([message("a")])

    def reply(verb, arg, connection):
        bursts = [b for n, b in p.bursts if n == connection]
        return pop3liar.DROP if bursts and bursts[-1].count(b"\r\n") > 1 else None
    p.reply = reply
    g = gateway(account(p), start=False)
    got, status = steps(g, "account", "a")
    assert status == 0 and "pipelining is broken" in got["mailbox"]["text"], got


@pytest.mark.parametrize("verb", ["LIST", "UIDL"])
def test_a_listing_that_is_refused(gateway, provider, verb):
    p = provider([message("a")], reply=lambda v, arg, c: "-ERR the index is being rebuilt" if v == verb else None)
    got, status = steps(gateway(account(p), start=False), "account", "a")
    if verb == "UIDL":  # such servers exist: messages are then told apart by their headers
        assert status == 0 and "without UIDL" in got["mailbox"]["text"], got
    else:
        assert status == 1 and "the index is being rebuilt" in got["mailbox"]["text"], got


def test_a_listing_that_is_nonsense(gateway, provider):
    p = provider([message("a")], reply=lambda v, arg, c: b"+OK\r\nwhat\r\n.\r\n" if v == "LIST" else None)
    got, status = steps(gateway(account(p), start=False), "account", "a")
    assert status == 1 and not got["mailbox"]["ok"] and "the server lists" in got["mailbox"]["text"], got


def test_a_refused_log_in_shows_the_servers_words(gateway, provider):
    p = provider([], reply=lambda v, arg, c: "-ERR [SYS/PERM] Your account has been blocked" if v == "PASS" else None)
    got, status = steps(gateway(account(p), start=False), "account", "a")
    assert status == 1 and "Your account has been blocked" in got["log-in"]["text"] and not p.said("UIDL"), got


# ---- relay ----

def sender(g_sections):
    return {**g_sections, "user anna": {"alias": "anna@firm.example"}}


@pytest.mark.parametrize("off", [False, True], ids=["pipelined", "one by one"])
def test_a_relay_is_asked_for_a_recipient(gateway, liar, off):
    r = liar()
    g = gateway(sender(to(r.port, **({"pipelining": "off"} if off else {}))), start=False)
    got, status = steps(g, "relay")
    assert status == 0 and "anna@firm.example" in got["sending"]["text"], got
    assert r.verbs("MAIL") == ["MAIL FROM:<anna@firm.example>"] and r.verbs("RCPT") == ["RCPT TO:<anna@firm.example>"]
    assert r.verbs("RSET") and not r.verbs("DATA") and not r.accepted
    assert together(r, b"MAIL", b"RCPT") != off


@pytest.mark.parametrize("verb,said,words,hint", [
    ("MAIL", "504 5.5.2 <filesrv>: Helo command rejected: need fully-qualified hostname", "need fully-qualified", "[server] hostname"),
    ("RCPT", "504 5.5.2 <filesrv>: Helo command rejected: need fully-qualified hostname", "need fully-qualified", "[server] hostname"),
    ("MAIL", "553 5.7.1 Sender address rejected: not owned by user", "not owned by user", "alias"),
    ("MAIL", "530 5.7.1 Authentication required", "Authentication required", "log-in"),
    ("RCPT", "550 5.7.1 relaying denied", "relaying denied", "log-in"),
    ("RCPT", "451 4.7.1 greylisted", "greylisted", "for now"),
    ("EHLO", "504 5.5.2 need fully-qualified hostname", "504", "[server] hostname"),
])
def test_what_a_relay_refuses_is_named_with_the_fix(gateway, liar, verb, said, words, hint):
    r = liar(lambda v, arg, c: said if v == verb or (verb, v) == ("EHLO", "HELO") else None)
    got, status = steps(gateway(sender(to(r.port)), start=False), "relay")
    bad = [s for s in got.values() if not s["ok"]]
    assert status == 1 and len(bad) == 1 and words in bad[0]["text"] and hint in bad[0]["mend"], got


def test_a_relay_that_falls_silent_behind_several_commands(gateway, liar):
    r = liar(lambda v, arg, c: type(r).DROP if v == "RCPT" else None)
    got, status = steps(gateway(sender(to(r.port)), start=False), "relay")
    assert status == 1 and "pipelining = off" in got["sending"]["mend"], got


def test_a_relay_without_an_address_to_try(gateway, liar):
    r = liar()
    got, status = steps(gateway({**to(r.port), "user anna": {"alias": ""}, "user boris": {"alias": ""}}, start=False), "relay")
    assert status == 0 and "not tried" in got["sending"]["text"] and not r.verbs("MAIL"), got
