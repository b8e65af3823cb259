"""The Russian manual keeps step: every key, command and how-to of the English one stands in it."""
import json
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ.get("OFM_BUILD", "build")
OFMCTL = ROOT / "ofmctl" if BUILD == "build" else ROOT / BUILD / "ofmctl"
TEXT = (ROOT / "docs" / "MANUAL.ru.md").read_text()


def part(section):
    """What the manual says under the heading that names this section."""
    parts = [p for p in TEXT.split("\n### ") if f"[{section}" in p.splitlines()[0]]
    assert parts, section
    return "\n".join(parts)


def test_every_key_stands_under_its_section():
    for row in json.loads(subprocess.run([OFMCTL, "check", "--keys"], check=True, capture_output=True).stdout):
        assert f"`{row['key']}`" in part(row["section"]), f"[{row['section']}] {row['key']}"


def test_every_command_stands_in_it():
    help_text = subprocess.run([OFMCTL, "--help"], check=True, capture_output=True, text=True).stdout
    commands = TEXT.split("\n## ofmctl\n")[1].split("\n## ")[0]
    for name in re.findall(r"^  ([a-z]+) ", help_text, re.M):
        assert re.search(rf"`{name}\b", commands), name


def test_every_how_to_has_its_counterpart():
    """Headings under "How-tos", in order, as pairs; a new one has to be named here with its Russian one."""
    pairs = {"Thunderbird on the LAN": "Thunderbird", "The Bat! on the LAN": "The Bat!", "Providers": "Провайдеры",
             "Own head office": "Свой головной офис", "A domain mailbox": "Ящик на весь домен",
             "An archive for the boss": "Архив для босса", "A line that has to be raised": "Линия, которую надо поднимать",
             "Scanners, tills, controllers": "Сканеры, кассы, контроллеры",
             "Monitoring": "Судьба письма, итоги, наблюдение"}
    english = (ROOT / "docs/MANUAL.md").read_text().split("\n## How-tos\n")[1].split("\n## ")[0]
    russian = TEXT.split("\n## Примеры\n")[1].split("\n## ")[0]
    headings = [h.split(" (")[0] for h in re.findall(r"^### (.*)$", english, re.M)]
    assert headings == list(pairs)
    assert re.findall(r"^### (.*)$", russian, re.M) == list(pairs.values())
