"""The SMTP server: who may send to whom, what is stored where, and what leaves."""
import base64
import os
import re
import threading
import time

import pytest

from lib import gateway as gw
from lib import scratch
from lib.clients import SMTP
from lib.gateway import message


def away(**keys):
    """A relay that nobody listens at: whatever leaves stays in the outqueue, to be looked at."""
    return {"relay": {"host": "127.0.0.1", "port": scratch.free_port(), "security": "none", "auth": "off",
                      "retry": "1h", **keys}}


def queued(g, n=1):
    """[(message, envelope's text)] of the outqueue, oldest first."""
    files = sorted(g.wait_queue(n), key=lambda p: p.stat().st_mtime_ns)
    return [(p.read_bytes(), p.with_suffix(".env").read_text()) for p in files]


def header(raw):
    return raw.split(b"\r\n\r\n")[0] + b"\r\n"


def unfolded(raw, name):
    """The values of a header field."""
    text = re.sub(rb"\r\n([ \t])", rb"\1", header(raw)).decode("utf-8", "replace")
    return re.findall(rf"(?im)^{re.escape(name)}:\s*(.*?)\r?$", text)


def rcpt(g, sender, *recipients):
    with g.smtp() as s:
        s.ok(f"MAIL FROM:<{sender}>")
        return [s.cmd(f"RCPT TO:<{r}>") for r in recipients]


def says(reply, code, enhanced):
    return reply[0] == code and reply[1].startswith(enhanced)


# ---- recipients ----

def test_local_recipients_in_every_form(gateway):
    g = gateway()
    forms = ["boris", "BORIS@Office.LAN", "boris@firm.example", "Boris@FIRM.example", "postmaster", "POSTMASTER",
             "postmaster@office.lan", "postmaster@gate.test", "postmaster@[127.0.0.1]", "PostMaster@GATE.test",
             "@hop.example:boris@office.lan", '"boris"@office.lan']
    got = dict(zip(forms, rcpt(g, "anna@office.lan", *forms)))
    assert all(says(r, 250, "2.1.5") for r in got.values()), got
    g.send("", forms, message())
    assert len(g.wait_box("boris")) == len(g.wait_box("postmaster")) == 1


def test_recipients_that_are_refused(gateway):
    g = gateway(away())
    unknown = ["nobody", "nobody@office.lan", "no.body@OFFICE.lan"]
    dotless = ["x@localhost", "boris@office", "x@[bad"]
    for name, reply in zip(unknown, rcpt(g, "anna@office.lan", *unknown)):
        assert says(reply, 550, "5.1.1"), (name, reply)
    for name, reply in zip(dotless[:2], rcpt(g, "anna@office.lan", *dotless[:2])):
        assert says(reply, 550, "5.1.2"), (name, reply)
    assert all(c in (501, 550) for c, _ in rcpt(g, "anna@office.lan", dotless[2]))
    assert g.ctl_ok("status")


def test_alias_of_several_users_is_for_sending_alone(gateway):
    g = gateway({"user anna": {"alias": "office@firm.example"}, "user boris": {"alias": "office@firm.example"},
                 **away()})
    g.send("anna@office.lan", ["office@firm.example"], message(to="office@firm.example"))
    text, env = queued(g)[0]
    assert "office@firm.example" in env and not g.box("anna") and not g.box("boris")


def test_alias_local_no_sends_colleagues_mail_outside(gateway):
    g = gateway({"server": {"alias_local": "no"}, **away()})
    g.send("anna@office.lan", ["boris@firm.example"], message(to="boris@firm.example"))
    assert len(queued(g)) == 1 and not g.box("boris")


def test_unknown_local_relay(gateway):
    g = gateway({"server": {"unknown_local": "relay", "domain": "firm.example"}, **away()})
    g.send("anna@firm.example", ["vera@firm.example", "boris"], message(to="vera@firm.example"))
    assert "vera@firm.example" in queued(g)[0][1] and len(g.wait_box("boris")) == 1


def test_sender_without_alias(gateway):
    g = gateway({"user till": {}, **away()})
    assert says(rcpt(g, "till@office.lan", "x@far.example")[0], 550, "5.7.1")
    assert says(rcpt(g, "stranger@office.lan", "x@far.example")[0], 550, "5.7.1")
    g.reload({"relay": {"sender": "office@firm.example"}})
    g.send("till@office.lan", ["x@far.example"], message(sender="till@office.lan", to="x@far.example"))
    text, env = queued(g)[0]
    assert "office@firm.example" in env and unfolded(text, "From") == ["office@firm.example"]
    assert "office.lan" not in env


