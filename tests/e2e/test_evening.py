"""docs/FIRST_EVENING.md is what the programs really say: the same steps still run, and end as they did."""
import os
import re
import subprocess

import pytest

from lib import gateway, netns, scratch

DOCUMENT = scratch.ROOT / "docs/FIRST_EVENING.md"
# What differs from one evening to the next.
VARYING = [(r"\d{4}-\d\d-\d\d", "DAY"), (r"\d\d:\d\d(:\d\d)?", "TIME"), (r"\b[0-9]+\.[0-9a-f]{20}", "ID"),
           (r"queued as [0-9A-F]+", "queued as ID"), (r"process \d+", "process N"), (r"\b\d+ ?(s|m|B)\b", "N"),
           (r"just now|\bN ago", "N"), (r" *#+ *", " # "), (r"(?m)^  \d\d (in|out)\b", r"  HOUR \1"),
           (r"(?m)^Confined .*", "Confined"), (r", (pop3|smtp) \[::\]:\d+", ""), (r" {2,}", "  "), (r"(?m) +$", "")]
# How much of a sync's progress is seen depends on the machine.
PROGRESS = re.compile(r"(info|outqueue): (connecting|listing|collecting|deleting|sending)\b")


def steps(text):
    """The headings and commands, in order."""
    return re.findall(r"^(?:## .*|\$ .*)$", text, re.M)


def settled(text, heading):
    """A section's lines without what differs."""
    section = text.split(f"## {heading}")[1].split("\n## ")[0]
    for pattern, word in VARYING:
        section = re.sub(pattern, word, section)
    return [line for line in section.splitlines() if not PROGRESS.match(line)]


@pytest.fixture(scope="module")
def tonight(tmp_path_factory):
    target = tmp_path_factory.mktemp("evening") / "evening.md"
    p = subprocess.run([str(scratch.ROOT / "tools/evening.py"), str(target)], capture_output=True, text=True, timeout=300,
                       env={**os.environ, "OFM_BUILD": gateway.BUILD, "ASAN_OPTIONS": "verify_asan_link_order=0"})  # stdbuf
    assert p.returncode == 0, p.stdout + p.stderr
    return target.read_text()


possible = pytest.mark.skipif(os.getuid() != 0 or not netns.possible(), reason="only root has a network of its own")


@possible
def test_the_same_steps_end_as_written(tonight):
    assert steps(tonight) == steps(DOCUMENT.read_text()), "make evening writes it anew"


@possible
@pytest.mark.parametrize("heading", re.findall(r"^## (.*)$", DOCUMENT.read_text(), re.M))
def test_the_programs_say_what_is_written(tonight, heading):
    assert settled(tonight, heading) == settled(DOCUMENT.read_text(), heading), "make evening writes it anew"


def test_no_path_of_a_machine_stands_in_it():
    assert not re.search(r"/tmp|/work|/home", DOCUMENT.read_text())
