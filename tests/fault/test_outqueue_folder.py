"""The outqueue's folder refuses names, is full, or is gone: what was accepted stays in the queue, people are told, and it
leaves when the folder is well again. A message is dropped for a missing file only where the file was removed by hand."""
import errno
import json
import subprocess

import pytest

from crash import shim
from lib import gateway as gw
from lib import scratch
from lib.sending import mail, to

pytestmark = pytest.mark.skipif(gw.BUILD in ("build-asan", "build-tsan"), reason="a sanitizer wants to be loaded first")
STUCK, WELL = "Outgoing mail cannot be put into its folder", "Outgoing mail can be put into its folder again"
LOST, FOUND = "The folder of outgoing mail is not the one it was", "The folder of outgoing mail is back"


@pytest.fixture
def disk(tmp_path):
    s = shim.Shim(tmp_path)
    yield s
    s.close()


@pytest.fixture
def mount():
    """mount(args, path) mounts; all are unmounted at the end."""
    made = []

    def make(*args):
        p = subprocess.run(["mount", *map(str, args)], capture_output=True, text=True)
        if p.returncode != 0:
            pytest.skip("this machine does not let us mount: " + p.stderr.strip())
        made.append(args[-1])
    yield make
    for path in made:
        subprocess.run(["umount", "-l", path], check=False, capture_output=True)


def house(gateway, relay, disk, **server):
    g = gateway(to(relay.port) | {"server": server}, start=False)
    g.env = disk.env("" if server else g.home)  # "": all that is on this machine
    disk.arm()
    g.start()
    return g


def refuse_names(disk):
    """No link in the outqueue can be made; mailboxes get their mail by a rename."""
    disk.fail_from_now(errno.EACCES, shim.mask("link"))


def wait_subject(g, subject):
    scratch.wait_for(lambda: subject in g.subjects("postmaster"), 20, lambda: f"{g.subjects('postmaster')} {g.log()[-3000:]}")


def health(g):
    p = g.ctl("health")
    return p.returncode, p.stdout


def recipients(g):
    """Of all that waits; their files may be missing."""
    shown = [g.ctl("queue", "show", m["id"], "--json") for m in g.json("queue", "list")["messages"]]
    return [r for p in shown for r in json.loads(p.stdout)["message"]["recipients"]]


def states(g):
    return {r["address"]: r["state"] for r in recipients(g)}


def wait_sent(g, r, *addresses):
    def sent():
        g.ctl("sync", "--wait")
        return sorted(x for a in r.accepted for x in a.recipients) == sorted(addresses)
    scratch.wait_for(sent, 30, g.log)
    scratch.wait_for(lambda: not list((g.home / "outqueue").glob("*.e*")), 20, g.log)
    assert g.json("queue", "list")["messages"] == [] and g.box("anna") == []


def test_outqueue_that_refuses_names_is_told_and_shown(gateway, liar, disk):
    r = liar()
    g = house(gateway, r, disk)
    assert health(g)[0] == 0
    refuse_names(disk)
    mail(g, "x@far.example")
    wait_subject(g, STUCK)
    scratch.wait_for(lambda: len(g.json("queue", "list")["messages"]) == 1, 20, g.log)
    assert states(g) == {"x@far.example": "waiting"}
    rc, text = health(g)
    assert rc == 2 and "outqueue" in text and "ermission" in text
    mail(g, "y@far.example")
    g.ctl("sync", "--wait")
    assert r.accepted == []
    disk.calm()
    wait_subject(g, WELL)
    wait_sent(g, r, "x@far.example", "y@far.example")
    assert health(g)[0] == 0
    assert g.subjects("postmaster") == [WELL, STUCK]


def test_what_was_dropped_before_it_was_placed_leaves_no_file(gateway, liar, disk):
    r = liar()
    g = house(gateway, r, disk)
    refuse_names(disk)
    mail(g, "x@far.example")
    scratch.wait_for(lambda: len(g.json("queue", "list")["messages"]) == 1, 20, g.log)
    g.ctl_ok("queue", "drop", "all")
    scratch.wait_for(lambda: not g.json("queue", "list")["messages"], 20, g.log)
    disk.calm()
    wait_subject(g, WELL)
    wait_sent(g, r)


