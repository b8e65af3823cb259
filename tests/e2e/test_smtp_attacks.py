"""The SMTP server against what breaks, floods, smuggles and forges; and on disks that are full."""
import base64
import errno
import os
import re
import resource
import socket
import subprocess
import threading
import time

import pytest

from lib import gateway as gw
from lib import scratch
from lib.clients import Line, SMTP
from lib.gateway import message
from lib.sending import to

MIB = 1 << 20


def memory(g):
    """Resident bytes. A sanitizer keeps what was freed, so there they say nothing."""
    if gw.BUILD != "build":
        return 0
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{g.process.pid}/status").read()).group(1)) * 1024


def begin(s, *recipients, sender="anna@office.lan"):
    s.ok(f"MAIL FROM:<{sender}>")
    for r in recipients:
        s.ok(f"RCPT TO:<{r}>")
    s.ok("DATA", 354)


def raw_data(s, text, *recipients):
    """One message as these very bytes, its end included; the reply."""
    begin(s, *recipients)
    s.send(text)
    return s.reply()


# ---- one message is one message ----

ENDS = {"LF.LF": b"\n.\n", "LF.CRLF": b"\n.\r\n", "CR.CR": b"\r.\r", "CRLF.LF": b"\r\n.\n", "LF.CR": b"\n.\r",
        "CRLF.CR": b"\r\n.\r", "CRLF.NUL": b"\r\n.\0\r\n", "CR.LF": b"\r.\n"}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("offers", [("PIPELINING",), ("PIPELINING", "CHUNKING")], ids=["data", "bdat"])
def test_smuggled_second_message(gateway, liar, end, offers):
    r = liar(offers=offers)
    g = gateway(to(r.port))
    inner = (b"MAIL FROM:<ceo@office.lan>\r\nRCPT TO:<anna@office.lan>\r\nRCPT TO:<vip@far.example>\r\nDATA\r\n"
             b"Subject: forged\r\n\r\npay\r\n")
    head = message("one", to="x@far.example", body=b"before")
    with g.smtp() as s:
        assert raw_data(s, head + end + inner + b".\r\n", "boris", "x@far.example")[0] == 250
        assert s.cmd("NOOP")[0] == 250, "nothing was left over"
    stored = g.wait_box("boris")[0]
    if end == b"\r\n.\0\r\n":
        body = b"before\r\n\0\r\n" + inner  # the dot is stuffing
    else:
        unstuffed = re.sub(rb"\A\r\n\.", b"\r\n", end)
        body = b"before" + re.sub(rb"(?<!\r)\n", b"\r\n", unstuffed) + inner
    assert gw.body(stored) == body, gw.body(stored)
    g.sync()
    assert len(r.accepted) == 1 and r.accepted[0].recipients == ["x@far.example"]
    sent = r.accepted[0].data
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", sent), "CRLF everywhere"
    assert b"Subject: forged\r\n\r\npay\r\n" in sent
    g.wait_queue(0)  # the files go a moment after the relay's reply is committed
    assert len(g.box("boris")) == 1 and not g.box("anna")


def test_smuggled_in_bdat(gateway, liar):
    r = liar(offers=("PIPELINING",))
    g = gateway(to(r.port))
    text = message("one", "anna@firm.example", "x@far.example") + b".\r\nMAIL FROM:<a@b.example>\r\n.\n\r\n..\r\n"
    with g.smtp() as s:
        s.ok("MAIL FROM:<anna@office.lan>")
        s.ok("RCPT TO:<boris>")
        s.ok("RCPT TO:<x@far.example>")
        s.send(b"BDAT 7\r\n" + text[:7] + b"BDAT %d LAST\r\n" % len(text[7:]) + text[7:] + b"NOOP\r\n")
        assert [s.reply()[0] for _ in range(3)] == [250, 250, 250]
    assert g.wait_box("boris")[0].endswith(text.replace(b".\n\r\n", b".\r\n\r\n"))
    g.sync()
    assert len(r.accepted) == 1 and r.accepted[0].data.endswith(text.replace(b".\n\r\n", b".\r\n\r\n"))


def test_command_behind_a_bare_line_end_is_no_command(gateway):
    g = gateway()
    with g.smtp() as s:
        for c in (b"\n", b"\r"):
            s.send(b"NOOP" + c + b"MAIL FROM:<anna>\r\nRSET\r\n")
            assert s.reply()[0] in (500, 501) and s.reply()[0] == 250
        assert s.cmd("RCPT TO:<boris>")[0] == 503


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


# ---- TLS ----

