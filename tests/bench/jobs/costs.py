"""C: what a message costs on each road, ours and a peer's: processor time, octets written, system calls. Each road is gone
twice, once as it is and once under strace, which counts and slows."""
import contextlib
import resource
import tempfile
import time

from lib import ca as authority
from lib.strace import FLUSHES, Strace, counts
from rig import collectors, mail, memory, peers, tools
from rig.contest import Contest, Row

from . import b3_pop3, b6_send

SIZE, USERS, BOXES, TUNED = 4096, 20, 50, "Dovecot tuned"
KEYS = [("cpu", "processor time", "µs"), ("written", "written to the disk", "KiB"), ("calls", "system calls", "calls"),
        ("flushes", "flushes", "flushes")]


def figures(messages, cpu, written, calls=None):
    out = {"cpu": 1e6 * cpu / messages, "written": written / messages / 1024}
    if calls is not None:
        out["calls"] = sum(calls.values()) / messages
        out["flushes"] = sum(calls.get(c, 0) for c in FLUSHES) / messages
    return out


def metered(server, work):
    """Seconds of processor and octets written, with those of children that have ended: a parent inherits both."""
    cpu, written = memory.cpu(server.pid), memory.written(server.pid)
    work()
    return memory.cpu(server.pid) - cpu, memory.written(server.pid) - written


def traced(server, work):
    with tempfile.NamedTemporaryFile() as out, Strace(memory.family(server.pid), out.name) as s:
        work()
    return s.calls


def measured(server, messages, work, before=tools.settle_disk):
    """What work() costs a running server for each of so many messages."""
    before()
    cpu, written = metered(server, work)
    before()
    return figures(messages, cpu, written, traced(server, work))


def take(server, messages):
    """They come by SMTP on ten connections and are placed."""
    def work():
        first = getattr(server, "sent", 0)
        server.sent = first + messages
        tools.run("smtp_load", port=server.port, connections=10, messages=messages, size=SIZE, first=first)
        tools.wait_until(lambda: server.count() >= server.sent)
        mail.check(server.folders, range(server.sent), SIZE)
    return measured(server, messages, work)


def hand_out(server, messages):
    """Twenty clients fetch and delete what is in their mailboxes, one message after the other."""
    def work():
        tools.run("pop3_drain", port=b3_pop3.port_of(server, False), boxes=USERS, at_once=20, messages=messages, size=SIZE,
                  depth=1, tls=0, delete=1)
        tools.wait_until(lambda: b3_pop3.files_gone(server))

    def before():
        peers.put_boxes(server, messages, SIZE)
        tools.settle_disk()
    return measured(server, USERS * messages, work, before)


def collect_ours(ca, messages):
    """Half of the accounts each time; a gateway takes a hundred."""
    total = BOXES * messages
    with provider_of(ca, 2 * BOXES, messages) as p:
        s = peers.Ours(USERS, collectors.accounts(ca.cert, p.port, 2 * BOXES))
        halves = iter((range(BOXES), range(BOXES, 2 * BOXES)))
        sofar = [0]

        def work():
            sofar[0] += total
            s.gateway.ctl_ok("sync", *(f"a{i}" for i in next(halves)))
            tools.wait_until(lambda: p.server.figures()["removed"] >= sofar[0] and s.count() >= sofar[0], 120, 0.01)
        try:
            got = measured(s, total, work)
            mail.check(s.folders, range(2 * total), SIZE)
            return got
        finally:
            s.close()


def collect_mpop(ca, messages):
    """A program that ends: what the kernel says of ended children, and strace around it."""
    total = BOXES * messages
    with provider_of(ca, BOXES, messages) as p:
        tools.settle_disk()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        collectors.collect("mpop", 1, ca.cert, p.port, BOXES, messages, SIZE)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    with provider_of(ca, BOXES, messages) as p, tempfile.NamedTemporaryFile() as out:
        collectors.collect("mpop", 1, ca.cert, p.port, BOXES, messages, SIZE, under=("strace", "-f", "-c", "-o", out.name))
        return figures(total, cpu, 512 * (after.ru_oublock - before.ru_oublock), counts(out.name))


def provider_of(ca, boxes, messages):
    return collectors.Provider(*ca.issue("collect.test"), boxes, messages, SIZE, 0)


def send(make, release, messages, watches):
    """What waits in the queue leaves by a near relay with CHUNKING; a server of its own for each way of watching it."""
    got = []
    for watch in watches:
        with b6_send.relay(True, 0) as (relay, port), contextlib.closing(make(port)) as s:
            b6_send.inject(s.port, messages)
            s.wait_queued(messages)
            release(s)
            tools.settle_disk()

            def work():
                s.flush()
                tools.wait_until(lambda: relay.figures()["messages"] >= messages, 300)
            got.append(watch(s, work))
            b6_send.check(relay.figures(), messages)
    return got


def send_ours(messages):
    (cpu, written), calls = send(b6_send.gateway_for, lambda s: None, messages, (metered, traced))
    return figures(messages, cpu, written, calls)


def send_postfix(messages):
    """Its calls are not counted: its master blocks on its own log when strace slows it."""
    def release(p):
        p.set("defer_transports =")
        time.sleep(1)
    (cpu, written), = send(lambda port: b6_send.postfix_for(port, 100), release, messages, (metered,))
    return figures(messages, cpu, written)


def rows_of(o, road, contestants):
    c = Contest(o.rounds, contestants, f"C {road}")
    return [Row("C", f"{road}: {what} a message", unit, c.row(key), better="less") for key, what, unit in KEYS]


def costs(o):
    ca, rows = authority.CA(), []
    cert, key = ca.issue("pop.test")
    with contextlib.ExitStack() as stack:
        stack.callback(ca.close)

        def both(servers, work, messages):
            for s in servers:
                stack.callback(s.close)
            return {s.name: (lambda s=s: work(s, messages)) for s in servers}
        rows += rows_of(o, "SMTP in", both([peers.Ours(USERS), peers.Postfix(USERS)], take, o.scaled(1000)))
        rows += rows_of(o, "POP3 out", both([b3_pop3.ours(cert, key), peers.Dovecot(cert, key, USERS, tuned=True)], hand_out,
                                            o.scaled(200)))
        rows += rows_of(o, "collecting over TLS", {"ofmsrv": lambda: collect_ours(ca, o.scaled(40)),
                                                   "mpop": lambda: collect_mpop(ca, o.scaled(40))})
        rows += rows_of(o, "sending", {"ofmsrv": lambda: send_ours(o.scaled(2000)),
                                       "Postfix": lambda: send_postfix(o.scaled(2000))})
    return rows


JOBS = {"C": costs}
