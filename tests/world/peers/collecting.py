"""The tests that each provider gets: a file names its PEER and imports all that stands here."""
import collections
import re
import time

import pytest

from lib import scratch

from . import corpus, providers, wire

HOW_MANY = 300
STAMP = re.compile(rb"Received: from \S+ by gate\.test with POP3 \(account .*, uidl .*\); ")


def pytest_generate_tests(metafunc):
    if "security" not in metafunc.fixturenames:
        return
    peer = providers.ALL[metafunc.module.PEER]
    if "cut" in metafunc.function.__name__:
        metafunc.parametrize("security, keep", [(s, k) for s in peer.SECURITY for k in ("0", "1d")
                                                if not (peer.SHORT and (s, k) in (("starttls", "1d"), ("tls", "0")))])
    else:
        metafunc.parametrize("security", peer.SECURITY)


@pytest.fixture(scope="module")
def peer(request, ca):
    p = providers.ALL[request.module.PEER](ca)
    p.ca = ca.cert
    yield p
    p.close()


@pytest.fixture
def line():
    """line(port) makes wires that end with the test."""
    made = []

    def make(port, edit=None):
        made.append(wire.Wire(port, edit))
        return made[-1]
    yield make
    for w in made:
        w.close()


def account(peer, user, port, security="none", **keys):
    secure = {} if security == "none" else {"ca_file": peer.ca}
    return {"account world": {"host": "localhost", "port": port, "security": security, "user": user,
                              "password": providers.PASSWORD, "deliver": "anna", **secure, **keys}}


def as_provided(peer, stored):
    """A message of a mailbox without our first line, and without what the provider is known to add."""
    first, _, raw = stored.partition(b"\r\n")
    assert STAMP.match(first), first
    head, gap, body = raw.partition(b"\r\n\r\n")
    head += b"\r\n"
    for name in peer.ADDED:
        head = re.sub(rb"^" + name + rb":[^\n]*\n(?:[ \t][^\n]*\n)*", b"", head, flags=re.M | re.I)
    return head + b"\r\n" + body


def left(peer, user, n):
    """So much is left there. Courier says goodbye before it removes."""
    scratch.wait_for(lambda: peer.count(user) == n, 10, lambda: f"{n} left at the provider, not {peer.count(user)}")


def difference(peer, got, sent):
    """The first message that is not as it was, beside what it was."""
    for n, copies in sorted(got.items()):
        is_, was = copies[0], peer.stored(sent[n])
        if not peer.alike(is_, sent[n]):
            at = next((i for i, (a, b) in enumerate(zip(is_, was)) if a != b), min(len(is_), len(was)))
            return f"\n{n}, at {at}: {is_[max(0, at - 60):at + 60]!r}, {len(is_)} octets\nit was {was[max(0, at - 60):at + 60]!r}, {len(was)}"
    return ""


def compare(peer, g, sent):
    """Everything that was put there is here, once, and as it was."""
    got = collections.defaultdict(list)
    for raw in g.box("anna"):
        got[corpus.number(raw)].append(as_provided(peer, raw))
    kind = {n: re.search(rb"Subject: (.*?)\r", m).group(1).decode() for n, m in enumerate(sent)}
    lost = [kind[n] for n in range(len(sent)) if n not in got]
    doubled = [kind[n] for n, copies in got.items() if len(copies) > 1]
    altered = [kind[n] for n, copies in got.items() if not peer.alike(copies[0], sent[n])]
    if lost or doubled or altered:
        pytest.fail(f"lost: {lost[:20]}; doubled: {doubled[:20]}; altered: {altered[:20]}" + difference(peer, got, sent), False)


def sync(g, seconds=30):
    """A sync by hand that is not put off because the server wants some time between two log-ins."""
    end = time.monotonic() + seconds
    while True:
        p = g.ctl("sync", "--wait", timeout=120)
        if "LOGIN-DELAY" not in p.stdout or time.monotonic() > end:
            return p
        time.sleep(0.2)


