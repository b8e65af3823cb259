#!/usr/bin/python3
"""Checks docs/model.pml and docs/model_queue.pml with spin: every state that crashes can leave, and that each ordering
in them is needed.

A model as it stands must hold its assertions in every state. Then each mutation (-DMUT_…, which takes one ordering
away) must break one: a model that a wrong program also satisfies shows nothing. Ends with `N passed, N failed`."""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = ROOT / "docs" / "model.pml"
QUEUE = ROOT / "docs" / "model_queue.pml"
SMTP_ROAD, POP3_ROAD = "WITHOUT_C", "WITHOUT_S"
DEADLINE = 1500
WHOLES = (("by SMTP and to the relay, 3 crashes", MODEL, (SMTP_ROAD, "CRASHES=3")),
          ("from the provider, 5 crashes", MODEL, (POP3_ROAD, "CRASHES=5")),
          ("all roads at once, 1 crash", MODEL, ("CRASHES=1",)),
          ("three recipients, 1 crash, 2 operations", QUEUE, ("CRASHES=1", "OPERATIONS=2")),
          ("three recipients, 2 crashes, 1 operation", QUEUE, ("CRASHES=2", "OPERATIONS=1", "FAILURES=0")))
# What suffices to show that a mutation breaks something, each in turn.
MUTANTS = {MODEL: ((SMTP_ROAD, "CRASHES=2"), (POP3_ROAD, "CRASHES=2")), QUEUE: (("CRASHES=1", "OPERATIONS=1"),)}


def verify(model, *defines, optimize="-O0", table="-w20"):
    """Returns (states, violated assertion or None, seconds)."""
    flags = [f"-D{d}" for d in defines]
    with tempfile.TemporaryDirectory() as scratch:
        for command in (["spin", "-a", *flags, str(model)],
                        ["gcc", optimize, "-w", "-DSAFETY", "-DNOREDUCE", "-DCOLLAPSE", "-o", "pan", "pan.c"]):
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=120)
            if done.returncode != 0 or "syntax error" in done.stdout:
                sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        out = subprocess.run(["./pan", "-m200000", table], cwd=scratch, capture_output=True, text=True,
                             timeout=DEADLINE).stdout
    states = re.search(r"(\d+) states, stored", out)
    seconds = re.search(r"elapsed time ([\d.]+)", out)
    errors = re.search(r"errors: (\d+)", out)
    if not states or not errors or "max search depth too small" in out or "out of memory" in out:
        sys.exit(f"spin did not finish ({' '.join(defines)}):\n{out}")
    broken = re.search(r"pan:\d+: (?:assertion violated )?\s*(.*?)\s*\(at depth", out)
    if bool(broken) != (errors.group(1) != "0"):
        sys.exit(f"spin's report is not understood:\n{out}")
    return int(states.group(1)), broken and broken.group(1), float(seconds.group(1)) if seconds else 0.0


class Tally:
    passed = failed = 0

    def say(self, good, line):
        self.passed += good
        self.failed += not good
        print(("ok   " if good else "FAIL ") + line, flush=True)


def mutations(model):
    return sorted(set(re.findall(r"\bMUT_\w+", model.read_text())))


def broken_by(model, mutation):
    """The assertion that fails without this ordering; None would mean that the model shows nothing of it."""
    for defines in MUTANTS[model]:
        _, broken, _ = verify(model, mutation, *defines)
        if broken:
            return broken
    return None


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    tally = Tally()
    for name, model, defines in WHOLES:
        states, broken, seconds = verify(model, *defines, optimize="-O2", table="-w25")
        tally.say(not broken, f"{name}: {states} states, {seconds:.0f} s" + (f", broken: {broken}" if broken else ""))
    for model in MUTANTS:
        for mutation in mutations(model):
            broken = broken_by(model, mutation)
            tally.say(bool(broken),
                      f"{mutation}: " + (f"breaks {broken}" if broken else "nothing breaks without this ordering"))
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
