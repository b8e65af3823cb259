"""ofmctl mailbox: seen, exported as an mbox file, restored."""
import json
import mailbox as mbox_module
import os
import resource
import shutil
import subprocess

import pytest

from lib import gateway as gw
from lib.gateway import message

TRICKY = [message("plain"),
          message("From inside", body=b"From here\r\n>From there\r\n>>From deep\r\n\r\nFrom after an empty line\r\n"),
          message("no end", body=b"no line end at its end"),
          message("empty lines", body=b"\r\n\r\n\r\n"),
          message("8 bit", body="Привет\r\n".encode() + b"\xff\x00\xfe\r\n")]


def filled(gateway, messages=TRICKY):
    g = gateway()
    for m in messages:
        g.send("boris@office.lan", "anna", m)
    g.wait_box("anna", len(messages))
    return g


def bodies(g, user):
    return sorted(m.partition(b"\r\n\r\n")[2] for m in g.box(user))


def test_list_and_show(gateway):
    g = filled(gateway)
    rows = g.json("mailbox", "anna")["messages"]
    assert [r["subject"] for r in rows] == ["plain", "From inside", "no end", "empty lines", "8 bit"]
    assert [r["number"] for r in rows] == [1, 2, 3, 4, 5] and rows[0]["from"] == "anna@office.lan"
    with g.pop3("anna") as c:
        assert [r["uidl"] for r in rows] == [c.cmd(f"UIDL {i}").split()[-1] for i in range(1, 6)]
    files = sorted((g.home / "mailboxes/anna").glob("[nc]*/*"), key=lambda p: p.name)
    for which in ("2", rows[1]["uidl"]):
        p = subprocess.run([gw.OFMCTL, "-d", str(g.home), "mailbox", "anna", "show", which], capture_output=True)
        assert p.stdout == files[1].read_bytes()
    assert "no end" in g.ctl_ok("mailbox", "anna", "list")
    assert g.json("mailbox", "anna", "show", "1")["message"].startswith("Return-Path:")


def test_export_is_an_mbox_that_others_read(gateway):
    g = filled(gateway)
    out = g.home / "anna.mbox"
    assert "5 messages" in g.ctl_ok("mailbox", "anna", "export", out)
    assert out.stat().st_mode & 0o777 == 0o600
    theirs = mbox_module.mbox(out)
    assert [m["Subject"] for m in theirs] == ["plain", "From inside", "no end", "empty lines", "8 bit"]
    theirs.close()
    assert g.ctl("mailbox", "anna", "export", out).returncode == 1, "no file is overwritten"
    p = subprocess.run([gw.OFMCTL, "-d", str(g.home), "mailbox", "anna", "export"], capture_output=True)
    assert p.stdout == out.read_bytes()


def test_restore_gives_back_what_was_exported(gateway):
    g = filled(gateway)
    out = g.home / "anna.mbox"
    g.ctl_ok("mailbox", "anna", "export", out)
    assert "5 messages put" in g.ctl_ok("mailbox", "boris", "restore", out)
    want = [m if m.endswith(b"\r\n") else m + b"\r\n" for m in g.box("anna")]
    assert sorted(g.box("boris")) == sorted(want)
    # The POP3 server serves it, with the size that it says.
    with g.pop3("boris") as c:
        assert c.cmd("STAT").split()[1:] == ["5", str(sum(map(len, want)))]
    owner = (g.home / "mailboxes/boris/new").stat()
    assert all(f.stat().st_uid == owner.st_uid for f in (g.home / "mailboxes/boris/new").iterdir())


def test_restore_of_one_message_and_of_nothing(gateway):
    g = gateway()
    one = g.home / "one.eml"
    one.write_bytes(message("single").replace(b"\r\n", b"\n"))
    g.ctl_ok("mailbox", "anna", "restore", one)
    assert g.subjects("anna") == ["single"]
    (g.home / "empty").write_bytes(b"")
    assert g.ctl("mailbox", "anna", "restore", g.home / "empty").returncode == 1


@pytest.mark.parametrize("args,why", [(["nobody"], "no user nobody"), (["daemon"], "no mailbox"), ([], "USER"),
                                      (["anna", "show"], "NUMBER"), (["anna", "show", "9"], "no message 9"),
                                      (["anna", "exprot"], "did you mean export?"), (["anna", "restore"], "mbox"),
                                      (["anna", "list", "1"], "list takes no 1")])
def test_mistakes(gateway, args, why):
    g = gateway()
    p = g.ctl("mailbox", *args)
    assert p.returncode == 1 and why in p.stderr and not p.stdout


# ---- whole, or an error and nothing ----

def run(g, *args, **kw):
    return subprocess.run([gw.OFMCTL, "-d", str(g.home), *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, **kw)


def unreadable_from(g, path, nth, *args):
    """ofmctl with a disk that fails at the nth read of this file."""
    return subprocess.run(["strace", "-f", "-o", "/dev/null", "-P", str(path), "-e", "trace=read", "-e",
                           f"inject=read:error=EIO:when={nth}+", gw.OFMCTL, "-d", str(g.home), *map(str, args)],
                          stdin=subprocess.DEVNULL, capture_output=True)


def small_files_only():
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))


def files_of(g, user):
    return sorted(p.name for sub in ("tmp", "new", "cur") for p in (g.home / "mailboxes" / user / sub).iterdir())


BIG = message("big", body=b"0123456789abcde\r\n" * 60_000)


