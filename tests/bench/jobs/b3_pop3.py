"""B3: POP3 for the LAN: 20 clients empty mailboxes of 200 messages; log-ins; large messages."""
import time

from lib import ca as authority, scratch
from rig import memory, peers, tools
from rig.contest import Contest, Row

USERS, MESSAGES, SIZE, LARGE = 20, 200, 4096, 8 * 1024 * 1024
WAYS = [("lock-step", 1, False), ("pipelined", 32, False), ("TLS, lock-step", 1, True), ("TLS, pipelined", 32, True)]
TUNED = "Dovecot tuned"


def port_of(server, tls):
    return server.tls_port if tls else server.pop3_port if hasattr(server, "pop3_port") else server.port


def files_gone(server):
    return not any(any((folder / sub).iterdir()) for folder in server.folders for sub in ("new", "cur"))


def drain(server, tls, depth, messages, size=SIZE, delete=1, sink=0):
    """Its time is until each QUIT was answered; ours unlinks behind that, so the processor time is read when the files are
    gone, and so is a second time, `gone`: looked for in steps that are no load, but never before the first."""
    if not sink:
        peers.put_boxes(server, messages, size)
    tools.settle_disk()
    cpu, began = memory.cpu(server.pid), time.monotonic()
    got = tools.run("pop3_drain", port=port_of(server, tls), boxes=USERS, at_once=20, messages=messages, size=size,
                    depth=depth, tls=int(tls), delete=delete, sink=sink)
    gone = tools.wait_until(lambda: not delete or files_gone(server), 60, 0.005) - began
    return dict(got, cpu=memory.cpu(server.pid) - cpu, gone=gone)


def logins(server, tls, n):
    got = tools.run("pop3_drain", port=port_of(server, tls), mode="login", boxes=USERS, at_once=20, logins=n, tls=int(tls))
    return {"": n / got["seconds"], "p99": 1000 * got["p99"]}


class Null:
    """What the client reaches against a server that costs nothing."""
    name = "null server"

    def __init__(self, cert, key):
        self.cert, self.key = cert, key

    def drain(self, tls, depth, messages, size=SIZE, delete=1, sink=0):
        with tools.Server("null_pop3", scratch.free_port(), boxes=USERS, messages=messages, size=size,
                          cert=self.cert if tls else None, key=self.key if tls else None) as s:
            return tools.run("pop3_drain", port=s.port, user="a", boxes=USERS, at_once=20, messages=messages, size=size,
                             depth=depth, tls=int(tls), delete=delete, sink=sink)


def ours(cert, key):
    port = scratch.free_port()
    users = {f"user u{i}": {"password": "x"} for i in range(USERS)}
    s = peers.Ours(USERS, {"tls": {"certificate": cert, "key": key}, "pop3": {"tls_port": port}, **users})
    s.pop3_port, s.tls_port = s.gateway.pop3_port, port
    return s


def b3(o):
    ca = authority.CA()
    cert, key = ca.issue("pop.test")
    servers = [ours(cert, key), peers.Dovecot(cert, key, USERS), peers.Dovecot(cert, key, USERS, tuned=True)]
    null = Null(cert, key)
    messages = o.scaled(MESSAGES)
    rows = []
    try:
        for name, depth, tls in WAYS:
            def run(s, depth=depth, tls=tls):
                got = s(tls, depth, messages)
                return {"": USERS * messages / got["seconds"], "cpu": 1e6 * got.get("cpu", 0) / (USERS * messages),
                        "gone": USERS * messages / got.get("gone", got["seconds"])}
            runs = {s.name: (lambda s=s: run(lambda *a: drain(s, *a))) for s in servers}
            c = Contest(o.rounds, {null.name: lambda: run(null.drain), **runs}, f"B3 {name}")
            rows.append(Row("B3", f"POP3, 20 mailboxes × {messages}, {name}", "messages/s", c.row("", [s.name for s in servers]),
                            c.row("", [null.name]), [(f"≥ 2 × {TUNED}", 2, TUNED)]))
            rows.append(Row("B3", f"the same: until the files are gone, {name}", "messages/s", c.row("gone", [s.name for s in servers])))
            rows.append(Row("B3", f"the same: processor time a message, {name}", "µs", c.row("cpu", [s.name for s in servers]),
                            better="less"))
        for tls in (False, True):
            c = Contest(o.rounds, {s.name: (lambda s=s: logins(s, tls, 200 if s.name == "Dovecot" else o.scaled(2000)))
                                   for s in servers}, "B3 log-in")
            rows.append(Row("B3", "POP3 log-in + STAT + QUIT" + (", TLS" if tls else ""), "log-ins/s", c.row(""), None,
                            [(f"≥ 2 × {TUNED}", 2, TUNED)]))
        rows += large(o, servers, null)
    finally:
        for s in servers:
            s.close()
        ca.close()
    return rows


def large(o, servers, null):
    """Once with each message checked, whose figures do not count; then the octets alone are taken, as sendfile's sinks do."""
    n = 4
    for s in servers:
        drain(s, False, 4, n, LARGE, delete=0)

    def rate(server):
        got = drain(server, False, 4, n, LARGE, delete=0, sink=1)
        return {"": got["bytes"] / got["seconds"] / 1e6, "cpu": 1000 * got["cpu"] / (USERS * n)}

    def floor():
        got = null.drain(False, 4, n, LARGE, delete=0, sink=1)
        return got["bytes"] / got["seconds"] / 1e6

    limit = "sendfile"
    c = Contest(o.rounds, {limit: lambda: tools.limit("sendfile", USERS * n, LARGE, USERS) * LARGE / 1e6, null.name: floor,
                           **{s.name: (lambda s=s: rate(s)) for s in servers}}, "B3 large")
    names = [s.name for s in servers]
    return [Row("B3", "POP3, 20 clients, messages of 8 MiB", "MB/s", c.row("", names), c.row("", [limit, null.name]),
                [("≥ 80 % of sendfile", 0.8, limit), (f"≥ 2 × {TUNED}", 2, TUNED)]),
            Row("B3", "the same: processor time a message", "ms", c.row("cpu", names), better="less")]


JOBS = {"B3": b3}
