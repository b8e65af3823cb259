"""Short words for tests of sending: a gateway's sections towards one relay, mail that leaves, what the queue says of it."""
import sqlite3

from . import gateway as gw

CHUNKS = ("PIPELINING", "CHUNKING", "8BITMIME")
OFFERS = {"chunking": CHUNKS, "pipelining": ("PIPELINING",), "neither": (), "chunking alone": ("CHUNKING",)}


def to(port, **keys):
    """Sections: a relay on loopback, in plain text and without log-in, tried again by hand alone."""
    return {"relay": {"host": "127.0.0.1", "port": port, "security": "none", "auth": "off", "retry": "1h", **keys}}


def mail(g, *recipients, sender="anna@office.lan", **kw):
    """One message for all recipients, accepted by the gateway."""
    g.send(sender, list(recipients), gw.message(sender=sender, to=recipients[0], **kw))


def sync(g):
    """A sync by hand, whatever comes of it."""
    return g.ctl("sync", "--wait", timeout=60)


def show(g, n=0):
    """The n-th waiting message, with its recipients."""
    entry = sorted(g.json("queue", "list")["messages"], key=lambda m: m["id"])[n]
    return g.json("queue", "show", entry["id"])["message"]


def states(g):
    return {r["address"]: r["state"] for r in show(g)["recipients"]}


def greylisting(verb, arg, connection):
    return "451 4.7.1 greylisted" if verb == "RCPT" else None


def while_stopped(g, sql, *args):
    """Runs SQL on the gateway's database between a stop and a start."""
    g.stop()
    db = sqlite3.connect(g.home / "state/ofmsrv.db")
    with db:
        db.execute(sql, args)
    db.close()
    g.start()
