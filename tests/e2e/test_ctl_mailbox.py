"""ofmctl mailbox: seen, exported as an mbox file, restored."""
import mailbox as mbox_module
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
