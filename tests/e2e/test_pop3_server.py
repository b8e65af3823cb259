"""The POP3 server: protocol, mailboxes that others touch, locks, deletions."""
import base64
import os
import poplib
import shutil
import socket
import time
import warnings

import pytest

from lib import scratch
from lib.clients import POP3
from lib.gateway import SLOWER
from lib.strace import Strace

OLD = 1700000000


def drop(g, user, text, name=None, sub="new", n=[0]):
    """A file in a mailbox, as other Maildir software puts it there (or one of ours, by its name)."""
    box = g.home / "mailboxes" / user
    for s in ("tmp", "new", "cur"):
        (box / s).mkdir(parents=True, exist_ok=True, mode=0o700)
    n[0] += 1
    if name is None:
        name = f"{OLD + n[0]}.{n[0]:020x},S={len(text)}"
    (box / sub / name).write_bytes(text)
    return box / sub / name


def message(i, body=b"body\r\n"):
    return b"Subject: %d\r\n\r\n" % i + body


def names(g, user):
    box = g.home / "mailboxes" / user
    return sorted(p.name for s in ("new", "cur") for p in (box / s).iterdir())


@pytest.fixture
def gw(gateway):
    return gateway({"user anna": {"password": "se cret"}, "user boris": {"password": "x"},
                    "user clara": {}, "special": {"boss": "boris"}, "pop3": {"timeout": "3s"}})


def test_login_names(gw):
    for name in ("anna", "ANNA", "Anna@Office.LAN", "anna@firm.example", "ANNA@FIRM.example"):
        with POP3(gw.pop3_port, name, "se cret") as p:
            assert p.stat() == (0, 0)
    with POP3(gw.pop3_port, "clara", "whatever") as p:
        assert p.stat() == (0, 0)


def test_who_cannot_log_in(gw):
    started = time.monotonic()
    texts, times = set(), []
    for name, password in (("anna", "se"), ("anna", ""), ("nobody", "x"), ("daemon", ""), ("postmaster", ""),
                           ("postmaster", "x"), ("anna@other.example", "se cret"), ("../anna", "se cret")):
        with POP3(gw.pop3_port) as p:
            p.ok(f"USER {name}")
            started = time.monotonic()
            texts.add(p.cmd(f"PASS {password}"))
            times.append(time.monotonic() - started)
    assert len(texts) == 1 and texts.pop().startswith("-ERR [AUTH]")
    assert max(times) - min(times) < 0.3, times


def test_boss_without_password_is_refused(gateway):
    g = gateway({"special": {"boss": "boris"}, "user boris": {"password": ""}})
    with POP3(g.pop3_port) as p:
        p.ok("USER boris")
        assert p.cmd("PASS x").startswith("-ERR [AUTH]")


def test_yescrypt(gateway):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import crypt
    g = gateway({"user anna": {"password": crypt.crypt("grüße", "$y$j9T$abcdefgh$")}})
    for _ in range(3):
        POP3(g.pop3_port, "anna", "grüße").close()
    with POP3(g.pop3_port) as p:
        p.ok("USER anna")
        assert p.cmd("PASS gruesse").startswith("-ERR [AUTH]")


def test_sasl(gw):
    plain = base64.b64encode(b"\0anna\0se cret").decode()
    with POP3(gw.pop3_port) as p:
        assert p.cmd(f"AUTH PLAIN {plain}").startswith("+OK")
    with POP3(gw.pop3_port) as p:
        assert p.cmd("AUTH LOGIN") == "+ VXNlcm5hbWU6"
        assert p.cmd(base64.b64encode(b"anna").decode()) == "+ UGFzc3dvcmQ6"
        assert p.cmd(base64.b64encode(b"se cret").decode()).startswith("+OK")
    with POP3(gw.pop3_port) as p:
        assert p.lines("AUTH") == ["PLAIN", "LOGIN"]


