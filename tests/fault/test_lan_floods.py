"""LAN clients that flood, stall and break off: rows of what may come and what must happen, through real sockets."""
import errno
import os
import resource
import socket
import threading
import time

import pytest

from lib import gateway as gw
from lib import scratch
from lib.clients import Line, POP3
from lib.gateway import message
from lib.rude import MIB, cpu_seconds, memory, served_soon
from lib.sending import to


@pytest.fixture(scope="module")
def gateway_of_file():
    g = gw.Gateway({**to(1), "server": {"log_level": "debug", "log_size_kib": 999}})
    yield g
    g.close()


STATES = {"greeted": [], "ready": ["EHLO x"], "mailed": ["EHLO x", "MAIL FROM:<anna>"],
          "rcpted": ["EHLO x", "MAIL FROM:<anna>", "RCPT TO:<boris>"], "sasl": ["EHLO x", "AUTH LOGIN"],
          "password": ["EHLO x", "AUTH LOGIN", "YW5uYQ=="], "auth": ["EHLO x", "AUTH PLAIN " + "A" * 4000]}


@pytest.mark.parametrize("commands", STATES.values(), ids=STATES)
def test_line_without_lf_in_every_state(gateway_of_file, commands):
    g = gateway_of_file
    before = memory(g)
    with g.smtp(helo=None) as s:
        for c in commands:
            s.cmd(c)
        s.send(b"A" * 16 * MIB)
        assert s.reply()[0] == 500 and s.rest() == b""
        began = time.monotonic()
        with pytest.raises(OSError) as e:  # who does not take the hint is cut off a moment later
            while time.monotonic() - began < 10:
                s.send(b"A" * 1000)
                time.sleep(0.05)
        assert e.value.errno in (errno.EPIPE, errno.ECONNRESET)
    with g.smtp(helo=None) as s:
        for c in commands:
            s.cmd(c)
        s.send(b"A" * 65700)
        assert s.reply()[0] == 500 and s.rest() == b""
    assert memory(g) - before < 8 * MIB


def test_long_line_is_refused_and_the_next_understood(gateway_of_file):
    with gateway_of_file.smtp() as s:
        for n in (2047, 2049, 5000, 60000):
            assert s.cmd("NOOP " + "x" * n)[0] == (250 if n < 2000 else 500)
        s.ok("NOOP")


def test_file_descriptors_exhausted(gateway, inspector):
    g = gateway()
    used = len(os.listdir(f"/proc/{g.process.pid}/fd"))
    held = []
    resource.prlimit(g.process.pid, resource.RLIMIT_NOFILE, (used + 20, 4096))
    try:
        for _ in range(60):
            held.append(socket.create_connection(("127.0.0.1", g.smtp_port), 5))
        time.sleep(0.5)
        assert g.ctl("status", timeout=15).returncode == 0, "the control socket still answers"
        cpu = cpu_seconds(g)
        time.sleep(1)
        assert cpu_seconds(g) - cpu < 0.5, "no spinning"
        for c in held[10:]:
            c.close()
        assert g.log().count("net.accept ") == 1, "told once, though tried ten times a second"
        scratch.wait_for(lambda: served_soon(g), 15, "recovery with some freed")
    finally:
        for c in held:
            c.close()
        resource.prlimit(g.process.pid, resource.RLIMIT_NOFILE, (4096, 4096))
    g.send("anna@office.lan", ["boris"], message("after"))
    g.wait_box("boris")
    scratch.wait_for(lambda: "net.accept_again" in g.log(), 30, "the end of it, told too")
    assert g.log().count("net.accept ") == 1


def test_a_long_timeout_is_no_leave_to_trickle(gateway, ca):
    """Silence may last ten minutes; half a command or half a handshake has a minute at most, however it trickles."""
    cert, key = ca.issue("localhost")
    g = gateway({"tls": {"certificate": cert, "key": key}, "pop3": {"timeout": "10m", "tls_port": scratch.free_port()},
                 "smtp": {"timeout": "10m", "tls_port": scratch.free_port()}})
    began = time.monotonic()
    lines = [Line(p, timeout=1) for p in (g.pop3_port, g.smtp_port, g.ini["pop3"]["tls_port"], g.ini["smtp"]["tls_port"])]
    patient = [g.pop3("boris", "x"), g.smtp()]
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    ended = {}
    while len(ended) < len(lines) and time.monotonic() - began < 80:
        for n, c in enumerate(lines):
            if n in ended:
                continue
            try:
                c.send(b"N" if n < 2 else hello[:1] or b"\0")
                while c.sock.recv(1000):
                    pass
                ended[n] = time.monotonic() - began
            except TimeoutError:
                pass
            except OSError:
                ended[n] = time.monotonic() - began
        hello = hello[1:]
    assert len(ended) == 4 and all(55 < t < 70 * gw.SLOWER for t in ended.values()), ended
    assert patient[0].stat() == (0, 0) and patient[1].cmd("NOOP")[0] == 250, "mere silence"


