"""The SMTP server: every byte kept, clients that do as they like, and disks that are full."""
import os
import re
import socket
import subprocess

import pytest

from lib import gateway as gw
from lib import scratch
from lib.clients import Line
from lib.gateway import message
from lib.rude import begin
from lib.sending import to


@pytest.mark.parametrize("body, stored", [
    (b"a\nb\n\nc", b"a\r\nb\r\n\r\nc\r\n"), (b"a\rb\r\rc\r\n", b"a\rb\r\rc\r\n"), (b"n\0u\0l\r\n", b"n\0u\0l\r\n"),
    (bytes(range(256)).replace(b"\n", b"") + b"\r\n", bytes(range(256)).replace(b"\n", b"") + b"\r\n"),
    (b"\r\r\n\r\n", b"\r\r\n\r\n"), (b"\n\n\n.", b"\r\n\r\n\r\n.\r\n"), (b"no end", b"no end\r\n"),
    (b"z" * 300000, b"z" * 300000 + b"\r\n"), (b"x\n" * 60000 + b"y", b"x\r\n" * 60000 + b"y\r\n")], ids=range(9))
def test_bytes_are_kept(gateway, body, stored):
    g = gateway()
    text = message()
    with g.smtp() as s:
        s.mail("anna@office.lan", "boris", text + body.replace(b"text", b""))
    got = g.wait_box("boris")[0]
    assert got.endswith(text + stored), got[-200:]


@pytest.mark.parametrize("cut", ["close", "reset"])
def test_message_that_is_cut_off_is_none(gateway, cut):
    g = gateway()
    for n in (0, 50, 200000):
        s = g.smtp()
        begin(s, "boris")
        s.send(message("cut", body=b"x" * n))
        if cut == "reset":
            s.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.close()
    g.send("anna@office.lan", ["boris"], message("whole"))
    g.wait_box("boris")
    g.restart()
    assert g.subjects("boris") == ["whole"]
    assert not [p for p in (g.home / "state").rglob("g.*")]


def test_no_tls_without_certificate(gateway):
    g = gateway()
    with g.smtp() as s:
        assert "STARTTLS" not in s.ehlo and s.cmd("STARTTLS")[0] in (502, 454)


def test_web_browser_is_sent_away(gateway):
    g = gateway()
    with Line(g.smtp_port) as c:
        c.send("POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\nMAIL FROM:<anna>\r\n")
        assert b"\r\n250" not in c.rest()


def test_too_many_connections(gateway):
    g = gateway({"smtp": {"max_connections": 3}})
    held = [g.smtp() for _ in range(3)]
    for _ in range(5):
        with Line(g.smtp_port) as c:
            assert c.line().startswith(b"421 4.3.2")
            assert c.rest() == b""
    held[0].ok("QUIT")
    scratch.wait_for(lambda: g.smtp().greeting[0] == 220, 5, "room for one")
    held[1].mail("anna@office.lan", "boris", message())
    assert len(re.findall(r" smtp.refuse .*max_connections", g.log())) == 1


def test_refused_addresses_cost_one_log_line(gateway):
    g = gateway({"ip_filter": {"deny": "127.0.0.2"}, "user anna": {"password": "pw"}})
    for _ in range(200):
        with Line(g.smtp_port, source="127.0.0.2") as c:
            assert c.line().startswith(b"554 5.7.1") and c.rest() == b""
    assert len(re.findall(r" smtp.refuse .*127\.0\.0\.2", g.log())) == 1
    g.send("anna@office.lan", ["boris"], message())


def test_everything_in_one_segment(gateway):
    g = gateway()
    with Line(g.smtp_port) as c:
        c.send(b"EHLO x\r\nMAIL FROM:<anna@office.lan>\r\nRCPT TO:<boris>\r\nDATA\r\n" + message("one")
               + b".\r\nmail from: anna\r\nrcpt to: boris \r\nDATA\r\n" + message("two") + b".\r\nQUIT\r\n")
        c.sock.shutdown(socket.SHUT_WR)
        codes = re.findall(rb"(?m)^(\d{3}) ", c.rest())
    assert codes == [b"220", b"250", b"250", b"250", b"354", b"250", b"250", b"250", b"354", b"250", b"221"]
    g.wait_box("boris", 2)
    assert g.subjects("boris") == ["one", "two"]


