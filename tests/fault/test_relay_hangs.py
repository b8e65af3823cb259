"""The hostile table: relays that hang or trickle, in each state. Bounded, and nobody else waits for them."""
import threading
import time

from lib import gateway as gw
from lib import scratch
from lib.liar import Liar
from lib.sending import mail, to

BEFORE = {"greeting": {}, "EHLO": {}, "STARTTLS": {"security": "starttls"}, "AUTH": {"auth": "plain", "user": "me"},
          "handshake": {"security": "tls"}, "one byte a second": {}}
AFTER = ("MAIL", "RCPT", "DATA", ".")


def hanging(state, ended):
    """reply() that waits for the end of the test in that state."""
    verb = {"greeting": "", "AUTH": "AUTH"}.get(state, state)

    def reply(v, arg, connection):
        if v == verb:
            ended.wait(200)
            return Liar.DROP
        return None
    return reply


def trickling(r, ended):
    """Makes r answer EHLO one byte a second."""
    real = r.reply

    def reply(verb, arg, connection):
        if verb != "EHLO":
            return real(verb, arg, connection)
        [s] = list(r.open)
        for n in range(200):
            if ended.wait(1):
                break
            s.sendall(b"250-liar.test and so on, and so on\r\n"[n % 36:n % 36 + 1])
        return Liar.DROP
    r.reply = reply
    return r


def house(gateway, liar, ca, ended, kinds):
    """A gateway with a relay for each kind, used by a user of that number, and a good one for anna."""
    good = liar()
    sections = to(good.port, password="secret", ca_file=ca.cert)
    relays = {}
    for n, (kind, keys) in enumerate(kinds.items()):
        if kind == "one byte a second":
            r = trickling(liar(), ended)
        elif kind == "handshake":
            r = liar(hanging("", ended))  # a server of plain text that says nothing
        else:
            r = liar(hanging(kind, ended), ["PIPELINING", "AUTH PLAIN"],
                     tls=ca.issue("liar.test") if kind == "STARTTLS" else None)
        relays[kind] = r
        sections[f"user u{n}"] = {"alias": f"u{n}@slow.example"}
        sections[f"relay {n}"] = {"host": "127.0.0.1", "port": r.port, "senders": f"u{n}@slow.example", **keys}
    sections["sync"] = {"on_send": "yes"}
    g = gateway(sections)
    for n in range(len(kinds)):
        mail(g, f"x{n}@far.example", sender=f"u{n}@office.lan")
    scratch.wait_for(lambda: all(r.connections for r in relays.values()), 20, g.log)
    return g, good


def others_go_on(g, good):
    before = len(good.accepted)
    start = time.monotonic()
    mail(g, "y@far.example")
    scratch.wait_for(lambda: len(good.accepted) > before, 10 * gw.SLOWER, g.log)
    assert g.json("status")
    assert time.monotonic() - start < 10 * gw.SLOWER


def test_hang_before_the_log_in_is_over_after_a_minute(gateway, liar, ca):
    ended = threading.Event()
    try:
        g, good = house(gateway, liar, ca, ended, BEFORE)
        began = time.monotonic()
        others_go_on(g, good)
        scratch.wait_for(lambda: g.log().count("send.relay_failed") >= len(BEFORE), 90, g.log)
        assert time.monotonic() - began > 30  # a slow relay is not given up early
        others_go_on(g, good)
        for m in g.json("queue", "list")["messages"]:
            [r] = g.json("queue", "show", m["id"])["message"]["recipients"]
            assert r["state"] == "waiting" and r["last_reply"]
        assert all(g.box(f"u{n}") == [] for n in range(len(BEFORE)))
    finally:
        ended.set()


def test_hang_after_the_log_in_delays_nobody_and_a_stop_ends_it(gateway, liar, ca):
    ended = threading.Event()
    try:
        g, good = house(gateway, liar, ca, ended, {k: {} for k in AFTER})
        others_go_on(g, good)
        others_go_on(g, good)
        began = time.monotonic()
        g.stop(45)
        assert time.monotonic() - began < 45
        ended.set()
        g.start()
        assert all(g.box(f"u{n}") == [] for n in range(len(AFTER)))
        assert len(g.json("queue", "list")["messages"]) == len(AFTER)
    finally:
        ended.set()