def test_tricklers_are_cut_and_others_served(gateway):
    g = gateway({"smtp": {"timeout": "1s"}})
    stop = time.monotonic() + 9
    ended = []

    def trickle(first, byte):
        with Line(g.smtp_port) as c:
            c.line()
            began = time.monotonic()
            try:
                for line in first:
                    c.send(line)
                    c.line()
                while time.monotonic() < stop + 20:
                    c.send(byte)
                    time.sleep(0.3)
            except OSError:
                pass
            ended.append(time.monotonic() - began)

    into_data = ["HELO x\r\n", "MAIL FROM:<anna>\r\n", "RCPT TO:<boris>\r\n", "DATA\r\n"]
    threads = [threading.Thread(target=trickle, args=a, daemon=True)
               for a in [([], b"x")] * 20 + [(into_data, b"x")] * 5]
    for t in threads:
        t.start()
    while time.monotonic() < stop - 5:
        began = time.monotonic()
        g.send("anna@office.lan", ["boris"], message("served"))
        assert time.monotonic() - began < 1 * gw.SLOWER
        time.sleep(0.3)
    for t in threads:
        t.join(40)
    assert len(ended) == 25 and sorted(ended)[19] < 6.5 and max(ended) < 16, ended
    assert set(g.subjects("boris")) == {"served"}


HUGE = {"addresses": b"To: " + b",\r\n ".join([b"anna@office.lan"] * 100000) + b"\r\n",
        "fields": b"".join(b"X-%d: %s\r\n" % (n, b"v" * 60) for n in range(200000)),
        "one field": b"X: " + b"\r\n ".join([b"w" * 70] * 200000) + b"\r\n",
        "one line": b"To: " + b"a" * (12 * MIB) + b"\r\n",
        "quotes": b"To: " + b'"' * MIB + b"\r\nCc: " + b"(" * MIB + b"\r\nReply-To: " + b"<" * MIB + b"\r\n"}


@pytest.mark.parametrize("fields", HUGE.values(), ids=HUGE)
def test_huge_header_sections_cost_linear_time(gateway, fields):
    g = gateway({"special": {"boss": "chief"}, "user chief": {"password": "pw"}, **to(scratch.free_port())})
    text = message("huge", to="x@far.example", extra=fields, body=b"the body\r\n")
    began = time.monotonic()
    with g.smtp(timeout=60) as s:
        s.mail("anna@office.lan", ["boris", "x@far.example"], text)
    assert time.monotonic() - began < 15 * gw.SLOWER
    assert g.wait_box("boris")[0].endswith(text) and g.wait_box("chief")[0].endswith(text)
    out = g.wait_queue(1)[0].read_bytes()
    assert out.endswith(b"\r\n\r\nthe body\r\n") and len(out) > len(fields) * 0.9
    assert b"\r\nFrom: anna@firm.example\r\n" in out[:3000] + out[-3000:]
    if fields.startswith(b"To: anna"):
        assert out.count(b"anna@firm.example") >= 100000 and b"anna@office.lan" not in out


def test_too_many_wrong_passwords_end_the_connection(gateway):
    g = gateway({"user anna": {"password": "pw"}})
    with g.smtp() as s:
        replies = []
        try:
            for _ in range(100):
                replies.append(s.auth_plain("anna", "no")[0])
        except (EOFError, OSError):
            pass
        assert 3 <= len(replies) <= 20 and set(replies[:-1]) == {535} and replies[-1] in (535, 421)


LINE_STATES = {"greeted": [], "named": ["USER anna"], "logged in": ["USER anna", "PASS pw"], "AUTH": ["AUTH PLAIN"], "AUTH LOGIN": ["AUTH LOGIN"]}


@pytest.mark.parametrize("commands", LINE_STATES.values(), ids=LINE_STATES)
def test_line_without_lf_in_every_state_of_pop3(gateway, commands):
    g = gateway({"user anna": {"password": "pw"}})
    with POP3(g.pop3_port) as p:
        for c in commands:
            p.cmd(c)
        before, sent = memory(g), 0
        with pytest.raises(OSError):
            while sent < 1024 * MIB:
                p.send(b"A" * MIB)
                sent += MIB
        assert memory(g) - before < 2 * MIB and sent < 1024 * MIB
    with g.pop3("anna", "pw") as p:
        assert p.stat() == (0, 0)


