"""Whatever README, manuals and migration guide tell somebody to type is typed here, at a real gateway.

Commands stand in fenced blocks (sh, or behind a $), in `…` within text, and in the first column of the manual's table of
ofmctl. Placeholders get real values, optional parts come and go, alternatives are all taken. What cannot run in a test
stands in ELSEWHERE, each with another way to look at it; a command that is neither fails."""
import functools
import itertools
import os
import re
import shlex
import signal
import subprocess

import pytest

from lib import gateway as gw, liar, scratch, screen
from lib.gateway import message

DOCUMENTS = ["README.md", "docs/MANUAL.md", "docs/MANUAL.ru.md", "docs/MIGRATION.md", "docs/FIRST_EVENING.md"]
OURS = r"(?:sudo |\./)?(?:ofmctl|ofmsrv|make)\b(?!\.)"
TOP = re.findall(r"^  ([a-z]+) ", subprocess.run([gw.OFMCTL, "--help"], capture_output=True, text=True).stdout, re.M)
RUSSIAN = {"ФАЙЛ": "FILE", "ПАПКА": "DIR", "ИМЯ": "NAME", "ПИСЬМО.eml": "FILE.eml", "КОМАНДА": "COMMAND", "ЯЩИК": "ACCOUNT", "ЯЩИК…": "ACCOUNT…"}
# What a bare name in a table or text leaves out.
COMPLETE = {"queue show": "ID", "queue drop": "ID", "queue retry": "ID", "queue hold": "ID", "queue release": "ID",
            "account resume": "NAME --known", "rule add": "NAME --field F --contains T --deliver U", "passwd": "USER",
            "mailbox": "USER", "test": "account NAME", "help": "COMMAND", "explain": "FILE.eml"}


# ---- finding ----

def fenced(text):
    for lang, body in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S):
        for line in body.splitlines():
            if lang == "sh":
                yield line.split("  #")[0].strip()
            elif line.startswith("$ "):
                yield line[2:].strip()


@functools.cache
def usage(command):
    return subprocess.run([gw.OFMCTL, command or "help", "--help"], capture_output=True, text=True).stdout.split("\n")[0]


def table(text):
    """The first column of the table of ofmctl, as whole commands."""
    section = text.split("\n## ofmctl\n")[1].split("\n## ")[0] if "\n## ofmctl\n" in text else ""
    for row in re.findall(r"^\| (`.*?) \| [^|]*\|$", section.replace(r"\|", "\0"), re.M):
        first = None
        for cell in re.findall(r"`([^`]+)`", row):
            cell = cell.replace("\0", "|")
            word = cell.split()[0]
            if word in TOP and not re.search(rf"[|[] ?{word}\b", usage(first)):
                first = word
            else:
                cell = f"{first} {'USER ' if first == 'mailbox' else ''}{cell}"
            yield "ofmctl " + cell


def inline(text):
    plain = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return [c for c in re.findall(r"`([^`\n]+)`", plain) if re.match(OURS, c) or c.startswith(("sudo ", "grep "))]


def commands():
    found = {}
    for name in DOCUMENTS:
        text = (scratch.ROOT / name).read_text()
        for whole in itertools.chain(fenced(text), table(text), inline(text)):
            for c in whole.split(" && "):
                c = " ".join(c.split())
                if c:
                    found.setdefault(c, name)
    return found


FOUND = commands()


# ---- what cannot be typed in a test ----

def in_postinst(command):
    words = set(shlex.split(command)[2:])
    mine = next(line for line in (scratch.ROOT / "debian/ofmsrv.postinst").read_text().splitlines() if "adduser" in line)
    assert words <= set(shlex.split(mine)), "the package makes the user in another way"


def has_unit(command):
    name = command.split()[-1]
    unit = (scratch.ROOT / f"debian/{name}.service").read_text()
    assert "ExecStart=/usr/sbin/ofmsrv" in unit


def names_the_package(command):
    assert command.endswith("./build/deb/ofmsrv_*.deb")
    assert "tools/deb.sh build/deb" in (scratch.ROOT / "Makefile").read_text()
    assert re.search("^Package: ofmsrv$", (scratch.ROOT / "debian/control").read_text(), re.M)


