"""Every byte on every road: LAN to mailbox, provider to mailbox, LAN to relay, and what POP3 then says and sends."""
import re

import pytest

from lib import clients, wire
from lib.gateway import body, message

HEAD = b"From: anna@office.lan\r\nTo: boris@office.lan\r\nSubject: bytes\r\nDate: Tue, 24 Nov 2026 04:00:00 +0000\r\n" \
       b"Message-ID: <1@client.test>\r\nX-Odd:   two  spaces\r\n\tand a fold \r\n"

BODIES = {
    "dots": b".\r\n..\r\n.x\r\n...\r\na.\r\n.\r\n",
    "smuggling": b"a\n.\nMAIL FROM:<x@y>\r\nb\n.\r\nc\r.\rd\r\n",
    "bare_lf": b"one\ntwo\n\nthree\r\n",
    "bare_cr": b"one\rtwo\r\r\nthree\r\n",
    "nul": b"a\0b\0\0\r\n\0\r\n",
    "eight_bit": bytes(range(128, 256)) * 3 + b"\r\n" + "Привет".encode("koi8-r") + b"\r\n",
    "all_bytes": bytes(b for b in range(256) if b not in (10, 13)) + b"\r\n",
    "long_line": b"x" * 70000 + b"\r\n" + b"y" * 70000 + b"\r\n",
    "empty": b"",
    "blank_lines": b"\r\n\r\n\r\n",
    "large": b"".join(b"%075d\r\n" % n for n in range(400000)),  # 30 MB
}
MESSAGES = {name: HEAD + b"\r\n" + b for name, b in BODIES.items()} | {"only_headers": HEAD}


def stored_form(raw):
    """A bare LF is a line end of the message; all other bytes stay."""
    return re.sub(rb"(?<!\r)\n", b"\r\n", raw)


def outgoing_form(raw):
    """Towards the relay a bare CR becomes a line end too."""
    return re.sub(rb"\r(?!\n)", b"\r\n", stored_form(raw))


def pop3_agrees(g, user, stored):
    """LIST, STAT and RETR tell the same, and send what is stored."""
    with g.pop3(user) as p:
        sizes = p.list()
        got = {n: p.retr(n) for n in sizes}
        assert {n: len(m) for n, m in got.items()} == sizes
        assert p.stat() == (len(sizes), sum(sizes.values()))
        assert sorted(got.values()) == sorted(stored)
        assert p.multi("TOP 1 0") == got[1].split(b"\r\n\r\n")[0] + b"\r\n\r\n" or b"\r\n\r\n" not in got[1]
        p.quit()


def added(stored, original):
    """What the gateway put in front: whole header lines and nothing else."""
    assert stored.endswith(original), (stored[:600], original[:200])
    front = stored[:len(stored) - len(original)].decode()
    assert re.fullmatch(r"(?:[A-Za-z-]+:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)+", front), front
    return front


@pytest.mark.parametrize("name", MESSAGES)
def test_lan_to_mailbox(gateway, name):
    g = gateway()
    g.send("anna@office.lan", "boris@office.lan", MESSAGES[name])
    stored = g.wait_box("boris")
    front = added(stored[0], stored_form(MESSAGES[name]))
    assert front.startswith("Return-Path: <anna@office.lan>\r\nReceived: ") and front.count("Received:") == 1
    assert len(stored) == 1
    pop3_agrees(g, "boris", stored)


@pytest.mark.parametrize("name", MESSAGES)
def test_provider_to_mailbox(gateway, dovecot, mailbox, name):
    dovecot.put(mailbox, MESSAGES[name])
    with clients.POP3(dovecot.port, mailbox, "secret") as p:
        on_the_wire, uidl = p.retr(1), p.uidl()[1]
    g = gateway({"account a": {"host": "127.0.0.1", "port": dovecot.port, "security": "none", "user": mailbox,
                               "password": "secret", "keep": 0, "deliver": "boris"}})
    g.sync()
    stored = g.wait_box("boris")
    front = added(stored[0], on_the_wire)
    assert front.startswith("Received: ") and front.count("Received:") == 1
    assert f"(account a, uidl {uidl})" in front
    assert len(stored) == 1 and dovecot.count(mailbox) == 0
    pop3_agrees(g, "boris", stored)


@pytest.mark.parametrize("chunking", [True, False], ids=["bdat", "data"])
@pytest.mark.parametrize("name", MESSAGES)
def test_lan_to_relay(gateway, relay, proxy, name, chunking):
    line = proxy(relay.port if chunking else relay.bare_port)
    g = gateway({"relay": {"host": "127.0.0.1", "port": line.port, "security": "none", "auth": "off"}})
    g.send("anna@office.lan", ["x@far.example", "boris@office.lan"], MESSAGES[name])
    g.wait_box("boris")
    eml = g.wait_queue(1)[0].read_bytes()
    g.sync()
    (sender, recipients, sent), = wire.transactions(line.connections[0].sent)
    assert sender == "anna@firm.example" and recipients == ["x@far.example"]
    assert sent == eml  # the file in the outqueue is exactly what goes out
    wanted = outgoing_form(MESSAGES[name]).replace(b"From: anna@office.lan", b"From: anna@firm.example") \
        .replace(b"To: boris@office.lan", b"To: boris@firm.example")
    if b"\r\n\r\n" not in wanted:
        wanted += b"\r\n"  # a message that leaves has the empty line behind its header
    added(sent, wanted)
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", sent)
    assert len(relay.wait("x@far.example")) == 1


@pytest.mark.parametrize("content", [b"Subject: x\n\nno final newline", b"Subject: x\r\n\r\nno final newline",
                                     b"Subject: x\n\nbare\nlines\n", b"", b"Subject: only headers", b"\n", b"a\r\nb\n\rc\r"])
def test_files_that_other_programs_put_there(gateway, content):
    g = gateway()
    g.send("anna@office.lan", "boris@office.lan", message())  # makes the Maildir
    g.wait_box("boris")
    (g.home / "mailboxes/boris/new/1795500000.M1P1.other").write_bytes(content)
    with g.pop3("boris") as p:
        sizes = p.list()
        got = {n: p.retr(n) for n in sizes}
        assert len(got) == 2 and {n: len(m) for n, m in got.items()} == sizes
        theirs = stored_form(content)
        if theirs and not theirs.endswith(b"\r\n"):  # the last line gets its end
            theirs = theirs.removesuffix(b"\r") + b"\r\n"
        assert theirs in got.values()
        p.quit()


def test_boss_copy_has_the_message_as_written(gateway):
    g = gateway({"special": {"boss": "chief"}, "user chief": {"password": "x"}})
    m = MESSAGES["eight_bit"]
    g.send("anna@office.lan", "boris@office.lan", m)
    added(g.wait_box("chief")[0], m)
    assert body(g.box("boris")[0]) == body(m)
