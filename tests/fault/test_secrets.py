"""Passwords and tokens appear nowhere but where they belong: not in the log (debug too), not in what ofmctl says, not in `ps`,
not in mail of our own, not in the database; and no core dump or debugger gets at them."""
import base64
import os
import pathlib
import re

import pytest

from lib import gateway as gw
from lib import scratch, threads
from lib.clients import POP3, SMTP
from lib.gateway import message

TAG = os.urandom(4).hex()


def secret(place):
    return f"sEcr3t-{place}-{TAG}"


PLACES = ("user", "user-file", "account", "account-wrong", "account-file", "account-command", "relay", "relay-command",
          "account-echo", "smtp-plain", "smtp-login", "smtp-broken", "pop3-pass", "pop3-plain", "pop3-early", "pop3-user")


def forms(text):
    """The bytes that would give it away: as it is, and in base64 however it is aligned."""
    raw = text.encode()
    out = {raw}
    for pad in range(3):
        out.add(base64.b64encode(b"\0" * pad + raw)[4:-4])
    return out


def echo_relay(liar):
    """A relay that repeats what it was told in its refusal, which is bad manners and happens."""
    holder = []

    def reply(verb, arg, connection):
        if verb == "AUTH" and holder and holder[0].logins:
            words = " ".join(map(str, holder[0].logins[-1]))
            return f"535 5.7.8 wrong: {words.encode('ascii', 'replace').decode()} {secret('relay')} {secret('relay-command')}"
        return f"535 5.7.8 wrong: {secret('relay')} {secret('relay-command')}" if verb == "AUTH" else None
    holder.append(liar(reply=reply, offers=("PIPELINING", "AUTH PLAIN LOGIN")))
    return holder[0]


class EchoProvider(threads.Server):
    """A POP3 server that repeats the password in its -ERR."""

    def __init__(self):
        self.seen = []
        super().__init__()

    def serve(self, s, number):
        with s.makefile("rb") as lines:
            s.sendall(b"+OK hello\r\n")
            for line in lines:
                self.seen.append(line)
                if line.startswith(b"CAPA"):
                    s.sendall(b"+OK\r\nUSER\r\n.\r\n")
                elif line.startswith(b"USER"):
                    s.sendall(b"+OK\r\n")
                else:
                    s.sendall(b"-ERR no such: " + line)


@pytest.fixture
def echo_provider():
    p = EchoProvider()
    yield p
    p.close()


def sections(home, dovecot, relay, echo):
    for place in ("user-file", "account-file"):
        (home / place).write_text(secret(place) + "\n")
    for place in ("account-command", "relay-command"):
        (home / place).write_text(secret(place))
    for name in ("account", "account-file", "account-command"):
        dovecot.add_user(f"s-{name}-{TAG}", secret(name))
    dovecot.add_user(f"s-wrong-{TAG}", "right")
    pop = {"host": "127.0.0.1", "port": dovecot.port, "security": "none", "keep": "forever"}
    out = {"host": "127.0.0.1", "port": relay.port, "security": "none", "user": "u"}
    return {
        "user anna": {"password": secret("user"), "alias": "anna@firm.example"},
        "user boris": {"password_file": home / "user-file", "alias": "boris@firm.example"},
        "account plain": {**pop, "user": f"s-account-{TAG}", "password": secret("account")},
        "account wrong": {**pop, "user": f"s-wrong-{TAG}", "password": secret("account-wrong")},
        "account file": {**pop, "user": f"s-account-file-{TAG}", "password_file": home / "account-file"},
        "account command": {**pop, "user": f"s-account-command-{TAG}", "password_command": f"cat {home}/account-command"},
        "account echo": {**pop, "port": echo.port, "user": "e", "auth": "plain", "password": secret("account-echo")},
        "relay": {**out, "password": secret("relay")},
        "relay second": {**out, "senders": "boris@firm.example", "password_command": f"cat {home}/relay-command"},
    }


def talk(g):
    """Log-ins that succeed, fail and are broken off."""
    assert g.smtp().auth_plain("anna", secret("user"))[0] == 235
    assert g.smtp().auth_login("boris", secret("user-file"))[0] == 235
    with g.smtp() as s:
        assert s.auth_plain("anna", secret("smtp-plain"))[0] == 535
        assert s.auth_login("anna", secret("smtp-login"))[0] == 535
        s.cmd("AUTH PLAIN " + base64.b64encode(secret("smtp-broken").encode()).decode() + "!")
        s.cmd("AUTH " + secret("smtp-broken"))
        s.cmd("AUTH LOGIN")
        s.send(base64.b64encode(secret("smtp-broken").encode())[:-3])
    with g.pop3("anna", secret("user")) as p:
        p.quit()
    with POP3(g.pop3_port) as p:
        p.cmd(f"PASS {secret('pop3-early')}")
        p.cmd(f"USER anna {secret('pop3-user')}")
        p.ok("USER anna")
        assert p.cmd(f"PASS {secret('pop3-pass')}").startswith("-ERR")
        p.cmd("AUTH PLAIN " + base64.b64encode(f"\0anna\0{secret('pop3-plain')}".encode()).decode())
    with SMTP(g.smtp_port) as s:
        s.mail("anna@office.lan", ["x@far.example"], message("a"))
        s.mail("boris@office.lan", ["x@far.example"], message("b"))


