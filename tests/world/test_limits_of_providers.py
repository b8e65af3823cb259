"""Providers with the limits that Debian ships: so many connections from one address, so many minutes between two log-ins."""
import pytest

from lib.gateway import message
from peers import corpus, providers
from peers.collecting import account, line  # noqa: F401


@pytest.fixture
def shipped(ca, request):
    """shipped(kind, **how it differs from the tests' own) starts a provider that ends with the test."""
    made = []

    def make(kind, **attributes):
        made.append(type(kind.__name__, (kind,), attributes)(ca))
        return made[-1]
    yield make
    for p in made:
        p.close()


def test_twelve_accounts_where_four_connections_are_allowed(gateway, shipped):
    peer = shipped(providers.Courier, PER_ADDRESS=4)
    users = [peer.fresh() for _ in range(12)]
    for u in users:
        peer.put(u, [message(f"to {u} {n}", extra=b"X-World: %d\r\n" % n, body=b"line\r\n" * 3000) for n in range(20)])
    sections = {f"account {u}": account(peer, u, peer.ports["none"])["account world"] for u in users}
    g = gateway(sections)
    p = g.ctl("sync", "--wait", timeout=180)
    assert p.returncode == 0, p.stdout + p.stderr
    assert len(g.box("anna")) == 12 * 20
    learnt = [a["learnt"].get("connections") for a in g.json("status")["accounts"]]
    assert all(n is not None and 1 <= n <= 4 for n in learnt), learnt
    assert g.box("postmaster") == []
    assert all(peer.count(u) == 0 for u in users)
    g.sync()
    assert g.box("postmaster") == []


def test_one_log_in_a_minute_is_no_failure(gateway, shipped, line):  # noqa: F811
    """The sync that brought mail is a success, and one that comes too soon is no more than too soon."""
    peer = shipped(providers.Cyrus, MINUTES=1)
    user, sent = peer.fresh(), corpus.messages(30, providers.Cyrus.WITHOUT)
    peer.put(user, sent)
    w = line(peer.ports["none"])
    g = gateway(account(peer, user, w.port))
    g.sync()
    assert len(g.box("anna")) == 30
    assert len(w.talks) == 1, "a second log-in that is refused"
    p = g.ctl("sync", "--wait")
    assert p.returncode == 0 and "later" in p.stdout, p.stdout + p.stderr
    assert g.box("postmaster") == []
