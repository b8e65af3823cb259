#!/usr/bin/python3
"""The long campaigns: `campaign.py crash` goes through every point at which the program can be killed or failed,
`campaign.py powerloss` through thousands of states that a power cut may leave. Ends with a table of figures, and with
status 1 if a promise was broken anywhere."""
import argparse
import errno
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


def say(kind, what, faults):
    print(f"BROKEN {kind}, {what}:\n  " + "\n  ".join(faults), flush=True)


def crash_worker(share, shares, o, out):
    """Every shares-th point of every kind."""
    w = World()
    try:
        w.make_template()
        _, total = sweep.undisturbed(w)
        for kind, (step, one) in KINDS.items():
            if o.only and o.only not in kind:
                continue
            figures = sweep.Result()
            for n in range(1 + share * step, total + 10, step * shares * o.thin):
                try:
                    where, faults = one(w, n)
                except Exception as e:  # a point that hangs or breaks the rig is a finding, not the end
                    where, faults = "the rig", [repr(e)[:500], w.gateway.log()[-4000:]]
                figures.take(w, where, faults)
                if faults:
                    say(kind, f"point {n}, {where}", faults)
            out.put((kind, vars(figures)))
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
            figures = sweep.Result()
            end = time.monotonic() + o.seconds / 10
            while time.monotonic() < end:
                delay = rng.uniform(0, 1)
                faults = sweep.power_cut(w, disk, delay, how)
                figures.take(w, delay, faults)
                if faults:
                    say(f"a real ext4, {name}", f"after {delay:.3f} s", faults)
            out.put((f"a real ext4 shut down, {name}", vars(figures)))
    finally:
        w.close()
        disk.close()


def powerloss_worker(share, shares, o, out):
    real_cuts(share, o, out)
    w = World()
    try:
        w.make_template()
        for fresh in (False, True):
            rec = replay.Recording(w, fresh)
            rng = random.Random(f"{o.seed}.{share}.{fresh}")
            for mode in replay.MODES:
                kind = f"{'a first start' if fresh else 'a gateway at work'}, names lost as {mode}"
                figures = sweep.Result()
                seen = set()
                end = time.monotonic() + o.seconds / 5
                while time.monotonic() < end:
                    p, state = replay.draw(rec, rng, mode)
                    key = replay.digest(state)
                    if key in seen:
                        continue
                    seen.add(key)
                    try:
                        faults = replay.audit_state(rec, state, rec.calls[p - 1].ns)
                    except Exception as e:
                        faults = [repr(e)[:500], w.gateway.log()[-4000:]]
                    figures.take(w, p, faults)
                    if faults:
                        say(kind, f"call {p} ({rec.calls[p - 1].op} {pathlib.Path(rec.calls[p - 1].path).name})", faults)
                out.put((kind, vars(figures)))
    finally:
        w.close()
        out.put(None)


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("what", choices=("crash", "powerloss"))
    a.add_argument("--jobs", type=int, default=2)
    a.add_argument("--seed", default="1")
    a.add_argument("--seconds", type=float, default=3600, help="powerloss: how long")
    a.add_argument("--thin", type=int, default=1, help="crash: only every n-th point")
    a.add_argument("--only", default="", help="crash: kinds whose name has this in it")
    o = a.parse_args()
    out = multiprocessing.Queue()
    worker = crash_worker if o.what == "crash" else powerloss_worker
    began, total, ended = time.monotonic(), {}, 0
    for i in range(o.jobs):
        multiprocessing.Process(target=worker, args=(i, o.jobs, o, out)).start()
    while ended < o.jobs:
        got = out.get()
        if got is None:
            ended += 1
            continue
        row = total.setdefault(got[0], {"points": 0, "kills": 0, "messages": 0, "bad": 0})
        for key in row:
            row[key] += len(got[1][key]) if key == "bad" else got[1][key]
    print(f"\n| {o.what} | {'points' if o.what == 'crash' else 'states'} | kills | promised messages | broken |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for kind, row in total.items():
        print(f"| {kind} | {row['points']} | {row['kills']} | {row['messages']} | {row['bad']} |")
    print(f"\n{time.monotonic() - began:.0f} s")
    return 1 if any(row["bad"] for row in total.values()) or not total else 0


if __name__ == "__main__":
    sys.exit(main())
