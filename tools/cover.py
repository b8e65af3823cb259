#!/usr/bin/python3
"""How much of each room the tests ran, by gcov: lines and branches in a table; fails where a room that must be covered is
below its threshold. --missing FILE lists the lines of a file that no test reached, and the branches that went one way."""
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


def read(build):
    """{path in the tree: Source}, from what gcov knows of every object file."""
    found = collections.defaultdict(Source)
    objects = [str(p) for top in ("src", "gui-less") for p in sorted((ROOT / build / top).rglob("*.gcno"))]
    for at in range(0, len(objects), 50):
        out = subprocess.run(["gcov", "--stdout", "--json-format", "--branch-probabilities", *objects[at:at + 50]], cwd=ROOT,
                             check=True, capture_output=True).stdout
        for text in out.splitlines():
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


def row(name, figures, held):
    lines, run, branches, taken = figures
    bad = held and (share(run, lines) < LINES or share(taken, branches) < BRANCHES)
    print(f"{name:18} {lines:6} {share(run, lines):6.1f} % {branches:8} {share(taken, branches):6.1f} %"
          + (f"  below {LINES} % and {BRANCHES} %" if bad else "  held" if held else ""))
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


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--build", default="build-cover")
    a.add_argument("--missing", metavar="FILE", help="what is not reached in this file")
    a.add_argument("--files", action="store_true", help="a row for each file, too")
    o = a.parse_args()
    found = read(o.build)
    if not found:
        sys.exit(f"no figures below {o.build}/: run `make cover`")
    if o.missing:
        return missing(found, o.missing)
    bad = []
    print(f"{'':18} {'lines':>6} {'run':>8} {'branches':>8} {'taken':>8}")
    for name, (files, held) in rooms(found).items():
        if row(name, total(found, files), held):
            bad.append(name)
        for f in files if o.files else []:
            row("  " + pathlib.Path(f).name, found[f].figures(), False)
    row("all", total(found, found), False)
    if bad:
        sys.exit("not enough is tested of: " + ", ".join(bad))


sys.exit(main())
