"""Servers that give the same messages other names, sizes or headers each time: at most one copy of each, nothing lost, and
whatever cannot be told from here is held and told."""
import re
import sqlite3
import threading

import pytest

from lib import pop3liar, scratch
from lib.gateway import message

ALL, NO_TOP = ("UIDL", "USER", "TOP", "PIPELINING"), ("UIDL", "USER", "PIPELINING")
NO_UIDL, NEITHER = ("USER", "TOP", "PIPELINING"), ("USER", "PIPELINING")


def account(p, **kw):
    keys = {"host": "127.0.0.1", "port": p.port, "security": "none", "user": "u", "password": "secret", "keep": "14d",
            "deliver": "anna"}
    keys.update(kw)
    return {k: v for k, v in keys.items() if v is not None}


def mail(n, prefix="m"):
    return [message(f"{prefix}{i:03}") for i in range(n)]


def held(g):
    return g.json("status")["accounts"][0]["held"]


def sync(g):
    return g.ctl("sync", "--wait", timeout=120).returncode


def replies(p, caps, changing=None, added=None):
    """changing: of how many messages the UIDL differs in each session (all: None). added: {verb: header lines}, where %d
    is the number of the connection."""
    def reply(verb, arg, n):
        if verb in ("UIDL", "TOP") and verb not in caps:
            return "-ERR what"
        if verb == "UIDL" and changing is not None:
            rows = [f"{i} s{n}.{u}" if i <= changing else f"{i} {u}" for i, u, _ in p.rows_of(n)]
            return "\r\n".join(["+OK", *rows, "."])
        if added and verb in added:
            line = added[verb].replace("%d", str(n)).encode()
            return lambda s: add_header(s, verb, arg, line)
        return None
    return reply


def add_header(session, verb, arg, line):
    m = session.p.mail[session.find(arg)]
    m = m if verb == "RETR" else m.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    session.send(b"+OK\r\n" + line + m + b".\r\n")


def odd(provider, messages, caps=ALL, changing=None, added=None):
    p = provider(messages, caps=caps)
    p.rows_of = lambda n: [(i, u, len(m)) for i, (u, m) in enumerate(p.mail.items(), 1)]
    p.reply = replies(p, caps, changing, added)
    return p


def count(g, n):
    """Of each message at most two, all messages at least once, in all n."""
    got = g.subjects("anna")
    return len(set(got)) == n and all(got.count(s) <= 2 for s in got)


@pytest.mark.parametrize("keep", ["14d", "1d", "forever"])
@pytest.mark.parametrize("changing,messages", [(5, 5), (2, 5), (25, 25), (60, 60), (260, 260)])
def test_other_uidls_in_each_session(gateway, provider, keep, changing, messages):
    """TOP shows that they are the same messages: silently."""
    p = odd(provider, mail(messages), changing=changing)
    g = gateway({"account one": account(p, keep=keep)})
    for _ in range(4):
        assert sync(g) == 0
    p.put(message("new"))
    assert sync(g) == 0
    g.wait_box("anna", messages + 1)
    assert len(set(g.subjects("anna"))) == len(g.box("anna")) == messages + 1
    assert not held(g) and g.box("postmaster") == [] and p.said("DELE") == [] and p.connections < 10


@pytest.mark.parametrize("first", ["all", "new", "30d"])
@pytest.mark.parametrize("changing", [1, 3, 5])
def test_what_was_never_taken_is_never_deleted_under_another_uidl(gateway, provider, first, changing):
    p = odd(provider, mail(5), changing=changing)
    g = gateway({"account one": account(p, first=first, keep=0)}, start=first != "all")
    if first == "all":  # deletions that are not confirmed
        g.start()
        good, p.reply = p.reply, lambda verb, arg, n: pop3liar.DROP if verb == "QUIT" else good(verb, arg, n)
        sync(g)
        p.reply = good
    for _ in range(3):
        assert sync(g) == 0
    if first == "new":
        assert len(p.mail) == 5 and g.box("anna") == []
    else:
        assert p.mail == {} and len(g.box("anna")) == 5


