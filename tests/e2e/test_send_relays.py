"""Which relay, as whom, when, by which way, and what a person may do to the queue."""
import pytest

from lib import gateway as gw
from lib import scratch
from lib.sending import greylisting, mail, states, sync, to
from lib.tunnel import Tunnel


def waits(g):
    return sorted(r["address"] for m in g.json("queue", "list")["messages"]
                  for r in g.json("queue", "show", m["id"])["message"]["recipients"] if r["state"] == "waiting")


# ---- which relay, as whom ----

def test_relay_by_sender_in_file_order_with_keys_of_the_first(gateway, liar):
    """By the address after rewriting; the first that matches; unset keys are [relay]'s; the rest go by [relay]."""
    usual, named, domain = liar(offers=["AUTH PLAIN"]), liar(offers=["AUTH PLAIN"]), liar(offers=["AUTH PLAIN"])
    g = gateway({**to(usual.port, auth="plain", user="usual", password="p0"),
                 "relay named": {"port": named.port, "senders": "boris@second.example", "user": "named"},
                 "relay domain": {"port": domain.port, "senders": "*@second.example, x@y.example", "user": "domain",
                                  "password": "p2"},
                 "user boris": {"alias": "Boris@Second.example"}, "user vera": {"alias": "vera@second.example"}})
    for sender in ("anna", "boris", "vera"):
        mail(g, "x@far.example", sender=f"{sender}@office.lan")
    g.sync()
    assert [[a.sender for a in r.accepted] for r in (usual, named, domain)] == [
        ["anna@firm.example"], ["Boris@Second.example"], ["vera@second.example"]]
    assert [r.logins for r in (usual, named, domain)] == [[("PLAIN", "\0usual\0p0")], [("PLAIN", "\0named\0p0")],
                                                          [("PLAIN", "\0domain\0p2")]]


@pytest.mark.parametrize("key,sent", [("keep", ""), ("alias", "anna@firm.example")])
def test_null_sender(gateway, liar, key, sent):
    """A read receipt from <>, as Thunderbird writes it."""
    r = liar()
    g = gateway(to(r.port, null_sender=key))
    g.send("", ["x@far.example"], gw.message(sender="anna@office.lan", to="x@far.example", subject="read"))
    g.sync()
    [a] = r.accepted
    assert a.sender == sent and b"From: anna@firm.example" in a.data


def test_refused_receipt_with_an_alias_is_still_no_mail_to_answer(gateway, liar):
    r = liar(lambda verb, arg, c: "550 5.1.1 no" if verb == "RCPT" else None)
    g = gateway(to(r.port, null_sender="alias"))
    g.send("", ["x@far.example"], gw.message(sender="anna@office.lan", to="x@far.example", subject="read"))
    sync(g)
    g.wait_queue(0)
    assert len(g.wait_box("postmaster")) == 1 and g.box("anna") == []


def test_sender_for_those_without_alias(gateway, liar):
    r = liar()
    g = gateway({**to(r.port, sender="devices@firm.example"), "user scanner": {}})
    mail(g, "x@far.example", sender="scanner@office.lan", subject="scan")
    g.sync()
    [a] = r.accepted
    assert a.sender == "devices@firm.example" and b"From: devices@firm.example" in a.data


# ---- when ----

@pytest.mark.parametrize("kind,on_send,soon", [("lan", "auto", True), ("lan", "yes", True), ("lan", "no", False),
                                               ("command", "auto", False), ("command", "yes", True), ("command", "no", False)])
def test_on_send(gateway, liar, kind, on_send, soon):
    r = liar()
    g = gateway({**to(r.port), "sync": {"on_send": on_send},
                 "connection": {"type": kind, **({"up": '"echo up >>line"'} if kind == "command" else {})}})
    mail(g, "x@far.example")
    if soon:
        scratch.wait_for(lambda: r.accepted, 20, g.log)
    else:
        g.wait_queue(1)
        scratch.wait_for(lambda: "send.queued" in g.log(), 10, g.log)
        with pytest.raises(AssertionError):
            scratch.wait_for(lambda: r.connections, 6)
        g.sync()
    assert len(r.accepted) == 1
    assert (g.home / "line").exists() == (kind == "command")


def test_retries_keep_their_own_time_on_a_lan_and_wait_for_a_sync_on_a_command_line(gateway, liar):
    counts = {}
    for kind in ("lan", "command"):
        r = liar(greylisting)
        g = gateway({**to(r.port, retry="1s"), "sync": {"on_send": "no"},
                     "connection": {"type": kind, **({"up": "true"} if kind == "command" else {})}})
        mail(g, "x@far.example")
        g.wait_queue(1)
        sync(g)
        if kind == "lan":
            scratch.wait_for(lambda: len(r.verbs("RCPT")) >= 3, 30, g.log)
        else:
            with pytest.raises(AssertionError):
                scratch.wait_for(lambda: len(r.verbs("RCPT")) > 1, 5)
            sync(g)
        counts[kind] = len(r.verbs("RCPT"))
        # On a lan the next try may be under way just now.
        scratch.wait_for(lambda: states(g) == {"x@far.example": "waiting"}, 10, g.log)
    assert counts["lan"] >= 3 and counts["command"] == 2


