"""B4: collect 100 accounts × 40 messages over TLS, near and far. B5: one account × 1,000."""
import sys

from lib import ca as authority
from rig import collectors, tools
from rig.contest import Contest, Row, Stalled, median

SIZE = 4096
FAR_MS = 60
# Of 100 accounts × 40 those that are slow get so many (and so many messages each), and their time is multiplied: each account,
# each message costs them the same. How many are at once stays as it is.
PART = {0: {"fetchmail": (20, 40), "fetchmail ×20": (20, 40), "fdm": (25, 40), "fdm ×20": (20, 40), "getmail6": (4, 40),
            "getmail6 ×20": (20, 20)},
        FAR_MS: {"mpop": (20, 40), "fetchmail": (1, 40), "fetchmail ×20": (20, 40), "fdm": (10, 40), "fdm ×20": (20, 40),
                 "getmail6": (1, 40), "getmail6 ×20": (20, 20)}}
# Each alone and twenty at once.
ARRANGEMENTS = [(p, n) for p in collectors.PROGRAMS for n in (1, 20)] + [("mpop", 100)]
# Of one account's 1,000 messages.
PART_OF_ONE = {"fetchmail": 100}


class Collecting:
    """The contestants of one job; each run has a provider of its own, whose mailboxes are full."""

    def __init__(self, ca, boxes, messages, ms):
        self.ca, self.boxes, self.messages, self.ms = ca, boxes, messages, ms
        self.cert, self.key = ca.issue("collect.test")

    def timed(self, run, boxes=None, messages=None):
        with collectors.Provider(self.cert, self.key, boxes or self.boxes, messages or self.messages, SIZE, self.ms) as provider:
            tools.settle_disk()
            got = run(provider)
            assert provider.emptied(), "messages are left with the provider"
            return got

    def part(self, name):
        """(accounts, messages) that a contestant gets."""
        if self.boxes == 1:
            return 1, min(PART_OF_ONE.get(name, self.messages), self.messages)
        boxes, messages = PART[self.ms].get(name, (self.boxes, self.messages))
        return min(boxes, self.boxes), min(messages, self.messages)

    def program(self, name, at_once=1):
        """A stalled one is started once more, with all mailboxes full."""
        boxes, messages = self.part(arranged(name, at_once))

        def once():
            return self.timed(lambda p: collectors.collect(name, at_once, self.ca.cert, p.port, boxes, messages, SIZE),
                              boxes, messages) * self.boxes * self.messages / (boxes * messages)

        def run():
            try:
                return once()
            except Stalled as e:
                print(e, end=" ", file=sys.stderr, flush=True)
                return once()
        return run

    def ours(self):
        return self.timed(lambda p: collectors.ours(self.ca.cert, p, self.boxes, self.messages, SIZE))

    def null(self):
        return self.timed(lambda p: collectors.null(self.ca.cert, p.port, self.boxes, self.messages, SIZE, min(self.boxes, 100)))


def arranged(program, at_once):
    return f"{program} ×{at_once}" if at_once > 1 else program


def everybody(c, arrangements):
    """Contestants, and what is to be known of those that get a part of the work."""
    contestants, told = {"null client": c.null, "ofmsrv": c.ours}, {}
    for program, at_once in arrangements:
        name = arranged(program, at_once)
        contestants[name] = c.program(program, at_once)
        boxes, messages = c.part(name)
        if boxes * messages < c.boxes * c.messages:
            told[name] = f"{boxes} × {messages}, times {c.boxes * c.messages / (boxes * messages):.3g}"
    return contestants, told


def fastest_of(values, kind=""):
    return min((n for n in values if n != "ofmsrv" and n.startswith(kind)), key=lambda n: median(values[n]), default=kind)


def b4(o):
    rows, ca = [], authority.CA()
    boxes, messages = o.scaled(100), 40
    null, files = "null client", "file a message, 16 threads"
    often = {null, files, "ofmsrv", "mpop ×20", "mpop ×100"}
    for ms in (0, FAR_MS):
        contestants, told = everybody(Collecting(ca, boxes, messages, ms), ARRANGEMENTS)
        # What the disk alone needs for so many files, each durable by itself.
        contestants[files] = lambda: boxes * messages / tools.limit("files", boxes * messages)
        r = Contest(o.rounds, contestants, f"B4 {ms} ms", once=set(contestants) - often, told=told)
        values = r.row("", set(contestants) - {null, files})
        first, fetchmail = fastest_of(values), fastest_of(values, "fetchmail")
        rows.append(Row("B4", f"collect {boxes} accounts × {messages} over TLS, {ms} ms", "s", values, r.row("", [null, files]),
                        [(f"≥ 5 × the fastest ({first})", 5, first), (f"≥ 20 × fetchmail (its faster way: {fetchmail})", 20, fetchmail),
                         ("≤ 1.5 × the null client", 1 / 1.5, null)], better="less", told=r.told))
    ca.close()
    return rows


def b5(o):
    rows, ca = [], authority.CA()
    messages, null = o.scaled(1000), "null client"
    for ms in (0, FAR_MS):
        contestants, told = everybody(Collecting(ca, 1, messages, ms), [("mpop", 1), ("fetchmail", 1)])
        r = Contest(o.rounds, contestants, f"B5 {ms} ms", once={"fetchmail"}, told=told)
        limits = r.row("", [null])
        if ms > 0:
            limits["10 round trips"] = [10 * ms / 1000]
        rows.append(Row("B5", f"collect 1 account × {messages} over TLS, {ms} ms", "s", r.row("", ["ofmsrv", "mpop", "fetchmail"]),
                        limits, [("≥ 1.5 × mpop", 1.5, "mpop"), ("≥ 50 × fetchmail", 50, "fetchmail"),
                                 ("≤ 1.5 × 10 round trips", 1 / 1.5, "10 round trips")], better="less", told=r.told))
    ca.close()
    return rows


JOBS = {"B4": b4, "B5": b5}
