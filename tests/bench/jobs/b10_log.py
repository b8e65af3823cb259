"""B10: the log at 999 KiB and debug level against no log; by the clock, and by what a message costs, since clocks swing more
than the log may."""
from rig import peers
from rig.contest import Contest, Row

from . import b1_accept


def b10(o):
    n, ours, none = o.scaled(10000), "ofmsrv", "no log"
    servers = {none: peers.Ours(20, {"server": {"log_size_kib": 0}}),
               ours: peers.Ours(20, {"server": {"log_size_kib": 999, "log_level": "debug"}})}
    try:
        c = Contest(2 * o.rounds, {k: (lambda s=s: b1_accept.accept(s, n, 20)) for k, s in servers.items()}, "B10")
    finally:
        for s in servers.values():
            s.close()
    return [Row("B10", "accept by SMTP with the log at 999 KiB, debug", "messages/s", c.row("accepted", [ours]), c.row("accepted", [none]),
                [("≤ 5 % slower", 0.95, none)]),
            Row("B10", "the same: processor time a message", "µs", c.row("cpu", [ours]), c.row("cpu", [none]),
                [("≤ 5 % more", 1 / 1.05, none)], better="less")]


JOBS = {"B10": b10}
