"""The database deleted, locked, damaged or restored from an old copy: mail in the folders is untouched, nothing is
collected or sent twice, and postmaster hears what happened."""
import shutil
import sqlite3
import time

import pytest

from crash import peers
from lib import scratch
from lib.gateway import message
from lib.sending import to

PAGE = 4096


@pytest.fixture
def provider():
    p = peers.Provider()
    p.fill({f"u{n}": message(f"collected {n}") for n in range(2)})
    yield p
    p.close()


@pytest.fixture
def relay():
    r = peers.Relay(peers.CHUNKING)
    yield r
    r.close()


@pytest.fixture
def used(gateway, provider, relay):
    """A gateway that has collected two messages (kept at the provider), delivered one, and has one waiting to go out."""
    g = gateway({**to(relay.port), "account info": {
        "host": "127.0.0.1", "port": provider.port, "security": "none", "auth": "plain", "user": "box",
        "password": "secret", "keep": "forever", "deliver": "anna"}})
    g.sync()
    g.wait_box("anna", 2)
    g.send("anna@office.lan", ["boris@office.lan"], message("delivered"))
    g.send("anna@office.lan", ["far@far.example"], message("outgoing"))
    g.wait_queue(1)
    g.wait_box("boris", 1)
    scratch.wait_for(lambda: not rows(g, "message"), 10, "everything settled")
    return g


def path(g, suffix=""):
    return g.home / f"state/ofmsrv.db{suffix}"


def rows(g, table):
    db = sqlite3.connect(f"file:{path(g)}?mode=ro", uri=True)
    try:
        return db.execute(f"SELECT * FROM {table}").fetchall()
    finally:
        db.close()


def attempt(g, subject):
    try:
        with g.smtp(timeout=90) as s:
            s.ok("MAIL FROM:<anna@office.lan>")
            s.ok("RCPT TO:<boris@office.lan>")
            return s.data(message(subject))[0]
    except (OSError, EOFError):
        return 0


def expect_rebuilt(g, provider, relay):
    """Mail as it was; the outqueue held; nothing collected again; postmaster told."""
    assert g.subjects("boris") == ["delivered"]
    g.sync()
    provider.fill({**provider.messages, "u9": message("collected 9")})
    g.sync()
    g.wait_box("anna", 3)
    assert g.subjects("anna") == ["collected 0", "collected 1", "collected 9"]
    assert relay.accepted == [] and len(g.queue_files()) == 1
    waiting = g.json("queue", "list")["messages"]
    assert len(waiting) == 1 and waiting[0]["held"], waiting
    scratch.wait_for(lambda: g.box("postmaster"), 20, "a report")
    g.ctl_ok("queue", "release", "all")
    scratch.wait_for(lambda: (g.ctl("sync", "--wait"), len(relay.accepted))[1] == 1, 20, "the released message")
    assert relay.accepted[0].recipients == ["far@far.example"]


def test_deleted_while_stopped(used, provider, relay):
    used.stop()
    for suffix in ("", "-wal", "-shm"):
        path(used, suffix).unlink(missing_ok=True)
    used.start()
    expect_rebuilt(used, provider, relay)


def test_deleted_while_running(used, provider, relay):
    for suffix in ("", "-wal", "-shm"):
        path(used, suffix).unlink(missing_ok=True)
    assert [attempt(used, "refused") for _ in range(3)] == [452] * 3
    assert used.log().count("delivery.trouble") == 1 and "put it back, or restart" in used.log()
    used.restart()
    expect_rebuilt(used, provider, relay)


def test_moved_away_and_put_back_while_running(used):
    path(used).rename(path(used, ".away"))
    assert attempt(used, "refused") == 452
    path(used, ".away").rename(path(used))
    assert attempt(used, "after") == 250
    used.wait_box("boris", 2)
    used.restart(kill=True)
    assert used.subjects("boris") == ["after", "delivered"]


def test_locked_by_another_program(used):
    db = sqlite3.connect(path(used), isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    try:
        assert attempt(used, "refused") in (0, 452)
    finally:
        db.execute("ROLLBACK")
        db.close()
    scratch.wait_for(lambda: attempt(used, "after") == 250, 30, "a 250")
    used.wait_box("boris", 2)
    assert used.subjects("boris") == ["after", "delivered"]


def damage(g, page):
    with open(path(g), "r+b") as f:
        f.seek((page - 1) * PAGE)
        f.write(b"\xa5" * PAGE)


def test_corrupt_page(used, provider, relay):
    used.stop()
    damage(used, 3)
    used.start()
    assert "database.damaged" in used.log() and list((used.home / "state").glob("ofmsrv.db.damaged-*"))
    expect_rebuilt(used, provider, relay)


def test_corrupt_page_that_only_recovery_reads(used, provider, relay):
    """A database too large to be looked over at each start: rows that cannot be read are not taken for no rows."""
    used.stop()
    db = sqlite3.connect(path(used))
    db.execute("CREATE TABLE ballast(x)")
    db.execute("INSERT INTO ballast VALUES(zeroblob(70000000))")
    root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'message'").fetchone()[0]
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    damage(used, root)
    used.start()
    assert "database.damaged" in used.log()
    expect_rebuilt(used, provider, relay)


def copy_of(g, name):
    """As a backup makes one while the program runs."""
    source, target = sqlite3.connect(path(g)), sqlite3.connect(g.home / name)
    source.backup(target)
    source.close()
    target.close()


def put_copy(g, name):
    for suffix in ("-wal", "-shm"):
        path(g, suffix).unlink(missing_ok=True)
    shutil.copy(g.home / name, path(g))


def test_restored_from_yesterday(used, provider, relay):
    copy_of(used, "yesterday.db")
    # Since then: one more collected, one more queued, one that was waiting has left in part, one read and deleted.
    provider.fill({**provider.messages, "u2": message("collected 2")})
    used.sync()
    scratch.wait_for(lambda: relay.accepted, 20, "the message at the relay")
    used.wait_box("anna", 3)
    used.stop()
    put_copy(used, "yesterday.db")
    # The copy was made in the moment when a message since deleted was not yet settled.
    db = sqlite3.connect(path(used))
    db.execute("INSERT INTO message(name, size, spilled, dests, bytes) VALUES('1700000000.00000000000000000001', 9, 0,"
               " 'm boris\n', 'A: b\r\n\r\nc')")
    db.commit()
    db.close()
    used.start()
    used.sync()
    time.sleep(0.5)
    assert used.subjects("anna") == ["collected 0", "collected 1", "collected 2"]
    assert used.subjects("boris") == ["delivered"]
    assert len(relay.accepted) == 1 and used.queue_files() == []
    scratch.wait_for(lambda: used.box("postmaster"), 20, "a report")


def test_old_copy_holds_what_may_have_left_since(used, relay):
    """Two recipients, of whom one had the message after the copy was made: not sent to either before somebody looks."""
    used.stop()
    shutil.copy(path(used), used.home / "yesterday.db")
    used.start()
    used.stop()
    put_copy(used, "yesterday.db")
    used.start()
    used.ctl("sync", "--wait")
    time.sleep(0.5)
    assert relay.accepted == [] and used.json("queue", "list")["messages"][0]["held"]
