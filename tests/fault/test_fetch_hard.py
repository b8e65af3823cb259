"""Messages that a provider does not hand out hold up no other; and what could not be stored is not confirmed."""
import os
import sqlite3
import subprocess

import pytest

from lib import pop3liar, scratch
from lib.gateway import message

ALL, NO_TOP = ("UIDL", "USER", "TOP", "PIPELINING"), ("UIDL", "USER", "PIPELINING")


def account(p, **kw):
    keys = {"host": "127.0.0.1", "port": p.port, "security": "none", "user": "u", "password": "secret", "keep": 0,
            "deliver": "anna", "timeout": "2s"}
    keys.update(kw)
    return {k: v for k, v in keys.items() if v is not None}


def sync(g):
    return g.ctl("sync", "--wait", timeout=200).returncode


def mail(n):
    return [message(f"m{i}", body=b"x" * 100 * i + b"\r\n") for i in range(n)]


def half(session):
    session.send(b"+OK follows\r\nSubject: broken\r\n\r\nand th")
    session.end()


def half_and_hang(session):
    session.send(b"+OK follows\r\nSubject: broken\r\n\r\nand th")
    session.hang()


def garbage(session):
    session.send(b"\x00\x01 what is that\r\n")
    session.end()


def refused_and_closed(session):
    session.s.settimeout(0.02)
    try:
        session.s.recv(65536)  # nothing is left unread: the refusal arrives
    except OSError:
        pass
    session.send(b"-ERR internal error\r\n")
    session.end()


HOW = {"drops": pop3liar.DROP, "half": half, "refused": "-ERR no such file", "refused, closed": refused_and_closed,
       "garbage": garbage, "hangs": pop3liar.HANG, "half and hangs": half_and_hang}


def bad_ones(p, how, bad, verb="RETR"):
    """RETR of these fails so each time; they are named by their UIDLs, since numbers change."""
    def reply(v, arg, n):
        if v == verb and list_of(p, n)[int(arg.split(" ")[0]) - 1] in bad:
            return HOW[how]
        return None
    p.reply = reply
    return p


def list_of(p, n):
    """The UIDLs of that connection, in order."""
    if n not in p.seen:
        p.seen[n] = list(p.mail)
    return p.seen[n]


def broken(provider, messages, how, bad, verb="RETR", **kw):
    p = provider(messages, **kw)
    p.seen = {}
    return bad_ones(p, how, bad, verb)


def letters(g):
    return [m for m in g.box("postmaster") if b"not hand out" in m]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("caps", [ALL, NO_TOP, ("UIDL", "USER", "TOP")], ids=["TOP", "no TOP", "lock-step"])
def test_one_of_six(gateway, provider, how, caps):
    p = broken(provider, mail(6), how, ["u2"], caps=caps)
    g = gateway({"account one": account(p)})
    assert sync(g) == 1
    assert g.subjects("anna") == ["m0", "m1", "m3", "m4", "m5"] and list(p.mail) == ["u2"], "in the same sync"
    assert p.connections <= 4
    for n in range(4):
        p.put(message(f"later {n}"))
        sync(g)
        assert len(g.box("anna")) == 6 + n and list(p.mail) == ["u2"]
        if n == 1:
            g.restart(kill=True)
    asked = len(p.said("RETR"))
    assert sync(g) == 0 and len(p.said("RETR")) == asked
    [letter] = letters(g)
    assert g.box("postmaster") == [letter]
    assert b"message 1: 0 KiB" in letter and (b': "m2"' in letter) == ("TOP" in caps)
    assert (b"anna@office.lan" in letter) == ("TOP" in caps)
    p.reply = lambda *a: None
    with sqlite3.connect(g.home / "state/ofmsrv.db") as db:  # a day later
        db.execute("UPDATE fact SET value = replace(value, ' 17', ' 16') WHERE key LIKE 'fetch.hard.%'")
    db.close()
    assert sync(g) == 0 and "m2" in g.subjects("anna") and not p.mail


@pytest.mark.parametrize("bad", [["u0"], ["u5"], ["u0", "u5"], ["u1", "u2", "u3"], [f"u{i}" for i in range(0, 30, 3)]],
                         ids=len)
@pytest.mark.parametrize("keep", [0, "forever"])
def test_several(gateway, provider, bad, keep):
    messages = mail(30 if len(bad) > 3 else 6)
    p = broken(provider, messages, "drops", bad)
    g = gateway({"account one": account(p, keep=keep)})
    good = {f"m{i}" for i in range(len(messages)) if f"u{i}" not in bad}
    assert sync(g) == 1
    assert set(g.subjects("anna")) == good and len(g.box("anna")) == len(good)
    assert keep != 0 or sorted(p.mail) == sorted(bad)
    for _ in range(8):
        sync(g)
    assert sync(g) == 0
    assert len(g.box("anna")) == len(good)
    said = b"".join(letters(g))
    assert said.count(b" KiB") == len(bad)
    assert all(b': "m%s"' % u[1:].encode() in said for u in bad), "each of them by its subject"


def test_nothing_is_left_while_nothing_else_proves_that_the_line_works(gateway, provider):
    p = broken(provider, mail(1), "drops", ["u0"])
    g = gateway({"account one": account(p)})
    for _ in range(6):
        assert sync(g) == 1
    assert len(letters(g)) == 1
    p.reply = lambda *a: None
    assert sync(g) == 0 and g.subjects("anna") == ["m0"]


