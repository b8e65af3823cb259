"""B1: 4 KB messages by SMTP over 20 connections, durable before 250. B2: the same over one."""
import subprocess
import time

from lib import scratch
from rig import mail, memory, peers, tools
from rig.contest import Contest, Row, Stalled

SIZE, PATIENCE = 4096, 40
PEERS = (peers.Postfix, peers.OpenSMTPD, peers.Exim)


def accept(server, messages, connections, patience=tools.DEADLINE):
    """Rates of acceptance and of arrival in new/; each message is looked at afterwards. Nothing is removed between rounds:
    ext4 without a journal shuns inodes that were freed a moment ago, and looks through them all."""
    first = getattr(server, "sent", 0)
    server.sent = first + messages
    tools.settle_disk()
    cpu, written, began = memory.cpu(server.pid), memory.written(server.pid), time.monotonic()
    got = tools.run("smtp_load", within=patience, port=server.port, connections=connections, messages=messages, size=SIZE, first=first)
    assert got["accepted"] == messages, got
    last = tools.wait_until(lambda: server.count() >= server.sent, patience)
    cpu, written = memory.cpu(server.pid) - cpu, memory.written(server.pid) - written
    mail.check(server.folders, range(server.sent), SIZE)
    costs = {"cpu": 1e6 * cpu / messages, "written": written / messages / 1024} if getattr(server, "costs_known", True) else {}
    return {**costs, "accepted": messages / got["seconds"], "in new/": messages / (last - began), "p99": 1000 * got["p99"]}


def patient(server, messages, connections):
    """The same for a peer that may stall."""
    try:
        return accept(server, messages, connections, PATIENCE)
    except (AssertionError, subprocess.TimeoutExpired) as e:
        arrived = server.count() - server.sent + messages
        if arrived >= messages:  # it did all that was asked, and not rightly
            raise
        raise Stalled(f"stalled after {arrived} of {messages}") from e


def null(messages, connections):
    """What the load generator reaches where nothing is stored."""
    with tools.Server("null_smtp", scratch.free_port(), size=SIZE) as s:
        return messages / tools.run("smtp_load", port=s.port, connections=connections, messages=messages, size=SIZE)["seconds"]


def duel(o, job, connections, work, limits):
    """work: messages for each; a round should take seconds for everybody."""
    servers, told = peers.present([peers.Ours, *PEERS])
    contestants = {s.name: (lambda s=s: accept(s, work[s.name], connections) if s.name == "ofmsrv" else
                            patient(s, work[s.name], connections)) for s in servers}
    told.update((s.name, f"{work[s.name]:,} messages") for s in servers if work[s.name] < work["ofmsrv"])
    try:
        return Contest(o.rounds, {**limits, **contestants}, job, told=told)
    finally:
        for s in servers:
            s.close()


def b1(o):
    files, nothing = "file a message, 16 threads", "null server"
    c = duel(o, "B1", 20, {"ofmsrv": o.scaled(20000), "Postfix": o.scaled(2000), "OpenSMTPD": o.scaled(400), "Exim": o.scaled(400)},
             {files: lambda: tools.limit("files", o.scaled(6000)), nothing: lambda: null(o.scaled(20000), 20)})
    limits = c.row("", [files, nothing])
    unknown = {n: t for n, t in c.told.items() if n not in c.row("cpu")}
    if "Exim" in c.row("accepted"):
        unknown["Exim"] = "not counted, since it does not wait for the processes that deliver"
    return [
        Row("B1", "SMTP in, 20 connections, 4 KB: accepted", "messages/s", c.row("accepted"), limits,
            [("≥ 20 × Postfix", 20, "Postfix"), ("≥ 1.2 × the limit", 1.2, files)],
            told=c.told),
        Row("B1", "the same: all in new/", "messages/s", c.row("in new/"), limits, [("≥ 10 × Postfix", 10, "Postfix")],
            told=c.told),
        Row("B1", "the same: one submission, 99th percentile", "ms", c.row("p99"), better="less", told=c.told),
        Row("B1", "the same: processor time a message", "µs", c.row("cpu"), better="less", told=unknown),
        Row("B1", "the same: written to the disk a message", "KiB", c.row("written"), better="less", told=unknown),
    ]


def b2(o):
    append, nothing, both = "4 KB append + fdatasync", "null server", "one behind the other"
    c = duel(o, "B2", 1, {"ofmsrv": o.scaled(4000), "Postfix": o.scaled(1000), "OpenSMTPD": o.scaled(200), "Exim": o.scaled(200)},
             {append: lambda: tools.limit("append", o.scaled(4000)), nothing: lambda: null(o.scaled(4000), 1)})
    limits = c.row("", [append, nothing])
    limits[both] = [1 / (1 / a + 1 / b) for a, b in zip(limits[append], limits[nothing])]
    return [Row("B2", "SMTP in, 1 connection, 4 KB: accepted", "messages/s", c.row("accepted"), limits,
                [("≥ 5 × Postfix", 5, "Postfix"), ("≥ 50 % of the limit", 0.5, append)], told=c.told)]


JOBS = {"B1": b1, "B2": b2}
