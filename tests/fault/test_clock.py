"""The hostile table: clocks that are years away, or stand in 1970. Retries go on, and nothing expires in a mass. And what
takes minutes and days by the program's own clocks: the limits of a relay session after the log-in, the cap on bounces."""
import os
import threading
import time

import pytest

from crash.clock import DAY, YEAR, Clock
from lib import gateway as gw
from lib import scratch
from lib.liar import Liar
from lib.sending import greylisting, mail, to


@pytest.fixture
def clocked(gateway):
    """make(sections) -> (a gateway whose clocks the test sets, the clock)"""
    made = []

    def make(sections, start=True):
        c = Clock(scratch.folder("clock"))
        made.append(c)
        g = gateway(sections, start=False)
        g.env = c.env()
        if start:
            g.start()
        return g, c
    yield make
    for c in made:
        c.close()
        scratch.remove(c.file.parent)


def account(p, **keys):
    return {"host": "127.0.0.1", "port": p.port, "security": "none", "auth": "plain", "user": "one", "password": "secret",
            "deliver": "anna", **keys}


def is_1970():
    return 86400 - int(time.time())


JUMPS = {"ten years on": lambda: 10 * YEAR, "ten years back": lambda: -10 * YEAR, "1970": is_1970,
         "summer time told to the machine as UTC": lambda: 3600}


@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)
def test_clock_that_jumps_expires_nothing_and_delays_no_retry(clocked, liar, provider, jump):
    p = provider([gw.message(f"kept {n}") for n in range(5)])
    r = liar(greylisting)
    g, clock = clocked({**to(r.port, retry="2s", max_age="5d"), "sync": {"every": "1h", "on_send": "yes"},
                        "user boris": {"password": "x", "keep": "90d"}, "account one": account(p, keep="14d")})
    g.send("anna@office.lan", ["boris@office.lan"], gw.message("local"))
    g.wait_box("anna", 5)
    g.wait_box("boris", 1)
    mail(g, "x@far.example")
    scratch.wait_for(lambda: r.verbs("RCPT"), 20, g.log)
    clock.set_wall(jump())
    tries = len(r.verbs("RCPT"))
    scratch.wait_for(lambda: len(r.verbs("RCPT")) > tries, 30, g.log)  # by its own time
    for away in (True, False):  # and when the clock is set right again
        g.ctl("sync", "--wait")
        assert len(p.mail) == 5 and len(g.box("boris")) == 1 and len(g.box("anna")) == 5
        assert all(b"Action: failed" not in m for m in g.box("anna"))
        g.wait_queue(1)
        if away:
            clock.set_wall(0)
    assert g.log().count("fetch.clock_jumped") == (0 if abs(jump()) == 0 else 2)
    r.reply = lambda verb, arg, connection: None
    g.sync()
    g.wait_queue(0)
    assert len(r.to("x@far.example")) == 1


@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)
def test_clock_that_is_wrong_at_the_start(clocked, liar, jump):
    """What waits does not bounce, keep = does not empty a mailbox, and names do not collide with those of before."""
    r = liar(greylisting)
    g, clock = clocked({**to(r.port, retry="2s", max_age="5d"), "sync": {"on_send": "yes"},
                        "user boris": {"password": "x", "keep": "90d"}})
    for n in range(4):
        g.send("anna@office.lan", ["boris@office.lan"], gw.message(f"before {n}"))
    mail(g, "x@far.example")
    g.wait_box("boris", 4)
    scratch.wait_for(lambda: r.verbs("RCPT"), 20, g.log)
    g.stop()
    os.utime(g.ini_path, (time.time() - 30 * DAY,) * 2)  # nobody has just configured `keep`
    clock.set_wall(jump())
    g.start()
    tries = len(r.verbs("RCPT"))
    scratch.wait_for(lambda: len(r.verbs("RCPT")) > tries, 30, g.log)
    g.send("anna@office.lan", ["boris@office.lan"], gw.message("after"))
    clock.wait(30)  # the first look at what has expired
    g.json("status")
    time.sleep(1)
    assert len(g.wait_box("boris", 5)) == 5
    assert all(b"Action: failed" not in m for m in g.box("anna"))
    r.reply = lambda verb, arg, connection: None
    g.sync()
    g.wait_queue(0)


def trickle(r, ended):
    """After the end of the message, a line's bytes one by one, without an end."""
    def reply(verb, arg, connection):
        if verb != ".":
            return None
        [s] = list(r.open)
        while not ended.wait(0.05):
            s.sendall(b"2")
        return Liar.DROP
    return reply


def let_pass(g, clock, step, until, most):
    """Steps of that many seconds, until until(); returns how many seconds went by."""
    gone = 0
    while not until() and gone < most:
        clock.wait(step)
        gone += step
        g.json("status")  # wakes the program up
        time.sleep(0.3)
    return gone


def sync_with(clocked, relay, verb):
    """A gateway whose sync has come to that command of a message to this relay."""
    g, clock = clocked({**to(relay.port), "sync": {"on_send": "no"}})
    mail(g, "x@far.example")
    g.wait_queue(1)
    g.ctl("sync")
    scratch.wait_for(lambda: relay.verbs(verb), 20, g.log)
    time.sleep(0.5)
    return g, clock


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_relay_silent_after_the_log_in_is_left_after_five_minutes(clocked, liar, verb):
    left_after(clocked, liar, verb, 300)


def test_relay_silent_behind_a_message_is_left_after_ten_minutes(clocked, liar):
    """RFC 5321 4.5.3.2.6: who gives up earlier sends a second copy of what a slow relay was about to take."""
    left_after(clocked, liar, ".", 600)


def left_after(clocked, liar, verb, seconds):
    ended = threading.Event()
    try:
        r = liar(lambda v, a, c: ended.wait(120) and Liar.DROP if v == verb else None, offers=["SIZE 10000000"])
        g, clock = sync_with(clocked, r, "DATA" if verb == "." else verb)
        gone = let_pass(g, clock, 50, lambda: "the server fell silent" in g.log(), 900)
        assert seconds <= gone <= seconds + 50, gone
        g.wait_queue(1)
        assert g.box("anna") == []
    finally:
        ended.set()


def test_relay_that_trickles_after_the_log_in_is_left_after_a_quarter_of_an_hour(clocked, liar):
    ended = threading.Event()
    try:
        r = liar(offers=["SIZE 10000000"])
        r.reply = trickle(r, ended)
        g, clock = sync_with(clocked, r, "DATA")
        gone = let_pass(g, clock, 100, lambda: "send.disconnect" in g.log(), 3000)
        assert 900 <= gone <= 1000, gone
        g.wait_queue(1)
        assert g.box("anna") == []
    finally:
        ended.set()
