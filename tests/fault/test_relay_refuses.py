"""Every refused recipient stands in exactly one bounce that its sender has, whatever relay, disk, signals and operators do
meanwhile: each recipient is delivered, bounced, dropped or still queued, and nothing of it twice."""
import errno
import json
import random
import threading
import time

import pytest

from crash import shim
from lib import gateway as gw
from lib import scratch
from lib.fickle import Fickle, audit, bounced, kind, slow_disk
from lib.sending import CHUNKS, mail, states, sync, to

WAYS = {"chunking": CHUNKS, "pipelining": ("PIPELINING",), "neither": (), "chunking alone": ("CHUNKING",)}
SLOW = (0, 50, 200)
SANITIZED = gw.BUILD in ("build-asan", "build-tsan")
unsanitized = pytest.mark.skipif(SANITIZED, reason="a sanitizer wants to be loaded first")


@pytest.fixture
def fickle():
    """fickle(offers, …) makes fickle relays that end with the test."""
    made = []

    def make(*args, **kw):
        made.append(Fickle(*args, **kw))
        return made[-1]
    yield make
    for one in made:
        one.calm()
        one.close()


@pytest.fixture
def slow(tmp_path):
    def env(ms):
        if not ms:
            return {}
        if SANITIZED:
            pytest.skip("a sanitizer wants to be loaded first")
        return {**slow_disk(tmp_path), "SLOW_DISK_MS": str(ms)}
    return env


def house(gateway, relay, env, start=True, **keys):
    g = gateway(to(relay.port, **keys) | {"server": {"log_level": "info"}}, start=False)
    g.env = env
    if start:
        g.start()
    return g


def settle(g, seconds=60):
    """Syncs until nothing waits."""
    def empty():
        g.ctl("sync", "--wait", timeout=120)
        return not g.json("queue", "list")["messages"]
    scratch.wait_for(empty, seconds, lambda: f"{g.json('queue', 'list')} {g.log()[-3000:]}")


@pytest.mark.parametrize("ms", [0, 100])
@pytest.mark.parametrize("way", ["chunking", "pipelining"])
def test_many_refused_in_the_first_of_two_transactions(gateway, fickle, slow, way, ms):
    r = fickle(WAYS[way])
    g = house(gateway, r, slow(ms), connections=1)
    everyone = [f"{'bad' if n < 95 else 'ok'}.T{n}@far.example" for n in range(195)]
    mail(g, *everyone)
    settle(g)
    assert audit(g, [r], everyone) == []
    assert len(g.box("anna")) == 1


@pytest.mark.parametrize("ms", [0, 100])
@pytest.mark.parametrize("way", WAYS)
def test_one_refused_in_the_second_of_three_transactions(gateway, fickle, slow, way, ms):
    r = fickle(WAYS[way], limit=2)
    g = house(gateway, r, slow(ms), connections=2)
    everyone = []
    for n in range(20):
        mine = [f"{k}.T{n}x{i}@far.example" for i, k in enumerate(["ok", "ok", "bad", "ok", "ok", "ok"])]
        mail(g, *mine, subject=str(n))
        everyone += mine
    settle(g)
    assert audit(g, [r], everyone) == []
    assert len(g.box("anna")) == 20


@pytest.mark.parametrize("kill", [True, False], ids=["SIGKILL", "SIGTERM"])
@pytest.mark.parametrize("way", WAYS)
def test_refused_before_a_transaction_that_hangs(gateway, fickle, way, kill):
    """What was refused is in no commit yet when the program ends: it has to be asked again, and bounced once."""
    r = fickle(WAYS[way], limit=2, hang_s=100)
    g = house(gateway, r, {}, connections=1)
    everyone = ["ok.T1@far.example", "bad.T1@far.example", "late.T1@far.example", "ok.T2@far.example", "ok.T3@far.example"]
    mail(g, *everyone)
    g.wait_queue(1)
    taken = []

    def second(verb):
        if verb == "MAIL" and r.taken and not taken:
            taken.append(True)
            return "hang"
        return None
    r.mood = second
    g.ctl("sync")
    scratch.wait_for(lambda: r.hanging, 20, g.log)
    # The first transaction's outcome has to be on record, or it would go again.
    scratch.wait_for(lambda: "delivered" in states(g).values(), 20, g.log)
    assert kind(everyone[1]) == "bad" and states(g)[everyone[1]] == "waiting"
    if not kill:
        r.free.set()  # a stop waits for what runs
    g.restart(kill=kill)
    r.calm()
    settle(g)
    assert audit(g, [r], everyone) == []
    assert r.taken["ok.T1@far.example"] == 1


