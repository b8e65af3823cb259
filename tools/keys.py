#!/usr/bin/python3
"""The manual's list of keys comes from the schema: proves that it is current, or with --write makes it so."""
import argparse
import pathlib
import subprocess
import sys

BEGIN, END = "<!-- keys: begin -->\n", "<!-- keys: end -->"


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--write", action="store_true")
    a.add_argument("--printer", default="build/keys", help="the program that prints the schema")
    o = a.parse_args()
    manual = pathlib.Path("docs/MANUAL.md")
    text = manual.read_text()
    table = subprocess.run([o.printer], check=True, capture_output=True, text=True).stdout.strip("\n")
    before, rest = text.split(BEGIN)
    after = rest[rest.index(END):]
    wanted = f"{before}{BEGIN}\n{table}\n\n{after}"
    if o.write:
        manual.write_text(wanted)
    elif wanted != text:
        print("docs/MANUAL.md: the list of keys is not the schema's; `make keys` writes it")
        return 1
    print(f"keys: {sum(line.startswith('| `') for line in table.splitlines())} in the manual as in the schema")
    return 0


sys.exit(main())
