"""Relays with limits: of messages in a connection, of recipients, of a rate, of connections. All mail goes, none waits for a
retry, and what was found out is remembered."""
import threading
import time

import pytest

from lib import scratch
from lib.liar import Liar
from lib.sending import CHUNKS, OFFERS, mail, show, states, sync, to

MANY = 40


def fill(g, n, **kw):
    for i in range(n):
        mail(g, f"r{i}@far.example", subject=str(i), **kw)
    g.wait_queue(n)


def all_once(r, n):
    got = sorted(x for a in r.accepted for x in a.recipients)
    assert got == sorted(f"r{i}@far.example" for i in range(n))


def learnt(g, name=""):
    [relay] = [x for x in g.json("status")["relays"] if x["name"] == name]
    return relay["learnt"]


class Counting:
    """reply() of a relay that takes so many MAILs in a connection."""

    def __init__(self, most, text="421 4.7.0 too many messages in this connection"):
        self.most, self.text, self.seen = most, text, {}

    def __call__(self, verb, arg, c):
        if verb == "MAIL":
            self.seen[c] = self.seen.get(c, 0) + 1
            if self.seen[c] > self.most:
                return self.text
        return None


@pytest.mark.parametrize("text", ["421 4.7.0 too many messages in this connection", "421 4.4.2 bye",
                                  "452 4.7.0 too many messages in this session",
                                  "452 4.5.3 Too many recipients: Too many messages sent"])
@pytest.mark.parametrize("offers", OFFERS.values(), ids=OFFERS)
def test_messages_in_a_connection(gateway, liar, offers, text):
    r = liar(Counting(10, text), offers)
    g = gateway(to(r.port, connections=1))
    fill(g, MANY)
    g.sync()
    all_once(r, MANY)
    g.wait_queue(0)
    if text != "421 4.4.2 bye":
        assert learnt(g) == {"messages_per_connection": 10}
    assert g.box("anna") == [] and g.box("postmaster") == []


@pytest.mark.parametrize("most", [1, 11])
def test_messages_in_a_connection_refused_for_good_at_their_end(gateway, liar, most):
    seen = {}

    def reply(verb, arg, c):
        if verb == "MAIL":
            seen[c] = seen.get(c, 0) + 1
        return "550 5.7.1 too many messages in one connection" if verb == "." and seen[c] > most else None
    r = liar(reply, CHUNKS)
    g = gateway(to(r.port, connections=1))
    fill(g, MANY)
    g.sync()
    all_once(r, MANY)
    assert g.box("anna") == []


def test_messages_in_a_connection_are_remembered(gateway, liar):
    r = liar(Counting(5), CHUNKS)
    g = gateway(to(r.port, connections=1))
    fill(g, 12)
    g.sync()
    assert learnt(g) == {"messages_per_connection": 5}
    g.restart(kill=True)
    before = len(r.commands)
    fill(g, 20)
    g.sync()
    assert len(r.accepted) == 32
    counts = {}
    for c, line in r.commands[before:]:
        counts[c] = counts.get(c, 0) + line.startswith("MAIL")
    assert max(counts.values()) == 5
    # Another section: what was learnt is forgotten. The same one again: not.
    g.reload()
    assert learnt(g) == {"messages_per_connection": 5}
    g.reload(to(r.port, connections=2))
    assert learnt(g) == {}


def test_messages_per_connection_as_configured(gateway, liar):
    r = liar(offers=CHUNKS)
    g = gateway(to(r.port, connections=1, messages_per_connection=3))
    fill(g, 10)
    g.sync()
    all_once(r, 10)
    counts = {}
    for c, line in r.commands:
        counts[c] = counts.get(c, 0) + line.startswith("MAIL")
    assert max(counts.values()) == 3
    assert [x for x in r.verbs("QUIT")] and len(r.verbs("QUIT")) >= 3
    assert r.most_at_once == 1, "the relay may count one that says goodbye"


