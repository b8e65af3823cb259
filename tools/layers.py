#!/usr/bin/python3
"""Every file includes only its own room and rooms of lower rank; some libraries are known to one room alone."""
import pathlib
import re
import sys

RANKS = {
    "base": 0,
    "net": 1, "mail": 1,
    "config": 2, "disk": 2,
    "store": 3, "queue": 3, "sort": 3, "journal": 3,
    "route": 4,
    "smtp": 5, "pop3": 5, "fetch": 5, "send": 5,
    "sync": 6,
    "digest": 7,
    "control": 8,
    "app": 9, "main": 10, "gui-less": 10,
}
# The only rooms that know these libraries.
OWNERS = {
    "iniparser": {"config"},
    "pcre2": {"sort"},
    "idn2": {"mail"},
    "curl/": {"net", "app", "fetch"},
    "openssl/ssl.h": {"net", "smtp"},
    "event2/": {"net", "app"},
    "iconv": {"mail"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)


def room_of(path):
    return path.parts[1] if path.parts[0] == "src" and len(path.parts) == 3 else \
        "gui-less" if path.parts[0] == "gui-less" else "main"


def faults_of(path):
    room = room_of(path)
    if room not in RANKS:
        yield f"{path}: the room {room}/ has no rank"
        return
    for kind, name in INCLUDE.findall(path.read_text()):
        if kind == "<":
            for library, owners in OWNERS.items():
                if name.startswith(library) and room not in owners:
                    yield f"{path}: includes <{name}>, which only {', '.join(sorted(owners))} may know"
            continue
        other = name.split("/")[0] if "/" in name else room
        if other == room:
            continue
        if other not in RANKS:
            yield f"{path}: includes \"{name}\" of no known room"
        elif RANKS[other] >= RANKS[room]:
            yield f"{path}: includes \"{name}\" (rank {RANKS[other]}), but {room}/ has rank {RANKS[room]}"


def main():
    files = sorted(p for top in ("src", "gui-less") for p in pathlib.Path(top).rglob("*.[ch]"))
    faults = [f for p in files for f in faults_of(p)]
    print("\n".join(faults) if faults else f"layers: {len(files)} files, each includes only rooms below its own")
    return 1 if faults else 0


sys.exit(main())