def test_too_many_recipients(gateway):
    g = gateway({"smtp": {"max_recipients": 3}})
    got = rcpt(g, "anna@office.lan", *["boris"] * 4)
    assert [c for c, _ in got] == [250, 250, 250, 452] and got[3][1].startswith("4.5.3")


# ---- the daemon ----

@pytest.mark.parametrize("sender, login, good", [
    ("anna@office.lan", None, True), ("ANNA", None, True), ("anna@firm.example", None, True),
    ("x@far.example", None, False), ("", None, False), ("nobody@office.lan", None, False),
    ("x@far.example", "anna", True)])
def test_daemon_serves_local_senders_alone(gateway, sender, login, good):
    g = gateway({"user anna": {"password": "pw"}})
    with g.smtp() as s:
        if login:
            assert s.auth_plain(login, "pw")[0] == 235
        s.ok(f"MAIL FROM:<{sender}>")
        got = s.cmd("RCPT TO:<daemon@office.lan>")
        assert got[0] == 250 if good else says(got, 550, "5.7.1"), got
        s.ok("RCPT TO:<boris@office.lan>")
        assert s.data(message("both"))[0] == 250
    assert len(g.wait_box("boris")) == 1
    if good:
        scratch.wait_for(lambda: " sync.start " in g.log(), 10, "a sync")
    else:
        time.sleep(0.5)
        assert " sync.start " not in g.log()
    assert not (g.home / "mailboxes/daemon").exists() and not g.queue_files()
    assert all("daemon" not in p.name for p in (g.home / "mailboxes").iterdir())


# ---- one file for many; what stands in front ----

def test_one_file_for_many_recipients(gateway):
    users = [f"u{n}" for n in range(30)]
    g = gateway({f"user {u}": {} for u in users})
    text = message("for all", body=b".\r\n..two\r\n\xff\x80 eight\r\n")
    g.send("anna@office.lan", users + ["U1@office.lan"], text)
    for u in users:
        g.wait_box(u)
    files = [p for u in users for p in (g.home / "mailboxes" / u / "new").iterdir()]
    assert len(files) == len(users) and len({p.stat().st_ino for p in files}) == 1
    scratch.wait_for(lambda: files[0].stat().st_nlink == len(users), 10, "no other name for it")
    stored = files[0].read_bytes()
    assert stored.endswith(text) and f"S={len(stored)}" in files[0].name
    front = stored[:-len(text)].decode()
    assert re.fullmatch(r"Return-Path: <anna@office\.lan>\r\nReceived: from client\.test \(\[127\.0\.0\.1\]\)\r\n"
                        r"\tby gate\.test with ESMTP id [\w.-]+;\r\n\t\w{3}, [^\r\n]+\r\n", front), front


@pytest.mark.parametrize("helo, secure, login, protocol", [
    ("HELO x", False, False, "SMTP"), ("EHLO x", False, True, "ESMTPA"), ("EHLO x", True, False, "ESMTPS"),
    ("EHLO x", True, True, "ESMTPSA")])
def test_received_names_the_protocol(gateway, ca, helo, secure, login, protocol):
    cert, key = ca.issue("gate.test")
    g = gateway({"tls": {"certificate": cert, "key": key}, "user anna": {"password": "pw"}})
    with g.smtp(helo=None) as s:
        s.ok(helo)
        if secure:
            s.starttls()
        if login:
            assert s.auth_login("anna", "pw")[0] == 235
        s.mail("", "boris", message())
    stored = g.wait_box("boris")[0]
    assert stored.startswith(b"Return-Path: <>\r\n") and f" with {protocol} id " in unfolded(stored, "Received")[0]


# ---- the boss ----