@pytest.mark.parametrize("sizes", ["same", "other"])
def test_skipped_ones_without_top(gateway, provider, sizes):
    """first = new, no TOP, other UIDLs: not fetched and deleted, but held."""
    p = odd(provider, [message(f"m{i}", body=b"x" * (i * 50) + b"\r\n") for i in range(5)], caps=NO_TOP, changing=5)
    g = gateway({"account one": account(p, first="new", keep=0)})
    assert sync(g) == 0
    p.put(message("new"))
    assert sync(g) == 1 and held(g) and len(p.mail) == 6 and p.said("RETR") == []
    g.ctl_ok("account", "resume", "one", "--known")
    assert sync(g) == 0
    assert len(p.mail) == 5, "what had been skipped is still there"


@pytest.mark.parametrize("caps,changing,added,messages", [
    (NO_TOP, 5, None, 5), (NO_TOP, 3, None, 10), (NO_TOP, 19, None, 19), (NO_TOP, 1, None, 1),
    (ALL, 5, {"RETR": "X-Server: one\r\n", "TOP": "X-Other: %d\r\n"}, 5),
    (ALL, 30, {"RETR": "X-Server: one\r\n", "TOP": "X-Now: %d\r\n"}, 30),
    (ALL, 300, {"RETR": "X-Server: one\r\n", "TOP": "X-Now: %d\r\n"}, 300),
    (NO_UIDL, None, {"RETR": "X-Now: %d\r\n", "TOP": "X-Now: %d\r\n"}, 5),
    (NO_UIDL, None, {"TOP": "X-Now: %d\r\n"}, 60),
    (NEITHER, None, {"RETR": "X-Now: %d\r\n"}, 7),
], ids=lambda x: x if isinstance(x, int) else None)
def test_what_cannot_be_told_is_copied_once_and_then_held(gateway, provider, caps, changing, added, messages):
    p = odd(provider, mail(messages), caps, changing, added)
    g = gateway({"account one": account(p)})
    assert sync(g) == 0
    for _ in range(4):
        sync(g)
    assert count(g, messages), g.subjects("anna")
    assert held(g) and p.connections < 10 and p.said("DELE") == []
    [letter] = g.wait_box("postmaster", 1)
    assert b"ofmctl account resume" in letter
    g.restart(kill=True)
    assert sync(g) == 1 and count(g, messages)
    g.ctl_ok("account", "resume", "one", "--known")
    before = len(g.box("anna"))
    assert sync(g) == 0 and len(g.box("anna")) == before
    for _ in range(3):
        sync(g)
    assert len(g.box("anna")) <= before + messages


def test_one_copy_and_then_its_header_by_top_is_known(gateway, provider):
    p = odd(provider, mail(30), ALL, 30, {"RETR": "X-Server: one\r\n"})
    g = gateway({"account one": account(p)})
    for _ in range(5):
        assert sync(g) == 0
    assert count(g, 30) and not held(g) and len(p.said("RETR")) == 60


WRITTEN = ["Status: RO", "X-UID: 7", "X-IMAPbase: 1794000000 5", "X-Keywords: a", "X-Status: A", "Return-Path: <a@b>",
           "Delivered-To: u@here", "X-Spam-Status: No", "X-Spam-Flag: NO", "Content-Length: 7", "Lines: 1",
           "X-Mozilla-Keys: 1", "X-Mozilla-Status2: 00", "X-Evolution-Source: pop", "X-Evolution: 0001", "X-UIDL: 9",
           "Authentication-Results: here; none"]


@pytest.mark.parametrize("caps", [ALL, NO_UIDL], ids=["UIDL", "no UIDL"])
@pytest.mark.parametrize("verbs", [("RETR",), ("TOP",), ("TOP", "RETR")], ids="+".join)
def test_headers_that_servers_write_do_not_count(gateway, provider, caps, verbs):
    p = odd(provider, mail(5), caps, 5 if "UIDL" in caps else None, {v: "\r\n".join(WRITTEN) + "\r\n" for v in verbs})
    g = gateway({"account one": account(p)})
    for _ in range(3):
        assert sync(g) == 0
    p.reply = replies(p, caps, 5 if "UIDL" in caps else None)
    for _ in range(2):
        assert sync(g) == 0
    assert len(g.box("anna")) == 5 and not held(g)