def test_capabilities(gw):
    with POP3(gw.pop3_port, "anna", "se cret") as p:
        caps = p.lines("CAPA")
        assert "STLS" not in caps and "EXPIRE NEVER" in caps
        assert {"TOP", "UIDL", "USER", "SASL PLAIN LOGIN", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE"} <= set(caps)


def test_our_messages_leave_as_they_are(gw):
    texts = [message(1), message(2, b".\r\n..\r\n.x\r\n"), message(3, b"a\0b\xff\r\n"), message(4, b"bare\nlf\n.\r\nx\r\n"),
             message(5, os.urandom(3 << 20).replace(b"\n", b".") + b"\r\n"), message(6, b".\r\n" * 100000)]
    for t in texts:
        drop(gw, "anna", t)
    p = poplib.POP3("127.0.0.1", gw.pop3_port, timeout=20)
    p._MAXLINE = poplib._MAXLINE = 1 << 24
    p.user("anna")
    p.pass_("se cret")
    sizes = [int(x.split()[1]) for x in p.list()[1]]
    assert sizes == [len(t) for t in texts]
    for i, t in enumerate(texts, 1):
        lines = p.retr(i)[1]
        assert b"\n".join(lines) + b"\n" == t.replace(b"\r\n", b"\n"), i
    p.quit()


@pytest.mark.parametrize("text", [b"", b"a", b"a\n", b"a\r\n", b"a\r", b"H: x\n\n.\n..b\nc", b"x\n" * 70000], ids=range(7))
def test_foreign_messages_have_crlf_and_true_sizes(gw, text):
    drop(gw, "anna", text, "1600000000.M1P1.host")
    with POP3(gw.pop3_port, "anna", "se cret") as p:
        size = p.list()[1]
        got = p.multi("RETR 1")
    assert len(got) == size
    assert b"\n" not in got.replace(b"\r\n", b"")
    assert got.replace(b"\r\n", b"\n").rstrip(b"\n") == text.replace(b"\r\n", b"\n").rstrip(b"\r\n")


def test_top(gw):
    drop(gw, "anna", b"A: 1\r\nB: 2\r\n\r\n.1\r\n2\r\n3\r\n")
    with POP3(gw.pop3_port, "anna", "se cret") as p:
        assert p.multi("TOP 1 0") == b"A: 1\r\nB: 2\r\n\r\n"
        assert p.multi("TOP 1 2") == b"A: 1\r\nB: 2\r\n\r\n.1\r\n2\r\n"
        assert p.multi("TOP 1 999") == p.multi("RETR 1")


def test_deletions_happen_at_quit_alone(gw):
    for i in range(5):
        drop(gw, "anna", message(i))
    all_of_them = names(gw, "anna")
    with POP3(gw.pop3_port, "anna", "se cret") as p:  # closed
        p.ok("DELE 1")
    with POP3(gw.pop3_port, "anna", "se cret") as p:  # RSET
        p.ok("DELE 2")
        p.ok("RSET")
        p.ok("QUIT")
    p = POP3(gw.pop3_port, "anna", "se cret")  # reset by TCP
    p.ok("DELE 3")
    p.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    p.close()
    p = POP3(gw.pop3_port, "anna", "se cret")  # silence
    p.ok("DELE 4")
    assert p.rest() == b""
    assert names(gw, "anna") == all_of_them
    with POP3(gw.pop3_port, "anna", "se cret") as p:
        before = p.uidl()
        p.ok("DELE 1")
        p.ok("DELE 5")
        assert p.stat()[0] == 3
        assert p.cmd("QUIT").startswith("+OK")
        assert p.rest() == b""
    assert names(gw, "anna") == all_of_them[1:4]
    with POP3(gw.pop3_port, "anna", "se cret") as p:
        assert sorted(p.uidl().values()) == sorted(before[i] for i in (2, 3, 4))


def test_uidl_survives_flags_and_folders(gw):
    a, b = drop(gw, "anna", message(1)), drop(gw, "anna", message(2), "1600000000.M1P1.host")
    with POP3(gw.pop3_port, "anna", "se cret") as p:
        first = p.uidl()
        for f in (a, b):
            f.rename(f.parent.parent / "cur" / (f.name + ":2,FS"))
        assert p.multi("RETR 1").startswith(b"Subject: 2")  # moved under our feet
    with POP3(gw.pop3_port, "anna", "se cret") as p:
        assert p.uidl() == first
        p.ok("DELE 1")
        p.ok("DELE 2")
        p.ok("QUIT")
    assert names(gw, "anna") == []


def test_message_removed_by_another_program(gw):
    a = drop(gw, "anna", message(1))
    drop(gw, "anna", message(2))
    with POP3(gw.pop3_port, "anna", "se cret") as p:
        a.unlink()
        assert p.cmd("RETR 1").startswith("-ERR")
        assert p.multi("RETR 2").startswith(b"Subject: 2")
        p.ok("DELE 1")
        assert p.cmd("QUIT").startswith("+OK")


def test_symlinks_and_folders_are_no_messages(gw):
    a = drop(gw, "anna", message(1))
    (a.parent / "1600000000.link").symlink_to("/etc/passwd")
    (a.parent / "1600000000.dir").mkdir()
    os.mkfifo(a.parent / "1600000000.fifo")
    with POP3(gw.pop3_port, "anna", "se cret") as p:
        assert p.stat()[0] == 1
        a.unlink()
        a.symlink_to("/etc/passwd")
        assert p.cmd("RETR 1").startswith("-ERR")


def test_mailbox_that_is_a_symlink_is_refused(gw):
    (gw.home / "elsewhere").mkdir()
    for s in ("tmp", "new", "cur"):
        (gw.home / "elsewhere" / s).mkdir()
    box = gw.home / "mailboxes" / "clara"
    scratch.wait_for(lambda: (box / "cur").exists(), 20, gw.log)  # the start makes it
    shutil.rmtree(box)
    box.symlink_to(gw.home / "elsewhere")
    with POP3(gw.pop3_port) as p:
        p.ok("USER clara")
        assert p.cmd("PASS x").startswith("-ERR [SYS/TEMP]")


def test_active_session_keeps_the_mailbox(gw):
    with POP3(gw.pop3_port, "anna", "se cret") as a, POP3(gw.pop3_port) as b:
        b.ok("USER anna")
        b.send(b"PASS se cret\r\n")
        b.sock.settimeout(0.5)
        started = time.monotonic()
        while True:
            a.ok("NOOP")
            try:
                got = b.line()
                break
            except TimeoutError:
                assert time.monotonic() - started < 14
        assert got.startswith(b"-ERR [IN-USE]")
        assert 9 < time.monotonic() - started < 12
        a.ok("NOOP")


def test_ended_session_frees_the_mailbox_at_once(gw):
    for end in ("close", "reset"):
        a = POP3(gw.pop3_port, "anna", "se cret")
        with POP3(gw.pop3_port) as b:
            b.ok("USER anna")
            b.send(b"PASS se cret\r\n")
            time.sleep(0.3)
            if end == "reset":
                a.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            started = time.monotonic()
            a.close()
            assert b.line().startswith(b"+OK")
            assert time.monotonic() - started < 0.5 * SLOWER


def test_silent_session_is_taken_over_from_the_same_address_alone(gateway):
    g = gateway({"user anna": {"password": "x"}, "pop3": {"timeout": "60s"}})
    drop(g, "anna", message(1))
    a = POP3(g.pop3_port, "anna", "x")
    a.ok("DELE 1")
    with POP3(g.pop3_port, source="127.0.0.9") as b:
        b.ok("USER anna")
        started = time.monotonic()
        assert b.cmd("PASS x").startswith("-ERR [IN-USE]")
        assert time.monotonic() - started > 9
    with POP3(g.pop3_port) as c:
        c.ok("USER anna")
        started = time.monotonic()
        assert c.cmd("PASS x").startswith("+OK")
        assert time.monotonic() - started < 9.5
        assert a.rest() == b""
        assert c.stat()[0] == 1


def test_pipelined_commands(gw):
    for i in range(200):
        drop(gw, "anna", message(i))
    with POP3(gw.pop3_port) as p:
        p.send(b"USER anna\r\nPASS se cret\r\n" + b"".join(b"RETR %d\r\nDELE %d\r\n" % (i, i) for i in range(1, 201))
               + b"STAT\r\nQUIT\r\n")
        assert p.line().startswith(b"+OK") and p.line().startswith(b"+OK")
        for i in range(200):
            assert p.line().startswith(b"+OK")
            assert p.body() == message(i)
            assert p.line().startswith(b"+OK")
        assert p.line() == b"+OK 0 0"
        assert p.line().startswith(b"+OK")
        assert p.rest() == b""
    # Many files go behind the +OK.
    scratch.wait_for(lambda: names(gw, "anna") == [], 10, lambda: str(names(gw, "anna")))


def test_half_closed_client_is_still_answered(gw):
    drop(gw, "anna", message(1))
    with POP3(gw.pop3_port) as p:
        p.send(b"USER anna\r\nPASS se cret\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n")
        p.sock.shutdown(socket.SHUT_WR)
        got = p.rest()
    assert got.count(b"+OK") == 5
    assert names(gw, "anna") == []


def test_stls_throws_away_what_came_before(gateway, ca):
    cert, key = ca.issue("gate.test")
    g = gateway({"tls": {"certificate": cert, "key": key}, "user anna": {"password": "x"}})
    with POP3(g.pop3_port) as p:
        assert "STLS" in p.lines("CAPA")
        p.send(b"STLS\r\nUSER anna\r\nPASS x\r\n")
        assert p.line().startswith(b"+OK")
        p.wrap()
        assert p.cmd("STAT").startswith("-ERR")
        assert "STLS" not in p.lines("CAPA")
        p.login("anna", "x")
        assert p.stat() == (0, 0)


def test_login_under_tls_alone(gateway, ca):
    cert, key = ca.issue("gate.test")
    ports = scratch.free_port()
    g = gateway({"tls": {"certificate": cert, "key": key}, "pop3": {"auth_tls": "yes", "tls_port": ports},
                 "user anna": {"password": "x"}})
    big = message(1, b"0123456789\r\n" * 300000)
    drop(g, "anna", big)
    with POP3(g.pop3_port) as p:
        caps = p.lines("CAPA")
        assert "USER" not in caps and not any(c.startswith("SASL") for c in caps)
        assert p.cmd("USER anna").startswith("-ERR")
        assert p.cmd("AUTH PLAIN AGFubmEAeA==").startswith("-ERR")
    with POP3(ports, "anna", "x", tls=True) as p:
        assert p.multi("RETR 1") == big


def test_filter_refuses_before_the_greeting(gateway):
    g = gateway({"ip_filter": {"deny": "127.0.0.7"}})
    for _ in range(5):
        with POP3(g.pop3_port, source="127.0.0.7") as p:
            assert p.greeting.startswith("-ERR")
            assert p.rest() == b""
    with POP3(g.pop3_port) as p:
        assert p.greeting.startswith("+OK") and "<" not in p.greeting
    assert g.log().count("pop3.refused") == 1


def test_too_many_connections(gateway):
    g = gateway({"pop3": {"max_connections": 3}})
    held = [POP3(g.pop3_port) for _ in range(3)]
    with POP3(g.pop3_port) as p:
        assert p.greeting.startswith("-ERR [SYS/TEMP]")
    held.pop().close()
    scratch.wait_for(lambda: POP3(g.pop3_port).greeting.startswith("+OK"), 5, lambda: "a free place")


def test_dripping_line_is_cut(gw):
    with POP3(gw.pop3_port) as p:
        started = time.monotonic()
        with pytest.raises((ConnectionError, EOFError)):
            while time.monotonic() - started < 8:
                p.send(b"x")
                time.sleep(0.4)
        assert time.monotonic() - started < 6


def test_endless_line_ends(gw):
    for first in (b"", b"AUTH PLAIN\r\n", b"USER anna\r\nPASS se cret\r\n"):
        with POP3(gw.pop3_port) as p:
            p.send(first)
            started = time.monotonic()
            with pytest.raises(ConnectionError):
                while time.monotonic() - started < 9:
                    p.send(b"A" * 65536)


def test_large_mailbox_delays_nobody(gateway):
    g = gateway({"user anna": {"password": "x"}, "user boris": {"password": "x"}})
    box = g.home / "mailboxes/anna"
    for s in ("tmp", "new", "cur"):
        (box / s).mkdir(parents=True, exist_ok=True)
    for i in range(100000):
        name = f"{OLD + i}.{i:020x},S={len(message(1))}:2,S"
        if i % 50000 == 0:
            seed = drop(g, "anna", message(1), name, "cur")
        else:
            os.link(seed, box / "cur" / name)
    with POP3(g.pop3_port, timeout=30) as big, POP3(g.pop3_port, "boris", "x") as small:
        big.ok("USER anna")
        started = time.monotonic()
        big.send(b"PASS x\r\nUIDL\r\n")
        worst = 0
        for _ in range(50):
            t = time.monotonic()
            small.ok("NOOP")
            worst = max(worst, time.monotonic() - t)
        assert big.line().startswith(b"+OK")
        big.line()
        assert big.until_dot().count(b"\n") == 100000 + 1
        assert time.monotonic() - started < 5 * SLOWER
        assert worst < 0.2 * SLOWER


def test_quit_does_not_wait_for_the_files(gw, inspector):
    """Many, on a disk that takes its time over each: +OK comes with the commit, and the next session sees what is left."""
    for i in range(70):
        drop(gw, "boris", message(i))
    with POP3(gw.pop3_port, "boris", "x") as p:
        for i in range(1, 70):
            p.ok(f"DELE {i}")
        slow = Strace([gw.process.pid], gw.home / "strace.out", "-e", "inject=unlinkat:delay_enter=100000")
        with slow:
            p.quit()
            with POP3(gw.pop3_port, "boris", "x") as again:
                assert again.stat() == (1, len(message(69)))
            assert len(names(gw, "boris")) > 35
            scratch.wait_for(lambda: len(names(gw, "boris")) == 1, 30, lambda: str(names(gw, "boris")))


def test_expired_mail_goes(gateway):
    g = gateway({"user boris": {"password": "x", "keep": "90d"}}, start=False)
    drop(g, "boris", message(1))
    drop(g, "boris", message(2), f"{int(time.time()) - 3600}.{7:020x},S={len(message(2))}")
    drop(g, "boris", message(3), f"{OLD}.M1.host")  # an old name, but a new file
    g.start()
    scratch.wait_for(lambda: len(names(g, "boris")) == 2, 40, lambda: str(names(g, "boris")))
    with POP3(g.pop3_port, "boris", "x") as p:
        assert "EXPIRE 90" in p.lines("CAPA")


def test_expired_mail_of_an_open_mailbox_stays(gateway):
    """What a session has listed is there until its end; who comes behind in the round has lost his by then."""
    old = {"password": "x", "keep": "90d"}
    g = gateway({"user boris": old, "user clara": old}, start=False)
    for user in ("boris", "clara"):
        for n in (1, 2, 3):
            drop(g, user, message(n), f"{int(time.time()) - 10 + n}.{n:020x},S={len(message(n))}")
        drop(g, user, message(0), f"{OLD}.{7:020x},S={len(message(0))}")
    g.start()
    with POP3(g.pop3_port, "boris", "x") as p:
        listed = p.uidl()
        assert len(listed) == 4
        scratch.wait_for(lambda: len(names(g, "clara")) == 3, 40, lambda: str(names(g, "clara")))
        assert len(names(g, "boris")) == 4 and p.uidl() == listed
        assert p.retr(1).endswith(message(0))
        p.ok("NOOP")
    assert "pop3.expired user=boris" not in g.log()
