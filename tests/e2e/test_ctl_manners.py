"""ofmctl towards somebody in a hurry: what is wrong and what to do stands in every refusal; the shell completes all."""
import os
import re
import shutil
import subprocess

import pytest

from lib import gateway as gw, scratch, screen
from lib.gateway import message

COMPLETION = scratch.ROOT / "etc/completion"


@pytest.fixture(scope="module")
def office():
    g = gw.Gateway({"rule bills": {"field": "Subject", "contains": "bill", "deliver": "anna"},
                    "relay": {"host": "127.0.0.1", "port": scratch.free_port(), "security": "none"},
                    "account shop": {"host": "127.0.0.1", "port": scratch.free_port(), "user": "u", "password": "x",
                                     "enabled": "no"}})
    g.send("anna@office.lan", ["x@far.example"], message("waits"))
    g.wait_queue(1)
    yield g
    g.close()


@pytest.mark.parametrize("args,words", [
    (["foo"], "ofmctl --help lists all"), (["statsu"], "did you mean status?"), (["stat"], "did you mean status?"),
    (["queue", "dorp", "all"], "did you mean drop?"), (["queue", "show", "nope"], "ofmctl queue lists"),
    (["queue", "drop", "nobody@far.example"], "ofmctl queue lists"), (["mailbox", "nobody"], "ofmctl users lists"),
    (["passwd", "nobody"], "add [user nobody] there first"), (["sync", "nope"], "ofmctl account lists"),
    (["rule", "test", "nope", "x"], "ofmctl rule lists"), (["test", "account", "nope"], "ofmctl account lists"),
    (["explain", "/dev/null", "--account", "nope"], "ofmctl account lists"),
    (["mailbox", "anna", "export", "/dev/null"], "name a new file"),
    (["rule", "remove", "bills"], "then: ofmctl reload"), (["account", "delete", "shop"], "then: ofmctl reload"),
    (["status", "--loud"], "usage: ofmctl"), (["top"], "`ofmctl status` is for pipes"),
    (["report", "--day", "someday"], "today, yesterday or"), (["journal", "--since", "when"], "30m, 2h, 3d"),
    (["-d", "/nonexistent", "status"], "it is not running, or has another home"),
    (["passwd", "anna", "secret"], "the password is asked for"), (["account", "enable", "nope"], "ofmctl account lists"),
    (["account", "add", "shop", "--host", "h", "--user", "u"], "there is a [account shop] already"),
    (["rule", "test", "bills", "/nonexistent"], "No such file"),
    (["rule", "add", "x", "--field", "Subject", "--contains", "a", "--deliver", "nobody"], "add [user nobody]"),
])
def test_refusals_say_what_to_do(office, args, words):
    p = office.ctl(*args)
    assert p.returncode == 1 and p.stdout == "" and words in p.stderr, p.stderr


def test_what_could_not_be_sent_is_not_called_sent(office):
    office.ctl_ok("queue", "retry", "all")
    p = office.ctl("sync", "--wait")
    assert p.returncode == 1 and "outqueue: sending, 1 of 1\n" in p.stdout and "sent" not in p.stdout, p.stdout


def test_a_far_word_is_not_guessed(office):
    assert "did you mean" not in office.ctl("foo").stderr


def test_nothing_found_is_said_and_is_no_failure(office):
    p = office.ctl("journal", "--user", "nobody")
    assert p.returncode == 0 and p.stdout == "" and "nothing in the journal fits" in p.stderr
    assert office.json("journal", "--user", "nobody") == {"messages": []}
    assert office.ctl("journal", "--user", "nobody", "--csv").stderr == ""


@pytest.mark.parametrize("command", ["status", "journal", "queue", "report", "users", "status --json"])
def test_a_full_disk_behind_the_output_is_a_failure(office, command):
    with open("/dev/full", "w") as full:
        p = subprocess.run([gw.OFMCTL, "-d", office.home, *command.split()], stdout=full, stderr=subprocess.PIPE, text=True)
    assert p.returncode == 1 and "could not be written: No space left" in p.stderr


