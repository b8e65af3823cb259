"""B1: 4 KB messages by SMTP over 20 connections, durable before 250. B2: the same over one."""
import time

from rig import mail, memory, peers, tools
from rig.contest import Contest, Row

SIZE = 4096


def accept(server, messages, connections):
    """Rates of acceptance and of arrival in new/; each message is looked at afterwards. Nothing is removed between rounds:
    ext4 without a journal shuns inodes that were freed a moment ago, and looks through them all."""
    first = getattr(server, "sent", 0)
    server.sent = first + messages
    tools.settle_disk()
    cpu, written, began = memory.cpu(server.pid), memory.written(server.pid), time.monotonic()
    got = tools.run("smtp_load", port=server.port, connections=connections, messages=messages, size=SIZE, first=first)
    assert got["accepted"] == messages, got
    last = tools.wait_until(lambda: server.count() >= server.sent)
    cpu, written = memory.cpu(server.pid) - cpu, memory.written(server.pid) - written
    mail.check(server.folders, range(server.sent), SIZE)
    return {"cpu": 1e6 * cpu / messages, "written": written / messages / 1024, "accepted": messages / got["seconds"],
            "in new/": messages / (last - began), "p99": 1000 * got["p99"]}


def duel(o, job, connections, ours, theirs, limits):
    servers = [peers.Ours(), peers.Postfix()]
    contestants = {s.name: (lambda s=s: accept(s, ours if s.name == "ofmsrv" else theirs, connections))
                   for s in servers}
    try:
        return Contest(o.rounds, {**limits, **contestants}, job)
    finally:
        for s in servers:
            s.close()


def b1(o):
    files = "file a message, 16 threads"
    c = duel(o, "B1", 20, o.scaled(20000), o.scaled(2000), {files: lambda: tools.limit("files", o.scaled(6000))})
    limits = c.row("", [files])
    return [
        Row("B1", "SMTP in, 20 connections, 4 KB: accepted", "messages/s", c.row("accepted"), limits,
            [("≥ 20 × Postfix", 20, "Postfix"), ("≥ 1.2 × the limit", 1.2, files)]),
        Row("B1", "the same: all in new/", "messages/s", c.row("in new/"), limits, [("≥ 10 × Postfix", 10, "Postfix")]),
        Row("B1", "the same: one submission, 99th percentile", "ms", c.row("p99"), better="less"),
        Row("B1", "the same: processor time a message", "µs", c.row("cpu"), better="less"),
        Row("B1", "the same: written to the disk a message", "KiB", c.row("written"), better="less"),
    ]


def b2(o):
    append = "4 KB append + fdatasync"
    c = duel(o, "B2", 1, o.scaled(4000), o.scaled(1000), {append: lambda: tools.limit("append", o.scaled(4000))})
    return [Row("B2", "SMTP in, 1 connection, 4 KB: accepted", "messages/s", c.row("accepted"), c.row("", [append]),
                [("≥ 5 × Postfix", 5, "Postfix"), ("≥ 50 % of the limit", 0.5, append)])]


JOBS = {"B1": b1, "B2": b2}
