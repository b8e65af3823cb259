#!/usr/bin/python3
"""The long campaigns: `campaign.py crash` goes through every point at which the program can be killed or failed,
`campaign.py powerloss` through thousands of states that a power cut may leave. Ends with a table of figures, and with
status 1 if a promise was broken anywhere."""
import argparse
import errno
import json
import multiprocessing
import pathlib
import random
import sys
import time

sys.dont_write_bytecode = True
sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "e2e"), str(pathlib.Path(__file__).resolve().parent)]

from crash import ext4, replay, shim, sweep  # noqa: E402
from crash.world import World  # noqa: E402

KINDS = {
    "killed before the call": (1, lambda w, n: sweep.kill(w, n)),
    "killed inside the write": (1, lambda w, n: sweep.kill(w, n, shim.TEAR)),
    "killed there, then at each call of recovery": (8, lambda w, n: sweep.kill(w, n, recovery=sweep.ladder())),
    "the call fails: EIO": (1, lambda w, n: sweep.fail(w, n, errno.EIO)),
    "the call fails: ENOSPC": (1, lambda w, n: sweep.fail(w, n, errno.ENOSPC)),
    "the call fails: EDQUOT": (3, lambda w, n: sweep.fail(w, n, errno.EDQUOT)),
    "40 calls fail: EIO": (4, lambda w, n: sweep.fail(w, n, errno.EIO, 40)),
    "40 calls fail: ENOSPC": (4, lambda w, n: sweep.fail(w, n, errno.ENOSPC, 40)),
}


class Notes:
    """--notes FILE: a line for each point or state as soon as it is done, so that a campaign can be watched, broken off
    and taken up again: what stands there counts, and is not run again."""

    def __init__(self, path):
        self.path = pathlib.Path(path) if path else None
        lines = self.path.read_text().splitlines() if path and self.path.exists() else []
        self.rows = [json.loads(line) for line in lines]
        self.done = {(r["kind"], r["point"]) for r in self.rows}

    def take(self, row):
        self.rows.append(row)
        if self.path:
            with open(self.path, "a") as f:
                f.write(json.dumps(row) + "\n")

    def figures(self):
        total = {}
        for r in self.rows:
            t = total.setdefault(r["kind"], {"points": 0, "kills": 0, "messages": 0, "bad": 0})
            for key in t:
                t[key] += r[key]
        return total


def tell(out, world, kind, point, where, faults):
    """One point's figures to the process that adds them up."""
    one = sweep.Result()
    one.take(world, where, faults)
    out.put({"kind": kind, "point": point, "points": 1, "kills": one.kills, "messages": one.messages,
             "bad": len(one.bad)})
    if faults:
        print(f"BROKEN {kind}, {point}, {where}:\n  " + "\n  ".join(faults), flush=True)


def crash_worker(share, shares, o, out):
    """Every shares-th point of every kind."""
    w = World()
    try:
        w.make_template()
        _, total = sweep.undisturbed(w)
        for kind, (step, one) in KINDS.items():
            if o.only and o.only not in kind:
                continue
            for n in range(1 + share * step, total + 10, step * shares * o.thin):
                if (kind, n) in o.done:
                    continue
                if time.monotonic() > o.end:
                    return
                try:
                    where, faults = one(w, n)
                except Exception as e:  # a point that hangs or breaks the rig is a finding, not the end
                    where, faults = "the rig", [repr(e)[:500], w.gateway.log()[-4000:]]
                tell(out, w, kind, n, where, faults)
    finally:
        w.close()
        out.put(None)


def real_cuts(share, o, out):
    """A fifth of the time on a real ext4."""
    try:
        disk = ext4.Ext4()
    except ext4.Unable as e:
        print(f"no loop-mounted ext4 here: {e}", flush=True)
        return
    w = World(disk.path)
    rng = random.Random(f"{o.seed}.{share}.real")
    try:
        w.make_template()
        for how, name in ((ext4.KEEP_LOG, "journal kept"), (ext4.LOSE_LOG, "journal lost")):
            end = time.monotonic() + o.seconds / 10
            while time.monotonic() < end:
                delay = rng.uniform(0, 1)
                try:
                    faults = sweep.power_cut(w, disk, delay, how)
                except OSError as e:  # somebody else's mount namespace keeps the dead disk
                    print(f"no more cuts of a real ext4: {e}", flush=True)
                    return
                tell(out, w, f"a real ext4 shut down, {name}", delay, "seconds after the load began", faults)
    finally:
        w.close()
        disk.close()


def powerloss_worker(share, shares, o, out):
    if share == 0:  # there is one disk
        real_cuts(share, o, out)
    w = World()
    try:
        w.make_template()
        for fresh in (False, True):
            rec = replay.Recording(w, fresh)
            rng = random.Random(f"{o.seed}.{share}.{fresh}")
            for mode in replay.MODES:
                kind = f"{'a first start' if fresh else 'a gateway at work'}, names lost as {mode}"
                end = time.monotonic() + o.seconds / (5 if share == 0 else 4)
                while time.monotonic() < end:
                    p, state = replay.draw(rec, rng, mode)
                    key = replay.digest(state).hex()
                    if (kind, key) in o.done:
                        continue
                    o.done.add((kind, key))
                    try:
                        faults = replay.audit_state(rec, state, rec.calls[p - 1].ns)
                    except Exception as e:
                        faults = [repr(e)[:500], w.gateway.log()[-4000:]]
                    call = rec.calls[p - 1]
                    tell(out, w, kind, key, f"call {p}: {call.op} {pathlib.Path(call.path).name}", faults)
    finally:
        w.close()
        out.put(None)


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("what", choices=("crash", "powerloss"))
    a.add_argument("--jobs", type=int, default=2)
    a.add_argument("--seed", default="1")
    a.add_argument("--seconds", type=float, help="how long; powerloss: 3600, crash: to its end")
    a.add_argument("--thin", type=int, default=1, help="crash: only every n-th point")
    a.add_argument("--only", default="", help="crash: kinds whose name has this in it")
    a.add_argument("--notes", help="a file that keeps what is done, to go on from another time")
    o = a.parse_args()
    o.seconds = o.seconds or (3600 if o.what == "powerloss" else float("inf"))
    notes, out, running = Notes(o.notes), multiprocessing.Queue(), o.jobs
    began = time.monotonic()
    o.done, o.end = notes.done, began + o.seconds
    for i in range(o.jobs):
        multiprocessing.Process(target=crash_worker if o.what == "crash" else powerloss_worker,
                                args=(i, o.jobs, o, out)).start()
    while running:
        row = out.get()
        if row is None:
            running -= 1
        else:
            notes.take(row)
    total = notes.figures()
    print(f"\n| {o.what} | {'points' if o.what == 'crash' else 'states'} | kills | promised messages | broken |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for kind, row in total.items():
        print(f"| {kind} | {row['points']} | {row['kills']} | {row['messages']} | {row['bad']} |")
    print(f"\n{time.monotonic() - began:.0f} s")
    return 1 if any(row["bad"] for row in total.values()) or not total else 0


if __name__ == "__main__":
    sys.exit(main())
