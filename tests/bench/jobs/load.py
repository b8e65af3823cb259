"""L: what a user waits while 100 accounts are being collected and a mailbox of 100,000 messages is opened, over and over.
G: starting with more and more of everything, after a crash too."""
import concurrent.futures
import contextlib
import sqlite3
import threading
import time

from lib import ca as authority, scratch
from rig import collectors, memory, peers, tools
from rig.contest import Row

from . import b4_collect, b8_memory


WAITS = (("submission", "a submission"), ("log-in", "a log-in"), ("filled", "a log-in to a mailbox that is being filled"))


def waits(s, n):
    """Medians and 99th percentiles in ms of what people do, side by side."""
    def log_in(user, times):  # of user 0, says the tool: u20 is nobody's, u10 is filled
        return tools.run("pop3_drain", port=s.gateway.pop3_port, user=user, mode="login", boxes=1, at_once=1, logins=times)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        runs = {"submission": pool.submit(tools.run, "smtp_load", port=s.port, connections=1, messages=n, users=10),
                "log-in": pool.submit(log_in, "u2", n), "filled": pool.submit(log_in, "u1", n // 3)}
        return {(what, point): 1000 * run.result()[key] for what, run in runs.items()
                for point, key in (("median", "p50"), ("99th percentile", "p99"))}


def busy(s, stop):
    """Opens u0's large mailbox again and again."""
    while not stop.is_set():
        tools.run("pop3_drain", port=s.gateway.pop3_port, mode="open", boxes=1, at_once=1)


def once(o, ca):
    """What people wait for when nothing else goes on; what under load; and whether the load lasted as long."""
    cert, key = ca.issue("collect.test")
    boxes, n, stop = 100, o.scaled(300), threading.Event()
    with contextlib.ExitStack() as stack:
        provider = stack.enter_context(collectors.Provider(cert, key, boxes, o.scaled(2500), b4_collect.SIZE, 20))
        sections = {f"account a{i}": {"host": "127.0.0.1", "port": provider.port, "user": f"a{i}", "password": "x", "ca_file": ca.cert,
                                      "deliver": f"u{2 + i % 18}"} for i in range(boxes)}
        s = peers.Ours(21, {"sync": {"parallel": 100}, **sections})
        stack.callback(s.close)
        b8_memory.big_box(s.folders[0], o.scaled(100000))
        tools.settle_disk()
        quiet = waits(s, n)
        opener = threading.Thread(target=busy, args=(s, stop))
        s.gateway.ctl("sync")
        tools.wait_until(lambda: provider.server.figures()["retrieved"] >= boxes)
        opener.start()
        stack.callback(opener.join)
        stack.callback(stop.set)
        return quiet, waits(s, n), s.gateway.json("status")["sync"]["running"]


def latency(o):
    ca = authority.CA()
    try:
        rounds = [once(o, ca) for _ in range(o.rounds)]
    finally:
        ca.close()
    note = "" if all(lasted for _, _, lasted in rounds) else "a collection had ended before the measurement did"
    return [Row("L", f"{what}, {point} while 100 accounts are collected and a large mailbox opens", "ms",
                {"ofmsrv": [loaded[key, point] for _, loaded, _ in rounds]},
                {"when idle": [quiet[key, point] for quiet, _, _ in rounds]}, better="less", note=note)
            for key, what in WAITS for point in ("median", "99th percentile")]


def starts(s, end, times):
    """Seconds that a start takes and MiB that it leaves, each time after end(). What the disk has still to do for whoever was here
    before, clearing folders among it, is not the start's."""
    seconds, mb = [], []
    for _ in range(times):
        end()
        tools.settle_disk()
        began = time.monotonic()
        s.gateway.start()
        seconds.append(time.monotonic() - began)
        mb.append(memory.pss(s.gateway.process.pid) / 1024)
    return seconds, mb


def grown(o, what, sections, users=20):
    s = peers.Ours(users, sections)
    try:
        seconds, mb = starts(s, s.gateway.stop, o.rounds)
        return [(f"start with {what}", "s", seconds), (f"PSS with {what}", "MiB", mb)]
    finally:
        s.close()


def listing(s, n):
    began = time.monotonic()
    listed = len(s.gateway.ctl_ok("queue", "list", timeout=300).splitlines())
    assert listed >= n, listed
    return time.monotonic() - began


def outqueue(o, n):
    """n messages wait for a relay that is down; then the program is killed."""
    s = peers.Ours(1, {"relay": {"host": "127.0.0.1", "port": scratch.free_port(), "security": "none", "auth": "off",
                                 "sender": "office@firm.example"}})
    try:
        tools.run("smtp_load", port=s.port, connections=20, messages=n, domain="far.example")
        seconds, mb = starts(s, s.gateway.kill, o.rounds)
        return [(f"start after a crash with {n:,} in the outqueue", "s", seconds),
                (f"PSS with {n:,} in the outqueue", "MiB", mb),
                (f"ofmctl queue list of {n:,}", "s", [listing(s, n) for _ in range(o.rounds)])]
    finally:
        s.close()


def ledger(o, n, boxes=100, messages=20):
    """n messages of earlier days are on record, evenly over the accounts; then each account brings a few new ones."""
    ca = authority.CA()
    cert, key = ca.issue("collect.test")
    try:
        with collectors.Provider(cert, key, boxes, messages, b4_collect.SIZE, 0) as provider:
            s = peers.Ours(20, collectors.accounts(ca.cert, provider.port, boxes))
            try:
                s.gateway.stop()
                with contextlib.closing(sqlite3.connect(s.gateway.home / "state/ofmsrv.db")) as db, db:
                    db.executemany("INSERT INTO ledger(host, user, uidl, size, digest, stored_at, closed, skipped, missed) "
                                   "VALUES('127.0.0.1', ?, ?, 4096, zeroblob(32), ?, 1, 0, 0)",
                                   ((f"a{i % boxes}", f"old{i:08d}", int(time.time())) for i in range(n)))
                s.gateway.start()
                seconds, mb = starts(s, s.gateway.stop, o.rounds)
                began = time.monotonic()
                s.gateway.ctl_ok("sync", timeout=tools.DEADLINE)
                last = tools.wait_until(lambda: provider.emptied() and s.count() >= boxes * messages)
                return [(f"start with {n:,} messages on record", "s", seconds), (f"PSS with {n:,} messages on record", "MiB", mb),
                        (f"collect {boxes} accounts × {messages} with {n:,} on record", "s", [last - began])]
            finally:
                s.close()
    finally:
        ca.close()


def rules(n):
    return {f"rule r{i}": {"field": "Subject", "contains": f"word{i}", "deliver": "u0"} for i in range(n)}


def growth(o):
    """Each at several sizes, so that a curve can be seen (rig/growth.py)."""
    figures = []
    for n in (100, 300, 1000):
        figures += grown(o, f"{n:,} users", {}, n)
    for n in (1000, 3000, 10000):
        figures += grown(o, f"{n:,} rules", rules(n))
    for n in (10000, 30000, 100000):
        figures += outqueue(o, o.scaled(n))
    for n in (30000, 300000, 3000000):
        figures += ledger(o, o.scaled(n))
    return [Row("G", what, unit, {"ofmsrv": values}, better="less") for what, unit, values in figures]


JOBS = {"L": latency, "G": growth}