def test_every_message_refused_for_a_while_is_nobody_s_fault(gateway, provider):
    p = broken(provider, mail(4), "refused", ["u0", "u1", "u2", "u3"])
    g = gateway({"account one": account(p)})
    for _ in range(6):
        assert sync(g) == 1
    p.reply = lambda *a: None
    assert sync(g) == 0 and len(g.box("anna")) == 4


def test_a_busy_server_is_no_broken_message(gateway, provider):
    p = provider(mail(3), reply=lambda v, arg, n: "-ERR [SYS/TEMP] later" if (v, arg) == ("RETR", "1") else None)
    g = gateway({"account one": account(p, keep="forever")})
    for _ in range(5):
        assert sync(g) == 1
    assert letters(g) == []


@pytest.mark.parametrize("how", ["drops", "half"])
def test_a_header_that_breaks_the_session(gateway, provider, how):
    """Where messages have no UIDL, TOP decides: that one is fetched without it."""
    p = broken(provider, mail(5), how, ["u2"], verb="TOP", caps=("USER", "TOP", "PIPELINING"))
    good = p.reply
    p.reply = lambda v, arg, n: "-ERR what" if v == "UIDL" else good(v, arg, n)
    g = gateway({"account one": account(p)})
    assert sync(g) == 1
    assert len(g.box("anna")) == 5 and p.mail == {}


@pytest.mark.parametrize("how", ["drops", "garbage", "refused"])
def test_a_deletion_that_breaks_the_session(gateway, provider, how):
    """The others' are confirmed in the same sync."""
    p = broken(provider, mail(5), how, ["u2"], verb="DELE")
    g = gateway({"account one": account(p)})
    assert sync(g) == (how != "refused")
    assert len(g.box("anna")) == 5 and list(p.mail) == ["u2"]
    for n in range(4):
        p.put(message(f"later {n}"))
        sync(g)
        assert list(p.mail) == ["u2"] and len(g.box("anna")) == 6 + n
    assert sync(g) == 0 and len(g.box("postmaster")) == (how != "refused")
    assert len(p.said("RETR")) == 9


def test_a_host_that_refuses_the_next_login(gateway, provider):
    p = broken(provider, mail(6), "drops", ["u2"])
    usual = p.reply
    allowed = []
    p.reply = lambda v, arg, n: "-ERR [LOGIN-DELAY] too soon" if v == "PASS" and n not in allowed else usual(v, arg, n)
    g = gateway({"account one": account(p)})
    for n in range(8):
        allowed.append(p.connections + 1)
        sync(g)
    assert len(g.box("anna")) == 5 and list(p.mail) == ["u2"] and len(letters(g)) == 1


# ---- what is not stored is not confirmed ----

@pytest.fixture
def tmpfs():
    made = []

    def make(options):
        path = scratch.folder("tmpfs")
        r = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], capture_output=True, text=True)
        if r.returncode != 0:
            scratch.remove(path)
            pytest.skip("this machine does not let us mount: " + r.stderr.strip())
        made.append(path)
        return path
    yield make
    for path in made:
        subprocess.run(["umount", "-l", path], check=False)
        scratch.remove(path)


def fill(disk):
    with open(disk / "filler", "wb", buffering=0) as f:
        for size in (1 << 20, 4096):
            try:
                while True:
                    f.write(bytes(size))
            except OSError:
                pass


@pytest.mark.parametrize("keep", [0, "forever"])
@pytest.mark.parametrize("size", [300, 60000, 500000], ids=["small", "in memory", "in a file"])
@pytest.mark.parametrize("pipelining", [True, False])
def test_no_room_at_the_moment_of_storing(gateway, provider, tmpfs, size, pipelining, keep):
    """No record, no DELE, and no QUIT, which some providers take for a receipt of all that was retrieved."""
    disk = tmpfs("size=24m")
    messages = [message("m0"), message("m1", body=b"y" * 76 + b"\r\n" * 1 + b"z" * size + b"\r\n"), message("m2")]
    p = provider(messages, caps=ALL if pipelining else ("UIDL", "USER", "TOP"))

    def slowly(session):
        data = p.mail["u1"]
        session.send(b"+OK follows\r\n" + data[:len(data) // 2])
        scratch.wait_for(lambda: len(g.box("anna")) == 1, 20, "the first one")
        fill(disk)
        session.send(data[len(data) // 2:] + b".\r\n")
    p.reply = lambda v, arg, n: slowly if (v, arg, n) == ("RETR", "2", 1) else None
    g = gateway({"account one": account(p, keep=keep, timeout=None),
                 "server": {"control": f"{disk}/control.sock"}}, start=False)
    for name in ("mailboxes", "outqueue", "state"):
        (disk / name).mkdir()
        if (g.home / name).exists():
            (g.home / name).rmdir()
        (g.home / name).symlink_to(disk / name)
    g.write({"server": {name: disk / name for name in ("mailboxes", "outqueue", "state")}})
    g.start()
    assert sync(g) == 1
    assert [c for n, c, _ in p.commands if n == 1 and c in ("QUIT", "DELE 2", "DELE 3")] == []
    assert len(p.mail) == 3 and g.subjects("anna") == ["m0"]
    db = sqlite3.connect(f"file:{disk}/state/ofmsrv.db?mode=ro", uri=True)
    assert [u for u, in db.execute("SELECT uidl FROM ledger")] == ["u0"], "what is not stored has no record"
    db.close()
    os.unlink(disk / "filler")
    scratch.wait_for(lambda: sync(g) == 0, 30, "a sync that goes well")
    g.wait_box("anna", 3)
    assert g.subjects("anna") == ["m0", "m1", "m2"] and len(p.mail) == (0 if keep == 0 else 3)
