"""What peers can make the program use: memory, descriptors, time. `make soak` runs the same with large numbers and prints the
figures of docs/BOUNDS.md; `make check` with small ones."""
import base64
import os
import pathlib
import re
import socket
import ssl
import time

import pytest

from lib import gateway as gw
from lib import scratch
from lib.clients import SMTP
from lib.gateway import message

SOAK = bool(os.environ.get("OFM_SOAK"))
KIB, MIB = 1024, 1 << 20
pytestmark = pytest.mark.usefixtures("inspector")
MEASURES = gw.BUILD == "build"  # sanitizers have memory of their own


def scaled(small, large):
    return large if SOAK else small


def figure(what, value, unit, limit=None):
    print(f"FIGURE {what}: {value:.1f} {unit}" + (f" (at most {limit})" if limit is not None else ""))
    if limit is not None and MEASURES:
        assert value <= limit, what


def proc(g, name):
    return pathlib.Path(f"/proc/{g.process.pid}/{name}").read_text()


def pss(g):
    return int(re.search(r"(?m)^Pss:\s+(\d+)", proc(g, "smaps_rollup")).group(1)) * KIB


def heap(g):
    """What is the program's alone: its share of libraries grows by itself when others that use them end."""
    return int(re.search(r"(?m)^Pss_Anon:\s+(\d+)", proc(g, "smaps_rollup")).group(1)) * KIB


def fds(g):
    return len(os.listdir(f"/proc/{g.process.pid}/fd"))


class Peak:
    """The most resident memory inside the block, over what was resident before it."""

    def __init__(self, g):
        self.g = g

    def __enter__(self):
        pathlib.Path(f"/proc/{self.g.process.pid}/clear_refs").write_text("5")
        self.before = int(re.search(r"VmRSS:\s+(\d+)", proc(self.g, "status")).group(1))
        return self

    def __exit__(self, *_):
        self.grown = (int(re.search(r"VmHWM:\s+(\d+)", proc(self.g, "status")).group(1)) - self.before) * KIB


@pytest.fixture
def big(gateway, ca):
    cert, key = ca.issue("gate.test")
    smtps, pop3s = scratch.free_port(), scratch.free_port()
    return gateway({"tls": {"certificate": cert, "key": key}, "server": {"log_level": "info"},
                    "smtp": {"tls_port": smtps, "max_connections": 20000, "timeout": "10m"},
                    "pop3": {"tls_port": pop3s, "max_connections": 20000, "timeout": "10m"},
                    "user boris": {"password": "x"}})


def test_idle_memory(big):
    figure("idle, proportional set", pss(big) / MIB, "MiB", 12)


def dial(port, tls):
    s = socket.create_connection(("127.0.0.1", port))
    if tls:
        s = tls.wrap_socket(s)
    s.recv(1000)
    return s


KINDS = {"smtp": ("smtp", "port", False, b"EHLO x\r\n"), "pop3": ("pop3", "port", False, b"CAPA\r\n"),
         "smtp under TLS": ("smtp", "tls_port", True, b"EHLO x\r\n"), "pop3 under TLS": ("pop3", "tls_port", True, b"CAPA\r\n")}


@pytest.mark.parametrize("kind", KINDS)
def test_memory_of_an_idle_connection(big, kind):
    server, key, tls, say = KINDS[kind]
    context = None
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    port = int(big.ini[server][key])

    def hold(n):
        held = [dial(port, context) for _ in range(n)]
        for s in held:
            s.sendall(say)
            s.recv(1000)
        return held
    warm = hold(20)
    time.sleep(0.3)
    before, fds_before = heap(big), fds(big)
    n = scaled(150, 1000)
    held = hold(n)
    time.sleep(0.3)
    figure(f"idle connection, {kind}, of {n}", (heap(big) - before) / n / KIB, "KiB", 40 if tls else 6)
    assert fds(big) - fds_before == n, "one descriptor each"
    for s in held + warm:
        s.close()
    scratch.wait_for(lambda: fds(big) <= fds_before, 20, "all closed")


def test_connections_come_and_go(big):
    """Whatever came, what is held afterwards is what was held before."""
    def rounds(n):
        for k in range(n):
            port = big.smtp_port if k % 2 else big.pop3_port
            s = socket.create_connection(("127.0.0.1", port))
            if k % 3:
                s.recv(1000)
            if k % 5 == 0:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            s.close()
    rounds(400)
    scratch.wait_for(lambda: big.json("status")["connections"]["smtp"] == 0, 20, "all gone")
    before, fds_before = heap(big), fds(big)
    n = scaled(1500, 10000)
    began = time.monotonic()
    rounds(n)
    figure("connections that come and go", n / (time.monotonic() - began), "a second")
    scratch.wait_for(lambda: fds(big) <= fds_before, 20, lambda: f"descriptors {fds(big)} > {fds_before}")
    figure(f"growth over {n} connections", (heap(big) - before) / KIB, "KiB", 1024)


