"""Real relays and their own limits: every recipient that we accepted is served once, or stands in exactly one bounce."""
import collections
import email
import email.policy
import re
import time

import pytest

from lib import scratch
from lib.gateway import message
from peers import figures, relays

MESSAGES = 60
LIMITS = {
    "none": {},
    "per_connection": {"per_connection": 5},
    "recipients": {"recipients": 10},
    "rate": {"rate": 20},
    "size": {"size": 40_000},
}
CASES = [(relay, limit) for relay in ("exim", "opensmtpd", "postfix") for limit in LIMITS
         if (relay, limit) not in (("opensmtpd", "rate"), ("postfix", "per_connection"))]  # they have no such limit


@pytest.fixture
def limited(request):
    """limited(relay, limit) starts a relay that ends with the test."""
    made = []

    def make(name, limit):
        kind = {"exim": relays.Exim, "opensmtpd": relays.OpenSMTPD}.get(name)
        if kind is None:
            made.append(relays.Postfix(request.getfixturevalue("ca"), request.getfixturevalue("dovecot"), **LIMITS[limit]))
        else:
            made.append(kind(**LIMITS[limit]))
        return made[-1]
    yield make
    for r in made:
        if getattr(request.node, "report_call", None) is not None and request.node.report_call.failed:
            print(r.log())
        r.close()


def letters():
    """(recipients, message): to one, to some, to many; some of them are nobody; every tenth message is large."""
    for i in range(MESSAGES):
        many = 35 if i % 12 == 0 else i % 4 + 1
        to = [f"{'no-' if (i + n) % 7 == 3 else ''}r{i}-{n}@far.example" for n in range(many)]
        yield to, message(f"letter {i}", sender="anna@office.lan", to=to[0], body=b"0123456789 line\r\n" * (4000 if i % 10 == 5 else 20))


def bounced(g):
    """Each recipient that some bounce to anna reports as failed."""
    for raw in g.box("anna"):
        m = email.message_from_bytes(raw, policy=email.policy.default)
        for part in m.walk():
            if part.get_content_type() == "message/delivery-status":
                for fields in part.get_payload():
                    if fields["Action"] == "failed":
                        yield re.sub(r"^rfc822; *", "", fields["Final-Recipient"])


@pytest.mark.parametrize("name, limit", CASES)
def test_every_recipient_is_served_once_or_bounces_once(gateway, limited, name, limit):
    relay = limited(name, limit)
    g = gateway({"relay": {"host": "127.0.0.1", "port": relay.port, "security": "none", "auth": "off", "retry": "2s" if limit == "rate" else "1h"}})
    began = time.monotonic()
    accepted = []
    for to, raw in letters():
        g.send("anna@office.lan", to, raw)
        accepted += to
    g.ctl("sync", "--wait", timeout=120)  # it fails where one is refused
    # Who is told to slow down finds the pace, and whose connection has had enough opens another: without anybody's hand.
    scratch.wait_for(lambda: not g.json("queue")["messages"], 120, lambda: f"an empty queue: {g.ctl('queue').stdout[-2000:]}")
    took = time.monotonic() - began
    refused = sorted(bounced(g))
    wanted = len(accepted) - len(refused)
    scratch.wait_for(lambda: len(list(relay.delivered())) >= wanted, 60, lambda: f"{wanted} copies, not {len(list(relay.delivered()))}")
    served = [recipient for recipient, _ in relay.delivered()]
    counts = collections.Counter(served + refused)
    assert {r: n for r, n in counts.items() if n != 1} == {}, "served or bounced more than once"
    assert sorted(counts) == sorted(accepted)
    assert set(refused) >= {r for r in accepted if r.startswith("no-")}
    if limit != "size":
        assert all(r.startswith("no-") for r in refused), "no limit of a relay is a reason to bounce"
    figures.say(f"{name}, {limit} {LIMITS[limit].get(limit, '')}: {MESSAGES} messages to {len(accepted)} recipients, "
                f"{len(served)} served, {len(refused)} bounced, {took:.1f} s")