def family(pid):
    """The process and its children."""
    found = [str(pid)]
    for p in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (p / "stat").read_text().rpartition(")")[2].split()[1] in found:
                found.append(p.name)
        except OSError:
            pass
    return found


def everything_said(g, named):
    """(where, bytes) of all that somebody might read."""
    for pid in family(g.process.pid):
        for what in ("cmdline", "environ", "comm"):
            path = pathlib.Path("/proc", pid, what)
            if os.getuid() == 0 or what != "environ":  # it is root's alone
                yield str(path), path.read_bytes()
    for words in (["status"], ["status", "--json"], ["users", "--json"], ["queue"], ["queue", "--json"], ["check"],
                  ["journal", "--json"], ["report", "--json"]):
        p = g.ctl(*words)
        yield "ofmctl " + " ".join(words), (p.stdout + p.stderr).encode()
    for path in g.home.rglob("*"):
        if path.is_file() and not path.is_symlink() and path not in named:
            yield str(path.relative_to(g.home)), path.read_bytes()


def no_secret(g, named, places):
    for where, what in everything_said(g, named):
        for place in places:
            for form in forms(secret(place)):
                assert form not in what, f"{place} in {where}: ...{what[max(0, what.index(form) - 200):][:500]!r}"


def test_secrets_stay_secret(gateway, dovecot, liar, echo_provider):
    g = gateway(start=False)
    g.write(sections(g.home, dovecot, echo_relay(liar), echo_provider))
    named = {g.home / f for f in ("etc/ofmsrv.ini", "user-file", "account-file", "account-command", "relay-command")}
    g.start()
    talk(g)
    dovecot.put(f"s-account-command-{TAG}", message("collected", to="anna@firm.example"))
    for _ in range(2):
        g.ctl("sync", "--wait")
    g.wait_box("anna")
    assert any(secret("account-echo").encode() in line for line in echo_provider.seen)
    scratch.wait_for(lambda: len(g.box("postmaster")) >= 2, 20, lambda: f"reports; {g.log()}")
    no_secret(g, named, PLACES)
    g.ini_path.write_text(g.ini_path.read_text() + "\n[user clara]\npassword = #" + secret("user") + "\n")
    assert g.ctl("reload").returncode == 1
    no_secret(g, named, PLACES)
    g.stop()
    said = (g.log() + g.stderr()).encode()
    assert not [p for p in PLACES for f in forms(secret(p)) if f in said]


@pytest.mark.parametrize("line", [
    'password = "{s}', "password = {s}\\", "password = {s};x", "password = #{s}", "password = {s} ;\x01", "passwort = {s}",
    "password = {s}\npassword = {s}x", "password = " + "x" * 1100 + "{s}", "password\t{s}", "password = \xff{s}",
    'password = "{s}" {s}', "password_file = {s}", "password = $y${s}"], ids=range(13))
def test_faults_of_the_ini_file_do_not_quote_passwords(gateway, line):
    g = gateway(start=False)
    s = secret("user")
    g.ini_path.write_bytes(g.ini_path.read_bytes() + b"\n[user dora]\n"
                           + line.replace("{s}", s).encode("latin1") + b"\n")
    p = g.ctl("check")
    if "password_file" in line:
        return  # a path is no secret
    assert s not in p.stdout + p.stderr, p.stdout + p.stderr
    g.start(wait=False)
    g.process.wait(20) if p.returncode else g.wait_ready()
    assert s not in g.stderr() + g.log()
    if p.returncode:
        g.process = None


def test_password_of_the_proxy(gateway):
    """It has no place in the URL, and who writes it there does not read it in the fault."""
    s = secret("proxy")
    g = gateway(start=False)
    g.write({"connection": {"proxy": f"http://puser:{s}@127.0.0.1:{scratch.free_port()}"},
             "account a": {"host": "127.0.0.1", "port": scratch.free_port(), "security": "none", "user": "u", "password": "p"},
             "relay": {"host": "127.0.0.1", "port": scratch.free_port(), "security": "none", "auth": "off"}})
    p = g.ctl("check")
    assert p.returncode == 1 and "[connection] proxy" in p.stdout + p.stderr and s not in p.stdout + p.stderr
    g.start(wait=False)
    assert g.process.wait(20) == 1 and s not in g.stderr() + g.log()
    g.process = None


def test_nobody_dumps_its_memory(gateway):
    g = gateway()
    pids = family(g.process.pid)
    assert len(pids) == 2, "the program and its helper"
    for pid in pids:
        assert re.search(r"Max core file size +0 +0 ", pathlib.Path(f"/proc/{pid}/limits").read_text())
    if gw.BUILD == "build":
        mode = os.stat(f"/proc/{g.process.pid}/environ")
        assert mode.st_uid == 0, "not dumpable"