def test_boss_copy_names_everybody_and_is_one(gateway):
    g = gateway({"special": {"boss": "chief"}, "user chief": {"password": "pw"}, **away()})
    text = message("with bcc", to="boris@office.lan", extra=b"Cc: x@far.example\r\n")
    g.send("anna@office.lan", ["boris@office.lan", "x@far.example", "vip@far.example"], text)
    copy = g.wait_box("chief")[0]
    assert copy.endswith(text), "as the sender wrote it"
    assert unfolded(copy, "X-Envelope-From") == ["<anna@office.lan>"]
    assert re.findall(r"<(.*?)>", unfolded(copy, "X-Envelope-To")[0]) == ["boris@office.lan", "x@far.example",
                                                                        "vip@far.example"]
    assert b"vip@far.example" not in g.wait_box("boris")[0] + queued(g)[0][0]
    assert b"X-Envelope" not in queued(g)[0][0]
    g.send("anna@office.lan", ["chief", "chief@office.lan", "boris"], message("to boss"))
    g.send("chief@office.lan", ["boris", "chief"], message("from boss"))
    g.wait_box("boris", 3)
    g.wait_box("chief", 3)
    time.sleep(0.3)
    assert g.subjects("chief") == ["from boss", "to boss", "with bcc"]
    assert all(unfolded(c, "X-Envelope-To") for c in g.box("chief"))


def test_boss_sees_no_daemon_letters_stored_for_anybody_else(gateway):
    g = gateway({"special": {"boss": "chief"}, "user chief": {"password": "pw"}})
    g.send("anna@office.lan", ["daemon", "boris"], message("both"))
    g.wait_box("boris")
    assert b"both" in g.wait_box("chief")[0]
    assert {p.name for p in (g.home / "mailboxes").iterdir() if not p.name.startswith(".")} <= {
        "anna", "boris", "chief", "postmaster"}


# ---- what leaves ----

def test_outgoing_copy_has_aliases_and_local_copy_has_not(gateway):
    g = gateway({"user clara": {}, **away()})
    text = (b"From: \"Anna, I.\" <anna@office.lan> (boss)\r\nSender: anna\r\nReply-To: ANNA@office.lan\r\n"
            b"To: =?utf-8?B?0JHQvtGA0LjRgQ==?= <boris@office.lan>,\r\n\tclara@office.lan, x@far.example\r\n"
            b"Cc: Group: boris@office.lan, anna@office.lan;\r\nResent-From: boris@office.lan\r\n"
            b"Disposition-Notification-To: <anna@office.lan>\r\nReturn-Receipt-To: anna@office.lan\r\n"
            b"X-Other: anna@office.lan\r\nSubject:  anna@office.lan \xd0\xbf\r\n"
            b"Date: Tue, 24 Nov 2026 04:00:00 +0000\r\nMessage-ID: <1@office.lan>\r\n\r\nanna@office.lan\r\n")
    g.send("anna@office.lan", ["boris@office.lan", "x@far.example"], text)
    assert g.wait_box("boris")[0].endswith(text)
    out, env = queued(g)[0]
    wanted = (b"From: \"Anna, I.\" <anna@firm.example> (boss)\r\nSender: anna@firm.example\r\n"
              b"Reply-To: anna@firm.example\r\nTo: =?utf-8?B?0JHQvtGA0LjRgQ==?= <boris@firm.example>,\r\n"
              b"\tclara@office.lan, x@far.example\r\nCc: Group: boris@firm.example, anna@firm.example;\r\n"
              b"Resent-From: boris@firm.example\r\nDisposition-Notification-To: <anna@firm.example>\r\n"
              b"Return-Receipt-To: anna@firm.example\r\n" + text[text.index(b"X-Other"):])
    assert out.endswith(wanted), (out, wanted)
    front = out[:-len(wanted)].decode()
    assert front.startswith("Received: from ") and "office.lan" not in front
    assert "anna@firm.example" in env and "x@far.example" in env and "office.lan" not in env


@pytest.mark.parametrize("text", [b"", b"\r\n", b"Subject: s\r\n", b"Subject: s\r\n\r\nbody\r\n",
                                  b"no header at all\r\n", b"\r\nDate: in the body\r\n"], ids=range(6))
def test_missing_fields_are_added_outside(gateway, text):
    g = gateway(away())
    g.send("anna@office.lan", ["x@far.example"], text)
    out, _ = queued(g)[0]
    assert unfolded(out, "From") == ["anna@firm.example"]
    assert re.fullmatch(r"<[^<>@\s]+@[^<>@\s]+>", unfolded(out, "Message-ID")[0])
    assert re.fullmatch(r"\w{3}, \d+ \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", unfolded(out, "Date")[0])
    assert all(len(unfolded(out, f)) == 1 for f in ("From", "Date", "Message-ID"))
    assert gw.body(out) == (text if text.startswith(b"no header") else gw.body(b"X: y\r\n" + text))


