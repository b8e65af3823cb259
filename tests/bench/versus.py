#!/usr/bin/python3
"""Two builds of the gateway beside each other in one run: `versus.py BEFORE AFTER` with the folders that hold ofmsrv and
ofmctl. The work is that of the bench's jobs; they take turns, so that what else the machine does hits both alike."""
import argparse
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]
from lib import ca as authority, gateway  # noqa: E402
from rig import contest, peers, ward  # noqa: E402
from jobs import b1_accept, b3_pop3, b4_collect, b6_send  # noqa: E402


def closing(server, work):
    try:
        return work(server)
    finally:
        server.close()


def b3(ca, way):
    _, depth, tls = way
    n = b3_pop3.MESSAGES
    return closing(b3_pop3.ours(*ca.issue("pop.test")),
                   lambda s: b3_pop3.USERS * n / b3_pop3.drain(s, tls, depth, n)["seconds"])


def log_ins(ca):
    return closing(b3_pop3.ours(*ca.issue("pop.test")), lambda s: b3_pop3.logins(s, False, 2000)[""])


def collected(ca, boxes, messages, ms):
    return b4_collect.Collecting(ca, boxes, messages, ms).ours()[""]


def accepted(messages, connections):
    return closing(peers.Ours(), lambda s: b1_accept.accept(s, messages, connections)["accepted"])


def works(ca):
    """name -> (job, unit, whether more is better, what to run)"""
    yield "SMTP in, 20 connections: accepted", ("B1", "messages/s", True, lambda: accepted(20000, 20))
    yield "SMTP in, 1 connection: accepted", ("B2", "messages/s", True, lambda: accepted(4000, 1))
    for way in b3_pop3.WAYS:
        yield f"POP3, 20 × 200, {way[0]}", ("B3", "messages/s", True, lambda way=way: b3(ca, way))
    yield "POP3 log-ins", ("B3", "log-ins/s", True, lambda: log_ins(ca))
    for ms in (0, b4_collect.FAR_MS):
        yield f"collect 100 × 40, {ms} ms", ("B4", "s", False, lambda ms=ms: collected(ca, 100, 40, ms))
    for ms in (0, b4_collect.FAR_MS):
        yield f"collect 1 × 1000, {ms} ms", ("B5", "s", False, lambda ms=ms: collected(ca, 1, 1000, ms))
    for chunking in (True, False):
        yield (f"send 1000, {'CHUNKING' if chunking else 'no CHUNKING'}, 60 ms",
               ("B6", "messages/s", True, lambda chunking=chunking: b6_send.ours(chunking, 60, 1000)[""]))


def with_programs(folder, run):
    def one():
        gateway.OFMSRV, gateway.OFMCTL = str(folder / "ofmsrv"), str(folder / "ofmctl")
        return run()
    return one


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("before", type=pathlib.Path)
    a.add_argument("after", type=pathlib.Path)
    a.add_argument("--jobs", default="", help="B1,B4: those alone")
    a.add_argument("--rounds", type=int, default=3)
    o = a.parse_args()
    rows, ca = [], authority.CA()
    with ward.Ward() as w:
        for name, (job, unit, more, run) in works(ca):
            if o.jobs and job not in o.jobs.split(","):
                continue
            c = contest.Contest(o.rounds, {"before": with_programs(o.before.resolve(), run),
                                           "after": with_programs(o.after.resolve(), run)}, job)
            old, new = (contest.median(c.row("")[n]) for n in ("before", "after"))
            rows.append((job, name, unit, old, new, new / old if more else old / new))
            w.clear()
    ca.close()
    print("| job | what | unit | before | after | after is … as good |\n| --- | --- | --- | ---: | ---: | ---: |")
    for job, name, unit, old, new, ratio in rows:
        print(f"| {job} | {name} | {unit} | {old:,.4g} | {new:,.4g} | {ratio:.2f} × |")
    return 0


sys.exit(main())
