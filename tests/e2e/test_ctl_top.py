"""ofmctl top on a terminal of 80 by 24, without colours."""
import os
import signal
import termios

import pytest

from lib import gateway as gw, scratch
from lib.gateway import message
from lib.screen import Screen


@pytest.fixture
def top():
    made = []

    def make(g, **kw):
        made.append(Screen([gw.OFMCTL, "-d", str(g.home), "top"], **kw))
        return made[-1]
    yield make
    for s in made:
        s.close()


def busy(gateway, dovecot, mailbox):
    """Two messages wait for a relay that is not there; one account works, one does not."""
    box = {"host": "127.0.0.1", "port": dovecot.port, "security": "none", "user": mailbox, "password": "secret"}
    g = gateway({"relay": {"host": "127.0.0.1", "port": scratch.free_port(), "security": "none"},
                 "account shop": box, "account broken": dict(box, port=scratch.free_port())})
    g.send("anna@office.lan", ["first@far.example"], message("one"))
    g.send("anna@office.lan", ["second@far.example"], message("two"))
    g.wait_queue(2)
    scratch.wait_for(lambda: len(g.json("queue")["messages"]) == 2, 10, "the queue's rows")
    return g


def test_screen_of_80_by_24(gateway, dovecot, mailbox, top):
    dovecot.put(mailbox, message("collected", to="anna@firm.example"))
    g = busy(gateway, dovecot, mailbox)
    g.ctl("sync", "--wait")
    s = top(g)
    text = s.wait("QUEUE (2)", "first@far.example", "second@far.example", "shop", "broken", "failed", "Last hour", "q quit")
    assert all(len(line) <= 80 for line in text.splitlines()) and len(s.lines) == 24
    lines = text.splitlines()
    for title, word, value in (("QUEUE (2)", "TO", "first@far.example"), ("ACCOUNT", "STATE", "failed"),
                               ("ACCOUNT", "LAST ERROR", "cannot")):
        at = next(i for i, line in enumerate(lines) if title in line)
        assert any(line.find(value) == lines[at].index(word) for line in lines[at + 1:]), f"{word} is not above its column"
    rates = {line.split()[0]: line.split()[-1] for line in text.splitlines() if line.startswith((" accepted", " collected"))}
    assert rates == {"accepted": "2", "collected": "1"}
    assert "collected; " in text or "delivered" in text, "the last events"
    s.key("q")
    s.process.wait(10)
    assert s.process.returncode == 0


def test_keys_act(gateway, dovecot, mailbox, top):
    g = busy(gateway, dovecot, mailbox)
    s = top(g)
    s.wait("QUEUE (2)")
    s.key("h")
    s.wait("Held.")
    assert sorted(m["held"] for m in g.json("queue")["messages"]) == [False, True]
    s.key("h")
    s.wait("Released.")
    s.key("j")
    s.key("d")
    s.wait("Drop the mail to", "y/n")
    s.key("n")
    s.wait("q quit")
    assert len(g.json("queue")["messages"]) == 2
    s.key("d")
    s.wait("y/n")
    s.key("y")
    s.wait("Dropped.", "QUEUE (1)")
    s.key("r")
    s.wait("Tried again now.")
    s.key("s")
    s.wait("The sync was started.")
    scratch.wait_for(lambda: g.log().count("sync.start") == 1, 20, "the sync")
    s.key("\t")
    s.key("a")
    s.wait("The sync was started.")
    scratch.wait_for(lambda: g.log().count("sync.start") == 2, 20, "the account's sync")


def test_resize_and_tiny(gateway, dovecot, mailbox, top):
    g = busy(gateway, dovecot, mailbox)
    s = top(g)
    s.wait("QUEUE (2)")
    s.resize(40, 132)
    text = s.wait("QUEUE (2)", "Last events", "q quit")
    assert text.splitlines()[39].startswith("s sync all")
    s.resize(10, 40)
    s.wait("QUEUE (2)", "s sync all")
    assert s.process.poll() is None


def test_comes_back_when_the_daemon_does(gateway, top):
    g = gateway()
    s = top(g)
    s.wait("ofmsrv ", "QUEUE (0)")
    g.stop()
    s.wait("does not answer")
    g.start()
    s.wait("QUEUE (0)")


