"""A LAN client that means ill: rows of what may come and what must happen, one test or table each, through real sockets."""
import base64
import concurrent.futures
import re
import time

import pytest

from lib import gateway as gw
from lib.clients import POP3
from lib.gateway import message
from lib.rude import raw_data
from lib.sending import to


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


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n"])
def test_smuggled_mail_stays_one_message_at_a_real_relay(gateway, relay, end):
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


@pytest.mark.parametrize("behind", [b"RSET\r\n", b"EHLO evil\r\nMAIL FROM:<evil@office.lan>\r\n", b"NOOP", b"\0" * 500])
def test_starttls_and_commands_in_one_segment(gateway, ca, behind):
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


# ---- malformed commands, addresses and names ----

@pytest.fixture(scope="module")
def gateway_of_file():
    g = gw.Gateway({**to(1), "server": {"log_level": "debug", "log_size_kib": 999}})
    yield g
    g.close()


@pytest.mark.parametrize("line", [
    "MAIL FROM:<a@b.example> AUTH=+0", "MAIL FROM:<a@b.example> AUTH=a+0Ab", "MAIL FROM:<a@b.example> AUTH=",
    "MAIL FROM:<a@b.example> =", "MAIL FROM:<a@b.example> SIZE=", "MAIL FROM:<a@b.example> SIZE=1x",
    "MAIL FROM:<a@b.example> SIZE=99999999999999999999999", "MAIL FROM:<a@b.example> SIZE=-1",
    "MAIL FROM:<a@b.example", 'MAIL FROM:<"a@b.example>', "MAIL FROM:<a@b.example>> ", "MAIL FROM:",
    "MAIL", "MAIL TO:<a@b.example>", "MAIL FROM:<a@b.example>\x00", "MAIL FROM:<a\x01@b.example>",
    "MAIL FROM:<a@b.example> BODY=9BIT", "MAIL FROM:<a b@c.example>", "MAIL FROM:<@>", "MAIL FROM:<a@>",
    "MAIL FROM:<a@b.example> ORCPT=rfc822;+0A"])
def test_bad_xtext_unbalanced_quotes_and_empty_parameters_are_501(gateway_of_file, line):
    with gateway_of_file.smtp() as s:
        assert s.cmd(line)[0] == 501
        s.ok("MAIL FROM:<a@b.example>")


@pytest.mark.parametrize("address", [
    "<;id;@x>", '<"">@', "|cmd", "<|cmd>", "<../../x>", "<../../x@office.lan>", "<%n%s>", "<%n%s@office.lan>",
    "<-oQ/tmp@office.lan>", "<.@office.lan>",
    "<anna/../boris@office.lan>", '<"../boris"@office.lan>', "<$(id)@office.lan>",
    "<a@office.lan@far.example>", "<'or 1=1--@office.lan>", "<>", "< >", "<" + "a" * 300 + "@office.lan>",
    "<x@" + "a." * 200 + "example>", "<boris%far.example@office.lan>", "<boris@office.lan\r>", "<\xff@office.lan>"])
def test_paths_commands_and_formats_as_addresses(gateway_of_file, address):
    g = gateway_of_file
    with g.smtp() as s:
        s.ok("MAIL FROM:<anna@office.lan>")
        assert 500 <= s.cmd(f"RCPT TO:{address}".encode("latin1"))[0] < 560
        s.ok("RCPT TO:<boris>")
    assert {p.name for p in (g.home / "mailboxes").iterdir() if not p.name.startswith(".")} <= {
        "anna", "boris", "postmaster"}


def test_escapes_and_64_kb_in_ehlo_give_one_escaped_log_line(gateway):
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


# ---- rows of the POP3 server, and of both ----

TLS_LINES = [b"STLS\r\nUSER anna\r\nPASS pw\r\n", b"STLS\r\nCAPA\r\n", b"STLS\r\nQUIT\r\n"]


