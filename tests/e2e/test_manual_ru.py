"""The Russian manual keeps step: every key and command stands in it, and its examples are without fault."""
import json
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ.get("OFM_BUILD", "build")
OFMCTL = ROOT / "ofmctl" if BUILD == "build" else ROOT / BUILD / "ofmctl"
TEXT = (ROOT / "docs" / "MANUAL.ru.md").read_text()
EXAMPLES = re.findall(r"```ini\n(.*?)```", TEXT, re.S)


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


@pytest.mark.parametrize("text", EXAMPLES, ids=[e.splitlines()[0] for e in EXAMPLES])
def test_its_examples_have_no_fault(tmp_path, text):
    for folder in ("mailboxes", "outqueue"):
        (tmp_path / folder).mkdir()
    (tmp_path / "secret").write_text("x\n")
    ini = tmp_path / "ofmsrv.ini"
    ini.write_text(re.sub(r"password_file = .*", f"password_file = {tmp_path}/secret", text))
    done = subprocess.run([OFMCTL, "-d", tmp_path, "check", ini], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