@pytest.mark.parametrize("behind", [b"RSET\r\n", b"EHLO evil\r\nMAIL FROM:<evil@office.lan>\r\n", b"NOOP", b"\0" * 500])
def test_plaintext_behind_starttls_is_thrown_away(gateway, ca, behind):
    cert, key = ca.issue("gate.test")
    g = gateway({"tls": {"certificate": cert, "key": key}, "user anna": {"password": "pw"}})
    with g.smtp() as s:
        assert s.auth_plain("anna", "pw")[0] == 235
        s.ok("MAIL FROM:<anna@office.lan>")
        assert s.cmd("STARTTLS")[0] == 503, "not in the middle of a transaction"
        s.ok("RSET")
        s.send(b"STARTTLS\r\n" + behind)
        assert s.reply()[0] == 220
        try:
            s.wrap()
        except OSError:
            return  # what was thrown in spoilt the handshake, as it may
        assert s.cmd("MAIL FROM:<anna@office.lan>")[0] == 503, "EHLO is forgotten"
        assert "STARTTLS" not in s.ok("EHLO again")[1]
        assert s.cmd("RCPT TO:<boris>")[0] == 503
        assert s.auth_plain("anna", "pw")[0] == 235, "so is the log-in"
        s.mail("anna@office.lan", "boris", message())
    assert b"evil" not in g.wait_box("boris")[0]


def test_no_tls_without_certificate(gateway):
    g = gateway()
    with g.smtp() as s:
        assert "STARTTLS" not in s.ehlo and s.cmd("STARTTLS")[0] in (502, 454)


# ---- malformed commands and addresses ----

@pytest.mark.parametrize("line", [
    "MAIL FROM:<a@b.example> AUTH=+0", "MAIL FROM:<a@b.example> AUTH=a+0Ab", "MAIL FROM:<a@b.example> AUTH=",
    "MAIL FROM:<a@b.example> =", "MAIL FROM:<a@b.example> SIZE=", "MAIL FROM:<a@b.example> SIZE=1x",
    "MAIL FROM:<a@b.example> SIZE=99999999999999999999999", "MAIL FROM:<a@b.example> SIZE=-1",
    "MAIL FROM:<a@b.example", 'MAIL FROM:<"a@b.example>', "MAIL FROM:<a@b.example>> ", "MAIL FROM:",
    "MAIL", "MAIL TO:<a@b.example>", "MAIL FROM:<a@b.example>\x00", "MAIL FROM:<a\x01@b.example>",
    "MAIL FROM:<a@b.example> BODY=9BIT", "MAIL FROM:<a b@c.example>", "MAIL FROM:<@>", "MAIL FROM:<a@>",
    "MAIL FROM:<a@b.example> ORCPT=rfc822;+0A"])
def test_malformed_mail_is_501(gateway_of_file, line):
    with gateway_of_file.smtp() as s:
        assert s.cmd(line)[0] == 501
        s.ok("MAIL FROM:<a@b.example>")


@pytest.fixture(scope="module")
def gateway_of_file():
    g = gw.Gateway({**to(1), "server": {"log_level": "debug", "log_size_kib": 999}})
    yield g
    g.close()


@pytest.mark.parametrize("address", [
    "<;id;@x>", '<"">@', "|cmd", "<|cmd>", "<../../x>", "<../../x@office.lan>", "<%n%s>", "<%n%s@office.lan>",
    "<-oQ/tmp@office.lan>", "<.@office.lan>",
    "<anna/../boris@office.lan>", '<"../boris"@office.lan>', "<$(id)@office.lan>",
    "<a@office.lan@far.example>", "<'or 1=1--@office.lan>", "<>", "< >", "<" + "a" * 300 + "@office.lan>",
    "<x@" + "a." * 200 + "example>", "<boris%far.example@office.lan>", "<boris@office.lan\r>", "<\xff@office.lan>"])
def test_hostile_recipients_are_refused(gateway_of_file, address):
    g = gateway_of_file
    with g.smtp() as s:
        s.ok("MAIL FROM:<anna@office.lan>")
        assert 500 <= s.cmd(f"RCPT TO:{address}".encode("latin1"))[0] < 560
        s.ok("RCPT TO:<boris>")
    assert {p.name for p in (g.home / "mailboxes").iterdir() if not p.name.startswith(".")} <= {
        "anna", "boris", "postmaster"}


def test_hostile_names_forge_no_log_line_and_no_header(gateway):
    g = gateway()
    evil = b"x\x1b[31m\xff\xe2\x80\xae) by evil.example; \"q\" \\" + b"y" * 1500
    with g.smtp(helo=None) as s:
        s.cmd(b"EHLO " + evil)
        s.ok("EHLO (a)b\"c\\d;e<f>\xe9")
        s.mail("x@far.example", "boris", message())
    with g.smtp() as s:
        s.ok('MAIL FROM:<"a info forged=yes b"@far.example>')
        s.cmd("RCPT TO:<nobody>")
        s.auth_plain("a\ninfo forged=yes", "x")
        s.auth_plain("\x1b[2J\u202e" + "n" * 2000, "x")
    stored = g.wait_box("boris")[0]
    received = re.search(rb"(?m)^Received: from (.*)\r\n", stored).group(1)
    assert re.fullmatch(rb"[!-~]{1,255} \(\[127\.0\.0\.1\]\)", received) and b"(a)" not in received
    time.sleep(0.2)
    log = (g.home / "ofmsrv.log").read_bytes()
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", log) and "\u202e".encode() not in log
    assert not re.search(rb"(?m)^(?!\d{4}-\d\d-\d\dT)", log.rstrip(b"\n"))
    assert not re.search(rb" forged=yes(?![^\n]*\")", log) and all(len(x) < 2048 for x in log.splitlines())


