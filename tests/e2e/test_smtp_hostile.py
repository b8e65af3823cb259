"""Clients that mean ill, know little, or are many: the SMTP server bears them all."""
import re
import socket
import time

import pytest

from lib import gateway as gw
from lib import scratch
from lib.clients import SMTP

USERS = {"user anna": {"password": "secret", "alias": "anna@firm.example"}}


def tls_sections(ca):
    cert, key = ca.issue("gate.test", also=("localhost",))
    return {"tls": {"certificate": cert, "key": key}}


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n"])
def test_smuggled_mail_stays_one_message(gateway, relay, end):
    g = gateway({"relay": {"host": "localhost", "port": relay.port, "security": "none", "auth": "off"}})
    evil = b"MAIL FROM:<evil@x.example>\r\nRCPT TO:<boris>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n"
    with g.smtp() as s:
        for command in ("MAIL FROM:<anna>", "RCPT TO:<boris>", "RCPT TO:<out@far.example>"):
            s.ok(command, 250)
        s.ok("DATA", 354)
        s.send(b"Subject: one\r\n\r\nbody" + end + evil + b".\r\n")
        assert s.reply()[0] == 250
        s.ok("NOOP", 250)
    time.sleep(0.3)
    assert g.subjects("boris") == ["one"]
    raw = g.box("boris")[0]
    assert not re.search(rb"(^|[^\r])\n", raw) and b"smuggled" in raw
    g.sync()
    sent = relay.wait("out@far.example")
    assert len(sent) == 1 and b"smuggled" in sent[0].raw


def test_what_stands_behind_starttls_is_thrown_away(gateway, ca):
    g = gateway({**USERS, **tls_sections(ca)})
    with g.smtp() as s:
        assert "STARTTLS" in s.ehlo
        assert s.auth_plain("anna", "secret")[0] == 235
        s.send("STARTTLS\r\nMAIL FROM:<injected@x.example>\r\n")
        assert s.reply()[0] == 220
        s.wrap()
        assert s.cmd("MAIL FROM:<anna>")[0] == 503  # EHLO is forgotten, and the injected MAIL was never read
        assert "STARTTLS" not in s.ok("EHLO client.test", 250)[1]
        assert s.auth_plain("anna", "secret")[0] == 235  # so is the log-in


def rss_kib(g):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{g.process.pid}/status").read()).group(1))


@pytest.mark.parametrize("state", ["", "HELO x\r\n", "EHLO x\r\nAUTH LOGIN\r\n", "EHLO x\r\nMAIL FROM:<anna>\r\n"])
def test_endless_line_is_cut_off(gateway, state):
    g = gateway(USERS)
    with SMTP(g.smtp_port, helo=None) as s:
        s.send(state)
        before, most, start = rss_kib(g), 0, time.monotonic()
        with pytest.raises(OSError):  # a moment after the 500, so that no reset eats it
            while time.monotonic() - start < 10:
                s.send(b"x" * (1 << 20))
                most = max(most, rss_kib(g))
        assert most - before < 2048 or gw.BUILD != "build"
    g.send("anna@office.lan", "boris", gw.message())


def test_bad_authentication_costs_nothing(gateway):
    g = gateway(USERS)

    def round_of(n):
        for i in range(n):
            with g.smtp() as s:
                for line in ("AUTH LOGIN", "!!!", "AUTH LOGIN", "*", "AUTH PLAIN AAAA", "AUTH LOGIN"):
                    s.cmd(line)
    round_of(50)
    before = rss_kib(g)
    round_of(400)
    assert rss_kib(g) - before < 1024 or gw.BUILD != "build"
    assert g.smtp().auth_login("anna", "secret")[0] == 235