@pytest.mark.parametrize("header", ["X-IMAPbase: 1794000000 5\r\n", "X-IMAP: 1 2\r\nStatus: O\r\n", ""])
@pytest.mark.parametrize("first", [None, "new"])
def test_sizes_that_grow_by_one(gateway, provider, header, first):
    """As mailutils' server: known by their headers once, and by their new sizes from then on."""
    p = provider(mail(5))
    g = gateway({"account one": account(p, first=first, keep="14d")})
    assert sync(g) == 0
    want = 0 if first else 5
    for i, u in enumerate(list(p.mail)):
        p.mail[u] = (header.encode() if i == 0 else b"") + p.mail[u] + b"\r\n"
    asked = len(p.said("TOP"))
    assert sync(g) == 0
    assert len(p.said("TOP")) == asked + 5 and len(g.box("anna")) == want
    for _ in range(2):
        assert sync(g) == 0
    assert len(p.said("TOP")) == asked + 5 and len(g.box("anna")) == want and len(p.mail) == 5


def test_numbers_as_uidls(gateway, provider):
    """What is in front goes, or comes: all others move."""
    p = provider([message(f"m{i}", body=b"x" * (i * 10) + b"\r\n") for i in range(6)])
    p.listing = None
    p.reply = lambda verb, arg, n: "\r\n".join(
        ["+OK", *(f"{i} {i}" for i in range(1, len(p.mail) + 1)), "."]) if verb == "UIDL" else None
    g = gateway({"account one": account(p, keep="forever")})
    assert sync(g) == 0
    del p.mail["u0"]
    del p.mail["u3"]
    for _ in range(2):
        assert sync(g) == 0
    p.mail = {"z": message("front"), **p.mail}
    p.put(message("back"))
    for _ in range(2):
        assert sync(g) == 0
    assert g.subjects("anna") == ["back", "front"] + [f"m{i}" for i in range(6)]
    with sqlite3.connect(g.home / "state/ofmsrv.db") as db:
        assert sorted(x for x, in db.execute("SELECT uidl FROM ledger WHERE missed = 0")) == [str(i) for i in range(1, 7)]
    db.close()


def test_a_large_one_is_told_once_under_whatever_name(gateway, provider):
    p = odd(provider, [message("big", body=b"x" * 30000 + b"\r\n"), message("good")], changing=2)
    g = gateway({"account one": account(p, max_message_kib=20)})
    for _ in range(4):
        assert sync(g) == 0
    assert len(g.wait_box("postmaster", 1)) == 1 and g.subjects("anna") == ["good"]


# ---- looking again in the same sync ----

@pytest.mark.parametrize("n", [1, 5, 12, 49, 51, 199])
def test_no_second_login_where_nothing_says_that_the_listing_was_cut(gateway, provider, n):
    p = provider(mail(n))
    g = gateway({"account one": account(p, keep=0)})
    g.sync()
    assert len(g.box("anna")) == n and p.connections == 1


REFUSALS = {"greeting": ("", "-ERR too many connections"), "closed": ("", pop3liar.DROP), "user": ("USER", "-ERR no"),
            "password": ("PASS", "-ERR [AUTH] wrong"), "busy": ("PASS", "-ERR [IN-USE] too soon"), "pass closed": ("PASS", pop3liar.DROP)}


@pytest.mark.parametrize("how", REFUSALS)
def test_a_refused_second_login_is_no_failure_and_is_remembered(gateway, provider, how):
    verb, said = REFUSALS[how]
    p = provider(mail(50), reply=lambda v, arg, n: said if v == verb and n == 2 else None)
    g = gateway({"account one": account(p, keep=0)})
    assert sync(g) == 0
    one = g.json("status")["accounts"][0]
    assert one["last_error"] == "" and p.connections == 2 and len(g.box("anna")) == 50
    p.reply = lambda *a: None
    g.restart()
    p.put(*mail(50, "n"))
    assert sync(g) == 0
    assert p.connections == 3 and len(g.box("anna")) == 100
    assert g.box("postmaster") == []


