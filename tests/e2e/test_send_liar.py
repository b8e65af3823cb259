"""Relays that lie, break off, count and forget: nobody's mail bounces, is lost or is sent twice for it."""
import re
import time

import pytest

from lib import gateway as gw
from lib import scratch
from lib.liar import Liar
from lib.sending import CHUNKS, OFFERS, mail, states, show, sync, to


@pytest.mark.parametrize("offers", OFFERS.values(), ids=OFFERS)
def test_bytes_arrive_as_they_are(gateway, liar, offers):
    r = liar(offers=offers)
    g = gateway(to(r.port, connections=1))
    bodies = [b"..a\r\n.\r\n.b\r\n", b"", b"no end", b"\r\n\r\n", b"\xd0\xb9\xff\x80\r\n", b"n\0l\r\n",
              b"z" * 70000 + b"\r\n", b".\r\n" * 50000, b"\r\n.".join([b"x"] * 3000)]
    for n, body in enumerate(bodies):
        mail(g, f"r{n}@far.example", body=body, subject=str(n))
    g.sync()
    assert len(r.accepted) == len(bodies)
    for n, body in enumerate(bodies):
        [a] = r.to(f"r{n}@far.example")
        got = gw.body(a.data)
        assert got == body or got == body + b"\r\n", n
    assert r.connections == 1


@pytest.mark.parametrize("offers", OFFERS.values(), ids=OFFERS)
def test_every_recipient_refused_sends_nothing_and_spoils_nothing(gateway, liar, offers):
    r = liar(lambda verb, arg, c: "550 5.1.1 no" if verb == "RCPT" and "bad" in arg else None, offers)
    g = gateway(to(r.port, connections=1))
    mail(g, "bad1@far.example", "bad2@far.example", subject="refused")
    mail(g, "good@far.example", subject="good", sender="boris@office.lan")
    sync(g)
    [a] = r.accepted
    assert (a.sender, a.recipients) == ("boris@firm.example", ["good@far.example"])
    assert b"Subject: good" in a.data
    assert list((g.home / "outqueue").glob("*.e*")) == [], "a sync is over when what it settled is gone"
    [bounce] = g.wait_box("anna")
    assert bounce.count(b"Action: failed") == 2


def test_data_answered_354_though_nobody_was_taken(gateway, liar):
    def reply(verb, arg, c):
        if verb == "RCPT" and "bad" in arg:
            return "550 5.1.1 no"
        return "354 go on" if verb == "DATA" else None
    r = liar(reply, ["PIPELINING"])
    g = gateway(to(r.port, connections=1))
    mail(g, "bad@far.example", subject="refused")
    mail(g, "good@far.example", subject="good")
    sync(g)
    assert [a.recipients for a in r.accepted] == [["good@far.example"]]
    g.wait_box("anna")
    g.wait_queue(0)


def test_lost_reply_goes_again_under_the_same_message_id(gateway, liar):
    def reply(verb, arg, c):
        return Liar.DROP if verb == "." and c == 1 else None
    r = liar(reply)
    g = gateway(to(r.port, connections=1))
    mail(g, "x@far.example", subject="twice")
    sync(g)
    assert "connection" in show(g)["recipients"][0]["last_reply"]
    g.sync()
    [a] = r.accepted
    assert re.search(rb"\r\nMessage-ID: <\w+@client.test>\r\n", a.data)


def test_too_many_recipients_are_split(gateway, liar):
    taken = {}

    def reply(verb, arg, c):
        if verb == "MAIL":
            taken[c] = 0
        if verb == "RCPT":
            taken[c] += 1
            if taken[c] > 3:
                return "452 4.5.3 too many recipients"
        return None
    r = liar(reply)
    g = gateway(to(r.port, connections=1))
    everyone = [f"r{n}@far.example" for n in range(10)]
    mail(g, *everyone)
    g.sync()
    assert sorted(x for a in r.accepted for x in a.recipients) == sorted(everyone)
    assert [len(a.recipients) for a in r.accepted] == [3, 3, 3, 1]
    g.wait_queue(0)


