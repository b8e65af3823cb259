"""B4: collect 100 accounts × 40 messages over TLS, near and far. B5: one account × 1,000."""
from lib import ca as authority
from rig import collectors, tools
from rig.contest import Contest, Row

SIZE = 4096
FAR_MS = 60


class Collecting:
    """The contestants of one job; each run has a provider of its own, whose mailboxes are full."""

    def __init__(self, ca, boxes, messages, ms):
        self.ca, self.boxes, self.messages, self.ms = ca, boxes, messages, ms
        self.cert, self.key = ca.issue("collect.test")

    def timed(self, run):
        with collectors.Provider(self.cert, self.key, self.boxes, self.messages, SIZE, self.ms) as provider:
            tools.settle_disk()
            return run(provider)

    def program(self, name, at_once=1):
        return lambda: self.timed(lambda p: collectors.collect(name, at_once, self.ca.cert, p.port, self.boxes, self.messages,
                                                               SIZE))

    def ours(self):
        return self.timed(lambda p: collectors.ours(self.ca.cert, p, self.boxes, self.messages, SIZE))

    def null(self):
        return self.timed(lambda p: collectors.null(self.ca.cert, p.port, self.boxes, self.messages, SIZE, min(self.boxes, 100)))


def b4(o):
    rows, ca = [], authority.CA()
    boxes, messages = o.scaled(100), 40
    null, far = "null client", {}
    for ms in (0, FAR_MS):
        c = Collecting(ca, boxes, messages, ms)
        contestants = {null: c.null, "ofmsrv": c.ours, "mpop ×20": c.program("mpop", 20), "mpop ×100": c.program("mpop", 100),
                       "mpop": c.program("mpop"), "fetchmail ×20": c.program("fetchmail", 20),
                       "fdm ×20": c.program("fdm", 20)}
        if ms == 0:
            contestants["fetchmail"] = c.program("fetchmail")
        r = Contest(o.rounds, contestants, f"B4 {ms} ms", once=set(contestants) - {null, "ofmsrv", "mpop ×20", "mpop ×100"})
        values = r.row("", set(contestants) - {null})
        fastest = min((n for n in values if n != "ofmsrv"), key=lambda n: sorted(values[n])[len(values[n]) // 2])
        rows.append(Row("B4", f"collect {boxes} accounts × {messages} over TLS, {ms} ms", "s", values, r.row("", [null]),
                        [(f"≥ 5 × the fastest ({fastest})", 5, fastest), ("≥ 20 × fetchmail", 20, "fetchmail ×20"),
                         ("≤ 1.5 × the null client", 1 / 1.5, null)], better="less"))
    ca.close()
    return rows


def b5(o):
    rows, ca = [], authority.CA()
    messages, null = o.scaled(1000), "null client"
    for ms in (0, FAR_MS):
        c = Collecting(ca, 1, messages, ms)
        contestants = {null: c.null, "ofmsrv": c.ours, "mpop": c.program("mpop"), "fetchmail": c.program("fetchmail")}
        r = Contest(o.rounds, contestants, f"B5 {ms} ms", once={"fetchmail"})
        limits = r.row("", [null])
        if ms > 0:
            limits["10 round trips"] = [10 * ms / 1000]
        rows.append(Row("B5", f"collect 1 account × {messages} over TLS, {ms} ms", "s", r.row("", ["ofmsrv", "mpop", "fetchmail"]),
                        limits, [("≥ 1.5 × mpop", 1.5, "mpop"), ("≥ 50 × fetchmail", 50, "fetchmail"),
                                 ("≤ 1.5 × 10 round trips", 1 / 1.5, "10 round trips")], better="less"))
    ca.close()
    return rows


JOBS = {"B4": b4, "B5": b5}
