"""One account that hangs, drips or lies delays no other: not in the same sync, not in the next, not by the schedule."""
import threading
import time

import pytest

from lib import pop3liar, scratch
from lib.gateway import message


def account(p, **kw):
    keys = {"host": "127.0.0.1", "port": p.port, "security": "none", "user": "u", "password": "secret", "keep": 0,
            "deliver": "anna"}
    keys.update(kw)
    return keys


def in_mid_body(session):
    session.send(b"+OK follows\r\nSubject: half\r\n\r\nhal")
    session.hang()


def drip(session):
    session.drip(b"+OK follows\r\nSubject: slow\r\n\r\n" + b"x" * 10000, 1)


HANGS = {
    "it never greets": dict(reply=lambda verb, arg, n: pop3liar.HANG),
    "it hangs after +OK to STLS": dict(tls="stls", reply=lambda verb, arg, n:
                                       (lambda s: (s.send(b"+OK begin\r\n"), s.hang())) if verb == "STLS" else None),
    "it hangs in mid-login": dict(reply=lambda verb, arg, n: pop3liar.HANG if verb == "PASS" else None),
    "it hangs in mid-listing": dict(reply=lambda verb, arg, n:
                                    (lambda s: (s.send(b"+OK\r\n1 u0\r\n"), s.hang())) if verb == "UIDL" else None),
    "it hangs in mid-body": dict(reply=lambda verb, arg, n: in_mid_body if verb == "RETR" else None),
    "it sends a byte a second": dict(reply=lambda verb, arg, n: drip if verb == "RETR" else None),
    "it hangs at QUIT": dict(reply=lambda verb, arg, n: pop3liar.HANG if verb == "QUIT" else None),
}


def settings(p):
    return account(p, security="starttls" if p.tls else "none")


@pytest.mark.parametrize("how", HANGS)
def test_one_that_hangs_delays_nobody(gateway, provider, ca, how):
    cert = ca.issue("provider.test")
    bad = provider([message("never")], cert=cert, **HANGS[how])
    good = [provider([message(f"first of {n}")]) for n in range(3)]
    sections = {f"account good{n}": account(p) for n, p in enumerate(good)}
    g = gateway({"account bad": settings(bad), **sections})
    began = time.monotonic()
    g.ctl_ok("sync")
    g.wait_box("anna", 3, seconds=10)
    for turn in range(3):
        for n, p in enumerate(good):
            p.put(message(f"turn {turn} of {n}"))
        g.ctl_ok("sync")
        scratch.wait_for(lambda: sum(s.startswith(f"turn {turn}") for s in g.subjects("anna")) == 3, 10, "the next sync")
    assert time.monotonic() - began < 30
    assert next(a for a in g.json("status")["accounts"] if a["name"] == "bad")["running"]
    assert bad.connections == 1 and all(not p.mail for p in good)


def test_the_schedule_goes_on_beside_it(gateway, provider):
    bad = provider(reply=lambda verb, arg, n: pop3liar.HANG)
    good = provider([message("first")])
    g = gateway({"account bad": account(bad), "account good": account(good), "sync": {"every": "1s"}})
    for turn in range(3):
        good.put(message(f"turn {turn}"))
        scratch.wait_for(lambda: f"turn {turn}" in g.subjects("anna"), 15, "the next one by the schedule")
    assert bad.connections == 1


def test_the_daemon_user_is_served_beside_it(gateway, provider):
    bad = provider(reply=lambda verb, arg, n: pop3liar.HANG)
    good = provider([message("first")])
    g = gateway({"account bad": account(bad), "account good": account(good)})
    for turn in range(2):
        good.put(message(f"turn {turn}"))
        g.send("anna@office.lan", "daemon@office.lan", message("go"))
        scratch.wait_for(lambda: f"turn {turn}" in g.subjects("anna"), 15, "the sync that was asked for")


def test_many_that_hang_take_no_place_from_the_others(gateway, provider):
    bad = provider(reply=lambda verb, arg, n: pop3liar.HANG)
    good = provider([message("in")])
    sections = {f"account bad{n}": account(bad, user=f"u{n}") for n in range(6)}
    g = gateway({**sections, "account good": account(good), "sync": {"parallel": 2}})
    g.ctl_ok("sync")
    g.wait_box("anna", 1, seconds=30)


def test_a_sync_by_hand_collects_what_came_after_the_listing_under_way(gateway, provider):
    """The session under way has listed before: the second sync is not served by it."""
    answered, early = threading.Event(), []

    def slow_end(s):
        time.sleep(3)
        answered.set()
        s.send(b"+OK\r\n")
        s.end()

    def reply(verb, arg, n):
        if verb == "" and n > 1 and not answered.is_set():
            early.append(n)
        return slow_end if verb == "QUIT" and n == 1 else None

    p = provider(reply=reply)
    g = gateway({"account one": account(p)})
    g.ctl_ok("sync")
    scratch.wait_for(lambda: p.said("QUIT"), 10, "QUIT")
    p.put(message("after the listing"))
    g.sync()
    g.wait_box("anna", 1, seconds=5)
    assert not early, "a second session beside the first"


def test_the_line_stays_up_while_another_sync_uses_it(gateway, provider):
    bad = provider(reply=lambda verb, arg, n: (lambda s: (time.sleep(12), s.end())) if verb == "" else None)
    good = provider([message("first")])
    g = gateway({"account bad": account(bad), "account good": account(good)}, start=False)
    f = g.home / "line"
    g.write({"connection": {"type": "command", "up": f'"echo up >> {f}"', "down": f'"echo down >> {f}"'}})
    g.start()
    g.ctl_ok("sync")
    g.wait_box("anna", 1, seconds=10)
    good.put(message("second"))
    g.ctl_ok("sync", "good", "--wait")
    g.wait_box("anna", 2, seconds=5)
    assert g.subjects("anna") == ["first", "second"]
    assert f.read_text().split() == ["up"]
    scratch.wait_for(lambda: f.read_text().split() == ["up", "down"], 30, "the line going down")
