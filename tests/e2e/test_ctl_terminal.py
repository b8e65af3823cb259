"""Prompts give the terminal back; whoever waits ends when nobody is there any more; nothing foreign acts on a terminal."""
import csv
import io
import json
import os
import signal
import subprocess
import termios

import pytest

from lib import gateway as gw, scratch
from lib.gateway import message
from lib.screen import Screen

ESC = "\x1b]0;owned\x07"


def echoes(s):
    return bool(termios.tcgetattr(s.main)[3] & termios.ECHO)


def prompt(g, *args):
    s = Screen([gw.OFMCTL, "-d", str(g.home), *args])
    s.wait("assword")
    scratch.wait_for(lambda: not echoes(s), 10, "no echo")
    return s


@pytest.mark.parametrize("how", ["\x03", "\x1c", signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("args", [("passwd", "anna"), ("account", "add", "x", "--host", "pop.example", "--user", "u")])
def test_a_signal_at_a_password_prompt(gateway, how, args):
    g = gateway()
    s = prompt(g, *args)
    s.key("secr")
    s.key(how) if isinstance(how, str) else s.process.send_signal(how)
    s.read(0.5)
    assert s.process.wait(10) < 0 and echoes(s)
    s.close()


def test_a_stop_at_a_password_prompt(gateway):
    """Ctrl-Z, and fg behind it, in a shell with job control."""
    g = gateway()
    s = Screen(["bash", "-c", 'set -m; "$0" "$@"; echo "stopped: $?"; read go_on; fg', gw.OFMCTL, "-d", str(g.home),
                "passwd", "anna"])
    s.wait("New password")
    scratch.wait_for(lambda: not echoes(s), 10, "no echo")
    s.key("\x1a")
    s.wait("stopped:")
    assert echoes(s)
    s.key("\n")
    scratch.wait_for(lambda: s.read(0.1) and s.text().count("New password") == 2, 10, "the question again")
    scratch.wait_for(lambda: not echoes(s), 10, "no echo")
    s.key("a good one\n")
    s.wait("Once more")
    scratch.wait_for(lambda: not echoes(s), 10, "no echo")
    s.key("a good one\n")
    s.wait("is set")
    assert s.process.wait(10) == 0
    s.close()


def test_the_end_of_input_at_a_prompt(gateway):
    g = gateway()
    s = prompt(g, "passwd", "anna")
    s.key("\x04")
    s.wait("no password was read")
    assert s.process.wait(10) == 1 and echoes(s)
    s.close()


@pytest.mark.parametrize("args", [("journal", "--follow"), ("sync", "--wait", "slow")])
def test_who_waits_ends_with_the_terminal(gateway, args):
    with scratch.socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        g = gateway({"account slow": {"host": "127.0.0.1", "port": silent.getsockname()[1], "security": "none", "user": "u",
                                      "password": "p"}})
        s = Screen(["sh", "-c", 'trap "" HUP; exec "$0" "$@"', gw.OFMCTL, "-d", str(g.home), *args])
        s.read(1)
        assert s.process.poll() is None
        os.close(s.main)
        s.main = os.open("/dev/null", os.O_RDONLY)
        s.process.wait(15)
        s.close()


def test_follow_ends_with_its_reader(gateway):
    g = gateway()
    p = subprocess.Popen([gw.OFMCTL, "-d", str(g.home), "journal", "--follow"], stdout=subprocess.PIPE)
    p.stdout.close()
    assert p.wait(15) == 0


def outside(g):
    """What a stranger can make appear."""
    g.send("=cmd@far.example", ["anna"], message("=HYPERLINK(1)", extra=b""))
    for subject in ("+1", "-1", "@SUM(1)", f"a{ESC}b", "\u009b31m", "\u202ereversed", 'q"uote, comma', "plain"):
        with g.smtp() as s:
            s.mail("boris@office.lan", ["anna"], message("x").replace(b"Subject: x", b"Subject: " + subject.encode()))
            s.quit()


def harmless(text):
    return not any(ord(c) < 32 and c not in "\n\r\t" or 0x7f <= ord(c) < 0xa0 or c in "\u202e\u200b" for c in text)


def test_nothing_foreign_acts_on_a_spreadsheet_or_a_terminal(gateway):
    g = gateway({"relay": {"host": "127.0.0.1", "port": scratch.free_port(), "security": "none"}})
    outside(g)
    g.wait_box("anna", 9)
    text = g.ctl_ok("journal", "--csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [r["subject"] for r in rows][:4] == ["'=HYPERLINK(1)", "'+1", "'-1", "'@SUM(1)"]
    assert rows[0]["from"].startswith("'=cmd") and rows[-1]["subject"] == "plain" and rows[-2]["subject"] == 'q"uote, comma'
    assert not any(v[:1] in "=+-@\t\r" for r in rows for v in r.values() if v)
    for args in (("journal", "--csv"), ("journal",), ("journal", "--json"), ("mailbox", "anna"), ("mailbox", "anna", "--json"),
                 ("users",), ("queue",), ("status",)):
        assert harmless(g.ctl_ok(*args)), args
    assert [m["subject"] for m in json.loads(g.ctl_ok("journal", "--json"))["messages"]][5] == "\u009b31m"
    p = g.ctl("queue", "drop", f"x{ESC}")
    assert p.returncode == 1 and harmless(p.stderr)
    p = g.ctl("mailbox", "anna", "show", f"x{ESC}")
    assert p.returncode == 1 and harmless(p.stderr)
    assert harmless(g.ctl(f"no{ESC}command").stderr)