def test_what_stands_behind_a_421_was_not_taken(gateway, liar):
    """At the end of a message, once: it and the others go at once, by another connection."""
    said = []

    def reply(verb, arg, c):
        if verb == "." and len(r.accepted) == 3 and not said:
            said.append(c)
            return "421 4.3.2 shutting down"
        return None
    r = liar(reply, CHUNKS)
    g = gateway(to(r.port, connections=1))
    fill(g, 20)
    g.sync()
    all_once(r, 20)
    g.wait_queue(0)


def test_one_message_at_which_it_always_says_421_waits_alone(gateway, liar):
    r = liar(lambda verb, arg, c: "421 4.7.0 not that one" if verb == "RCPT" and "r7@" in arg else None, CHUNKS)
    g = gateway(to(r.port, connections=1))
    fill(g, 20)
    sync(g)
    assert sorted(x for a in r.accepted for x in a.recipients) == sorted(f"r{i}@far.example" for i in range(20) if i != 7)
    assert states(g) == {"r7@far.example": "waiting"}
    assert "421 4.7.0" in show(g)["recipients"][0]["last_reply"]


TOO_MANY = ["550 5.5.3 Too many recipients", "452 4.5.3 too many recipients", "552 too many recipients",
            "554 5.7.1 Maximum number of recipients exceeded", "451 too many recipients in this message",
            "421 4.5.3 Too many recipients", "550 5.7.0 at most 20 recipients per message"]


@pytest.mark.parametrize("text", TOO_MANY)
def test_too_many_recipients_by_any_code(gateway, liar, text):
    taken = {}

    def reply(verb, arg, c):
        if verb == "MAIL":
            taken[c] = 0
        if verb == "RCPT":
            taken[c] += 1
            if taken[c] > 20:
                return text
        return None
    r = liar(reply, CHUNKS)
    g = gateway(to(r.port, connections=1))
    everyone = [f"r{n}@far.example" for n in range(50)]
    mail(g, *everyone)
    g.sync()
    assert [len(a.recipients) for a in r.accepted] == [20, 20, 10]
    assert sorted(x for a in r.accepted for x in a.recipients) == sorted(everyone)
    assert g.box("anna") == []
    assert learnt(g) == {"recipients_at_once": 20}
    before = len(r.verbs("RCPT"))
    mail(g, *everyone)
    g.sync()
    assert len(r.verbs("RCPT")) - before == 50, "it is asked for no more than it takes"


@pytest.mark.parametrize("verb", ["DATA", "."])
def test_too_many_recipients_for_the_message(gateway, liar, verb):
    n = {}

    def reply(v, arg, c):
        if v == "MAIL":
            n[c] = 0
        if v == "RCPT":
            n[c] += 1
        return "554 5.5.3 Too many recipients" if v == verb and n[c] > 15 else None
    r = liar(reply, ("PIPELINING",))
    g = gateway(to(r.port, connections=1))
    everyone = [f"r{i}@far.example" for i in range(50)]
    mail(g, *everyone)
    g.sync()
    assert sorted(x for a in r.accepted for x in a.recipients) == sorted(everyone)
    assert max(len(a.recipients) for a in r.accepted) <= 15 and g.box("anna") == []


class Limited:
    """reply() of a relay that takes `most` messages in each `window` seconds, told at `verb`."""

    def __init__(self, most, window, text, verb="MAIL"):
        self.most, self.window, self.text, self.verb = most, window, text, verb
        self.lock, self.times, self.refused = threading.Lock(), [], 0

    def __call__(self, verb, arg, c):
        if verb != self.verb:
            return None
        with self.lock:
            now = time.monotonic()
            self.times = [t for t in self.times if now - t < self.window]
            if len(self.times) >= self.most:
                self.refused += 1
                return self.text
            self.times.append(now)
        return None


RATES = {"MAIL": "454 Throttling failure: Maximum sending rate exceeded.", ".": "451 4.7.1 Rate limit exceeded, slow down",
         "RCPT": "450 4.7.1 Error: too much mail from 127.0.0.1"}