def sync_well(g, seconds=30):
    """The same, and it succeeds: not at once, perhaps, since a mailbox may be locked for a moment by the session that was cut."""
    end = time.monotonic() + seconds
    while True:
        p = sync(g)
        if p.returncode == 0:
            return
        assert time.monotonic() < end, p.stdout + p.stderr
        time.sleep(0.2)


@pytest.mark.parametrize("keep", ["0", "1d"])
def test_every_message_arrives_once_and_as_it_was(gateway, peer, line, security, keep):
    user, sent = peer.fresh(), corpus.messages(HOW_MANY, peer.WITHOUT)
    peer.put(user, sent)
    w = line(peer.ports[security], peer.EDIT)
    g = gateway(account(peer, user, w.port, security, keep=keep))
    sync_well(g)
    compare(peer, g, sent)
    left(peer, user, 0 if keep == "0" else HOW_MANY)
    for n in range(2):
        sync_well(g)
        assert len(w.talks) >= n + 2
        compare(peer, g, sent)
    assert g.box("postmaster") == []  # nothing went wrong that somebody should know of
    if security == "none":
        asked = collections.Counter(w.commands("RETR"))
        assert len(asked) == HOW_MANY and set(asked.values()) == {1}, asked.most_common(5)
    print(f"{peer.NAME} {security} keep={keep}: {len(w.talks)} connections, {sum(len(t.received) for t in w.talks)} octets")


def _in_plain_text(keep):
    """Eight places of a session: whether it has come there."""
    yield "greeting", lambda t: len(t.received) >= 3
    yield "log-in", lambda t: re.search(rb"^(PASS|AUTH) ", t.sent, re.M)
    yield "listing", lambda t: b"UIDL" in t.sent and t.received.count(b"\n") > 30
    yield "a large message", lambda t: len(t.received) > 1_500_000
    yield "first RETR", lambda t: b"RETR" in t.sent
    yield "early", lambda t: len(t.received) > 20_000
    yield "late", (lambda t: t.sent.count(b"DELE") > 10) if keep == "0" else (lambda t: len(t.received) > 60_000)
    yield "QUIT", lambda t: re.search(rb"^QUIT", t.sent, re.M)


def _under_tls(keep):
    for octets in (100, 1_800, 4_000, 1_500_000, 9_000, 20_000, 40_000, 60_000):
        yield octets, lambda t, octets=octets: len(t.received) > octets


def test_cut_at_eight_places_it_still_arrives_once(gateway, peer, line, security, keep):
    """More mail comes before each cut, since what was cut may be made up for in the same sync."""
    user, sent = peer.fresh(), corpus.messages(HOW_MANY, peer.WITHOUT)
    w = line(peer.ports[security], peer.EDIT)
    g = gateway(account(peer, user, w.port, security, keep=keep))
    eighth = -(-HOW_MANY // 8)
    for n, (place, come) in enumerate((_in_plain_text if security == "none" else _under_tls)(keep)):
        peer.put(user, sent[n * eighth:(n + 1) * eighth])
        before, w.cut = w.cuts, come
        scratch.wait_for(lambda: sync(g) and w.cuts > before, 60, lambda: f"a session that comes to {place}")
        w.cut = None
    sync_well(g)
    compare(peer, g, sent)
    left(peer, user, 0 if keep == "0" else HOW_MANY)
    sync_well(g)
    compare(peer, g, sent)


def test_trying_the_account_says_what_collecting_does(gateway, peer, security):
    user = peer.fresh()
    peer.put(user, corpus.messages(3))
    g = gateway(account(peer, user, peer.ports[security], security))
    p = g.ctl("test", "account", "world")
    assert p.returncode == 0, p.stdout + p.stderr
    sync_well(g)
    assert len(g.box("anna")) == 3