@functools.cache
def installed():
    dest = scratch.folder("installed")
    try:
        make("install", f"DESTDIR={dest}")
        return {"/" + str(p.relative_to(dest)) for p in dest.rglob("*")}
    finally:
        scratch.remove(dest)


def paths_are_installed(command):
    paths = {w for w in shlex.split(command) if w.startswith("/")}
    assert paths and paths <= installed(), paths - installed()


def is_a_target(command):
    """Long ones, and those that install packages: what they would do is known to make."""
    p = subprocess.run(["make", "-n", "-s", *command.removeprefix("sudo ").split()[1:]], cwd=scratch.ROOT, capture_output=True, text=True,
                       timeout=60, env={**os.environ, "MAKEFLAGS": ""})
    assert p.returncode == 0, p.stderr


def make(*words):
    p = subprocess.run(["make", "-s", "-o", "all", f"BUILD={gw.BUILD}", *words], cwd=scratch.ROOT, capture_output=True,
                       text=True, timeout=120)
    assert p.returncode == 0, p.stderr


def has_group(command):
    assert "--group" in (scratch.ROOT / "debian/ofmsrv.postinst").read_text() and command.endswith(" ofmsrv")


ELSEWHERE = [
    (r"sudo adduser NAME ", has_group), (r"sudo adduser ", in_postinst), (r"sudo (chown|chgrp) ", paths_are_installed), (r"sudoedit ", paths_are_installed),
    (r"sudo systemctl (restart|edit) ", has_unit), (r"sudo apt (re)?install ", names_the_package),
    (r"(sudo )?make( install| -j4)?$|make (deps|demo|run|check|check-world|check-asan|deb|deb-check|bench|evening)$", is_a_target),
    (r"ls /usr/local/|cd$", lambda c: None)]


# ---- a place to type in ----

class Office:
    """A gateway with mail in a mailbox and in the queue, put right before each command."""

    def __init__(self, dovecot):
        self.relay = liar.Liar()
        dovecot.add_user("documents")
        account = {"host": "127.0.0.1", "port": dovecot.port, "security": "none", "user": "documents", "password": "secret"}
        relay = {"host": "127.0.0.1", "port": self.relay.port, "security": "none", "auth": "off"}
        self.sections = {"relay": relay, "relay second": dict(relay, senders="*@second.example"), "account info": account,
                         "account domain": account | {"user": "documents2"}, "user anna": {"password": "a good one"},
                         "rule invoices": {"field": "Subject", "contains": "invoice", "deliver": "anna"}}
        dovecot.add_user("documents2")
        self.g = gw.Gateway(self.sections, name="documents")
        self.text = self.g.ini_path.read_text()
        (self.g.home / "m.eml").write_bytes(message("an invoice"))
        self.g.send("anna", ["anna", "boris"], message("one"))
        self.g.wait_box("anna")
        self.g.ctl_ok("mailbox", "anna", "export", self.g.home / "m.mbox")
        self.n = 0

    def prepare(self, queue=False):
        if self.g.process is None or self.g.process.poll() is not None:
            self.g.kill()
            self.g.start()
        if self.g.ini_path.read_text() != self.text:
            self.g.ini_path.write_text(self.text)
            self.g.ctl_ok("reload")
        if queue:
            self.g.ctl("queue", "drop", "all")
            self.g.wait_queue(0)
            self.g.send("anna@office.lan", ["x@far.example"], message("outside"))
            self.g.wait_queue(1)

    def value(self, words, at):
        """What stands for words[at]."""
        self.n += 1
        home, word, before = self.g.home, words[at], " ".join(words[:at])
        if word == "NAME":
            return {"account add": f"new{self.n}", "rule add": f"new{self.n}", "rule test": "invoices", "passwd": "anna",
                    "mailbox": "anna", "test relay": "second"}.get(before, "info")
        if word == "FILE":
            return str(home / {"mailbox USER restore": "m.mbox", "rule test NAME": "m.eml", "check": "etc/ofmsrv.ini",
                               "mailbox USER export": f"out{self.n}.mbox"}.get(before, f"out{self.n}"))
        if word == "ID":
            return self.g.queue_files()[0].stem
        fixed = {"FILE.eml": home / "m.eml", "USER": "anna", "U": "anna", "A": "office", "S": "invoice", "D": "today",
                 "T": "2h", "H": "127.0.0.1", "F": "Subject", "NR": "1", "COMMAND": "status", "ACCOUNT": "info",
                 "ADDRESS": "x@far.example", "DIR": home}
        return str(fixed.get(word, word))

    def filled(self, words):
        words = [RUSSIAN.get(w, w).rstrip("….") if not w.endswith(".eml") else RUSSIAN.get(w, w) for w in words]
        return [self.value(words, i) if i > 0 else w for i, w in enumerate(words)]

    def close(self):
        self.g.close()
        self.relay.close()