def test_without_a_terminal(gateway):
    g = gateway()
    p = g.ctl("top")
    assert p.returncode == 1 and "needs a terminal" in p.stderr
    s = Screen([gw.OFMCTL, "-d", str(g.home), "top"], term="nosuchterminal")
    s.wait("not known here")
    assert s.process.wait(10) == 1
    s.close()


def test_colours_where_there_are_any(gateway, dovecot, mailbox):
    g = busy(gateway, dovecot, mailbox)
    g.ctl("sync", "--wait")
    for more, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        s = Screen([gw.OFMCTL, "-d", str(g.home), "top"], term="xterm-256color", **more)
        scratch.wait_for(lambda: s.read(0.3) and b"QUEUE" in s.raw, 30, "the screen")  # more than our vt100 understands
        s.read(1)
        s.close()
        assert (b"\x1b[31m" in s.raw) == coloured


def three(gateway):
    g = gateway({"relay": {"host": "127.0.0.1", "port": scratch.free_port(), "security": "none"}})
    for name in "abc":
        g.send("anna@office.lan", [f"{name}@far.example"], message(name))
    g.wait_queue(3)
    scratch.wait_for(lambda: len(g.json("queue")["messages"]) == 3, 10, "the queue's rows")
    return g


def waiting(g):
    return {m["to"][0]: m["held"] for m in g.json("queue")["messages"]}


def leave(g, s, name, n):
    """Somebody else's doing while the screen is looked at."""
    g.ctl_ok("queue", "drop", f"{name}@far.example")
    s.wait(f"QUEUE ({n})")


def test_the_answer_is_about_the_message_that_the_question_named(gateway, top):
    g = three(gateway)
    s = top(g)
    s.wait("QUEUE (3)")
    s.key("j")
    s.key("d")
    s.wait("Drop the mail to b@far.example")
    leave(g, s, "a", 2)
    s.key("y")
    s.wait("Dropped.", "QUEUE (1)")
    assert waiting(g) == {"c": False}


def test_the_answer_about_a_message_that_has_gone_drops_nothing(gateway, top):
    g = three(gateway)
    s = top(g)
    s.wait("QUEUE (3)")
    s.key("j")
    s.key("d")
    s.wait("Drop the mail to b@far.example")
    leave(g, s, "b", 2)
    s.key("y")
    s.wait("no waiting message")
    assert waiting(g) == {"a": False, "c": False}


def test_the_cursor_stays_with_its_message(gateway, top):
    g = three(gateway)
    s = top(g)
    s.wait("QUEUE (3)")
    s.key("j")
    s.wait("q quit")
    leave(g, s, "a", 2)
    s.key("h")
    s.wait("Held.")
    assert waiting(g) == {"b": True, "c": False}
    leave(g, s, "b", 1)
    for key in "hrd":  # nothing that was not looked at
        s.key(key)
        s.wait("The chosen message has left the queue")
        s.key("s")
        s.wait("sync was started")
    assert waiting(g) == {"c": False}
    s.key("j")
    s.key("h")
    s.wait("Held.")
    assert waiting(g) == {"c": True}


def test_ends_when_its_terminal_is_gone(gateway):
    g = gateway()
    for how in ("terminal", "input"):
        script = 'trap "" HUP; exec "$0" "$@"' if how == "terminal" else 'exec "$0" "$@" < /dev/null'
        s = Screen(["sh", "-c", script, gw.OFMCTL, "-d", str(g.home), "top"])
        if how == "terminal":
            s.wait("QUEUE (0)")
            os.close(s.main)
            s.main = os.open("/dev/null", os.O_RDONLY)
        assert s.process.wait(20) == 0
        s.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_gives_the_terminal_back(gateway, number):
    g = gateway()
    s = Screen([gw.OFMCTL, "-d", str(g.home), "top"])
    s.wait("QUEUE (0)")
    assert not termios.tcgetattr(s.main)[3] & termios.ECHO
    s.process.send_signal(number)
    s.read(1)
    assert s.process.wait(20) == -number
    assert termios.tcgetattr(s.main)[3] & (termios.ECHO | termios.ICANON) == termios.ECHO | termios.ICANON
    s.close()
