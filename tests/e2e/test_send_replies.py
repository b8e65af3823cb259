"""What each reply of a relay causes: it settles what it answers, and stops nothing else."""
import base64
import re

import pytest

from lib import scratch
from lib.liar import Liar
from lib.sending import CHUNKS, OFFERS, mail, show, states, sync, to

LOGIN = ["530 5.7.0 Authentication required", "534 5.7.9 a stronger log-in is needed", "535 5.7.8 not authorised to send",
         "538 5.7.11 encryption required"]


@pytest.mark.parametrize("offers", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("text", LOGIN, ids=lambda t: t[:3])
@pytest.mark.parametrize("verb", ["RCPT", ".", "MAIL"])
def test_a_letter_that_wants_a_log_in_bounces_and_stops_no_other(gateway, liar, verb, text, offers):
    def reply(v, arg, c):
        session = bad.setdefault(c, [False])
        if v == "MAIL":
            session[0] = "boris" in arg
        return text if v == verb and session[0] else None
    bad = {}
    r = liar(reply, offers)
    g = gateway(to(r.port, connections=1))
    for n in range(10):
        mail(g, f"r{n}@far.example")
        if n == 4:
            mail(g, "bad@far.example", sender="boris@office.lan")
    g.wait_queue(11)
    sync(g)
    scratch.wait_for(lambda: len(r.accepted) >= 10, 10, g.log)
    got = sorted(x for a in r.accepted for x in a.recipients)
    assert got == sorted(f"r{n}@far.example" for n in range(10)), "each once"
    [bounce] = g.wait_box("boris")
    assert text[:3].encode() in bounce
    g.wait_queue(0)
    assert g.box("postmaster") == [] and g.box("anna") == []


def test_one_sender_that_must_log_in_is_first_in_the_queue(gateway, liar):
    """Before anything worked it could be the relay that wants a log-in; the next letter shows that it is not."""
    r = liar(lambda v, arg, c: LOGIN[0] if v == "MAIL" and "boris" in arg else None, CHUNKS)
    g = gateway(to(r.port, connections=1))
    for n in range(3):
        mail(g, f"bad{n}@far.example", sender="boris@office.lan")
    for n in range(5):
        mail(g, f"r{n}@far.example")
    g.wait_queue(8)
    sync(g)
    scratch.wait_for(lambda: len(r.accepted) == 5, 10, g.log)  # its thread notes it behind its reply
    sync(g)
    assert len(g.wait_box("boris", 3)) == 3
    g.wait_queue(0)
    assert g.box("postmaster") == []


def test_all_are_refused_for_want_of_a_log_in(gateway, liar):
    r = liar(lambda v, arg, c: LOGIN[0] if v == "MAIL" else None, CHUNKS)
    g = gateway(to(r.port, connections=1))
    for n in range(30):
        mail(g, f"r{n}@far.example", sender=("anna", "boris")[n % 2] + "@office.lan")
    g.wait_queue(30)
    sync(g)
    [report] = g.wait_box("postmaster")
    assert b"set user and password" in report
    assert g.box("anna") == [] and g.box("boris") == []
    # Up to a window of them before the first reply; then each sender is tried once.
    assert len(r.verbs("MAIL")) <= 20 + 2
    g.wait_queue(30)


@pytest.mark.parametrize("text", ["552 5.3.4 message exceeds the limit", "503 5.5.1 order", "554 5.3.0 failed", "501 5.5.4 syntax",
                                  "502 5.5.1 not implemented"])
def test_bdat_is_refused_and_data_is_not(gateway, liar, text):
    last = {}

    def reply(v, arg, c):
        if v in ("MAIL", "DATA"):
            last[c] = v
        return text if v == "." and last[c] == "MAIL" else None
    r = liar(reply, CHUNKS)
    g = gateway(to(r.port, connections=1))
    for n in range(25):
        mail(g, f"r{n}@far.example", subject=str(n))
    mail(g, "big@far.example", body=b"x" * 70000 + b"\r\n")
    g.wait_queue(26)
    g.sync()
    assert sorted(x for a in r.accepted for x in a.recipients) == sorted(["big@far.example"] + [f"r{n}@far.example"
                                                                                               for n in range(25)])
    g.wait_queue(0)
    assert g.box("anna") == []
    [relay] = g.json("status")["relays"]
    assert relay["learnt"] == {"no_chunking": 1}
    g.restart(kill=True)
    before = len(r.verbs("BDAT"))
    mail(g, "later@far.example")
    g.sync()
    assert len(r.verbs("BDAT")) == before, "it is remembered"


def test_what_data_refuses_too_bounces(gateway, liar):
    r = liar(lambda v, arg, c: "552 5.3.4 too big" if v == "." else None, CHUNKS)
    g = gateway(to(r.port, connections=1))
    mail(g, "x@far.example")
    sync(g)
    [bounce] = g.wait_box("anna")
    assert b"Status: 5.3.4" in bounce
    assert len(r.verbs("BDAT")) == 1 and len(r.verbs("DATA")) == 1
    g.wait_queue(0)
    [relay] = g.json("status")["relays"]
    assert relay["learnt"] == {}


@pytest.mark.parametrize("key,missing", [("chunking", "BDAT"), ("pipelining", None)])
def test_switched_off(gateway, liar, key, missing):
    r = liar(offers=CHUNKS)
    g = gateway(to(r.port, connections=1, **{key: "off"}))
    for n in range(3):
        mail(g, f"r{n}@far.example")
    g.wait_queue(3)
    g.sync()
    assert len(r.accepted) == 3
    if missing:
        assert not r.verbs(missing)
    else:
        assert all(b.count("\r\n") == 1 for b in r.bursts if b.startswith(("MAIL", "RCPT")))


def test_a_large_message_to_nobody_is_not_uploaded(gateway, liar):
    r = liar(lambda v, arg, c: "550 5.1.1 no" if v == "RCPT" else None, CHUNKS)
    g = gateway(to(r.port, connections=1))
    mail(g, "x@far.example", body=(b"x" * 75 + b"\r\n") * 30000)
    g.wait_queue(1)
    sync(g)
    g.wait_box("anna")
    assert sum(map(len, r.bursts)) < 2000


def test_the_precaution_after_a_break_ends(gateway, liar):
    """Lost once with many under way: careful at first, then as fast as before."""
    def reply(v, arg, c):
        return Liar.DROP if v == "." and c == 1 and len(r.accepted) == 5 else None
    r = liar(reply, CHUNKS)
    g = gateway(to(r.port, connections=1))
    for n in range(60):
        mail(g, f"r{n}@far.example")
    g.wait_queue(60)
    sync(g)
    g.sync()
    g.wait_queue(0)
    assert {x for a in r.accepted for x in a.recipients} == {f"r{n}@far.example" for n in range(60)}
    assert any(b.count("BDAT") > 1 for b in r.bursts[-40:]), "several travel together again"


def test_a_relay_that_refuses_our_name(gateway, liar):
    r = liar(lambda v, arg, c: "504 5.5.2 <filesrv>: Helo command rejected: need fully-qualified hostname" if v == "RCPT" else None,
             CHUNKS)
    g = gateway(to(r.port, connections=1) | {"server": {"hostname": "filesrv"}})
    check = g.ctl("check")
    assert re.search(r"hostname: warning: filesrv has no dot", check.stdout + check.stderr)
    mail(g, "x@far.example")
    sync(g)
    [bounce] = g.wait_box("anna")
    assert b"set hostname in [server] to a full name" in re.sub(rb"\s+", b" ", bounce)
    g.wait_queue(0)


def test_a_relay_that_refuses_our_name_at_once(gateway, liar):
    r = liar(lambda v, arg, c: "504 5.5.2 <filesrv>: Helo command rejected: need fully-qualified hostname"
             if v in ("EHLO", "HELO") else None)
    g = gateway(to(r.port, connections=1) | {"server": {"hostname": "filesrv"}})
    mail(g, "x@far.example")
    for _ in range(3):
        sync(g)
    [report] = g.wait_box("postmaster")
    assert b"full name with a dot" in report
    assert states(g) == {"x@far.example": "waiting"}


CHALLENGE = b'{"status":"401","schemes":"bearer","scope":"https://mail.google.com/"}'


def test_a_refused_token_is_told_as_a_token(gateway, liar):
    def reply(v, arg, c):
        if v != "AUTH":
            return None
        return b"334 " + base64.b64encode(CHALLENGE) + b"\r\n535 5.7.8 Username and Password not accepted\r\n"
    r = liar(reply, ["AUTH XOAUTH2"])
    g = gateway(to(r.port, connections=1, auth="xoauth2", user="me@firm.example", password_command="echo stale"))
    mail(g, "x@far.example")
    sync(g)
    [report] = g.wait_box("postmaster")
    assert b"OAuth2 token, not a password" in report and b"app password" not in report
    assert "the token was refused" in show(g)["recipients"][0]["last_reply"]
