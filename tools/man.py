#!/usr/bin/python3
"""Makes the man pages: ofmsrv.ini(5) from the schema of the keys, ofmctl(1) from the commands' own help.

usage: tools/man.py OFMCTL FOLDER"""
import json
import os
import pathlib
import re
import subprocess
import sys
import textwrap
import time

SOURCE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "man"


def escape(text):
    """As running text: nothing in it is a request, an escape or a sentence's end in the middle of a line."""
    text = text.replace("\\", "\\e")
    return "\\&" + text if text[:1] in (".", "'") else text


def macro_word(text):
    text = escape(text).replace('"', "\\(dq")
    return f'"{text}"' if " " in text or not text else text


def lines_of(text):
    """A sentence begins a line, as mdoc wants it."""
    return [escape(line) for part in re.split(r"(?<=[.;:?!])\s+(?=[A-Z])", text.strip()) if part
            for line in textwrap.wrap(part, 78, break_long_words=False, break_on_hyphens=False)]


def sentence(text):
    """Unless it begins with a value: `relay = …`."""
    if not re.match(r"\S+ (=|\()", text):
        text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else text + "."


def section_of(row):
    return f"[{row['section']}" + (" NAME" if row["label"] else "") + "]"


def key_lines(row):
    yield f".It Ic {macro_word(row['key'])}"
    yield from lines_of(sentence(row["help"]))
    facts = "Takes: " + row["range"]
    if row["required"]:
        facts += "; needed"
    elif row["default"]:
        facts += f"; default: {row['default']}"
    if row["restart"]:
        facts += "; a change needs a restart"
    yield from lines_of(facts + ".")


def keys(ofmctl):
    rows = json.loads(subprocess.run([ofmctl, "check", "--keys"], check=True, capture_output=True, text=True).stdout)
    section, out = None, []
    for row in rows:
        if section_of(row) != section:
            if section:
                out.append(".El")
            section = section_of(row)
            out += [f".Ss {macro_word(section)}\\&", *lines_of(row["about"]), ".Bl -tag -width Ds"]
        out += key_lines(row)
    return "\n".join(out + [".El"])


def help_of(ofmctl, *words):
    return subprocess.run([ofmctl, *words, "--help"], check=True, capture_output=True, text=True).stdout


def body_lines(text):
    """Paragraphs run on; an indented block is a display."""
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        if all(line.startswith("  ") for line in block.splitlines()):
            yield ".Bd -literal -offset 2n"
            yield from (escape(line[2:]) for line in block.splitlines())
            yield ".Ed"
        else:
            yield ".Pp"
            yield from lines_of(" ".join(line.strip() for line in block.splitlines()))


def commands(ofmctl):
    names = re.findall(r"^  ([a-z]+) ", help_of(ofmctl), re.M)
    out = [".Bl -tag -width Ds"]
    for name in names:
        usage, _, body = help_of(ofmctl, name).partition("\n")
        synopsis = usage.split("[-d DIR] ", 1)[1]
        body_text = list(body_lines(body))
        if body_text and body_text[0] == ".Pp":
            del body_text[0]
        out += [f".It Ic {macro_word(synopsis)}", *body_text]
    return "\n".join(out + [".El"])


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    ofmctl, folder = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    # The day of the sources, so that a build can be repeated bit for bit.
    stamp = int(os.environ.get("SOURCE_DATE_EPOCH", max(p.stat().st_mtime for p in SOURCE.iterdir())))
    date = time.strftime("%B %-d, %Y", time.gmtime(stamp))
    for page in SOURCE.iterdir():
        text = page.read_text().replace("$Mdocdate$", date)
        if "@COMMANDS@" in text:
            text = text.replace("@COMMANDS@", commands(ofmctl))
        if "@KEYS@" in text:
            text = text.replace("@KEYS@", keys(ofmctl))
        (folder / page.name.removesuffix(".in")).write_text(text)


main()