DOUBTFUL = [("MAIL", "452 4.3.1 Insufficient system resources"), ("DATA", "451 4.7.500 Server busy, try again later"),
            (".", "550 5.7.1 Daily quota exceeded"), (".", "421 4.7.0 too many messages")]


@pytest.mark.parametrize("verb,text", [*RATES.items(), *DOUBTFUL])
def test_a_rate_slows_all_and_delays_none_to_its_retry(gateway, liar, verb, text):
    limit = Limited(14, 1, text, verb)
    r = liar(limit, CHUNKS if verb != "DATA" else ("PIPELINING",))
    g = gateway(to(r.port))
    fill(g, 200)
    began = time.monotonic()
    g.ctl_ok("sync", "--wait", timeout=120)
    assert time.monotonic() - began < 60
    all_once(r, 200)
    g.wait_queue(0)
    assert limit.refused < 200
    found = learnt(g)
    assert found.keys() == {"rate"} and 200 < found["rate"] < 1500
    assert "send.deferred" not in g.log() and g.box("anna") == []


@pytest.mark.parametrize("verb,text", [("MAIL", "452 4.3.1 Insufficient system storage"), (".", "451 4.3.2 system is busy"),
                                       (".", "554 5.7.1 too many messages like this one"),
                                       ("RCPT", "450 too many messages for this person")])
def test_words_of_a_limit_that_mean_one_message_alone(gateway, liar, verb, text):
    """All others go, it is tried a few times more, and then it waits or is refused."""
    mine = {}

    def reply(v, arg, c):
        if v == "MAIL":
            mine[c] = "boris" in arg
        return text if v == verb and mine[c] else None
    r = liar(reply, CHUNKS)
    g = gateway(to(r.port, connections=1))
    for n in range(20):
        mail(g, f"r{n}@far.example")
        if n == 4:
            mail(g, "his@far.example", sender="boris@office.lan")
    g.wait_queue(21)
    sync(g)
    all_once(r, 20)
    if text[0] == "5":
        g.wait_box("boris")
        g.wait_queue(0)
    else:
        assert states(g) == {"his@far.example": "waiting"} and g.box("boris") == []
    assert g.box("anna") == [] and g.box("postmaster") == []


def test_the_limit_of_one_sender_is_not_that_of_the_others(gateway, liar):
    r = liar(lambda verb, arg, c: "451 4.7.1 Rate limit exceeded" if verb == "MAIL" and "anna" in arg else None, CHUNKS)
    g = gateway(to(r.port, connections=1) | {"sync": {"on_send": "yes"}})
    mail(g, "x@far.example")
    scratch.wait_for(lambda: r.verbs("MAIL"), 10, g.log)
    for n in range(5):
        mail(g, f"r{n}@far.example", sender="boris@office.lan")
    scratch.wait_for(lambda: len(r.accepted) == 5, 40, g.log)
    g.wait_queue(1)


def test_configured_rate(gateway, liar):
    times = []

    def reply(verb, arg, c):
        if verb == "MAIL":
            times.append(time.monotonic())
    r = liar(reply, CHUNKS)
    g = gateway(to(r.port, rate=120))
    fill(g, 8)
    g.sync()
    all_once(r, 8)
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert min(gaps) > 0.4 and times[-1] - times[0] > 3.2
    assert learnt(g) == {}


def test_connections_that_it_allows(gateway, liar):
    """The third at once is told that there are too many."""
    def reply(verb, arg, c):
        if verb == "" and len(r.open) > 2:
            return "421 4.7.0 liar.test Error: too many connections from 127.0.0.1"
        if verb == ".":
            time.sleep(0.05)
        return None
    r = liar(reply, ())
    g = gateway(to(r.port, connections=4))
    fill(g, 30)
    g.sync()
    all_once(r, 30)
    assert g.box("postmaster") == [] and learnt(g)["connections"] <= 2