@pytest.fixture(scope="module")
def office(dovecot):
    o = Office(dovecot)
    yield o
    o.close()


# ---- typing ----

def variants(command):
    """With and without each optional part, each alternative once."""
    bare = re.sub(r" ?\[[^]]*\]", "", command)
    whole = re.sub(r"[\[\]]", "", command)
    for c in dict.fromkeys((bare, whole)):
        words = c.split()
        yield [w.split("|")[0] for w in words]
        for i, w in enumerate(words):
            for other in w.split("|")[1:]:
                yield [other if j == i else v.split("|")[0] for j, v in enumerate(words)]


STDIN = {"passwd": "a new one\n", "account add": "secret\n", "init": "\n\nanna\n\npw\n\n\n\n"}
# Commands that say something else than "done" in an office where all is well.
STATUS = {"account resume": (1, "is not held"), "health": (0, "OFMSRV OK")}


def complete(words):
    known = " ".join(words[:2]) if " ".join(words[:2]) in COMPLETE else words[0]
    return words + COMPLETE[known].split() if known in COMPLETE and len(words) == len(known.split()) else words


def ofmctl(office, words):
    if not words:
        return
    words = complete(words)
    key = next((k for k in (" ".join(words[:2]), words[0]) if k in {**STDIN, **STATUS}), None)
    office.prepare(words[0] == "queue" or "ID" in words)
    words = office.filled(words)
    if words[0] == "top":
        s = screen.Screen([gw.OFMCTL, "-d", str(office.g.home), *words])
        try:
            s.wait("info")
            s.key("q")
            assert s.process.wait(20) == 0
        finally:
            s.close()
        return
    if words[0] == "init":
        words.append("--force")
    args = [gw.OFMCTL, "-d", str(office.g.home), *words]
    if "--follow" in words:
        args = ["timeout", "--preserve-status", "-s", "INT", "2", *args]
    p = subprocess.run(args, input=STDIN.get(key, ""), capture_output=True, text=True, timeout=90, cwd=office.g.home)
    want, said = STATUS.get(key, (0, ""))
    if "--follow" not in words:
        assert p.returncode == want, f"{words}: status {p.returncode}: {p.stdout}{p.stderr}"
    assert said in p.stdout + p.stderr and "usage:" not in p.stderr, p.stdout + p.stderr