def test_commands_without_end(big):
    """Pipelined as fast as they are taken, replies read as they come."""
    n, chunk = scaled(40000, 1000000), 2000
    for name, port, line in (("smtp", big.smtp_port, b"NOOP\r\n"), ("pop3", big.pop3_port, b"NOOP\r\n")):
        with socket.create_connection(("127.0.0.1", port)) as s, s.makefile("rb", 1 << 20) as replies:
            replies.readline()
            if name == "pop3":
                s.sendall(b"USER boris\r\nPASS x\r\n")
                replies.readline(), replies.readline()
            began = time.monotonic()
            with Peak(big) as peak:
                for _ in range(n // chunk):
                    s.sendall(line * chunk)
                    for _ in range(chunk):
                        assert replies.readline()[:3] in (b"250", b"+OK")
        figure(f"{name} commands", n / (time.monotonic() - began), "a second")
        figure(f"{name} growth over {n} commands", peak.grown / KIB, "KiB", 1024)


def test_replies_that_nobody_reads(big):
    """The client sends commands and takes no reply: then nothing more is taken from it."""
    for name, port in (("smtp", big.smtp_port), ("pop3", big.pop3_port)):
        with socket.create_connection(("127.0.0.1", port)) as s, Peak(big) as peak:
            s.setblocking(False)
            sent, end = 0, time.monotonic() + scaled(2, 10)
            while time.monotonic() < end:
                try:
                    sent += s.send(b"CAPA\r\nHELP\r\n" * 4000)
                except BlockingIOError:
                    time.sleep(0.02)
                except OSError:
                    break
        figure(f"{name} growth with unread replies ({sent / MIB:.1f} MiB of commands taken)", peak.grown / KIB, "KiB", 1536)


LINES = {"command": b"", "after HELO": b"HELO x\r\n", "AUTH": b"EHLO x\r\nAUTH PLAIN\r\n", "MAIL": b"EHLO x\r\nMAIL FROM:<anna>\r\n"}


@pytest.mark.parametrize("state", LINES)
def test_line_without_end(big, state):
    """1 GB without LF: 500, closed, and what still comes is not even kept."""
    total, sent = scaled(24 * MIB, 1024 * MIB), 0
    block = b"A" * MIB
    with socket.create_connection(("127.0.0.1", big.smtp_port)) as s, Peak(big) as peak:
        s.sendall(LINES[state])
        s.settimeout(10)
        try:
            while sent < total:
                s.sendall(block)
                sent += len(block)
        except OSError:
            pass
    figure(f"growth on an endless line, {state} ({sent >> 20} MiB before it was cut off)", peak.grown / KIB, "KiB", 1024)


def test_header_section_of_100_mb(big):
    size = scaled(16, 100) * MIB
    line = b"X-Filler: " + b"v" * 68 + b"\r\n"
    text = message("huge", extra=line * (size // len(line)), body=b"the body\r\n")
    began = time.monotonic()
    with Peak(big) as peak, big.smtp(timeout=120) as s:
        s.mail("anna@office.lan", "boris", text)
    took = time.monotonic() - began
    figure(f"header section of {size >> 20} MiB", len(text) / MIB / took, "MiB a second")
    figure(f"growth on a header section of {size >> 20} MiB", peak.grown / MIB, "MiB", 12)
    assert big.wait_box("boris", seconds=60)[0].endswith(text)
    with big.pop3("boris", "x", timeout=120) as p, Peak(big) as peak:
        assert p.retr(1).endswith(text)
    figure("growth while it is read", peak.grown / MIB, "MiB", 4)


def test_message_of_many_parts(big):
    """10,000 MIME parts, and 10,000 levels of nesting: bytes like any others."""
    n = 10000
    flat = b"".join(b"--b\r\nContent-Type: text/plain\r\n\r\npart\r\n" for _ in range(n)) + b"--b--\r\n"
    deep = b"".join(b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (k, k + 1) for k in range(n))
    for name, body, boundary in (("flat", flat, b"b"), ("deep", deep, b"b0")):
        text = message(name, extra=b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=" + boundary + b"\r\n",
                       body=body)
        began = time.monotonic()
        with Peak(big) as peak:
            big.send("anna@office.lan", ["boris"], text)
        assert time.monotonic() - began < 10
        figure(f"growth on 10,000 parts, {name}", peak.grown / MIB, "MiB", 4)
    assert sorted(gw.body(m) for m in big.wait_box("boris", 2)) == sorted((flat, deep))


def test_log_ins_broken_off(big):
    """Bad base64, `*`, a disconnect in mid-AUTH: 100,000 times in `make soak`."""
    tries = [b"AUTH LOGIN\r\n" + base64.b64encode(b"anna") + b"\r\n", b"AUTH PLAIN AAAA\r\n", b"AUTH PLAIN !!!!\r\n",
             b"AUTH LOGIN\r\n*\r\n", b"AUTH PLAIN\r\n" + b"A" * 9000 + b"\r\n", b"AUTH LOGIN\r\nYW5u"]

    def attack(n):
        for k in range(n // 10):
            with SMTP(big.smtp_port) as s:
                for j in range(9):
                    s.send(tries[(k + j) % 5])
                    s.reply()
                    if (k + j) % 5 in (0, 3):
                        s.cmd("*") if (k + j) % 5 == 0 else s.reply()
                s.send(tries[5])
    attack(400)
    before, fds_before = heap(big), fds(big)
    n = scaled(2000, 100000)
    attack(n)
    scratch.wait_for(lambda: fds(big) <= fds_before, 20, "all closed")
    figure(f"growth over {n} log-ins broken off", (heap(big) - before) / KIB, "KiB", 1024)
    with big.pop3("boris", "x") as p:
        assert p.stat() == (0, 0)