# ---- a section that is renamed under way ----

@pytest.mark.parametrize("also", [{}, {"keep": "3d"}, {"deliver": "boris"}, {"password_command": "echo secret", "password": None}])
def test_a_section_renamed_during_its_session(gateway, provider, also):
    reached, go = threading.Event(), threading.Event()

    def reply(verb, arg, n):
        if (verb, arg, n) == ("RETR", "4", 1):
            reached.set()
            go.wait(30)
    p = provider(mail(12), reply=reply)
    g = gateway({"account one": account(p)})
    g.ctl_ok("sync")
    assert reached.wait(20)
    g.drop("account one")
    g.reload({"account two": {**account(p), **also}})
    g.ctl_ok("sync")
    g.ctl_ok("sync", "two")
    scratch.wait_for(lambda: g.log().count("do=sync") >= 3, 10, "the third sync")
    assert p.at_once == 1, "one session in one mailbox"
    go.set()
    sync(g)
    scratch.wait_for(lambda: len(g.box("anna")) + len(g.box("boris")) >= 12, 20, "all of it")
    sync(g)
    assert sorted(g.subjects("anna") + g.subjects("boris")) == [f"m{i:03}" for i in range(12)]


def test_two_sections_swapped_during_their_sessions(gateway, provider):
    reached, go = threading.Event(), threading.Event()

    def reply(verb, arg, n):
        if (verb, arg) == ("RETR", "4") and not go.is_set():
            reached.set()
            go.wait(30)
    p = provider(mail(12), reply=reply)
    q = provider(mail(12, "q"))
    mine, other = account(p, user="a"), account(q, user="b")
    g = gateway({"account one": mine, "account two": other})
    g.ctl_ok("sync")
    assert reached.wait(20)
    g.reload({"account one": account(q, user="b"), "account two": account(p, user="a")})
    g.ctl_ok("sync")
    go.set()
    for _ in range(2):
        sync(g)
    assert len(g.wait_box("anna", 24)) == len(set(g.subjects("anna"))) == 24
    assert not re.search("error=\"[^\"]", "\n".join(x for x in g.log().split("\n") if "fetch.end" in x and "stopped" not in x))


# ---- deletions that are confirmed and not carried out ----

def undying(p, every=1):
    """QUIT is confirmed, and nothing is deleted, in each connection or each second one."""
    usual = p.reply
    p.reply = lambda verb, arg, n: "+OK bye" if verb == "QUIT" and n % every == 0 else usual(verb, arg, n)
    return usual


@pytest.mark.parametrize("caps,changing", [(ALL, True), (NO_TOP, True), (ALL, False), (NO_TOP, False), (NO_UIDL, False),
                                           (NEITHER, False)])
@pytest.mark.parametrize("n", [1, 2, 3, 30])
def test_confirmed_deletions_that_do_not_hold(gateway, provider, caps, changing, n):
    """A single one under another UIDL is new mail, once: it may have been sent again."""
    p = odd(provider, mail(n), caps, n + 5 if changing else None)
    copies = 1 if changing and n == 1 else 0
    usual = undying(p)
    g = gateway({"account one": account(p, keep=0)})
    for _ in range(3):
        assert sync(g) == 0
    assert g.box("postmaster") == []
    for _ in range(3):
        assert sync(g) == 0
    p.put(message("new"))
    for _ in range(2):
        assert sync(g) == 0
    assert g.subjects("anna") == sorted([f"m{i:03}" for i in range(n)] + ["m000"] * copies + ["new"])
    [letter] = g.wait_box("postmaster", 1)
    assert b"confirms deletions" in letter and not held(g)
    with sqlite3.connect(g.home / "state/ofmsrv.db") as db:
        [(rows,)] = db.execute("SELECT count(*) FROM ledger")
    db.close()
    assert rows == n + copies + 1, "records move to the new names"
    p.reply = usual
    assert sync(g) == 0 and p.mail == {}
    for i in range(3):
        p.put(message(f"later{i}", body=b"x" * (500 + 7 * i) + b"\r\n"))
        assert sync(g) == 0
    assert b"stays deleted" in g.wait_box("postmaster", 2)[-1] + g.box("postmaster")[0]
    assert len(g.box("anna")) == n + copies + 4


