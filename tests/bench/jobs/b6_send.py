"""B6: send 1,000 queued messages to one relay, near and far, with and without CHUNKING."""
import contextlib
import time

from lib import scratch
from rig import peers, tools
from rig.contest import Contest, Row

SIZE, FAR = 4096, "far.example"
AT_RISK = 4 * 20  # connections × transactions without a reply


@contextlib.contextmanager
def relay(chunking, ms):
    """(the relay, the port by which it is reached)"""
    with contextlib.ExitStack() as stack:
        r = stack.enter_context(tools.Server("null_smtp", scratch.free_port(), size=SIZE, chunking=int(chunking)))
        line = r
        if ms > 0:
            line = stack.enter_context(tools.Server("delay_proxy", scratch.free_port(), to=r.port, ms=ms // 2))
        yield r, line.port


def check(figures, messages):
    """Each arrived, whole and once."""
    assert figures["messages"] == messages and figures["damaged"] == 0 and figures["again"] == 0, figures


def arrival(r, messages, began):
    last = tools.wait_until(lambda: r.figures()["messages"] >= messages, 300)
    f = r.figures()
    check(f, messages)
    # The look at the port when the relay started was a connection, too.
    return {"": messages / (last - began), "each": messages / (last - began) / f["most"], "connections": f["most"]}


def inject(port, messages):
    got = tools.run("smtp_load", port=port, connections=10, messages=messages, size=SIZE, domain=FAR)
    assert got["accepted"] == messages


def gateway_for(port):
    return peers.Ours(1, {"relay": {"host": "127.0.0.1", "port": port, "security": "none", "auth": "off",
                                    "sender": "office@firm.example"}})


def postfix_for(port, concurrency):
    """Nothing leaves yet."""
    return peers.Postfix(1, relay=port, concurrency=concurrency, extra="defer_transports = smtp\nqueue_run_delay = 1h")


def ours(chunking, ms, messages):
    with relay(chunking, ms) as (r, port):
        s = gateway_for(port)
        try:
            inject(s.port, messages)
            s.wait_queued(messages)
            tools.settle_disk()
            began = time.monotonic()
            s.gateway.ctl("sync", timeout=300)
            return arrival(r, messages, began)
        finally:
            s.close()


def postfix(chunking, ms, messages, concurrency):
    with relay(chunking, ms) as (r, port):
        p = postfix_for(port, concurrency)
        try:
            inject(p.port, messages)
            p.wait_queued(messages)
            p.hold(True)
            p.set("defer_transports =")
            time.sleep(1)
            p.hold(False)
            tools.settle_disk()
            assert r.figures()["messages"] == 0, "Postfix began before it was told to"
            began = time.monotonic()
            p.flush()
            return arrival(r, messages, began)
        finally:
            p.close()


def b6(o):
    rows, messages, four = [], o.scaled(1000), "Postfix, 4 connections"
    for chunking in (True, False):
        for ms in (60, 0) if chunking else (60,):
            few = o.scaled(100) if ms else messages  # four connections far away take a minute for a thousand
            contestants = {"ofmsrv": lambda: ours(chunking, ms, messages),
                           "Postfix": lambda: postfix(chunking, ms, messages, 100),
                           four: lambda: postfix(chunking, ms, few, 4)}
            told = {four: f"{few} messages"} if few < messages else {}
            c = Contest(o.rounds, contestants, f"B6 {ms} ms", told=told)
            what = f"send {messages} to a relay {'with' if chunking else 'without'} CHUNKING, {ms} ms"
            most = ", ".join(f"{n}: {v[-1]:.0f}" for n, v in c.row("connections").items())
            # No more may be on their way at once, or a crash would send more of them again (docs/QUEUE.md).
            limits = {f"{AT_RISK} a round trip": [1000 * AT_RISK / ms]} if chunking and ms else None
            rows.append(Row("B6", what, "messages/s", c.row(""), limits, [("≥ 3 × Postfix", 3, "Postfix")] if chunking and ms else (),
                            note=f"connections {most}", told=told))
            if not chunking:
                rows.append(Row("B6", "the same, for each connection", "messages/s", c.row("each"), None,
                                [("≥ 2 × Postfix", 2, "Postfix"), ("≥ 2 × Postfix on 4", 2, four)], told=told))
    return rows


JOBS = {"B6": b6}