def test_old_device(gateway):
    """HELO, commands that end in a bare LF, no Date, no Message-ID, no From, lower case."""
    g = gateway({**to(scratch.free_port(), sender="office@firm.example"), "user scanner": {}})
    with Line(g.smtp_port) as c:
        c.line()
        for line in ("helo scanner", "mail from:<scanner@office.lan>", "rcpt to:<boris@office.lan>",
                     "rcpt to:<x@far.example>", "data"):
            c.send(line + "\n")
            assert c.line()[:3] in (b"250", b"354")
        c.send(b"Subject: scan\n\npage\n\r\n.\r\n")
        assert c.line()[:3] == b"250"
    assert gw.body(g.wait_box("boris")[0]) == b"page\r\n\r\n"
    out = g.wait_queue(1)[0].read_bytes()
    for field in (b"Date: ", b"Message-ID: <", b"From: office@firm.example\r\n"):
        assert b"\r\n" + field in out


def test_the_filter_decides_before_the_greeting_and_by_reload(gateway):
    g = gateway()
    running = g.smtp()
    g.reload({"ip_filter": {"deny": "127.0.0.1"}})
    for _ in range(5):
        with g.smtp(helo=None) as s:
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


# ---- full disks ----

@pytest.fixture
def small_disk():
    """small_disk(g, options) gives the gateway, not yet started, a small disk of its own as its home."""
    if os.getuid() != 0:
        pytest.skip("only root mounts")
    made = []

    def mount(g, options):
        p = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", g.home], capture_output=True)
        if p.returncode != 0:
            pytest.skip("no mounts here")
        made.append(g.home)
        for d in ("etc", "mailboxes", "outqueue"):
            (g.home / d).mkdir()
        g.write()
        g.start()
    yield mount
    for home in made:
        subprocess.run(["umount", home], check=True)
        scratch.remove(home)


def fill(g, size):
    """Sends until there is no room, not even when all that was accepted has settled; the subjects that were accepted."""
    told, refused = [], False
    with g.smtp() as s:
        for n in range(3000):
            s.ok("MAIL FROM:<anna@office.lan>")
            s.ok("RCPT TO:<anna>")
            s.ok("RCPT TO:<boris>")
            got = s.data(message(f"m{n}", body=b"x" * size + b"\r\n"))
            if got[0] == 250:
                told.append(f"m{n}")
                refused = False
                continue
            assert got[0] == 452 and got[1].startswith("4.3.1"), got
            if refused:
                return told
            refused = True
            scratch.wait_for(lambda: not os.listdir(g.home / "mailboxes/.spool"), 20, "an empty spool")
    raise AssertionError("it never gets full")


def check_full_and_recovery(g, told, size, free):
    for _ in range(3):
        with g.smtp() as s:
            s.ok("MAIL FROM:<anna@office.lan>")
            s.ok("RCPT TO:<anna>")
            s.ok("RCPT TO:<boris>")
            assert s.data(message("no", body=b"x" * size + b"\r\n"))[0] == 452
    assert g.ctl("status").returncode == 0
    g.wait_box("boris", len(told))
    assert g.subjects("anna") == g.subjects("boris") == sorted(told)
    free()

    def accepted():
        with g.smtp() as s:
            s.ok("MAIL FROM:<anna@office.lan>")
            s.ok("RCPT TO:<boris>")
            return s.data(message("after"))[0] == 250
    scratch.wait_for(accepted, 20, "recovery by itself")
    g.restart(kill=True)
    assert "after" in g.subjects("boris") and "no" not in g.subjects("boris")


def empty_by_pop3(g):
    for user in ("anna", "boris"):
        with g.pop3(user) as p:
            for n in p.list():
                p.ok(f"DELE {n}")
            p.quit()


@pytest.mark.parametrize("size", [500, 70000])
def test_disk_full(small_disk, gateway, size):
    g = gateway(start=False)
    small_disk(g, "size=12m")
    told = fill(g, size)
    assert told
    check_full_and_recovery(g, told, size, lambda: empty_by_pop3(g))


def test_disk_filled_by_others(small_disk, gateway):
    """To the very last byte, at once and in the middle of a message."""
    g = gateway(start=False)
    small_disk(g, "size=16m")
    g.send("anna@office.lan", ["anna", "boris"], message("first"))
    g.wait_box("boris")
    with g.smtp() as s:
        begin(s, "boris")
        s.send(message("no", body=b"x" * 200000))
        with open(g.home / "filler", "wb") as f:
            subprocess.run(["dd", "if=/dev/zero", "bs=64k"], stdout=f, stderr=subprocess.DEVNULL)
        s.send(b"x" * 2000000 + b"\r\n.\r\n")
        assert s.reply()[0] == 452
    check_full_and_recovery(g, ["first"], 10, lambda: os.unlink(g.home / "filler"))


def test_no_inodes_left(small_disk, gateway):
    g = gateway(start=False)
    small_disk(g, "size=64m,nr_inodes=90")
    told = fill(g, 100)
    assert len(told) > 10
    check_full_and_recovery(g, told, 100, lambda: empty_by_pop3(g))
