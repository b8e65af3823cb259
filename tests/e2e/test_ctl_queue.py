"""ofmctl queue: what it says is done is done, and every id of a message is understood."""
import subprocess
import threading

import pytest

from lib import gateway as gw, liar, scratch
from lib.gateway import message

SLOW_DISK = ["strace", "-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e",
             "inject=fsync,fdatasync:delay_enter=150000"]


@pytest.fixture
def queue(gateway):
    """Three messages wait for a relay that is not there; the disk takes 150 ms for a flush."""
    g = gateway({"relay": {"host": "127.0.0.1", "port": scratch.free_port(), "security": "none"}}, start=False)
    g.prefix = SLOW_DISK
    g.start()
    g.kept = {}
    for name in "abc":
        with g.smtp() as s:
            s.mail("anna@office.lan", [f"{name}@far.example"], message(name))
            s.quit()
    g.wait_queue(3)
    scratch.wait_for(lambda: len(g.json("queue")["messages"]) == 3, 20, "the queue's rows")
    for m in g.json("journal")["messages"]:
        g.kept[m["subject"]] = m["id"]
    yield g
    if g.prefix:
        end(g, "-TERM")


def end(g, how):
    """strace keeps signals for itself: they are for its child."""
    subprocess.run(["pkill", how, "-P", str(g.process.pid)], check=True)
    g.process.wait(40)


def rows(g):
    return {m["to"][:1] or m["id"]: m for m in g.json("queue")["messages"]}


def test_the_list_right_behind_shows_what_was_done(queue):
    g = queue
    g.ctl_ok("queue", "hold", "a@far.example")
    assert {k: m["held"] for k, m in rows(g).items()} == {"a": True, "b": False, "c": False}
    g.ctl_ok("queue", "release", "all")
    assert not any(m["held"] for m in rows(g).values())
    g.ctl_ok("queue", "drop", "b@far.example")
    assert sorted(rows(g)) == ["a", "c"]
    g.ctl_ok("queue", "drop", "all")
    assert rows(g) == {} and g.json("status")["queue"]["length"] == 0


def test_what_was_done_survives_a_crash(queue):
    g = queue
    g.ctl_ok("queue", "hold", "a@far.example")
    g.ctl_ok("queue", "drop", "b@far.example")
    end(g, "-KILL")
    g.process = None
    g.prefix = []
    g.start()
    assert {k: m["held"] for k, m in rows(g).items()} == {"a": True, "c": False}


def test_the_id_of_the_reply_is_an_id_here(queue):
    g = queue
    kept = g.kept
    own = {m["to"][0]: m["id"] for m in g.json("queue")["messages"]}
    assert g.json("queue", "show", kept["b"])["message"]["id"] == own["b"]
    assert "b@far.example" in g.ctl_ok("queue", "show", kept["b"])
    assert "Held: 1" in g.ctl_ok("queue", "hold", kept["b"])
    assert [k for k, m in rows(g).items() if m["held"]] == ["b"]
    assert "Released: 1" in g.ctl_ok("queue", "release", kept["b"])
    assert "now: 1" in g.ctl_ok("queue", "retry", kept["b"])
    assert "Dropped: 1" in g.ctl_ok("queue", "drop", kept["b"])
    assert sorted(rows(g)) == ["a", "c"]
    for verb in ("show", "hold", "release", "retry", "drop"):
        p = g.ctl("queue", verb, kept["b"])
        assert p.returncode == 1 and "ofmctl queue lists" in p.stderr, verb
    assert [m["subject"] for m in g.json("journal", "--id", kept["b"])["messages"]] == ["b"]


def test_a_message_that_waits_as_several(gateway):
    """Forwards leave as messages of their own: each is acted on by the id of the reply; show asks for one."""
    g = gateway({"relay": {"host": "127.0.0.1", "port": scratch.free_port(), "security": "none"},
                 "user anna": {"forward": "anna@home.example"}, "user boris": {"forward": "boris@home.example"}})
    g.send("boris@office.lan", ["anna", "x@far.example"], message("both"))
    g.wait_queue(2)
    scratch.wait_for(lambda: len(g.json("queue")["messages"]) == 2, 20, "the queue's rows")
    kept = next(m["id"] for m in g.json("journal")["messages"] if m["subject"] == "both")
    p = g.ctl("queue", "show", kept)
    assert p.returncode == 1 and all(m["id"] in p.stderr for m in g.json("queue")["messages"])
    assert "Held: 2" in g.ctl_ok("queue", "hold", kept)
    assert all(m["held"] for m in g.json("queue")["messages"])


def test_what_is_being_sent_is_told(gateway):
    asked, answer = threading.Event(), threading.Event()

    def reply(verb, arg, connection):
        if verb == ".":
            asked.set()
            answer.wait(30)
    relay = liar.Liar(reply)
    g = gateway({"relay": {"host": "127.0.0.1", "port": relay.port, "security": "none"}})
    g.send("anna@office.lan", ["x@far.example"], message("on the wire"))
    g.wait_queue(1)
    g.ctl_ok("sync")
    assert asked.wait(20)
    assert "the relay's reply decides" in g.ctl_ok("queue", "drop", "x@far.example")
    answer.set()
    g.wait_queue(0)
    assert len(relay.accepted) == 1 and g.json("journal")["messages"][0]["state"] == "sent"
    relay.close()


def test_a_message_whose_file_cannot_be_read(queue):
    g = queue
    row = next(m for m in g.json("queue")["messages"] if m["to"] == "a@far.example")
    path = g.home / "outqueue" / f"{row['id']}.eml"
    path.rename(g.home / "aside")
    path.mkdir()
    p = g.ctl("queue", "show", row["id"])
    assert p.returncode == 1 and "cannot be read" in p.stdout
    path.rmdir()
    (g.home / "aside").rename(path)
