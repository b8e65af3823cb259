"""Contestants in turn, several rounds, so that what else the machine does hits all alike; and what came out."""
import statistics
import sys


class Stalled(Exception):
    """A peer that did not get on in time; says how far it came."""


class Contest:
    """figures[name][key] = [value of each round]. A contestant is a callable that returns a number or {key: number}. One that has
    stalled is left out from then on; told[name] says so, or whatever else somebody should know of its figures."""

    def __init__(self, rounds, contestants, job="", once=(), told=None):
        """Those in `once` run in the first round alone: what they need is minutes."""
        self.figures, self.told, stalled = {}, dict(told or {}), set()
        for r in range(rounds):
            for name, run in contestants.items():
                if name in stalled or r > 0 and name in once:
                    continue
                print(f"  {job} round {r + 1}/{rounds}: {name}", file=sys.stderr, end=" ", flush=True)
                try:
                    got = run()
                except Stalled as e:
                    print(e, file=sys.stderr, flush=True)
                    stalled.add(name)
                    self.told[name] = "; ".join(filter(None, (self.told.get(name), f"round {r + 1}: {e}")))
                    continue
                got = got if isinstance(got, dict) else {"": got}
                print(" ".join(f"{k} {v:,.4g}".strip() for k, v in got.items()), file=sys.stderr, flush=True)
                for key, value in got.items():
                    self.figures.setdefault(name, {}).setdefault(key, []).append(value)

    def row(self, key, names=None):
        return {n: f[key] for n, f in self.figures.items() if key in f and (names is None or n in names)}


def median(values):
    return statistics.median(values)


class Row:
    """One line of the table. values: {contestant: [a value each round]}, ours is "ofmsrv"; limits: the same for what the
    machine or a null peer reaches; targets: [(what, factor, of)], where `of` names a contestant or limit. With
    better="more" ours has to be at least factor × of; with "less", at most of / factor. A target of ours alone is (what,
    bound, None). told: {contestant: what to know of its figures, or why it has none}."""

    def __init__(self, job, what, unit, values, limits=None, targets=(), better="more", note="", told=None):
        self.job, self.what, self.unit, self.better, self.note = job, what, unit, better, note
        self.told = told or {}
        self.values, self.limits = values, limits or {}
        self.targets = targets

    @classmethod
    def of_json(cls, r):
        row = cls(r["job"], r["what"], r["unit"], r["values"], r["limits"], better=r["better"], note=r["note"],
                  told=r.get("told"))
        row.verdicts = lambda: [(t["target"], t["reached"]) for t in r["targets"]]
        return row

    def figure(self, name):
        both = {**self.values, **self.limits}
        return median(both[name]) if both.get(name) else None

    def ours(self):
        return self.figure("ofmsrv")

    def ratio(self, name):
        """How many times better ours is than that one."""
        ours, other = self.ours(), self.figure(name)
        if not ours or not other:
            return None
        return ours / other if self.better == "more" else other / ours

    def verdicts(self):
        for what, factor, of in self.targets:
            if of is None:
                ok = self.ours() >= factor if self.better == "more" else self.ours() <= factor
            else:
                ratio = self.ratio(of)
                if ratio is None:
                    continue
                ok = ratio >= factor
            yield what, bool(ok)

    def as_json(self):
        return {"job": self.job, "what": self.what, "unit": self.unit, "better": self.better, "note": self.note,
                "told": self.told,
                "values": self.values, "limits": self.limits,
                "medians": {n: self.figure(n) for n in {**self.values, **self.limits}},
                "ratios": {n: self.ratio(n) for n in {**self.values, **self.limits} if n != "ofmsrv"},
                "targets": [{"target": w, "reached": ok} for w, ok in self.verdicts()]}