# ---- by which way ----

@pytest.mark.parametrize("scheme", ["socks5h", "http"])
def test_proxy(gateway, liar, ca, scheme):
    """The proxy resolves the name, and TLS is the relay's own, end to end."""
    r = liar(offers=["PIPELINING", "CHUNKING", "AUTH PLAIN"], tls=ca.issue("smtp.provider.example"))
    tunnel = Tunnel({"smtp.provider.example:587": r.port})
    try:
        g = gateway({**to(587, host="smtp.provider.example", security="starttls", ca_file=ca.cert, auth="plain", user="me",
                          password="secret"),
                     "connection": {"proxy": f"{scheme}://127.0.0.1:{tunnel.port}"}})
        for n in range(3):
            mail(g, f"x{n}@far.example")
        g.sync()
        assert len(r.accepted) == 3 and r.logins[0] == ("PLAIN", "\0me\0secret")
        assert set(tunnel.asked) == {(scheme.removesuffix("h"), "smtp.provider.example:587")}
    finally:
        tunnel.close()


@pytest.mark.parametrize("scheme", ["socks5h", "http"])
def test_proxy_that_refuses_or_is_gone_defers(gateway, scheme):
    tunnel = Tunnel({})
    try:
        g = gateway({**to(587, host="smtp.provider.example"), "connection": {"proxy": f"{scheme}://127.0.0.1:{tunnel.port}"}})
        mail(g, "x@far.example")
        g.wait_queue(1)
        assert sync(g).returncode == 1 and tunnel.asked
    finally:
        tunnel.close()
    assert sync(g).returncode == 1
    assert states(g) == {"x@far.example": "waiting"} and g.box("anna") == []


# ---- by hand ----

@pytest.fixture
def queue(gateway, liar):
    """Three messages to a relay that takes none yet: (gateway, relay, {first letter: id})."""
    r = liar(greylisting)
    g = gateway({**to(r.port, retry="1h")})
    for sender, name in (("anna", "a"), ("anna", "b"), ("boris", "c")):
        mail(g, f"{name}@far.example", "shared@far.example", sender=f"{sender}@office.lan", subject=name)
    g.wait_queue(3)
    sync(g)
    r.reply = lambda verb, arg, connection: None
    ids = {g.json("queue", "show", m["id"])["message"]["recipients"][0]["address"][0]: m["id"]
           for m in g.json("queue", "list")["messages"]}
    return g, r, ids


def arrived(r):
    return sorted(x for a in r.accepted for x in a.recipients)


def test_drop_by_id_address_sender_and_all(queue):
    g, r, ids = queue
    g.ctl_ok("queue", "drop", ids["a"])
    assert waits(g) == ["b@far.example", "c@far.example", "shared@far.example", "shared@far.example"]
    g.ctl_ok("queue", "drop", "SHARED@far.example")
    assert waits(g) == ["b@far.example", "c@far.example"]
    g.ctl_ok("queue", "drop", "boris@firm.example")
    assert waits(g) == ["b@far.example"]
    g.ctl_ok("queue", "drop", "all")
    g.wait_queue(0)
    g.sync()
    assert r.accepted == [] and g.box("anna") == [] and g.box("boris") == []
    assert g.ctl("queue", "drop", "nobody@far.example").returncode == 1


def test_retry_by_id_address_and_all(queue):
    g, r, ids = queue
    g.ctl_ok("queue", "retry", ids["c"])
    scratch.wait_for(lambda: len(r.accepted) == 1, 20, g.log)
    assert arrived(r) == ["c@far.example", "shared@far.example"]
    g.ctl_ok("queue", "retry", "b@far.example")
    scratch.wait_for(lambda: len(r.accepted) == 2, 20, g.log)
    assert r.accepted[1].recipients == ["b@far.example"]
    g.ctl_ok("queue", "retry", "all")
    g.wait_queue(0)
    assert arrived(r) == sorted([*(f"{n}@far.example" for n in "abc"), *["shared@far.example"] * 3])


def test_hold_and_release_by_id_address_and_all(queue):
    g, r, ids = queue
    g.ctl_ok("queue", "hold", "all")
    g.sync()
    g.ctl("queue", "retry", "all")
    g.sync()
    assert r.accepted == []
    g.ctl_ok("queue", "release", ids["a"])
    scratch.wait_for(lambda: len(r.accepted) == 1, 20, g.log)
    assert "a@far.example" in r.accepted[0].recipients
    g.ctl_ok("queue", "release", "boris@firm.example")
    scratch.wait_for(lambda: len(r.accepted) == 2, 20, g.log)
    assert "c@far.example" in r.accepted[1].recipients
    g.restart()
    g.sync()
    assert len(r.accepted) == 2  # b is held, over a restart too
    g.ctl_ok("queue", "hold", ids["b"])
    g.ctl_ok("queue", "release", "all")
    g.wait_queue(0)
    assert len(r.accepted) == 3
