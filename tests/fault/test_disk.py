"""A disk that is full, out of inodes, failing, read-only or not there: refused for the time being, nothing lost, and all
well again by itself when the disk is."""
import errno
import os
import subprocess

import pytest

from crash import peers, shim
from lib import scratch
from lib.gateway import OFMCTL, OFMSRV, message

TROUBLE = "delivery.trouble"


@pytest.fixture
def tmpfs():
    """tmpfs(options) mounts one; all are unmounted at the end."""
    made = []

    def make(options):
        path = scratch.folder("tmpfs")
        p = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], capture_output=True, text=True)
        if p.returncode != 0:
            scratch.remove(path)
            pytest.skip("this machine does not let us mount: " + p.stderr.strip())
        made.append(path)
        return path
    yield make
    for path in made:
        subprocess.run(["umount", "-l", path], check=False)
        scratch.remove(path)


@pytest.fixture
def provider():
    p = peers.Provider()
    yield p
    p.close()


def account(provider):
    return {"host": "127.0.0.1", "port": provider.port, "security": "none", "auth": "plain", "user": "box",
            "password": "secret", "keep": 0, "deliver": "anna"}


def at_home_on(g, disk, *folders):
    """Before its start: these folders of the gateway lie on that disk."""
    for name in folders:
        (disk / name).mkdir()
        if (g.home / name).exists():
            (g.home / name).rmdir()
        (g.home / name).symlink_to(disk / name)
    g.write({"server": {name: disk / name for name in folders}})


def attempt(g, subject):
    """The code of the reply to a message for boris; 0 where the connection was closed without one."""
    try:
        with g.smtp() as s:
            for line in ("MAIL FROM:<anna@office.lan>", "RCPT TO:<boris@office.lan>"):
                code = s.cmd(line)[0]
                if code >= 400:
                    return code
            return s.data(message(subject))[0]
    except (OSError, EOFError):
        return 0


def wait_accepted(g, subject):
    scratch.wait_for(lambda: attempt(g, subject) == 250, 30, lambda: "a 250; " + g.log()[-2000:])


def wait_report(g):
    scratch.wait_for(lambda: [m for m in g.box("postmaster") if b"could not be stored" in m], 20,
                     lambda: "a report to postmaster; " + g.log()[-2000:])


def fill_bytes(disk):
    with open(disk / "filler", "wb", buffering=0) as f:
        for size in (1 << 20, 4096):
            while True:
                try:
                    f.write(bytes(size))
                except OSError as e:
                    assert e.errno == errno.ENOSPC
                    break
    return lambda: os.unlink(disk / "filler")


def fill_inodes(disk):
    (disk / "fillers").mkdir()
    made = []
    while True:
        try:
            path = disk / "fillers" / str(len(made))
            path.touch()
            made.append(path)
        except OSError as e:
            assert e.errno == errno.ENOSPC
            break
    return lambda: [p.unlink() for p in made]


@pytest.mark.parametrize("options,fill", [("size=24m", fill_bytes), ("size=64m,nr_inodes=400", fill_inodes)],
                         ids=["no bytes", "no inodes"])
def test_full_disk_refuses_for_now_and_recovers_by_itself(gateway, tmpfs, provider, options, fill):
    disk = tmpfs(options)
    provider.fill({f"u{n}": message(f"collected {n}") for n in range(3)})
    g = gateway({"account info": account(provider), "server": {"control": f"{disk}/control.sock"}}, start=False)
    at_home_on(g, disk, "mailboxes", "outqueue", "state")
    g.start()
    g.send("anna@office.lan", ["boris@office.lan"], message("before"))
    g.wait_box("boris", 1)
    free = fill(disk)
    assert [attempt(g, "refused") for _ in range(5)] == [452] * 5
    g.ctl("sync", "--wait")
    assert len(provider.messages) == 3 and not provider.deleted
    # What frees space still works.
    with g.pop3("boris") as p:
        assert len(p.all()) == 1
        p.ok("DELE 1")
        assert p.quit().startswith("+OK")
    free()
    wait_accepted(g, "after")
    g.sync()
    g.wait_box("anna", 3)
    wait_report(g)
    assert g.log().count(TROUBLE) == 1, g.log()
    g.restart(kill=True)
    assert g.subjects("boris") == ["after"]
    assert g.subjects("anna") == [f"collected {n}" for n in range(3)]
    assert not provider.messages


@pytest.fixture
def shimmed(gateway):
    """A gateway under the shim, and the shim."""
    s = shim.Shim(scratch.folder("shim"))
    g = gateway(start=False)
    g.env = s.env(g.home)
    s.arm()
    g.start()
    yield g, s
    s.calm()
    home = s.library.parent
    s.close()
    scratch.remove(home)


def checked(g):
    return subprocess.run([OFMCTL, "-d", str(g.home), "check"], capture_output=True, text=True, timeout=60)