def test_rst_behind_quit(gateway):
    """As Outlook does it: deletions that QUIT confirmed are done, whatever becomes of the connection."""
    g = gateway({"user anna": {"password": "pw"}})
    for n in range(10):
        g.send("boris@office.lan", ["anna"], message(f"m{n}"))
    g.wait_box("anna", 10)
    with g.smtp() as s:
        s.mail("anna@office.lan", "boris", message("sent"))
        s.send(b"QUIT\r\n")
        s.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    p = POP3(g.pop3_port, "anna", "pw")
    for n in range(1, 6):
        p.ok(f"DELE {n}")
    assert p.cmd("QUIT").startswith("+OK")
    p.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    p.close()
    with g.pop3("anna", "pw") as p:
        assert p.stat()[0] == 5
    assert g.wait_box("boris")


def test_half_open_and_trickling_connections_by_the_hundred(gateway):
    """One byte now and then on 500 connections, and as many that say nothing: each has its deadline, and a LAN user is served
    meanwhile."""
    g = gateway({"smtp": {"timeout": "3s"}, "pop3": {"timeout": "3s"}, "user boris": {"password": "x"}})
    slow = []
    for n in range(500):
        slow.append(socket.create_connection(("127.0.0.1", g.smtp_port if n % 2 else g.pop3_port), 20))
    end = time.monotonic() + 6
    worst = 0
    while time.monotonic() < end:
        for s in slow[::2]:
            try:
                s.send(b"N")
            except OSError:
                pass
        began = time.monotonic()
        g.send("anna@office.lan", ["boris"], message("served"))
        with g.pop3("boris", "x") as p:
            p.stat()
        worst = max(worst, time.monotonic() - began)
        time.sleep(0.5)
    assert worst < 3 * gw.SLOWER, worst
    scratch.wait_for(lambda: sum(g.json("status")["connections"][k] for k in ("smtp", "pop3")) == 0, 20, "all cut off")
    for s in slow:
        s.close()


@pytest.mark.parametrize("pattern, subject", [("^(a+)+$", b"a" * 5000 + b"!"), ("^(a|b)*$", b"ab" * 2500000 + b"!"),
                                              ("(x+x+)+y", b"x" * 20000), ("^(.*)*(.*)*(.*)*$\\d", b"z" * 200000)],
                         ids=["nested plus", "alternation", "two pluses", "three stars"])
def test_runaway_pattern_is_cut_and_told_of_once(gateway, dovecot, mailbox, pattern, subject):
    """It counts as unmatched, the mail is kept, postmaster is told once, and nobody waits for it."""
    g = gateway({"account a": {"host": "127.0.0.1", "port": dovecot.port, "security": "none", "user": mailbox, "password": "secret",
                               "keep": 0}, "rule wild": {"field": "Subject", "matches": f'"{pattern}"', "deliver": "boris"},
                 "sorter": {"unmatched": "anna"}})
    for n in range(3):
        dovecot.put(mailbox, b"From: x@y.example\r\nMessage-ID: <%d@y>\r\nSubject: " % n + subject + b"\r\n\r\nbody\r\n")
    began, cpu = time.monotonic(), cpu_seconds(g)
    g.sync()
    assert time.monotonic() - began < 30 and cpu_seconds(g) - cpu < 15
    assert len(g.wait_box("anna", 3)) == 3 and not g.box("boris") and dovecot.count(mailbox) == 0
    told = [m for m in g.box("postmaster") if b"wild" in m]
    assert len(told) <= 1
    if pattern == "^(a+)+$":
        assert len(told) == 1, g.log()[-2000:]


def test_a_pattern_that_runs_away_on_thousands_of_fields_keeps_nobody_waiting(gateway, dovecot, mailbox):
    """What a message's patterns may cost is limited for all its fields together, and they are tried beside the loop."""
    g = gateway({"account a": {"host": "127.0.0.1", "port": dovecot.port, "security": "none", "user": mailbox, "password": "secret",
                               "keep": 0}, "rule wild": {"field": "*", "matches": '"(x+x+)+y"', "deliver": "boris"},
                 "rule tame": {"field": "Subject", "contains": "tame", "deliver": "anna"}})
    for n in range(2):
        dovecot.put(mailbox, b"Message-ID: <%d@y>\r\nSubject: tame\r\n" % n +
                    b"X-Long: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx y z\r\n" * 19000 + b"\r\nbody\r\n")
    longest, done = 0.0, threading.Event()
    sync = threading.Thread(target=lambda: (g.sync(), done.set()))
    began = time.monotonic()
    sync.start()
    with g.smtp() as s:
        while not done.is_set() and time.monotonic() - began < 60:
            asked = time.monotonic()
            s.ok("NOOP")
            longest = max(longest, time.monotonic() - asked)
            done.wait(0.01)
    sync.join()
    assert longest < 2 and time.monotonic() - began < 30, (longest, time.monotonic() - began)
    assert len(g.wait_box("anna", 2)) == 2 and not g.box("boris")
    assert len([m for m in g.wait_box("postmaster") if b"wild" in m]) == 1
