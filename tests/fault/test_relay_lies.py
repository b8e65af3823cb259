"""The hostile table, rows of the relay: what it may say, and what it may make of our bytes. Mail is deferred, never bounced
or lost for it; nothing is sent as two; people see it escaped and shortened."""
import email
import re
import time

import pytest

from lib import gateway as gw
from lib.liar import Liar
from lib.sending import CHUNKS, mail, show, states, sync, to, while_stopped

HOSTILE = {
    "endless 250-": ("MAIL", b"250-x\r\n" * 3_000_000),
    "no line end": ("MAIL", b"2" * 20_000_000),
    "55": ("RCPT", b"55\r\n"),
    "NUL": ("RCPT", b"550 \0\r\n"),
    "garbage": ("MAIL", b"\xff\xfe\r\n"),
    "421 in the middle": ("RCPT", "421 4.3.2 shutting down"),
    "421 to DATA or after the dot": (".", "421 4.3.2 shutting down"),
    "354 to MAIL": ("MAIL", "354 go"),
    "drop at the greeting": ("", Liar.DROP),
    "drop at EHLO": ("EHLO", Liar.DROP),
    "drop at MAIL": ("MAIL", Liar.DROP),
    "drop at RCPT": ("RCPT", Liar.DROP),
    "drop after the dot": (".", Liar.DROP),
    "half a reply after the dot": (".", b"250 2.0"),
    "a code that changes": (".", b"451-ok\r\n550 no\r\n"),
    "503 after the dot": (".", "503 5.5.1 order"),
    "log-in wanted": ("MAIL", "530 5.7.0 authentication required"),
    "a reply too many": ("MAIL", b"250 2.1.0 ok\r\n250 2.1.0 ok\r\n250 2.1.0 ok\r\n250 2.0.0 all taken\r\n"),
    "greets with 554": ("", "554 5.7.1 no"),
    "greets without end": ("", b"220-hello\r\n" * 3_000_000),
    "EHLO without end": ("EHLO", b"250-X-THING\r\n" * 3_000_000),
}
WAYS = {"chunking": CHUNKS, "pipelining": ("PIPELINING",), "neither": ()}


# With BDAT a reply too many is the message's own as far as anybody can see.
@pytest.mark.parametrize("name,way", [(n, w) for n in HOSTILE for w in WAYS if (n, w) != ("a reply too many", "chunking")])
def test_hostile_relay_defers_and_never_bounces(gateway, liar, name, way):
    at, what = HOSTILE[name]
    lying = [True]

    def reply(verb, arg, c):
        if verb != at or not lying[0]:
            return None
        if what == b"250 2.0":
            lying.append(c)
        return what
    r = liar(reply, WAYS[way])
    g = gateway(to(r.port, connections=1))
    mail(g, "x@far.example")
    g.wait_queue(1)
    start = time.monotonic()
    if name == "half a reply after the dot":  # and silence: nobody waits for that here
        g.ctl_ok("sync")
        gw.scratch.wait_for(lambda: len(lying) > 1, 20, g.log)
        r.drop_all()
        gw.scratch.wait_for(lambda: states(g) == {"x@far.example": "waiting"}, 20, g.log)
    else:
        assert sync(g).returncode == 1
    assert time.monotonic() - start < 40
    assert g.box("anna") == []
    assert states(g) == {"x@far.example": "waiting"}
    reply = show(g)["recipients"][0]["last_reply"]
    assert reply and len(reply) < 700 and reply.isprintable()
    before = len(r.accepted)
    lying[0] = False
    g.sync()
    assert [a.recipients for a in r.accepted[before:]] == [["x@far.example"]]
    g.wait_queue(0)
    assert g.box("anna") == []


# ---- replies that are meant to be read ----

FOUL = {
    "64 KB": b"550-5.1.1 " + b"\r\n550-5.1.1 ".join([b"A" * 900] * 70) + b"\r\n550 5.1.1 end\r\n",
    "ESC": b"550 5.1.1 \x1b[2J\x1b]0;owned\x07 no\r\n",
    "bidi": "550 5.1.1 \u202egnp.exe\u2066 no\r\n".encode(),
    "invalid UTF-8": b"550 5.1.1 \xff\xc0\xaf\xed\xa0\x80 no\r\n",
    "a forged log line": b"550 5.1.1 no\r\n550 2026-11-24T00:00:00Z info smtp.login user=root\r\n",
    "a forged field": b"550-5.1.1 no\r\n550 5.1.1 \nAction: delivered\r\n",
}


@pytest.mark.parametrize("code", ["550", "451"])
@pytest.mark.parametrize("name", [n for n in FOUL if n != "a forged log line"])
def test_foul_reply_is_one_escaped_shortened_log_line_and_a_clean_report(gateway, liar, name, code):
    """A refusal for good ends in a DSN, one for now in the queue: both show it, and harm nobody who looks."""
    foul = FOUL[name].replace(b"550", code.encode()).replace(b"5.1.1", b"5.1.1" if code == "550" else b"4.1.1")
    r = liar(lambda verb, arg, c: foul if verb == "RCPT" else None)
    g = gateway(to(r.port))
    mail(g, "x@far.example")
    g.wait_queue(1)
    assert sync(g).returncode == 1
    lines = [x for x in g.log().splitlines() if "send.refused" in x or "send.deferred" in x]
    assert len(lines) == 1 and len(lines[0]) < 1200 and lines[0].isprintable()
    if code == "451":
        shown = g.ctl_ok("queue", "show", g.json("queue", "list")["messages"][0]["id"])
        assert all(c.isprintable() or c in "\n\t" for c in shown)
        assert not re.search("[\u202a-\u202e\u2066-\u2069]", shown)
        return
    [bounce] = g.wait_box("anna")
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", bounce)
    text = bounce.decode()  # it is valid UTF-8
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", text)
    assert max(map(len, text.split("\r\n"))) < 998
    report = email.message_from_bytes(bounce).get_payload()[1].get_payload()
    assert len(report) == 2 and report[1]["Action"] == "failed" and len(report[1].keys()) < 9


