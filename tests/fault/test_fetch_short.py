"""Messages that come plainly shorter than listed: asked for once more, and the longer answer is the one that is stored."""
import collections

import pytest

from lib import pop3liar, scratch
from lib.gateway import message

ALL, ONE_BY_ONE = ("UIDL", "USER", "TOP", "PIPELINING"), ("UIDL", "USER", "TOP")
caps = pytest.mark.parametrize("caps", [ALL, ONE_BY_ONE], ids=["pipelining", "one by one"])


def account(p, **kw):
    return {"host": "127.0.0.1", "port": p.port, "security": "none", "user": "u", "password": "secret", "keep": 0,
            "deliver": "anna", **kw}


def mail(n, lines=40):
    return [message(f"m{i:03}", body=b"".join(b"line %d of many\r\n" % x for x in range(lines))) for i in range(n)]


def header(raw):
    return raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def third(raw):
    return raw[:len(header(raw)) + (len(raw) - len(header(raw))) // 3 - 2] + b"\r\n"


class Cutting:
    """RETR of the chosen messages (all, where none is named) gives `cut(message)` for the first `times` times in a
    connection; then `then`, where that is something else than the message."""

    def __init__(self, p, cut, times=1, chosen=None, then=None):
        self.cut, self.times, self.chosen, self.then = cut, times, chosen, then
        self.seen = collections.Counter()
        self.mail = list(p.mail.values())
        p.reply = self.reply

    def reply(self, verb, arg, connection):
        if verb != "RETR":
            return None
        n = int(arg) - 1
        if self.chosen is not None and n not in self.chosen:
            return None
        self.seen[connection, n] += 1
        if self.seen[connection, n] > self.times:
            return self.then
        return b"+OK\r\n" + self.cut(self.mail[n]) + b".\r\n"


def complete(g, sent, user="anna"):
    got = g.wait_box(user, len(sent))
    assert len(got) == len(sent)
    for m in sent:
        assert sum(x.endswith(m) for x in got) == 1


def emptied(p):
    """It deletes behind its reply to QUIT."""
    scratch.wait_for(lambda: not p.mail, 10, lambda: f"an empty mailbox, not {list(p.mail)}")


@caps
@pytest.mark.parametrize("cut,lines", [(header, 1), (header, 40), (third, 40)])
def test_a_short_first_answer(gateway, provider, caps, cut, lines):
    sent = mail(30, lines)
    p = provider(sent, caps=caps)
    Cutting(p, cut, chosen={0, 3, 4, 5, 6, 7, 8, 20, 29})
    g = gateway({"account one": account(p)})
    g.sync()
    complete(g, sent)
    emptied(p)
    assert len(p.said("RETR")) == 39


@caps
def test_a_few_wrong_sizes_are_no_proof(gateway, provider, caps):
    """Few messages that are shorter than listed each time; then some of which the second answer is longer."""
    sent = mail(40)
    p = provider(sent, caps=caps)
    p.counted = lambda m: len(m) * (3 if m in sent[:3] else 1)
    Cutting(p, third, chosen=set(range(10, 40)))
    g = gateway({"account one": account(p)})
    g.sync()
    complete(g, sent)
    emptied(p)
    assert len(p.said("RETR")) == 40 + 3 + 30


@caps
@pytest.mark.parametrize("factor,more", [(3, 0), (1, 5000)])
def test_sizes_that_are_wrong_cost_a_few_retr(gateway, provider, caps, factor, more):
    sent = mail(300)
    p = provider(sent, caps=caps)
    p.counted = lambda m: len(m) * factor + more
    g = gateway({"account one": account(p)})
    g.sync()
    complete(g, sent)
    emptied(p)
    assert len(p.said("RETR")) == 304
    p.put(*mail(1))
    g.sync()
    g.wait_box("anna", 301)
    assert len(p.said("RETR")) == 305, "remembered from one session to the next"


@caps
def test_always_short_is_stored_as_it_is(gateway, provider, caps):
    sent = mail(20)
    p = provider(sent, caps=caps)
    Cutting(p, header, times=9)
    g = gateway({"account one": account(p)})
    g.sync()
    complete(g, [header(m) for m in sent])
    emptied(p)
    assert len(p.said("RETR")) == 40


@caps
@pytest.mark.parametrize("then", [pop3liar.DROP, "-ERR no"], ids=["dropped", "refused"])
def test_no_second_answer(gateway, provider, caps, then):
    """Nothing of it is stored or deleted, and it is that message that is blamed."""
    sent = mail(8)
    p = provider(sent, caps=caps)
    liar = Cutting(p, header, chosen={2}, then=then)
    g = gateway({"account one": account(p)})
    g.ctl("sync", "--wait", timeout=60)
    g.wait_box("anna", 7)
    assert "m002" not in g.subjects("anna") and "u2" in p.mail
    assert g.subjects("anna") == [f"m{n:03}" for n in range(8) if n != 2]
    liar.times, liar.then = 0, None
    liar.mail = list(p.mail.values())
    g.sync()
    complete(g, sent)
    emptied(p)


def test_kept_ones_are_asked_for_no_third_time(gateway, provider):
    sent = mail(10)
    p = provider(sent)
    Cutting(p, header)
    g = gateway({"account one": account(p, keep="forever")})
    for _ in range(3):
        g.sync()
    complete(g, sent)
    assert len(p.mail) == 10 and len(p.said("RETR")) == 20
