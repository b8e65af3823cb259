"""Mailbox folders that are symlinks or hard-link traps: O_NOFOLLOW; refused; nobody else suffers."""
import os
import re
import subprocess

import pytest

from lib.clients import POP3
from lib.gateway import message

SUBS = ("tmp", "new", "cur")


def make_trap(g, part):
    """Puts a symlink to a folder elsewhere in the place of boris's mailbox, or of a part of it; returns (link, elsewhere)."""
    trap, box = g.home / "trap", g.home / "mailboxes/boris"
    for d in SUBS:
        (trap / d).mkdir(parents=True, exist_ok=True)
        (box / d).mkdir(parents=True, exist_ok=True)
    link = box / part if part else box
    subprocess.run(["rm", "-r", link], check=True)
    link.symlink_to(trap / part if part else trap)
    return link, trap


def files_in(folder):
    return [p for p in folder.rglob("*") if p.is_file()]


@pytest.mark.parametrize("part", ["", "new"])
def test_mailbox_that_is_a_symlink_costs_its_user_alone(gateway, part):
    """From before the start: the program runs, mail for that user is kept, postmaster hears of it once."""
    g = gateway({"user boris": {"password": "x"}}, start=False)
    link, trap = make_trap(g, part)
    g.start()
    g.wait_box("postmaster")
    for n in range(5):
        g.send("anna@office.lan", ["boris", "anna"], message(f"m{n}"))
    g.wait_box("anna", 5)
    with POP3(g.pop3_port) as p:
        p.ok("USER boris")
        assert p.cmd("PASS x").startswith("-ERR [SYS/TEMP]")
    g.restart(kill=True)
    g.send("anna@office.lan", ["boris", "anna"], message("m5"))
    g.wait_box("anna", 6)
    assert not files_in(trap), "nothing went where the link points"
    assert len(g.box("postmaster")) == 1 and g.box("postmaster")[0].count(b"boris") >= 2
    assert b"symbolic links are not followed" in g.box("postmaster")[0]
    assert "report.lost" not in g.log()
    link.unlink()
    if part:
        link.mkdir()
    g.restart()
    g.wait_box("boris", 6)
    assert g.subjects("boris") == g.subjects("anna") == [f"m{n}" for n in range(6)]


def test_mailbox_that_becomes_a_symlink_is_told_of_once(gateway):
    """However many messages wait for it: a line in the log for the mailbox, not for each message."""
    g = gateway()
    make_trap(g, "new")
    for n in range(40):
        g.send("anna@office.lan", ["boris", "anna"], message(f"m{n}"))
    g.wait_box("anna", 40)
    g.wait_box("postmaster")
    log = g.log()
    assert len(re.findall(r" delivery\.link .*boris", log)) == 1
    assert len(re.findall(r" report .*A mailbox cannot be written", log)) == 1
    assert "report.lost" not in log and len(g.box("postmaster")) == 1


def test_reload_with_a_user_whose_mailbox_is_a_symlink(gateway):
    g = gateway()
    (g.home / "elsewhere").mkdir()
    (g.home / "mailboxes/clara").symlink_to(g.home / "elsewhere")
    g.reload({"user clara": {}})
    g.wait_box("postmaster")
    g.send("anna@office.lan", ["boris", "clara"], message())
    g.wait_box("boris")
    assert not os.listdir(g.home / "elsewhere")


def test_file_in_the_place_of_a_mailbox(gateway):
    g = gateway(start=False)
    (g.home / "mailboxes/boris").write_text("no folder")
    g.start()
    g.send("anna@office.lan", ["boris", "anna"], message())
    g.wait_box("anna")
    g.wait_box("postmaster")
    assert (g.home / "mailboxes/boris").read_text() == "no folder"


def test_hard_link_traps(gateway):
    """A name in a mailbox that is a link to somebody's file: reading shows it, deleting takes the name alone, and no
    delivery ever writes into a file that was there before."""
    g = gateway({"user boris": {"password": "x"}})
    outside = g.home / "outside"
    outside.write_bytes(b"Subject: theirs\r\n\r\nbody\r\n")
    for name in ("1600000000.M1P1.host", f"1600000001.{1:020x},S={outside.stat().st_size}"):
        os.link(outside, g.home / "mailboxes/boris/new" / name)
    before = outside.read_bytes()
    g.send("anna@office.lan", ["boris"], message("ours"))
    g.wait_box("boris", 3)
    with g.pop3("boris", "x") as p:
        assert p.stat()[0] == 3
        for n in range(1, 4):
            p.retr(n)
            p.ok(f"DELE {n}")
        p.quit()
    assert outside.read_bytes() == before and outside.stat().st_nlink == 1
    assert g.box("boris") == []


def test_spool_that_is_a_symlink(gateway):
    """The spool is everybody's: without it the start fails, and says which."""
    g = gateway(start=False)
    (g.home / "elsewhere").mkdir()
    (g.home / "mailboxes/.spool").symlink_to(g.home / "elsewhere")
    g.start(wait=False)
    assert g.process.wait(20) == 1 and ".spool" in g.stderr()
    g.process = None
    assert not os.listdir(g.home / "elsewhere")