def test_flush_fails_with_eio(shimmed):
    g, s = shimmed
    g.send("anna@office.lan", ["boris@office.lan"], message("before"))
    g.wait_box("boris", 1)
    s.fail_from_now(errno.EIO, shim.mask("fsync", "syncfs"))
    answers = [attempt(g, f"during {n}") for n in range(3)]
    assert 250 not in answers, answers
    s.calm()
    wait_accepted(g, "after")
    wait_report(g)
    assert g.log().count(TROUBLE) == 1
    g.wait_box("boris", 2)
    g.restart(kill=True)
    # What was answered 452 is nowhere; what got no answer may be there, once.
    unknown = [f"during {n}" for n, code in enumerate(answers) if code == 0]
    got = g.subjects("boris")
    assert got.count("before") == got.count("after") == 1
    assert len(got) == len(set(got)) and set(got) <= {"before", "after", *unknown}


def test_large_message_meets_an_io_error(shimmed):
    """The disk's own error, not a lack of room; the log, health and a letter say so."""
    g, s = shimmed
    large = message("large", body=b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 20000)
    s.fail_from_now(errno.EIO, shim.mask("fsync", "syncfs"))
    with g.smtp() as c:
        c.ok("MAIL FROM:<anna@office.lan>")
        c.ok("RCPT TO:<boris@office.lan>")
        code, text = c.data(large)
        assert code == 451 and "4.3.0" in text and "room" not in text, text
    assert g.log().count(TROUBLE) == 1 and "Input/output error" in g.log()
    code, text = g.ctl("health").returncode, g.ctl("health").stdout
    assert code != 0 and "Input/output error" in text, text
    s.calm()
    wait_accepted(g, "after")
    wait_report(g)
    with g.smtp() as c:
        c.ok("MAIL FROM:<anna@office.lan>")
        c.ok("RCPT TO:<boris@office.lan>")
        assert c.data(large)[0] == 250
    g.wait_box("boris", 2)
    assert sorted(g.subjects("boris")) == ["after", "large"]


def test_large_collected_message_meets_an_io_error(shimmed, provider):
    """Told as the disk's own error; the session ends without QUIT, and the message is collected later."""
    g, s = shimmed
    large = message("large", body=b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 40000)
    g.reload({"account info": account(provider)})
    g.send("anna@office.lan", ["anna@office.lan"], message("before"))
    g.wait_box("anna", 1)
    provider.fill({"u1": large})
    s.fail_from_now(errno.EIO, shim.mask("create"))  # its file in the spool; the database is open
    g.ctl("sync", "--wait")
    assert len(provider.messages) == 1 and not provider.deleted
    assert "disk fails" in g.log() and "no room on this" not in g.log()
    assert "Input/output error" in g.log()
    assert "Input/output error" in g.ctl("health").stdout
    s.calm()
    g.sync()
    g.wait_box("anna", 2)
    assert g.subjects("anna") == ["before", "large"] and not provider.messages


def test_a_folder_that_cannot_be_made_while_ports_are_open_does_not_end_the_start(shimmed):
    g, s = shimmed
    g.stop()
    s.arm()
    g.start()  # the first start made more
    g.stop()
    total = s.count  # all changes of such a life; the last mkdir calls among them come behind the ports
    for back in range(0, total, 4):
        s.arm(shim.FAIL, total - back, shim.FOREVER, errno.EIO, shim.mask("mkdir"))
        started = g.log().count(" start version=")
        g.start()  # fails the test if the program ends
        scratch.wait_for(lambda: g.log().count(" start version=") > started, 10, g.log)
        if s.fired:
            break
        g.stop()
    assert s.fired and g.log().count("mailbox.not_made") == 1
    s.calm()
    g.send("anna@office.lan", ["boris@office.lan"], message("later"))
    g.wait_box("boris", 1)


@pytest.mark.parametrize("crash", [False, True])
def test_what_quit_has_promised_is_never_seen_again(shimmed, crash):
    """+OK follows the commit; the disk gives up the files when it can, or the next start has it do so."""
    g, s = shimmed
    for n in range(3):
        g.send("anna@office.lan", ["boris@office.lan"], message(f"{n}"))
    g.wait_box("boris", 3)
    s.fail_from_now(errno.EIO, shim.mask("unlink"))
    with g.pop3("boris") as p:
        p.ok("DELE 1")
        p.ok("DELE 3")
        p.quit()
    scratch.wait_for(lambda: "delivery.unlink" in g.log(), 10, g.log)
    assert len(g.subjects("boris")) == 3
    with g.pop3("boris") as p:
        assert p.stat()[0] == 1 and b"Subject: 1\r\n" in p.retr(1)
        p.quit()
    s.calm()
    if crash:
        g.restart(kill=True)
        assert g.subjects("boris") == ["1"]
    g.wait_box("boris", 1)
    with g.pop3("boris") as p:
        assert p.stat()[0] == 1
        p.quit()