def test_a_reader_that_goes_away_is_no_failure(office):
    r, w = os.pipe()
    os.close(r)
    p = subprocess.run([gw.OFMCTL, "-d", office.home, "status"], stdout=w, stderr=subprocess.PIPE, text=True)
    os.close(w)
    assert (p.returncode, p.stderr) == (0, "")


def test_top_on_a_terminal_without_a_cursor(office):
    s = screen.Screen([gw.OFMCTL, "-d", str(office.home), "top"], term="dumb")
    try:
        s.wait("cannot show a screen", "ofmctl status")
        assert s.process.wait(10) == 1
    finally:
        s.close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes somebody else")
@pytest.mark.parametrize("command,words", [("status", "in the group ofmsrv"), ("queue", "in the group ofmsrv"),
                                           ("mailbox anna", "be root"), ("passwd anna", "be root")])
def test_a_stranger_hears_who_may(office, command, words):
    folder = scratch.folder("stranger")  # the tree may lie where others may not enter
    folder.chmod(0o755)
    ofmctl = shutil.copy(gw.OFMCTL, folder)
    try:
        p = subprocess.run([ofmctl, "-d", office.home, *command.split()], user=65534, group=65534, extra_groups=[],
                           capture_output=True, text=True, stdin=subprocess.DEVNULL)
    finally:
        scratch.remove(folder)
    assert p.returncode == 1 and words in p.stderr, p.stderr


# ---- completion ----

def completed(office, *words):
    """What bash offers for the last of these words."""
    script = (f"PATH={os.path.dirname(gw.OFMCTL)}:$PATH; source {COMPLETION / 'ofmctl.bash'}; COMP_WORDS=(ofmctl \"$@\"); "
              "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _ofmctl; printf '%s\\n' \"${COMPREPLY[@]}\"")
    p = subprocess.run(["bash", "-c", script, "bash", "-d", str(office.home), *words], capture_output=True, text=True,
                       cwd=office.home, timeout=60)
    assert p.returncode == 0 and p.stderr == "", p.stderr
    return p.stdout.split()


def test_bash_completes_every_command_and_option(office):
    help_text = office.ctl_ok("--help")
    names = re.findall(r"^  ([a-z]+) ", help_text, re.M)
    assert set(names) <= set(completed(office, ""))
    for name in names:
        own = office.ctl_ok(name, "--help")
        options = set(re.findall(r"--[a-z-]+", own.split("\n")[0]))
        parts = {w for w in re.findall(r"[a-z]{3,}", re.sub(r"--[a-z-]+|\[-[cd] [A-Z]+\]", "", own.split("\n")[0]))}
        assert options <= set(completed(office, name, "--")), name
        assert parts - {"usage", "ofmctl", name} <= set(completed(office, name, "")), name


@pytest.mark.parametrize("words,offers", [
    (["passwd", "a"], "anna"), (["mailbox", "bo"], "boris"), (["journal", "--user", ""], "boris"),
    (["journal", "--since", "to"], "today"), (["report", "--day", ""], "yesterday"), (["rule", "test", "b"], "bills"),
    (["account", "enable", ""], "shop"), (["test", "account", "s"], "shop"), (["sync", "sh"], "shop"),
    (["help", "he"], "health"), (["explain", "of"], "ofmsrv.log")])
def test_bash_completes_what_there_is(office, words, offers):
    assert offers in completed(office, *words)


def test_bash_completes_the_waiting_messages(office):
    waiting = office.json("queue")["messages"][0]["id"]
    assert completed(office, "queue", "show", waiting[:4]) == [waiting]


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_reads_its_completion():
    p = subprocess.run(["zsh", "-n", COMPLETION / "_ofmctl"], capture_output=True, text=True)
    assert p.returncode == 0 and p.stderr == "", p.stderr