def test_hundreds_of_recipients(gateway, liar):
    r = liar(offers=CHUNKS)
    g = gateway(to(r.port, connections=1))
    everyone = [f"r{n}@far.example" for n in range(350)]
    mail(g, *everyone)
    g.sync()
    assert sorted(x for a in r.accepted for x in a.recipients) == sorted(everyone)
    assert max(len(a.recipients) for a in r.accepted) == 100
    g.wait_queue(0)


def test_relay_that_takes_few_messages_a_connection(gateway, liar):
    count = {}

    def reply(verb, arg, c):
        if verb == "MAIL":
            count[c] = count.get(c, 0) + 1
            if count[c] > 2:
                return "421 4.7.0 too many messages on this connection"
        return None
    r = liar(reply)
    g = gateway(to(r.port, connections=1))
    for n in range(7):
        mail(g, f"r{n}@far.example")
    g.sync()
    assert sorted(a.recipients[0] for a in r.accepted) == [f"r{n}@far.example" for n in range(7)]
    assert r.connections >= 4


def test_message_the_relay_cannot_stand_does_not_hold_up_the_others(gateway, liar):
    r = liar(lambda verb, arg, c: Liar.DROP if verb == "RCPT" and "poison" in arg else None)
    g = gateway(to(r.port, connections=1))
    mail(g, "poison@far.example")
    for n in range(5):
        mail(g, f"r{n}@far.example")
    sync(g)
    assert sorted(a.recipients[0] for a in r.accepted) == [f"r{n}@far.example" for n in range(5)]
    g.wait_queue(1)
    assert states(g) == {"poison@far.example": "waiting"}


def test_connections_at_once(gateway, liar):
    def reply(verb, arg, c):
        if verb == ".":
            time.sleep(0.2)
    r = liar(reply, ())
    g = gateway(to(r.port, connections=3))
    for n in range(12):
        mail(g, f"r{n}@far.example")
    g.sync()
    assert len(r.accepted) == 12
    assert r.most_at_once == 3


def test_size_that_the_relay_announces(gateway, liar):
    r = liar(offers=["PIPELINING", "SIZE 1000"])
    g = gateway(to(r.port, connections=1))
    mail(g, "big@far.example", body=b"x" * 2000 + b"\r\n")
    mail(g, "small@far.example")
    sync(g)
    assert [a.recipients for a in r.accepted] == [["small@far.example"]]
    assert b"Status: 5.3.4" in g.wait_box("anna")[0]
    assert "SIZE=" in r.verbs("MAIL")[0]


def test_relays_by_sender(gateway, liar):
    first, second = liar(), liar()
    sections = to(first.port, connections=1)
    sections["relay second"] = {"host": "127.0.0.1", "port": second.port, "senders": "boris@firm.example"}
    g = gateway(sections)
    mail(g, "x@far.example")
    mail(g, "y@far.example", sender="boris@office.lan")
    g.sync()
    assert [a.sender for a in first.accepted] == ["anna@firm.example"]
    assert [a.sender for a in second.accepted] == ["boris@firm.example"]


def test_one_relay_that_hangs_delays_no_other(gateway, liar):
    first, second = liar(lambda verb, arg, c: time.sleep(30) if verb == "MAIL" else None), liar()
    sections = to(first.port, connections=1)
    sections["relay second"] = {"host": "127.0.0.1", "port": second.port, "senders": "boris@firm.example"}
    sections["sync"] = {"on_send": "yes"}
    g = gateway(sections)
    mail(g, "x@far.example")
    scratch.wait_for(lambda: first.verbs("MAIL"), 10)
    mail(g, "y@far.example", sender="boris@office.lan")
    scratch.wait_for(lambda: second.accepted, 10, g.log)