def test_several_lines_of_a_reply_are_one_line_of_the_log(gateway, liar):
    r = liar(lambda verb, arg, c: FOUL["a forged log line"] if verb == "RCPT" else None)
    g = gateway(to(r.port))
    mail(g, "x@far.example")
    g.wait_queue(1)
    sync(g)
    assert not [x for x in g.log().splitlines() if " smtp.login " in x and "send." not in x]
    g.wait_box("anna")


# ---- what the relay may make of our bytes ----

SMUGGLED = b"MAIL FROM:<boss@firm.example>\r\nRCPT TO:<victim@far.example>\r\nDATA\r\nSubject: forged\r\n\r\npay\r\n.\r\n"
ENDS = {"LF.LF": b"\n.\n", "LF.CRLF": b"\n.\r\n", "CR.CR": b"\r.\r", "CRLF.LF": b"\r\n.\n", "CR.CRLF": b"\r.\r\n",
        "LF.CR": b"\n.\r", "CRLF.CR": b"\r\n.\r", "CR.LF": b"\r.\n"}


@pytest.mark.parametrize("offers", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("name", ENDS)
def test_relay_that_ends_messages_early_sees_one_message_all_the_same(gateway, liar, name, offers):
    """Its notion of an end stands in the body, with commands behind it. We send CRLF alone, and dots stuffed."""
    r = liar(offers=offers, ends=(b"\r\n.\r\n", ENDS[name]))
    g = gateway(to(r.port))
    body = b"before" + ENDS[name] + SMUGGLED.replace(b"\r\n.\r\n", b"\r\n..\r\n") + b"after\r\n"
    message = gw.message(to="x@far.example", body=body)
    with g.smtp() as s:
        # As it stands: the client does no stuffing of its own, so that the bare ends are really in it.
        assert s.cmd("MAIL FROM:<anna@office.lan>")[0] == 250
        assert s.cmd("RCPT TO:<x@far.example>")[0] == 250
        assert s.cmd("DATA")[0] == 354
        s.send(message + b".\r\n")
        assert s.reply()[0] == 250
    g.sync()
    [a] = r.accepted
    assert a.recipients == ["x@far.example"] and b"before" in a.data and b"after" in a.data
    assert not r.verbs("RCPT TO:<victim")
    # No bare CR or LF leaves, in any way of travelling.
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", a.data)


ADDRESSES = {"CRLF": "x@far.example>\r\nRCPT TO:<victim@far.example", "LF": "x@far.example>\nQUIT", "CR": "x\r@far.example",
             "a parameter": "x@far.example> NOTIFY=SUCCESS", "non-ASCII": "\u0438\u043c\u044f@far.example",
             "unbalanced quotes": "\"x@far.example"}


@pytest.mark.parametrize("name", ADDRESSES)
def test_address_that_would_be_a_command_never_reaches_the_wire(gateway, liar, name):
    """Even where it stands in the database: the SMTP server refuses such before."""
    r = liar()
    g = gateway(to(r.port))
    mail(g, "first@far.example")
    g.wait_queue(1)
    while_stopped(g, "UPDATE recipient SET address = ?", ADDRESSES[name])
    sync(g)
    assert r.accepted == [] and not r.verbs("RCPT")
    [bounce] = g.wait_box("anna")
    assert b"cannot be sent by SMTP" in bounce
    g.wait_queue(0)


@pytest.mark.parametrize("address", [b"x\r@far.example", b"x\n@far.example", b"x\0@far.example", b"\xd0\xb9@far.example",
                                     b"\"x@far.example"])
def test_such_an_address_is_refused_at_the_door(gateway, liar, address):
    r = liar()
    g = gateway(to(r.port))
    with g.smtp() as s:
        assert s.cmd("MAIL FROM:<anna@office.lan>")[0] == 250
        s.send(b"RCPT TO:<" + address + b">\r\n")
        assert s.reply()[0] // 100 == 5
    assert g.queue_files() == [] and r.connections == 0


@pytest.mark.parametrize("address", ["\"a b\"@far.example", "\"a>b\"@far.example", "\"a\\\"b\"@far.example", "|cmd@far.example",
                                     "\"../../x\"@far.example", "%n%s@far.example"])
def test_odd_but_lawful_addresses_are_taken_literally(gateway, liar, address):
    r = liar(offers=CHUNKS)
    g = gateway(to(r.port))
    with g.smtp() as s:
        s.mail("anna@office.lan", [address], gw.message(to="x@far.example"))
    g.sync()
    assert r.verbs("RCPT") == [f"RCPT TO:<{address}>"]
    assert len(r.accepted) == 1
