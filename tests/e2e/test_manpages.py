"""The man pages say what the program knows: each key, each command; and mandoc finds nothing wrong in them."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ.get("OFM_BUILD", "build")
OFMCTL = ROOT / "ofmctl" if BUILD == "build" else ROOT / BUILD / "ofmctl"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("man")
    subprocess.run([ROOT / "tools" / "man.py", OFMCTL, folder], check=True, timeout=120)
    return {p.name: p for p in folder.iterdir()}


def test_there_is_a_page_for_each_program_and_the_ini_file(pages):
    assert sorted(pages) == ["ofmctl.1", "ofmsrv.8", "ofmsrv.ini.5"]


def test_every_key_stands_in_the_page(pages):
    rows = json.loads(subprocess.run([OFMCTL, "check", "--keys"], check=True, capture_output=True).stdout)
    text = pages["ofmsrv.ini.5"].read_text()
    assert len(rows) > 90
    for row in rows:
        _, found, _ = text.partition(f".It Ic {row['key']}\n")
        assert found, row["key"]
    assert len(re.findall(r"^\.It Ic ", text, re.M)) == len(rows)


def test_every_command_stands_in_the_page(pages):
    names = re.findall(r"^  ([a-z]+) ", subprocess.run([OFMCTL, "--help"], check=True, capture_output=True,
                                                      text=True).stdout, re.M)
    text = pages["ofmctl.1"].read_text()
    assert len(names) >= 11
    for name in names:
        assert re.search(rf'^\.It Ic "?{name}\b', text, re.M), name


@pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not installed")
@pytest.mark.parametrize("page", ["ofmctl.1", "ofmsrv.8", "ofmsrv.ini.5"])
def test_mandoc_finds_nothing_wrong(pages, page):
    found = subprocess.run(["mandoc", "-T", "lint", pages[page]], capture_output=True, text=True, timeout=60).stdout
    # The pages refer to one another, and none of them is installed where the test runs.
    wrong = [line for line in found.splitlines() if "referenced manual not found" not in line and "mandoc.db" not in line]
    assert wrong == []


def test_every_terminal_can_show_them(pages):
    """In the C locale man knows no other characters, and complains of each."""
    for page in pages.values():
        assert page.read_text().isascii(), page