def test_queue_by_hand(gateway, liar):
    r = liar()
    g = gateway(to(r.port, connections=1))
    for name in ("a", "b", "c"):
        mail(g, f"{name}@far.example", "shared@far.example", subject=name)
    g.wait_queue(3)
    ids = {g.json("queue", "show", m["id"])["message"]["recipients"][0]["address"][0]: m["id"]
           for m in g.json("queue", "list")["messages"]}
    g.ctl_ok("queue", "hold", ids["a"])
    g.ctl_ok("queue", "drop", ids["b"])
    g.wait_queue(2)
    g.ctl_ok("queue", "drop", "SHARED@far.example")
    g.sync()
    assert [a.recipients for a in r.accepted] == [["c@far.example"]]
    g.restart()
    g.sync()
    assert len(r.accepted) == 1
    g.ctl_ok("queue", "release", ids["a"])
    scratch.wait_for(lambda: len(r.accepted) == 2, 10, g.log)
    assert r.accepted[1].recipients == ["a@far.example"]
    g.wait_queue(0)
    assert g.ctl("queue", "drop", "nonsense").returncode == 1
    assert g.box("anna") == []


def test_removed_file_is_a_dropped_message(gateway, liar):
    r = liar()
    g = gateway(to(r.port, connections=1))
    mail(g, "x@far.example", subject="one")
    mail(g, "y@far.example", subject="two")
    [first, second] = g.wait_queue(2)
    first.unlink()
    g.sync()
    assert len(r.accepted) == 1
    scratch.wait_for(lambda: not list((g.home / "outqueue").glob("*.e*")), 10)
    assert g.box("anna") == [] and g.json("queue", "list")["messages"] == []


def test_removed_while_down(gateway, liar):
    r = liar()
    g = gateway(to(r.port, connections=1))
    mail(g, "x@far.example")
    [one] = g.wait_queue(1)
    g.stop()
    one.unlink()
    g.start()
    assert g.json("queue", "list")["messages"] == []
    g.sync()
    assert r.accepted == []


def test_queue_survives_a_kill(gateway, liar):
    r = liar()
    g = gateway(to(r.port, connections=1))
    for n in range(20):
        mail(g, f"r{n}@far.example")
    g.restart(kill=True)
    g.wait_queue(20)
    g.sync()
    assert sorted(a.recipients[0] for a in r.accepted) == sorted(f"r{n}@far.example" for n in range(20))
    g.restart(kill=True)
    g.sync()
    assert len(r.accepted) == 20


def test_expired_mail_bounces_and_a_null_sender_goes_to_postmaster(gateway, liar):
    r = liar(lambda verb, arg, c: "451 4.7.1 greylisted" if verb == "RCPT" else None)
    g = gateway(to(r.port, connections=1, max_age="1s"))
    mail(g, "x@far.example")
    g.wait_queue(1)
    time.sleep(2.1)
    assert sync(g).returncode == 1
    [bounce] = g.wait_box("anna")
    assert b"Status: 4.4.7" in bounce and b"greylisted" in bounce
    g.wait_queue(0)


def test_refused_receipt_goes_to_postmaster_not_to_its_author(gateway, liar):
    r = liar(lambda verb, arg, c: "550 5.1.1 no" if verb == "RCPT" else None)
    g = gateway(to(r.port, connections=1))
    g.send("", ["x@far.example"], gw.message(sender="anna@office.lan", to="x@far.example", subject="read"))
    sync(g)
    assert len(g.wait_box("postmaster")) == 1
    assert g.box("anna") == []
    assert r.verbs("MAIL")[0].startswith("MAIL FROM:<>")


def test_stop_lets_the_running_transaction_end(gateway, liar):
    def reply(verb, arg, c):
        if verb == ".":
            time.sleep(1.5)
    r = liar(reply)
    g = gateway(to(r.port, connections=1))
    mail(g, "x@far.example")
    g.ctl("sync")
    scratch.wait_for(lambda: r.verbs("DATA"), 10)
    g.restart()
    assert len(r.accepted) == 1
    g.sync()
    assert len(r.accepted) == 1 and g.queue_files() == []