def test_present_fields_are_left_alone(gateway):
    g = gateway(away())
    text = message(to="x@far.example", sender="anna@firm.example")
    g.send("anna@office.lan", ["x@far.example"], text)
    assert queued(g)[0][0].endswith(text)


def test_bcc_does_not_leave(gateway):
    g = gateway(away())
    g.send("anna@office.lan", ["x@far.example", "secret@far.example"],
           message(to="x@far.example", extra=b"Bcc: secret@far.example\r\n"))
    out, env = queued(g)[0]
    assert b"secret" not in out and "secret@far.example" in env


# ---- what other servers refuse, and what readers must not see ----

BULK = b"".join(b"X-Bulk: %060d\r\n" % n for n in range(70000))  # 5 MB: more than is kept in memory


@pytest.mark.parametrize("before", [b"", b"X-Long: y\r\n" * 12000, BULK, b"A:\r\n" * 100001], ids=["small", "spilled", "huge", "many"])
def test_bcc_is_seen_by_nobody_but_the_boss(gateway, before):
    g = gateway({"special": {"boss": "clara"}, "user clara": {"password": "a long one"}, **away()})
    head = (b"Date: Tue, 24 Nov 2026 04:00:00 +0000\r\nMessage-ID: <1@pc>\r\nFrom: anna@office.lan\r\nTo: boris@office.lan\r\n" +
            before)
    g.send("anna@office.lan", ["boris@office.lan", "x@far.example", "secret@far.example"],
           head + b"Bcc: secret@far.example,\r\n other@far.example\r\nresent-bcc : secret@far.example\r\nSubject: s\r\n\r\n"
           b"Bcc: this is text\r\n")
    out, env = queued(g)[0]
    for text in (out, g.wait_box("boris")[0]):
        assert b"secret" not in text and b"other@far" not in text and b"\r\nSubject: s\r\n\r\nBcc: this is text\r\n" in text
        assert before in text
    boss = g.wait_box("clara")[0]
    assert b"<secret@far.example>" in boss.split(b"From: anna")[0]
    assert "secret@far.example" in env


def test_lines_that_aliases_lengthen_are_folded(gateway):
    names = [f"u{n}" for n in range(33)]
    g = gateway({**{f"user {n}": {"password": "x", "alias": f"a.rather.long.alias.of.{n}@firm.example"} for n in names}, **away()})
    to_line = b"To: " + b", ".join(b'"User, %s" <%s@office.lan>' % (n.encode(), n.encode()) for n in names) + b"\r\n"
    assert len(to_line) < 1000
    g.send("anna@office.lan", ["x@far.example"], to_line + b"From: anna@office.lan\r\nSubject: s\r\n\r\nbody\r\n")
    out, _ = queued(g)[0]
    assert max(map(len, out.split(b"\r\n"))) <= 998
    got = unfolded(out, "To")[0]
    assert got.count("@firm.example") == 33 and "office.lan" not in got and got.count('"User, u') == 33


@pytest.mark.parametrize("field", [b"From: \"Scanner\"", b"From: Big Scanner", b"From: ", b"From:\r\n ", b"Message-ID: ", b"Message-ID: <>",
                                   b"Date: ", b"From: <>"], ids=range(8))
def test_fields_that_say_nothing_count_as_missing(gateway, field):
    g = gateway(away())
    given = {b"From": b"From: anna@office.lan", b"Date": b"Date: Tue, 24 Nov 2026 04:00:00 +0000", b"Message-ID": b"Message-ID: <1@pc>"}
    given[field.split(b":")[0]] = field
    g.send("anna@office.lan", ["x@far.example"], b"\r\n".join(given.values()) + b"\r\nTo: x@far.example\r\n\r\nbody\r\n")
    out, _ = queued(g)[0]
    assert all(len(unfolded(out, f)) == 1 for f in ("From", "Date", "Message-ID"))
    assert "anna@firm.example" in unfolded(out, "From")[0] and ("Scanner" in unfolded(out, "From")[0]) == (b"Scanner" in field)
    assert re.fullmatch(r"<[^<>@\s]+@[^<>@\s]+>", unfolded(out, "Message-ID")[0]) and len(unfolded(out, "Date")[0]) > 20


