#!/usr/bin/python3
"""How much of each room the tests ran, by gcov: lines and branches in a table, file by file where a room has a goal; exit
status 1 where one is missed. --missing FILE lists the lines of a file that no test reached, and the branches that went
one way."""
import argparse
import collections
import fnmatch
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINES, BRANCHES = 90, 80
# What reads bytes of strangers, and what keeps mail safe.
HELD = {
    "mail": ["src/mail/*.c"],
    "config": ["src/config/*.c"],
    "sort": ["src/sort/*.c"],
    "smtp core": ["src/smtp/core*.c", "src/smtp/params.c"],
    "pop3 core": ["src/pop3/core.c", "src/pop3/commands.c", "src/pop3/sasl.c", "src/pop3/render.c"],
    "fetch core": ["src/fetch/pop3_client.c", "src/fetch/pop3_reply.c", "src/fetch/listing.c", "src/fetch/picks*.c"],
    "send core": ["src/send/smtp_client*.c", "src/send/smtp_reply.c", "src/send/smtp_transaction.c"],
    "control codec": ["src/control/codec*.c"],
    "disk": ["src/disk/*.c"],
    "store": ["src/store/*.c"],
    "route": ["src/route/*.c"],
}


class Source:
    def __init__(self):
        self.lines = collections.Counter()
        self.branches = collections.defaultdict(collections.Counter)

    def add(self, line):
        at = line["line_number"]
        self.lines[at] += line["count"]
        for i, b in enumerate(line["branches"]):
            self.branches[at][i] += b["count"]

    def figures(self):
        """lines, lines run, branches, branches taken"""
        taken = [n for b in self.branches.values() for n in b.values()]
        return (len(self.lines), sum(n > 0 for n in self.lines.values()), len(taken), sum(n > 0 for n in taken))


def notes(build):
    """What the compiler wrote beside each object; not those of sources that are gone."""
    for top in ("src", "gui-less"):
        for p in sorted((ROOT / build / top).rglob("*.gcno")):
            if (ROOT / p.relative_to(ROOT / build)).with_suffix(".c").exists():
                yield str(p)


def read(build):
    """{path in the tree: Source}, from what gcov knows of every object file."""
    found = collections.defaultdict(Source)
    objects = list(notes(build))
    for at in range(0, len(objects), 50):
        run = subprocess.run(["gcov", "--stdout", "--json-format", "--branch-probabilities", *objects[at:at + 50]], cwd=ROOT,
                             capture_output=True)
        if run.returncode != 0 or b"mismatch" in run.stderr:
            sys.exit(run.stderr.decode() + f"{build}/ holds counters of another build: run `make cover`")
        for text in run.stdout.splitlines():
            for f in json.loads(text)["files"]:
                if f["file"].endswith(".c") and not f["file"].startswith("/"):
                    for line in f["lines"]:
                        found[f["file"]].add(line)
    return found


def rooms(found):
    """{name: (files, held)}: the held ones, then whole rooms for orientation."""
    out = {}
    for name, patterns in HELD.items():
        out[name] = ([f for f in found if any(fnmatch.fnmatch(f, p) for p in patterns)], True)
    for room in sorted({str(pathlib.Path(f).parent) for f in found}):
        if not any(p == f"{room}/*.c" for patterns in HELD.values() for p in patterns):
            out[room + "/"] = ([f for f in found if str(pathlib.Path(f).parent) == room], False)
    return out


def share(part, whole):
    return 100 * part / whole if whole else 0


def row(name, figures, held=False):
    """Whether it misses its goal."""
    lines, run, branches, taken = figures
    bad = held and (share(run, lines) < LINES or share(taken, branches) < BRANCHES)
    print(f"{name:24} {lines:6} {share(run, lines):6.1f} % {branches:8} {share(taken, branches):6.1f} %"
          + ("  MISSED" if bad else "  reached" if held else ""))
    return bad


def total(found, files):
    return [sum(x) for x in zip(*(found[f].figures() for f in files))] or [0, 0, 0, 0]


def missing(found, name):
    text = (ROOT / name).read_text().splitlines()
    for at in sorted(found[name].lines):
        halves = found[name].branches[at].values()
        if found[name].lines[at] == 0:
            print(f"{at:5} -    {text[at - 1]}")
        elif any(n == 0 for n in halves):
            print(f"{at:5} {sum(n > 0 for n in halves)}/{len(halves)}  {text[at - 1]}")


def table(found, every_file):
    """The names of the rooms that miss their goal."""
    bad = []
    print(f"{'':24} {'lines':>6} {'run':>8} {'branches':>8} {'taken':>8}   goal: {LINES} % of lines, {BRANCHES} % of branches")
    for name, (files, held) in rooms(found).items():
        if row(name, total(found, files), held):
            bad.append(name)
        for f in sorted(files) if held or every_file else []:
            row("  " + pathlib.Path(f).name, found[f].figures())
    row("all", total(found, found))
    return bad


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--build", default="build-cover")
    a.add_argument("--missing", metavar="FILE", help="what is not reached in this file")
    a.add_argument("--files", action="store_true", help="a row for each file of the rooms without a goal, too")
    o = a.parse_args()
    found = read(o.build)
    if not found:
        sys.exit(f"no figures below {o.build}/: run `make cover`")
    if o.missing:
        return missing(found, o.missing)
    bad = table(found, o.files)
    if bad:
        sys.exit("MISSED by: " + ", ".join(bad))
    print("every goal is reached")


sys.exit(main())