def ofmsrv(office, words):
    """Starts, in the folder, and ends well."""
    office.prepare()
    office.g.stop()
    words = [str({"FILE": office.g.ini_path, "DIR": office.g.home}.get(RUSSIAN.get(w, w), w)) for w in words]
    p = subprocess.Popen([gw.OFMSRV, *words], cwd=office.g.home, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        scratch.wait_for(lambda: p.poll() is not None or scratch.listens(office.g.smtp_port), 30, "the gateway")
        office.g.ctl_ok("status")
        p.send_signal(signal.SIGTERM)
        assert p.wait(40) == 0
    finally:
        if p.poll() is None:
            p.kill()
        p.communicate()


def type_in(office, command):
    for pattern, look in ELSEWHERE:
        if re.match(pattern, command):
            return look(command)
    cron = re.match(r"\* \* \* \* \* root (.*)", command)
    words = shlex.split(re.sub(r"^sudo |\./| &$", "", cron[1] if cron else command))
    if cron:
        words = [w if not w.startswith("/") else str(office.g.home / "out.prom") for w in words]
    if words == ["make", "help"]:
        return make("help")
    if words[0] == "grep":
        sid = re.search(r"\bsid=(\S+)", office.g.log())[0]
        subprocess.run(["grep", sid, office.g.home / words[2]], check=True, capture_output=True)
        return None
    assert words[0] in ("ofmctl", "ofmsrv"), f"a command of another program, not in ELSEWHERE: {command}"
    for v in variants(" ".join(words[1:])):
        (ofmctl if words[0] == "ofmctl" else ofmsrv)(office, v)
    return None


@pytest.mark.parametrize("command", FOUND, ids=lambda c: re.sub(r"[^\w .-]+", "_", c, flags=re.A)[:60])
def test_it_can_be_typed(office, command):
    try:
        type_in(office, command)
    except AssertionError as e:
        raise AssertionError(f"{FOUND[command]} says `{command}`: {e}") from None


def test_the_documents_are_read():
    assert len(FOUND) > 60
    for c in ("sudo ofmctl init", "ofmctl queue show ID", "ofmctl mailbox USER restore FILE", "make demo",
              "ofmctl journal --user anna --since 2h", "ofmctl queue drop", "sudo systemctl edit ofmsrv"):
        assert c in FOUND, c


@pytest.mark.parametrize("command", ["ofmctl frobnicate", "ofmctl queue explode ID", "ofmctl status --loud", "ofmsrv --fast",
                                     "ofmctl journal --colour", "make coffee", "rm -r /", "sudo chown x /var/lib/other",
                                     "sudo systemctl restart other", "ofmctl mailbox USER burn"])
def test_what_does_not_exist_is_found(office, command):
    with pytest.raises((AssertionError, OSError)):
        type_in(office, command)


def test_every_command_stands_in_both_manuals():
    for name in ("docs/MANUAL.md", "docs/MANUAL.ru.md"):
        named = {c.split()[1] for c in table((scratch.ROOT / name).read_text())}
        assert set(TOP) <= named | {"help"}, set(TOP) - named


def test_every_option_in_the_text_exists():
    """`--word` anywhere in them is an option that some command's help knows."""
    known = " ".join(subprocess.run([gw.OFMCTL, c, "--help"], capture_output=True, text=True).stdout for c in TOP)
    for name in DOCUMENTS:
        text = re.sub(r"^```.*?^```", "", (scratch.ROOT / name).read_text(), flags=re.M | re.S)
        for option in re.findall(r"`(--[a-z-]+)", text):
            assert re.search(re.escape(option) + r"\b", known), f"{name}: {option}"


# ---- examples of the ini file ----

EXAMPLES = [(name, text) for name in DOCUMENTS
            for text in re.findall(r"^```ini\n(.*?)^```", (scratch.ROOT / name).read_text(), re.M | re.S)]


@pytest.mark.parametrize("name,text", EXAMPLES, ids=[f"{n}-{t.splitlines()[0]}" for n, t in EXAMPLES])
def test_its_examples_have_no_fault(tmp_path, name, text):
    """As they stand; what an example takes for granted, an account or a file, is added."""
    for folder in ("mailboxes", "outqueue"):
        (tmp_path / folder).mkdir()
    (tmp_path / "file").write_text("x\n")
    text = re.sub(r"(password_file|ca_file) = \S+", rf"\1 = {tmp_path}/file", text)
    for account in set(re.findall(r"^account = (.*)$", text, re.M)):
        if f"[account {account}]" not in text:
            text += f"\n[account {account}]\nhost = pop.provider.example\nuser = {account}\npassword = x\n"
    if "[relay second]" in text and "[relay]" not in text:
        text += "\n[relay]\nhost = smtp.provider.example\n"
    for user in set(re.findall(r"^deliver = ([a-z]+)$", text, re.M)):
        if f"[user {user}]" not in text:
            text += f"\n[user {user}]\npassword = x\n"
    (tmp_path / "ofmsrv.ini").write_text(text)
    p = subprocess.run([gw.OFMCTL, "-d", tmp_path, "check", tmp_path / "ofmsrv.ini"], capture_output=True, text=True)
    assert p.returncode == 0, p.stdout + p.stderr