@pytest.mark.parametrize("text", [b" ALARM zone 3\r\n", b"\tALARM\r\nzone 3\r\n", b"ALARM\r\n", b" a\r\nb: c\r\n"], ids=range(4))
def test_text_without_header_stays_text(gateway, text):
    g = gateway(away())
    g.send("alarm@panel", ["boris@office.lan"], text)
    g.send("anna@office.lan", ["x@far.example"], text)
    assert gw.body(g.wait_box("boris")[0]) == text
    assert gw.body(queued(g)[0][0]) == text


def test_bdat_that_ends_in_cr(gateway):
    g = gateway(away())
    for n, text in enumerate((b"Subject: s\r\n\r\nbody\r", b"Subject: s\r\n\r\n" + b"y" * 70000 + b"\r")):
        with g.smtp() as s:
            s.ok("MAIL FROM:<anna@office.lan>")
            s.ok("RCPT TO:<x@far.example>")
            s.send(b"BDAT %d LAST\r\n" % len(text) + text)
            assert s.reply()[0] == 250
        out = [o for o, _ in queued(g, n + 1) if (len(o) > 60000) == (n == 1)][0]
        assert out.endswith((b"body\r\n", b"y\r\n")) and not re.search(rb"(?<!\r)\n|\r(?!\n)", out)


# ---- size ----

def test_size_told_beforehand(gateway):
    g = gateway({"smtp": {"max_message_kib": 8}, **away()})
    with g.smtp() as s:
        assert re.search(r"(?m)^SIZE$", s.ehlo), s.ehlo
        s.ok("MAIL FROM:<anna@office.lan> SIZE=9000")
        assert says(s.cmd("RCPT TO:<x@far.example>"), 552, "5.3.4")
        s.ok("RCPT TO:<boris@office.lan>")
        assert s.data(message("big", body=b"x" * 8990 + b"\r\n"))[0] == 250
        s.ok("MAIL FROM:<anna@office.lan> SIZE=100")
        s.ok("RCPT TO:<x@far.example>")
    assert g.wait_box("boris") and not g.queue_files()


def test_size_found_out_at_the_end(gateway):
    g = gateway({"smtp": {"max_message_kib": 8}, **away()})
    big, small = message("big", body=b"x" * 8192 + b"\r\n"), message("small", body=b"x" * 100)
    with g.smtp() as s:
        for sizes in ("", " SIZE=10"):
            s.ok("MAIL FROM:<anna@office.lan>" + sizes)
            s.ok("RCPT TO:<x@far.example>")
            s.ok("RCPT TO:<boris@office.lan>")
            assert says(s.data(big), 552, "5.3.4")
        s.mail("anna@office.lan", "boris", big)
        s.mail("anna@office.lan", ["boris", "x@far.example"], small)
    g.wait_box("boris", 2)
    assert g.subjects("boris") == ["big", "small"] and len(queued(g)) == 1


# ---- forwards ----

def test_forwards_leave_once_with_the_users_alias_and_a_loop_header(gateway):
    g = gateway({"user boris": {"forward": "home@far.example, clara"}, "user clara": {"forward": "home@far.example"},
                 **away()})
    g.send("stranger@else.example", ["boris@office.lan"], message("fw", sender="stranger@else.example"))
    g.wait_box("boris")
    g.wait_box("clara")
    out, env = queued(g)[0]
    assert "boris@firm.example" in env and "home@far.example" in env and "stranger" not in env
    loop = re.search(rb"(?m)^X-Ofmsrv-Forwarded: .*\r\n", out)
    assert loop
    g.send("stranger@else.example", ["boris@office.lan"], message("again", extra=loop.group(0)))
    g.wait_box("boris", 2)
    g.wait_box("clara", 2)
    time.sleep(0.3)
    assert len(g.queue_files()) == 1


def test_forward_and_recipient_alike_get_one(gateway):
    g = gateway({"user boris": {"forward": "x@far.example"}, **away()})
    g.send("anna@office.lan", ["boris", "x@far.example"], message())
    g.wait_box("boris")
    time.sleep(0.3)
    assert len(queued(g)) == 1 and queued(g)[0][1].count("x@far.example") == 1


def test_boss_copies_are_not_forwarded(gateway):
    g = gateway({"special": {"boss": "chief"}, "user chief": {"password": "pw", "alias": "c@firm.example",
                                                            "forward": "home@far.example"}, **away()})
    g.send("anna@office.lan", ["boris"], message("copy"))
    g.wait_box("chief")
    g.send("anna@office.lan", ["chief"], message("to him"))
    g.wait_box("chief", 2)
    assert gw.subject(queued(g)[0][0]) == "to him"