@pytest.mark.parametrize("way", ["pipelining", "neither"])  # the former has the next one in hand
def test_held_while_waiting_for_a_connection_is_held(gateway, fickle, way):
    r = fickle(WAYS[way], hang_s=100, moods={("hang", "MAIL"): 1})
    g = house(gateway, r, {}, connections=1)
    everyone = [f"ok.T{n}@far.example" for n in range(8)]
    for a in everyone:
        mail(g, a)
    g.wait_queue(8)
    g.ctl("sync")
    scratch.wait_for(lambda: r.hanging, 20, g.log)
    g.ctl_ok("queue", "hold", "all")
    on_the_wire = len(r.verbs("MAIL"))
    assert on_the_wire == 1
    r.calm()
    g.ctl("sync", "--wait")
    assert sum(r.taken.values()) == 0 and len(r.verbs("MAIL")) == on_the_wire
    g.restart()  # held is on record
    g.sync()
    assert sum(r.taken.values()) == 0
    g.ctl_ok("queue", "release", "all")
    scratch.wait_for(lambda: sum(r.taken.values()) == 8, 20, g.log)
    settle(g)
    assert audit(g, [r], everyone) == []


@pytest.mark.parametrize("way", WAYS)
def test_held_between_the_transactions_of_one_message(gateway, fickle, way):
    """The transaction on the wire ends, and is recorded; no other begins."""
    r = fickle(WAYS[way], limit=2)
    g = house(gateway, r, {}, connections=1)
    everyone = [f"ok.T{n}@far.example" for n in range(6)]
    held, go = threading.Event(), threading.Event()

    def dot(verb):
        if verb == "." and not held.is_set():
            held.set()
            go.wait(30)
    r.mood = dot
    mail(g, *everyone)
    g.wait_queue(1)
    g.ctl("sync")
    assert held.wait(20)
    g.ctl_ok("queue", "hold", "all")
    go.set()
    scratch.wait_for(lambda: list(states(g).values()).count("delivered") == 2, 20, g.log)
    g.ctl("sync", "--wait")
    assert sum(r.taken.values()) == 2
    g.ctl_ok("queue", "drop", everyone[5])
    g.ctl_ok("queue", "release", "all")
    scratch.wait_for(lambda: not g.json("queue", "list")["messages"], 20, g.log)
    assert r.taken == {a: 1 for a in everyone[:5]}


@pytest.mark.parametrize("way", ["pipelining", "neither"])  # the former has the next one in hand
def test_dropped_while_waiting_for_a_connection_is_gone_at_once(gateway, fickle, way):
    r = fickle(WAYS[way], hang_s=100, moods={("hang", "MAIL"): 1})
    g = house(gateway, r, {}, connections=1)
    everyone = [f"ok.T{n}@far.example" for n in range(8)]
    for a in everyone:
        mail(g, a)
    g.wait_queue(8)
    g.ctl("sync")
    scratch.wait_for(lambda: r.hanging, 20, g.log)
    g.ctl_ok("queue", "drop", "all")
    scratch.wait_for(lambda: len(g.json("queue", "list")["messages"]) == 1, 20, g.log)  # the one on the wire
    r.calm()
    settle(g)
    assert sum(r.taken.values()) <= 1 and not g.box("anna")


@pytest.mark.parametrize("action", ["hold", "release", "drop", "retry"])
def test_operator_while_the_bounce_is_on_its_way(gateway, fickle, slow, action):
    """The end of a commit acts on what it committed, not on what an operator has changed meanwhile."""
    r = fickle(CHUNKS, limit=2)
    g = house(gateway, r, slow(200), connections=1)
    everyone = [f"{k}.T{n}@far.example" for n in range(5) for k in ("ok", "bad", "late")]
    for n in range(5):
        mail(g, *everyone[3 * n:3 * n + 3])
    g.wait_queue(5)
    g.ctl("sync")
    scratch.wait_for(lambda: r.refused, 20, g.log)
    for _ in range(12):
        g.ctl("queue", action, "all")
        if action == "release":
            g.ctl("queue", "hold", "all")
            g.ctl("queue", "release", "all")
    g.ctl("queue", "release", "all")
    r.calm()
    settle(g)
    assert audit(g, [r], everyone, maybe_dropped=everyone if action == "drop" else ()) == []


def test_held_during_a_commit_is_on_record_when_it_is_answered(gateway, fickle, slow):
    """What changes while a commit is under way is in the next one."""
    r = fickle((), limit=1)
    g = house(gateway, r, slow(200), connections=1)
    everyone = [f"ok.T{n}@far.example" for n in range(60)]
    mail(g, *everyone)
    g.wait_queue(1)
    r.mood = lambda verb: time.sleep(0.05) if verb == "." else None
    g.ctl("sync")
    scratch.wait_for(lambda: len(r.taken) >= 2, 20, g.log)
    g.ctl_ok("queue", "hold", "all")
    assert g.json("queue", "list")["messages"][0]["held"]
    g.restart(kill=True)
    before = len(r.taken)
    r.mood = lambda verb: None
    assert before < 60 and g.json("queue", "list")["messages"][0]["held"]
    g.sync()
    assert len(r.taken) == before
    g.ctl_ok("queue", "release", "all")
    settle(g)
    assert audit(g, [r], everyone) == []


