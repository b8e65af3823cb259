"""B9: log-in + STAT + UIDL on ever larger mailboxes. Ours keeps no index: each open is a cold one."""
from lib import ca as authority
from rig import peers, tools
from rig.contest import Contest, Row

from . import b8_memory

SIZES = (1000, 10000, 100000, 1000000)
OPEN_SECONDS = 180  # a cold Dovecot reads a million files
INDEXES = ("dovecot-uidlist", "dovecot.index", "dovecot.index.log", "dovecot.index.cache", "dovecot.list.index.log")


def opened(port, messages):
    got = tools.run("pop3_drain", within=OPEN_SECONDS, port=port, mode="open", boxes=1, at_once=1)
    assert got["messages"] == messages, got
    return 1000 * got["seconds"]


def one_size(o, s, d, had, n):
    """The mailboxes have so many already."""
    cold, warm = "Dovecot tuned, cold", "Dovecot tuned, warm"

    def first():
        for name in INDEXES:
            (d.folders[0] / name).unlink(missing_ok=True)
        return opened(d.port, n)
    for server in (s, d):
        b8_memory.big_box(server.folders[0], n, owner=getattr(server, "owner", None), first=had)
    tools.settle_disk()
    c = Contest(o.rounds, {cold: first, warm: lambda: opened(d.port, n), "ofmsrv": lambda: opened(s.gateway.pop3_port, n)},
                f"B9 {n:,}")
    return Row("B9", f"log-in + STAT + UIDL, {n:,} messages", "ms", c.row(""), None,
               [("faster than Dovecot warm", 1, warm)], better="less")


def b9(o):
    ca = authority.CA()
    cert, key = ca.issue("pop.test")
    s, d = peers.Ours(1), peers.Dovecot(cert, key, 1, tuned=True)
    try:
        sizes = [o.scaled(n) for n in SIZES]
        return [one_size(o, s, d, had, n) for had, n in zip([0, *sizes], sizes)]
    finally:
        s.close()
        d.close()
        ca.close()


JOBS = {"B9": b9}