def test_received_a_hundred_times_is_a_loop(gateway):
    g = gateway()
    line = b"Received: from a by b; Tue, 24 Nov 2026 04:00:00 +0000\r\n"
    with g.smtp() as s:
        for n, good in ((99, True), (100, False), (5000, False)):
            s.ok("MAIL FROM:<anna@office.lan>")
            s.ok("RCPT TO:<boris>")
            got = s.data(message(str(n), extra=line * n))
            assert got[0] == 250 if good else says(got, 554, "5.4.6"), (n, got)
    g.wait_box("boris")
    assert g.subjects("boris") == ["99"]


# ---- log-in ----

def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def test_log_in(gateway):
    g = gateway({"user anna": {"password": "p w:ü"}, "user boris": {}, "user clara": {"password": "x"}})
    with g.smtp() as s:
        assert re.search(r"(?m)^AUTH PLAIN LOGIN$", s.ehlo) and "AUTH=" not in s.ehlo, s.ehlo
    for name in ("anna", "ANNA@office.lan", "anna@firm.example"):
        with g.smtp() as s:
            assert says(s.auth_plain(name, "p w:ü"), 235, "2.7.0")
            assert s.cmd("AUTH PLAIN")[0] == 503
    with g.smtp() as s:
        assert says(s.auth_plain("anna", "p w:ü", initial=False), 235, "2.7.0")
    with g.smtp() as s:
        assert s.ok("AUTH LOGIN", 334)[1] == "VXNlcm5hbWU6"
        assert s.ok(b64("anna"), 334)[1] == "UGFzc3dvcmQ6"
        assert s.cmd(b64("p w:ü"))[0] == 235
    with g.smtp() as s:
        assert s.ok(f"auth login {b64('anna')}", 334)[1] == "UGFzc3dvcmQ6"
        assert s.cmd(b64("p w:ü"))[0] == 235
    with g.smtp() as s:
        assert s.cmd(f"AUTH PLAIN {b64('anna' + chr(0) + 'anna' + chr(0) + 'p w:ü')}")[0] == 235


def test_log_in_refused(gateway):
    g = gateway({"user anna": {"password": "pw"}, "user boris": {}})
    texts = set()
    for user, password in (("anna", "no"), ("anna", ""), ("boris", ""), ("boris", "x"), ("daemon", ""), ("daemon", "x"),
                           ("postmaster", ""), ("nobody", "x"), ("../anna", "pw")):
        with g.smtp() as s:
            texts.add(s.auth_plain(user, password))
    assert len(texts) == 1 and says(texts.pop(), 535, "5.7.8")
    with g.smtp() as s:
        s.ok("AUTH LOGIN", 334)
        assert s.cmd("*")[0] == 501
        s.ok("AUTH PLAIN", 334)
        assert s.cmd("!!!")[0] == 501
        assert s.cmd("AUTH CRAM-MD5")[0] == 504
        assert s.cmd(f"AUTH PLAIN {b64(chr(0) + 'boss' + chr(0))}")[0] in (501, 535)
        assert s.cmd(f"AUTH PLAIN {b64('boris' + chr(0) + 'anna' + chr(0) + 'pw')}")[0] == 535
        s.mail("anna@office.lan", "boris", message())


def test_log_in_required(gateway):
    g = gateway({"smtp": {"auth": "required"}, "user anna": {"password": "pw"}})
    with g.smtp() as s:
        assert says(s.cmd("MAIL FROM:<anna@office.lan>"), 530, "5.7.0")
        assert s.auth_login("anna", "pw")[0] == 235
        s.mail("anna@office.lan", "boris", message())


def test_log_in_off(gateway):
    g = gateway({"smtp": {"auth": "off"}, "user anna": {"password": "pw"}})
    with g.smtp() as s:
        assert "AUTH" not in s.ehlo and s.cmd("AUTH LOGIN")[0] == 502
        s.mail("anna@office.lan", "boris", message())


def test_log_in_under_tls_alone(gateway, ca):
    cert, key = ca.issue("gate.test")
    g = gateway({"smtp": {"auth": "required", "auth_tls": "yes"}, "user anna": {"password": "pw"},
                 "tls": {"certificate": cert, "key": key}})
    with g.smtp() as s:
        assert "AUTH" not in s.ehlo and "STARTTLS" in s.ehlo
        assert s.auth_plain("anna", "pw")[0] == 538
        s.starttls()
        assert "AUTH PLAIN" in s.ehlo and "STARTTLS" not in s.ehlo
        assert s.auth_plain("anna", "pw")[0] == 235
        s.mail("anna@office.lan", "boris", message())
    assert "ESMTPSA" in unfolded(g.wait_box("boris")[0], "Received")[0]