@unsanitized
def test_bounces_that_cannot_be_stored_for_a_while_do_not_use_up_the_cap(gateway, fickle, tmp_path):
    """Each is tried again every three seconds: that is no reason to hold any back, or those that come later."""
    disk = shim.Shim(tmp_path)
    r = fickle(CHUNKS)
    g = house(gateway, r, {}, start=False, connections=1)
    g.env = disk.env(g.home)
    disk.arm()
    g.start()
    try:
        everyone = [f"bad.T{n}@far.example" for n in range(400)]
        with g.smtp() as s:
            for a in everyone:
                s.mail("anna@office.lan", [a], gw.message(to=a))
        g.wait_queue(400, 60)
        r.mood = lambda verb: disk.fail_from_now(errno.ENOSPC, shim.mask("write", "create")) if verb == "MAIL" else None
        g.ctl("sync")
        # Three tries of all of them are more than a day's.
        scratch.wait_for(lambda: g.log().count(" send.bounce ") >= 1200, 60, lambda: g.log()[-2000:])
        r.mood = lambda verb: None
        disk.calm()
        scratch.wait_for(lambda: not g.json("queue", "list")["messages"], 60, lambda: g.log()[-2000:])
        mail(g, "bad.later@far.example")
        settle(g)
        everyone.append("bad.later@far.example")
        assert audit(g, [r], everyone) == []
        assert "Too many bounces today: anna" not in g.subjects("postmaster")
    finally:
        disk.calm()
        g.stop()
        disk.close()


MOODS = {(mood, verb): p for mood, verb, p in [
    ("drop", "", .02), ("drop", "EHLO", .02), ("drop", "MAIL", .02), ("drop", "RCPT", .02), ("drop", "DATA", .03),
    ("drop", ".", .03), ("hang", "MAIL", .02), ("hang", "RCPT", .02), ("hang", "DATA", .03), ("hang", ".", .03),
    ("421", "MAIL", .02), ("421", "RCPT", .01), ("421", ".", .02), ("4xx", "MAIL", .02), ("4xx", "DATA", .02),
    ("4xx", ".", .02), ("drop", "RSET", .02)]}


def load(g, rnd, n, everyone):
    """Messages to one to seven recipients of all kinds, by two senders."""
    for i in range(n):
        token = f"T{len(everyone)}x{i}" + ("d" if rnd.random() < .15 else "")
        mine = [f"{rnd.choice(['ok', 'ok', 'bad', 'late', 'lost'])}.{k}{token}@far.example" for k in range(rnd.randint(1, 7))]
        mail(g, *mine, sender=rnd.choice(["anna@office.lan", "boris@office.lan"]), subject=token)
        everyone += mine


def operate(g, rnd, dropped):
    """One thing that an operator may do."""
    waiting = g.json("queue", "list")["messages"]
    if not waiting:
        return
    m = rnd.choice(waiting)["id"]
    action = rnd.choice(["hold", "release", "retry", "retry", "drop", "hold all", "release all"])
    if action == "drop":
        p = g.ctl("queue", "show", m, "--json")
        if p.returncode != 0:
            return
        dropped.update(r["address"] for r in json.loads(p.stdout)["message"]["recipients"])
    if action.endswith("all"):
        g.ctl("queue", *action.split())
    else:
        g.ctl("queue", action, m)


@pytest.mark.parametrize("ms", SLOW)
@pytest.mark.parametrize("way", WAYS)
def test_whatever_happens_every_recipient_ends_once(gateway, fickle, slow, way, ms):
    rnd = random.Random(f"{way} {ms}")
    r = fickle(WAYS[way], limit=2, moods=MOODS, seed=way)
    g = house(gateway, r, slow(ms), connections=2, retry="1s")
    everyone, dropped = [], set()
    for turn in range(6 if ms < 200 else 3):
        load(g, rnd, 5, everyone)
        g.ctl("sync")
        for _ in range(4):
            operate(g, rnd, dropped)
            g.ctl("sync")
        if turn % 3 == 1:
            g.restart(kill=True)
        elif turn % 3 == 2:
            g.restart()
    r.calm()
    g.ctl("queue", "release", "all")
    settle(g)
    assert audit(g, [r], everyone, maybe_dropped=dropped) == []
    assert bounced(g, ["anna", "boris"]) and sum(r.taken.values())