def test_settling_waits_for_a_disk_that_cannot_flush(shimmed):
    g, s = shimmed
    s.fail_from_now(errno.EIO, shim.mask("syncfs"))
    g.send("anna@office.lan", ["boris@office.lan"], message("accepted"))
    with g.pop3("boris") as p:  # no log-in waits for it
        assert p.list() == {}
        p.quit()
    assert g.box("boris") == []
    s.calm()
    assert len(g.wait_box("boris", 1)) == 1
    assert g.log().count(TROUBLE) == 1


def test_read_only_remount(gateway, tmpfs):
    disk = tmpfs("size=24m")
    g = gateway(start=False)
    at_home_on(g, disk, "mailboxes")
    g.start()
    g.send("anna@office.lan", ["boris@office.lan"], message("before"))
    g.wait_box("boris", 1)

    def remount(how):
        return subprocess.run(["mount", "-o", f"remount,{how}", disk], capture_output=True, text=True).returncode == 0
    scratch.wait_for(lambda: remount("ro"), 10, "a moment without open files")
    assert [attempt(g, "refused") for _ in range(3)] == [452] * 3
    assert remount("rw")
    wait_accepted(g, "after")
    wait_report(g)
    assert g.log().count(TROUBLE) == 1
    g.wait_box("boris", 2)
    assert g.subjects("boris") == ["after", "before"]


@pytest.mark.parametrize("folder", ["mailboxes", "outqueue"])
def test_folder_is_not_mounted(gateway, folder):
    g = gateway()
    g.send("anna@office.lan", ["boris@office.lan"], message("kept"))
    g.wait_box("boris", 1)
    g.stop()
    (g.home / folder).rename(g.home / "away")
    (g.home / folder).mkdir()
    p = subprocess.run([OFMSRV, "-d", str(g.home)], capture_output=True, text=True, timeout=60)
    assert p.returncode == 1
    said = [line for line in p.stderr.splitlines() if line.startswith("ofmsrv: ")]
    assert len(said) == 1 and f"[server] {folder}:" in said[0] and "Is its disk mounted?" in said[0], p.stderr
    assert list((g.home / folder).glob("*")) == []
    c = checked(g)
    assert c.returncode == 1 and f"[server] {folder}: " in c.stdout and "Is its disk mounted?" in c.stdout
    (g.home / folder).rmdir()
    (g.home / "away").rename(g.home / folder)
    assert "mounted" not in checked(g).stdout
    g.start()
    assert g.subjects("boris") == ["kept"]


def test_state_is_not_mounted(gateway):
    g = gateway()
    g.send("anna@office.lan", ["boris@office.lan"], message("kept"))
    g.wait_box("boris", 1)
    g.stop()
    assert "mounted" not in checked(g).stdout
    (g.home / "state").rename(g.home / "away")
    (g.home / "state").mkdir()
    c = checked(g)
    assert c.returncode == 0 and "[server] state: warning: " in c.stdout and "Is its disk mounted?" in c.stdout
    assert list((g.home / "state").iterdir()) == []  # it only looked
    (g.home / "state").rmdir()
    (g.home / "away").rename(g.home / "state")
    g.start()
    assert g.subjects("boris") == ["kept"]


def test_folders_of_two_installations(gateway):
    g, other = gateway(), gateway()
    g.stop()
    other.stop()
    (g.home / "outqueue").rename(g.home / "away")
    (other.home / "outqueue").rename(g.home / "outqueue")
    for text in ("Is its disk mounted?", "another installation"):
        c = checked(g)
        assert c.returncode == 1 and "[server] outqueue: " in c.stdout and text in c.stdout
        p = subprocess.run([OFMSRV, "-d", str(g.home)], capture_output=True, text=True, timeout=60)
        assert p.returncode == 1 and "[server] outqueue: " in p.stderr and text in p.stderr
        (g.home / "state/ofmsrv.id").unlink(missing_ok=True)
    (g.home / "outqueue").rename(other.home / "outqueue")
    (g.home / "away").rename(g.home / "outqueue")
    g.start()


def test_mailbox_folder_alone_cannot_be_written(gateway, tmpfs):
    """One mailbox on a full disk of its own: everybody else is served, and its mail waits."""
    disk = tmpfs("size=1m")
    g = gateway(start=False)
    box = g.home / "mailboxes/boris"
    box.mkdir()
    p = subprocess.run(["mount", "--bind", disk, box], capture_output=True, text=True)
    if p.returncode != 0:
        pytest.skip("this machine does not let us mount: " + p.stderr)
    try:
        g.start()
        free = fill_bytes(disk)
        big = message("waits", body=b"x" * 900 + b"\r\n")
        g.send("anna@office.lan", ["boris@office.lan", "anna@office.lan"], big)
        g.wait_box("anna", 1)
        scratch.wait_for(lambda: g.box("postmaster"), 20, "a report")
        assert g.box("boris") == []
        free()
        assert len(g.wait_box("boris", 1, seconds=70)) == 1
        g.restart(kill=True)
        assert g.subjects("boris") == ["waits"] and g.subjects("anna") == ["waits"]
        g.stop()
    finally:
        subprocess.run(["umount", "-l", box], check=False)