def test_web_browser_is_sent_away(gateway_of_file):
    with Line(gateway_of_file.smtp_port) as c:
        c.send("POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\nMAIL FROM:<anna>\r\n")
        assert b"\r\n250" not in c.rest()


# ---- floods ----

STATES = {"greeted": [], "ready": ["EHLO x"], "mailed": ["EHLO x", "MAIL FROM:<anna>"],
          "rcpted": ["EHLO x", "MAIL FROM:<anna>", "RCPT TO:<boris>"], "sasl": ["EHLO x", "AUTH LOGIN"],
          "password": ["EHLO x", "AUTH LOGIN", "YW5uYQ=="], "auth": ["EHLO x", "AUTH PLAIN " + "A" * 4000]}


@pytest.mark.parametrize("commands", STATES.values(), ids=STATES)
def test_endless_line(gateway_of_file, commands):
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


def test_file_descriptors_exhausted(gateway):
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
        scratch.wait_for(lambda: served_soon(g), 15, "recovery with some freed")
    finally:
        for c in held:
            c.close()
        resource.prlimit(g.process.pid, resource.RLIMIT_NOFILE, (4096, 4096))
    g.send("anna@office.lan", ["boris"], message("after"))
    g.wait_box("boris")


def cpu_seconds(g):
    fields = open(f"/proc/{g.process.pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def served_soon(g):
    try:
        with g.smtp(timeout=3) as s:
            return s.greeting[0] == 220
    except (OSError, EOFError):
        return False


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
        assert time.monotonic() - began < 1
        time.sleep(0.3)
    for t in threads:
        t.join(40)
    assert len(ended) == 25 and sorted(ended)[19] < 6.5 and max(ended) < 16, ended
    assert set(g.subjects("boris")) == {"served"}


def test_bad_log_ins_leave_memory_flat(gateway):
    g = gateway({"user anna": {"password": "pw"}})
    tries = [b"AUTH LOGIN\r\n" + base64.b64encode(b"anna") + b"\r\n", b"AUTH PLAIN AAAA\r\n", b"AUTH PLAIN !!!!\r\n",
             b"AUTH LOGIN\r\n*\r\n", b"AUTH PLAIN\r\n" + b"A" * 9000 + b"\r\n"]

    def attack(n):
        for k in range(n):
            with g.smtp() as s:
                s.send(tries[k % len(tries)])
                s.reply()
    attack(100)
    before = memory(g)
    attack(600)
    assert memory(g) - before < 4 * MIB
    with g.smtp() as s:
        assert s.auth_plain("anna", "pw")[0] == 235


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


HUGE = {"addresses": b"To: " + b",\r\n ".join([b"anna@office.lan"] * 100000) + b"\r\n",
        "fields": b"".join(b"X-%d: %s\r\n" % (n, b"v" * 60) for n in range(200000)),
        "one field": b"X: " + b"\r\n ".join([b"w" * 70] * 200000) + b"\r\n",
        "one line": b"To: " + b"a" * (12 * MIB) + b"\r\n",
        "quotes": b"To: " + b'"' * MIB + b"\r\nCc: " + b"(" * MIB + b"\r\nReply-To: " + b"<" * MIB + b"\r\n"}


@pytest.mark.parametrize("fields", HUGE.values(), ids=HUGE)
def test_huge_headers_cost_linear_time(gateway, fields):
    g = gateway({"special": {"boss": "chief"}, "user chief": {"password": "pw"}, **to(scratch.free_port())})
    text = message("huge", to="x@far.example", extra=fields, body=b"the body\r\n")
    began = time.monotonic()
    with g.smtp(timeout=60) as s:
        s.mail("anna@office.lan", ["boris", "x@far.example"], text)
    assert time.monotonic() - began < 15
    assert g.wait_box("boris")[0].endswith(text) and g.wait_box("chief")[0].endswith(text)
    out = g.wait_queue(1)[0].read_bytes()
    assert out.endswith(b"\r\n\r\nthe body\r\n") and len(out) > len(fields) * 0.9
    assert b"\r\nFrom: anna@firm.example\r\n" in out[:3000] + out[-3000:]
    if fields.startswith(b"To: anna"):
        assert out.count(b"anna@firm.example") >= 100000 and b"anna@office.lan" not in out


# ---- clients that do as they like, and work ----

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
    """Sends until there is no room; the subjects that were accepted."""
    told = []
    with g.smtp() as s:
        for n in range(3000):
            s.ok("MAIL FROM:<anna@office.lan>")
            s.ok("RCPT TO:<anna>")
            s.ok("RCPT TO:<boris>")
            got = s.data(message(f"m{n}", body=b"x" * size + b"\r\n"))
            if got[0] != 250:
                assert got[0] == 452 and got[1].startswith("4.3.1"), got
                break
            told.append(f"m{n}")
        else:
            raise AssertionError("it never gets full")
    return told


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