def test_tricklers_delay_nobody_and_end(gateway):
    g = gateway({"smtp": {"timeout": "2s"}})
    slow = [socket.create_connection(("127.0.0.1", g.smtp_port)) for _ in range(200)]
    for _ in range(4):
        for s in slow:
            try:
                s.send(b"N")
            except OSError:
                pass
        t = time.monotonic()
        g.send("anna@office.lan", "boris", gw.message())
        assert time.monotonic() - t < 1
        time.sleep(0.6)
    scratch.wait_for(lambda: g.json("status")["connections"]["smtp"] == 0, 10)
    for s in slow:
        s.settimeout(5)
        got = b""
        try:
            while piece := s.recv(4096):
                got += piece
        except ConnectionResetError:
            pass
        assert b"421 4.4.2" in got or got.startswith(b"220")
        s.close()


def test_forged_lines_do_not_reach_the_log(gateway):
    g = gateway()
    with SMTP(g.smtp_port, helo=None) as s:
        s.send(b"EHLO \xff\xfe\xe2\x80\xae" + b"a" * 1000 + b"\r\n")
        assert s.reply()[0] == 250
        s.ok("MAIL FROM:<%n%s@x.example>", 250)
        for bad in (b"RCPT TO:<a\x1b[2J@x.example>", b"RCPT TO:<;id;@x>", b'RCPT TO:<"">@', b"RCPT TO:<../../x@office.lan>",
                    b"RCPT TO:<|cmd@office.lan>", b"RCPT TO:<%n%s@office.lan>", b"RCPT TO:<\xd0\xb0@office.lan>"):
            assert 500 <= s.cmd(bad)[0] < 600, bad
    log = (g.home / "ofmsrv.log").read_bytes()
    assert b"\x1b" not in log and b"\xff" not in log
    assert all(re.match(rb"\d{4}-\d\d-\d\dT", line) for line in log.splitlines())


def test_too_many_connections_are_refused_politely(gateway):
    g = gateway({"smtp": {"max_connections": 20}})
    held = [SMTP(g.smtp_port) for _ in range(20)]
    with SMTP(g.smtp_port) as s:
        assert s.greeting[0] == 421
    held[0].quit()
    scratch.wait_for(lambda: SMTP(g.smtp_port).greeting[0] == 220, 5)
    for s in held[1:]:
        s.close()


def test_the_filter_decides_before_the_greeting_and_by_reload(gateway):
    g = gateway()
    running = g.smtp()
    g.reload({"ip_filter": {"deny": "127.0.0.1"}})
    for _ in range(5):
        with SMTP(g.smtp_port) as s:
            assert s.greeting[0] == 554 and s.greeting[1].startswith("5.7.1")
            assert s.rest() == b""
    assert running.cmd("NOOP")[0] == 250
    assert len(re.findall("smtp.refuse", g.log())) == 1


def test_a_scanner_that_knows_little(gateway, relay):
    """HELO, everything at once without being asked, no Date, no Message-ID, bare LF."""
    g = gateway({"relay": {"host": "localhost", "port": relay.port, "security": "none", "auth": "off",
                           "sender": "office@firm.example"}})
    with socket.create_connection(("127.0.0.1", g.smtp_port)) as s:
        s.sendall(b"HELO scanner\r\nMAIL FROM: scan@scanner\r\nRCPT TO: out@far.example\r\nDATA\r\n"
                  b"From: scan@scanner\nSubject: page\n\nscanned\n\r\n.\r\nQUIT\r\n")
        got = b""
        while piece := s.recv(4096):
            got += piece
    assert [line[:3] for line in got.splitlines()] == [b"220", b"250", b"250", b"250", b"354", b"250", b"221"]
    g.sync()
    [sent] = relay.wait("out@far.example")
    assert sent.sender == "office@firm.example" and sent.message["From"] == "office@firm.example"
    assert sent.message["Date"] and sent.message["Message-ID"]


def test_idle_connections_are_small(gateway):
    if gw.BUILD != "build":
        pytest.skip("sanitizers have memory of their own")
    g = gateway()

    def pss():
        return int(re.search(r"Pss:\s+(\d+)", open(f"/proc/{g.process.pid}/smaps_rollup").read()).group(1))
    warm = [g.smtp() for _ in range(50)]
    before = pss()
    held = [g.smtp() for _ in range(400)]
    assert (pss() - before) / 400 <= 6
    for s in warm + held:
        s.close()