@pytest.mark.parametrize("caps", [ALL, NO_TOP])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_deleted_ones_with_other_headers_are_copied_once_and_then_held(gateway, provider, caps, n):
    p = odd(provider, mail(n), caps, n, {"RETR": "X-Now: %d\r\n", "TOP": "X-Now: %d\r\n"})
    undying(p)
    g = gateway({"account one": account(p, keep=0)})
    for _ in range(5):
        sync(g)
    assert count(g, n) and held(g), g.subjects("anna")
    [letter] = g.wait_box("postmaster", 1)
    assert b"ofmctl account resume" in letter


def test_some_of_the_deleted_ones_come_back_later(gateway, provider):
    p = odd(provider, mail(10), changing=100)
    g = gateway({"account one": account(p, keep=0)})
    old = dict(p.mail)
    assert sync(g) == 0 and p.mail == {}
    p.put(*[message(f"n{i}", body=b"y" * (100 + i) + b"\r\n") for i in range(4)])
    assert sync(g) == 0 and p.mail == {}
    for part in (10, 6, 3, 1):
        p.mail = dict(list(old.items())[:part])
        p.put(message(f"with{part}"))
        assert sync(g) == 0 and p.mail == {}
    got = g.subjects("anna")
    assert len(got) == len(set(got)) == 18 and not held(g)


@pytest.mark.parametrize("caps", [ALL, NO_TOP])
def test_numbers_as_uidls_and_half_of_the_deletions(gateway, provider, caps):
    p = odd(provider, [message(f"m{i}", body=b"x" * (i % 3 * 10) + b"\r\n") for i in range(6)], caps)
    odd_reply = p.reply

    def reply(verb, arg, n):
        if verb == "UIDL":
            return "\r\n".join(["+OK", *(f"{i} {i}" for i in range(1, len(p.mail) + 1)), "."])
        if verb == "QUIT":
            for u in list(p.mail)[:1]:
                del p.mail[u]
            return "+OK bye"
        return odd_reply(verb, arg, n)
    p.reply = reply
    g = gateway({"account one": account(p, keep=0)})
    for _ in range(7):
        assert sync(g) == 0
    assert g.subjects("anna") == [f"m{i}" for i in range(6)] and p.mail == {}


@pytest.mark.parametrize("caps", [ALL, NO_TOP])
def test_new_mail_of_the_same_size_is_no_old_mail(gateway, provider, caps):
    p = odd(provider, [], caps)
    g = gateway({"account one": account(p, keep=0)})
    for i in range(6):
        p.put(message(f"news{i}a"), message(f"news{i}b"))
        assert sync(g) == 0
    assert len(set(g.subjects("anna"))) == len(g.box("anna")) == 12
    assert p.mail == {} and not held(g) and g.box("postmaster") == []


def test_a_deletion_that_breaks_each_session_is_told_once(gateway, provider):
    p = provider(mail(5), reply=lambda verb, arg, n: pop3liar.DROP if verb == "DELE" and doomed(arg) else None)

    def doomed(arg):
        return list(p.mail)[int(arg) - 1] == "u2"
    g = gateway({"account one": account(p, keep=0)})
    for _ in range(6):
        sync(g)
    assert g.subjects("anna") == [f"m{i:03}" for i in range(5)] and list(p.mail) == ["u2"]
    [letter] = g.wait_box("postmaster", 1)
    assert b"cannot be deleted" in letter and b"m002" in letter
    g.restart(kill=True)
    for _ in range(2):
        assert sync(g) == 0
    assert len(g.box("postmaster")) == 1 and len(g.box("anna")) == 5