@pytest.mark.parametrize("segment", TLS_LINES)
def test_stls_and_commands_in_one_segment(gateway, ca, segment):
    cert, key = ca.issue("gate.test")
    g = gateway({"tls": {"certificate": cert, "key": key}, "user anna": {"password": "pw"}})
    with POP3(g.pop3_port) as p:
        p.ok("USER boris")
        p.send(segment)
        assert p.line().startswith(b"+OK")
        try:
            p.wrap()
        except OSError:
            return  # what was thrown in spoilt the handshake, as it may
        assert p.cmd("PASS x").startswith("-ERR"), "the USER before TLS is forgotten"
        assert p.cmd("STAT").startswith("-ERR") and "STLS" not in p.lines("CAPA")
        p.login("anna", "pw")
        assert p.stat() == (0, 0)


EVIL_NAMES = ["<;id;@x>", '<"">@', "|cmd", "../../x", "../anna", "%n%s%n%s", "$(id)", "`id`", "a;b", "anna/../boris", ".", "..", "-rf",
              "anna\x00", "anna\\", "анна", "anna@", "@office.lan", "anna@office.lan@office.lan", "'or 1=1--", "a" * 3000]


def test_paths_commands_and_formats_as_user_names(gateway):
    """As names to log in with: a refused log-in like any other, and nothing is made or run."""
    g = gateway({"user anna": {"password": "pw"}, "pop3": {"timeout": "20s"}})
    before = sorted(str(p) for p in g.home.rglob("*") if "state" not in p.parts)

    def attempt(name):
        with POP3(g.pop3_port) as p:
            first = p.cmd(b"USER " + name.encode())
            assert first.startswith("-ERR") or p.cmd("PASS pw").startswith("-ERR"), name
        secret = base64.b64encode(b"\0" + name.encode() + b"\0pw").decode()
        with POP3(g.pop3_port) as p:
            assert p.cmd(f"AUTH PLAIN {secret}").startswith("-ERR"), name
        with g.smtp() as s:
            assert s.cmd(f"AUTH PLAIN {secret}")[0] in (501, 535), name
    with concurrent.futures.ThreadPoolExecutor(len(EVIL_NAMES)) as pool:
        list(pool.map(attempt, EVIL_NAMES))
    assert sorted(str(p) for p in g.home.rglob("*") if "state" not in p.parts) == before
    with POP3(g.pop3_port, "anna", "pw") as p:
        assert p.stat() == (0, 0)


def log_lines(g):
    text = (g.home / "ofmsrv.log").read_bytes().decode()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", text), "printable alone"
    lines = text.split("\n")[:-1]
    for line in lines:
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (error|warning|info|debug) [a-z0-9_.]+( |$)", line), line
        assert len(line) < 2048
    return lines


EVIL_BYTES = {"invalid UTF-8": b"\xff\xfe\xc3\x28\xe2\x82", "ESC": b"\x1b[2J\x1b]0;x\x07", "bidi": "\u202egnp.\u2066x".encode(),
              "a forged line": b"x\" info forged=yes y=\"", "64 KB": b"N" * 65000}


@pytest.mark.parametrize("what", EVIL_BYTES)
def test_evil_bytes_in_ehlo_user_and_subject_give_one_escaped_log_line(gateway, what):
    g = gateway({"user anna": {"password": "pw"}})
    evil = EVIL_BYTES[what]
    before = len(log_lines(g))
    with g.smtp(helo=None) as s:
        s.cmd(b"EHLO " + evil)
    with POP3(g.pop3_port) as p:
        if p.cmd(b"USER " + evil).startswith("+OK"):
            p.cmd("PASS x")
    with g.smtp() as s:
        s.mail("anna@office.lan", "boris", b"Subject: " + evil.replace(b"\r", b"").replace(b"\n", b"") + b"\r\n\r\nx\r\n")
        s.auth_plain("\0", "x")
        s.cmd(b"AUTH PLAIN " + base64.b64encode(b"\0" + evil[:3000] + b"\0pw"))
    g.wait_box("boris")
    lines = log_lines(g)
    assert len(lines) - before < 40
    assert not [x for x in lines if "forged=yes" in x and '\\"' not in x and "x22" not in x], "never a key of its own"