@pytest.mark.parametrize("kill", [True, False], ids=["SIGKILL", "SIGTERM"])
def test_not_placed_at_the_restart_is_not_dropped(gateway, liar, disk, kill):
    r = liar()
    g = house(gateway, r, disk)
    refuse_names(disk)
    mail(g, "x@far.example")
    wait_subject(g, STUCK)
    disk.state.pid = 0  # the next process is the one to look at
    g.restart(kill=kill)
    assert states(g) == {"x@far.example": "waiting"}
    g.ctl("sync", "--wait")
    assert states(g) == {"x@far.example": "waiting"} and r.accepted == []
    disk.calm()
    wait_sent(g, r, "x@far.example")


def test_no_inodes_at_the_restart(gateway, liar, disk, mount):
    """The row is all there is of the message, and the outqueue's disk takes no file: the start goes on without."""
    r = liar()
    folder = scratch.folder("tmpfs")
    try:
        mount("-t", "tmpfs", "-o", "nr_inodes=200,size=8m", "tmpfs", folder)
        (folder / "outqueue").mkdir()
        g = house(gateway, r, disk, outqueue=folder / "outqueue")
        refuse_names(disk)
        mail(g, "x@far.example")
        wait_subject(g, STUCK)
        g.kill()
        for p in (folder / "outqueue/.spool").glob("*"):
            p.unlink()
        junk = []
        try:
            for n in range(500):
                junk.append(folder / f"junk{n}")
                junk[-1].touch()
        except OSError as e:
            assert e.errno == errno.ENOSPC
        disk.calm()
        g.start()
        assert states(g) == {"x@far.example": "waiting"}
        g.ctl("sync", "--wait")
        assert states(g) == {"x@far.example": "waiting"} and r.accepted == []
        for p in junk:
            p.unlink(missing_ok=True)

        def sent():
            g.ctl("sync", "--wait")
            return len(r.accepted) == 1
        scratch.wait_for(sent, 30, g.log)
        g.stop()
    finally:
        subprocess.run(["umount", "-l", folder], check=False, capture_output=True)
        scratch.remove(folder)


def test_unmounted_while_running(gateway, liar, disk, mount):
    r = liar()
    real, path = scratch.folder("real"), scratch.folder("mounted")
    try:
        mount("--bind", real, path)
        g = house(gateway, r, disk, outqueue=path)
        mail(g, "x@far.example")
        mail(g, "removed@far.example", subject="by hand")
        scratch.wait_for(lambda: len(list(real.glob("*.eml"))) == 2, 20, g.log)
        subprocess.run(["umount", "-l", path], check=True)
        g.ctl("sync", "--wait")
        assert len(g.json("queue", "list")["messages"]) == 2
        assert {"outqueue" in r["last_reply"] for r in recipients(g)} == {True}
        wait_subject(g, LOST)
        assert health(g)[0] == 2
        # What is dropped meanwhile leaves its row behind until its file is gone, too.
        mail(g, "late@far.example", subject="dropped")
        scratch.wait_for(lambda: len(g.json("queue", "list")["messages"]) == 3, 20, g.log)
        g.ctl_ok("queue", "drop", "late@far.example")
        mount("--bind", real, path)
        [one] = [p for p in real.glob("*.eml") if b"by hand" in p.read_bytes()]
        one.unlink()
        g.ctl("sync", "--wait")
        assert [a.recipients for a in r.accepted] == [["x@far.example"]]
        wait_subject(g, FOUND)
        scratch.wait_for(lambda: not g.json("queue", "list")["messages"], 20, g.log)
        assert health(g)[0] == 0 and g.box("anna") == []
        scratch.wait_for(lambda: not list(real.glob("*.e*")), 20, g.log)
        g.stop()
    finally:
        subprocess.run(["umount", "-l", path], check=False, capture_output=True)
        scratch.remove(path)
        scratch.remove(real)