def test_implicit_tls(gateway, ca):
    cert, key = ca.issue("gate.test")
    g = gateway({"tls": {"certificate": cert, "key": key}}, start=False)
    g.write({"smtp": {"tls_port": g.smtps_port}})
    g.start()
    with SMTP(g.smtps_port, tls=True) as s:
        assert "STARTTLS" not in s.ehlo
        s.mail("anna@office.lan", "boris", message())
    g.wait_box("boris")


# ---- 250 is a promise ----

def counted(g, user):
    out = {}
    for m in g.box(user):
        out[gw.subject(m)] = out.get(gw.subject(m), 0) + 1
    return out


def test_killed_right_after_250(gateway):
    """Three destinations and the boss, a small message and one that does not fit into memory, in turn."""
    g = gateway({"special": {"boss": "chief"}, "user chief": {"password": "pw"}, **away()})
    told = []
    for n in range(10):
        body = os.urandom(150000 if n % 3 == 2 else 40).hex().encode() + b"\r\n"
        s = g.smtp()
        s.mail("anna@office.lan", ["anna", "boris", "x@far.example"], message(f"m{n}", body=body))
        g.kill()
        told.append((f"m{n}", body))
        s.close()
        g.start()
    g.restart()
    want = {s: 1 for s, _ in told}
    assert counted(g, "anna") == counted(g, "boris") == counted(g, "chief") == want
    bodies = dict(told)
    for user in ("anna", "boris", "chief"):
        assert all(gw.body(m) == bodies[gw.subject(m)] for m in g.box(user))
    out = queued(g, len(told))
    assert sorted(gw.subject(t) for t, _ in out) == sorted(want)
    assert all(gw.body(t) == bodies[gw.subject(t)] and "x@far.example" in env for t, env in out)
    for folder in ("mailboxes/anna/tmp", "mailboxes/boris/tmp"):
        assert not list((g.home / folder).glob("*"))


class Sender(threading.Thread):
    """Sends until the connection breaks; notes what was promised."""

    def __init__(self, g, name):
        super().__init__(daemon=True)
        self.g, self.name_, self.told, self.tried = g, name, [], 0
        self.start()

    def run(self):
        try:
            with self.g.smtp() as s:
                while True:
                    self.tried += 1
                    subject = f"{self.name_}.{self.tried}"
                    s.mail("anna@office.lan", ["anna", "boris"], message(subject))
                    self.told.append(subject)
        except (OSError, EOFError):
            pass


def test_killed_under_load(gateway):
    g = gateway()
    senders = []
    for n in range(6):
        now = [Sender(g, f"{n}.{k}") for k in range(4)]
        time.sleep(0.15 + 0.07 * n)
        g.kill()
        for s in now:
            s.join(10)
        senders += now
        g.start()
    told = {x for s in senders for x in s.told}
    tried = {f"{s.name_}.{k}" for s in senders for k in range(1, s.tried + 1)}
    assert len(told) > 50
    for user in ("anna", "boris"):
        got = counted(g, user)
        assert set(got.values()) == {1}, "twice: " + str([k for k, v in got.items() if v > 1])
        assert told <= set(got) <= tried, sorted(told - set(got))[:5]


def test_sigterm_lets_a_transaction_end(gateway):
    import signal
    g = gateway()
    idle, busy = g.smtp(), g.smtp()
    busy.ok("MAIL FROM:<anna@office.lan>")
    busy.ok("RCPT TO:<boris@office.lan>")
    busy.ok("DATA", 354)
    text = message("last")
    busy.send(text[:20])
    time.sleep(0.2)
    g.signal(signal.SIGTERM)
    assert idle.reply()[0] == 421 and idle.rest() == b""
    scratch.wait_for(lambda: not scratch.listens(g.smtp_port), 10, "closed ports")
    busy.send(text[20:] + b".\r\n")
    assert busy.reply()[0] == 250
    assert busy.reply()[0] == 421 and busy.rest() == b""
    g.stop()
    assert g.subjects("boris") == ["last"] and g.box("boris")[0].endswith(text)