def test_export_with_a_read_error_is_an_error_and_nothing(gateway):
    g = filled(gateway, [message("first"), BIG, message("last")])
    big = max((p for p in (g.home / "mailboxes/anna").glob("[nc]*/*")), key=lambda p: p.stat().st_size)
    out = g.home / "anna.mbox"
    before = sorted(os.listdir(g.home))
    for nth in (1, 2):
        for args in (("export", out), ("export",), ("show", "2")):
            p = unreadable_from(g, big, nth, "mailbox", "anna", *args)
            assert p.returncode == 1 and b"Input/output error" in p.stderr and b"message 2 of anna" in p.stderr, (args, p)
    assert sorted(os.listdir(g.home)) == before
    p = unreadable_from(g, big, 1, "mailbox", "anna", "--json")
    assert p.returncode == 1 and b"Input/output error" in p.stderr
    assert [m["subject"] for m in json.loads(p.stdout)["messages"]] == ["first", "", "last"]


def test_export_to_a_full_disk_is_an_error_and_nothing(gateway):
    g = filled(gateway, [BIG])
    before = sorted(os.listdir(g.home))
    p = run(g, "mailbox", "anna", "export", g.home / "anna.mbox", preexec_fn=small_files_only, restore_signals=False)
    assert p.returncode == 1 and b"File too large" in p.stderr and b"anna.mbox" in p.stderr and not p.stdout
    assert sorted(os.listdir(g.home)) == before
    for args in (("export",), ("show", "1"), ("list",), ("--json",)):
        with open("/dev/full", "wb") as full:
            p = subprocess.run([gw.OFMCTL, "-d", str(g.home), "mailbox", "anna", *args], stdout=full, stderr=subprocess.PIPE)
        assert p.returncode == 1 and b"ofmctl: " in p.stderr, args


def test_restore_is_whole_or_an_error_and_nothing(gateway):
    g = filled(gateway, [message("first"), BIG, message("last")])
    out = g.home / "anna.mbox"
    g.ctl_ok("mailbox", "anna", "export", out)
    nothing = files_of(g, "boris")
    cut = g.home / "cut.mbox"
    cut.write_bytes(out.read_bytes()[:-100])
    p = g.ctl("mailbox", "boris", "restore", cut)
    assert p.returncode == 1 and "cut off" in p.stderr and "nothing was restored" in p.stderr
    for nth in (1, 2, 3):
        p = unreadable_from(g, out, nth, "mailbox", "boris", "restore", out)
        assert p.returncode == 1 and b"Input/output error" in p.stderr and b"nothing was restored" in p.stderr
    p = run(g, "mailbox", "boris", "restore", out, preexec_fn=small_files_only, restore_signals=False)
    assert p.returncode == 1 and b"File too large" in p.stderr
    for odd in ("/proc/self/mem", g.home, g.home / "nosuch"):
        p = g.ctl("mailbox", "boris", "restore", odd)
        assert p.returncode == 1 and str(odd) in p.stderr and not p.stdout
    assert files_of(g, "boris") == nothing


def test_restore_of_more_than_four_gibibytes(gateway):
    """An mbox of 4.2 GiB in a sparse file; where the disk is too small for it, that is an error and nothing."""
    g = gateway()
    big = g.home / "big.mbox"
    with open(big, "wb") as f:
        for i in range(3):
            f.write(b"From x Thu Jan  1 00:00:00 1970\nSubject: %d\n\n" % i)
            f.seek(1_500_000_000, os.SEEK_CUR)
            f.write(b"\nend\n\n")
    nothing = files_of(g, "boris")
    if shutil.disk_usage(g.home).free < 20_000_000_000 or not os.environ.get("OFM_LARGE"):
        p = run(g, "mailbox", "boris", "restore", big, preexec_fn=small_files_only, restore_signals=False)
        assert p.returncode == 1 and files_of(g, "boris") == nothing
        return
    assert "3 messages put" in g.ctl_ok("mailbox", "boris", "restore", big, timeout=600)
    sizes = [p.stat().st_size for p in (g.home / "mailboxes/boris/new").iterdir()]
    assert sizes == [1_500_000_000 + len(b"Subject: 0\r\n\r\n\r\nend\r\n")] * 3


@pytest.mark.parametrize("args", [["explain"], ["rule", "test", "r"]])
def test_messages_of_any_size_are_explained_by_their_header(gateway, args):
    g = gateway({"rule r": {"field": "Subject", "contains": "invoice", "deliver": "anna"}})
    big = g.home / "big.eml"
    with open(big, "wb") as f:
        f.write(message("invoice 9"))
        f.truncate(5_000_000_000)
    assert "invoice" in g.ctl_ok(*args, big)
    for odd in ("/proc/self/mem", g.home):
        p = g.ctl(*args, odd)
        assert p.returncode == 1 and str(odd) in p.stderr
    wrong = g.home / "no_end.eml"
    with open(wrong, "wb") as f:
        f.truncate(5_000_000_000)
    p = g.ctl(*args, wrong)
    assert p.returncode == 1 and "header section is longer" in p.stderr
    p = unreadable_from(g, big, 1, *args, big)
    assert p.returncode == 1 and b"Input/output error" in p.stderr


def test_show_by_the_id_of_the_reply(gateway):
    g = gateway()
    with g.smtp() as s:
        s.mail("boris@office.lan", ["anna"], message("one"))
        s.quit()
    g.wait_box("anna", 1)
    kept = g.json("journal")["messages"][0]["id"]
    assert "Subject: one" in g.ctl_ok("mailbox", "anna", "show", kept)
    assert g.ctl("mailbox", "anna", "show", kept[:-1]).returncode == 1
