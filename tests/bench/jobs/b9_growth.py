"""B9: log-in + STAT + UIDL on ever larger mailboxes. Ours keeps no index: each open is a cold one."""
import shutil
import subprocess

from lib import ca as authority
from rig import peers, tools
from rig.contest import Contest, Row

from . import b8_memory

SIZES = (1000, 10000, 100000, 1000000)
INDEXES = ("dovecot-uidlist", "dovecot.index", "dovecot.index.log", "dovecot.index.cache", "dovecot.list.index.log")


def opened(port, messages):
    got = tools.run("pop3_drain", port=port, mode="open", boxes=1, at_once=1)
    assert got["messages"] == messages, got
    return 1000 * got["seconds"]


def refill(server, messages):
    owner = getattr(server, "owner", None)
    shutil.rmtree(server.folders[0], ignore_errors=True)
    b8_memory.big_box(server.folders[0], messages, owner=owner)
    if owner is not None:
        subprocess.run(["chown", "-R", f"{owner.pw_uid}:{owner.pw_gid}", server.folders[0]], check=True)


def one_size(o, s, d, n):
    cold, warm = "Dovecot tuned, cold", "Dovecot tuned, warm"

    def first():
        for name in INDEXES:
            (d.folders[0] / name).unlink(missing_ok=True)
        return opened(d.port, n)
    for server in (s, d):
        refill(server, n)
    c = Contest(o.rounds, {cold: first, warm: lambda: opened(d.port, n), "ofmsrv": lambda: opened(s.gateway.pop3_port, n)},
                f"B9 {n:,}")
    return Row("B9", f"log-in + STAT + UIDL, {n:,} messages", "ms", c.row(""), None,
               [("faster than Dovecot warm", 1, warm)], better="less")


def b9(o):
    ca = authority.CA()
    cert, key = ca.issue("pop.test")
    s, d = peers.Ours(1), peers.Dovecot(cert, key, 1, tuned=True)
    try:
        return [one_size(o, s, d, o.scaled(n)) for n in SIZES]
    finally:
        s.close()
        d.close()
        ca.close()


JOBS = {"B9": b9}
