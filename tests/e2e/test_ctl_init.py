"""ofmctl test and ofmctl init: a connection tried step by step; a first configuration by questions."""
import json
import os
import shutil
import socket
import struct
import subprocess
import threading

import pytest

from lib import gateway as gw, scratch, screen
from lib.gateway import message


def account(dovecot, user, **more):
    return dict({"host": "127.0.0.1", "port": dovecot.port, "security": "none", "user": user, "password": "secret"}, **more)


def steps(g, *args):
    p = g.ctl("test", *args, "--json")
    r = json.loads(p.stdout)
    assert r["works"] == (p.returncode == 0)
    return {s["step"]: s for s in r["steps"]}, p.returncode


# ---- test ----

def test_account_that_works(gateway, dovecot, mailbox, ca):
    dovecot.put(mailbox, message("a"), message("b"))
    g = gateway({"account plain": account(dovecot, mailbox),
                 "account tls": account(dovecot, mailbox, port=dovecot.tls_port, security="tls", ca_file=ca.cert)}, start=False)
    for name in ("plain", "tls"):
        got, status = steps(g, "account", name)
        assert status == 0 and all(s["ok"] for s in got.values()), got
        assert got["mailbox"]["text"].startswith("2 messages")
    text = g.ctl_ok("test", "account", "tls")
    assert "certificate" in text and "is let in" in text
    assert dovecot.count(mailbox) == 2, "nothing is collected"


@pytest.mark.parametrize("change,step,words", [
    ({"password": "wrong"}, "log-in", "app password"),
    ({"security": "tls"}, "certificate", "speaks no TLS"),
    ({"port": "free"}, "connection", "995"),
    ({"port": "tls", "security": "tls"}, "certificate", "ca_file"),
])
def test_account_that_fails_says_why(gateway, dovecot, mailbox, change, step, words):
    change = dict(change)
    if "port" in change:
        change["port"] = {"free": scratch.free_port(), "tls": dovecot.tls_port}[change["port"]]
    g = gateway({"account a": account(dovecot, mailbox, **change)}, start=False)
    got, status = steps(g, "account", "a")
    assert status == 1 and not got[step]["ok"] and words in got[step]["mend"], got
    assert "secret" not in str(got)
    assert "FAILED" in g.ctl("test", "account", "a").stdout


def test_starttls_that_is_not_offered(gateway):
    """A server without STLS must not see the password."""
    heard = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            with s, s.makefile("rwb") as f:
                f.write(b"+OK hello\r\n")
                f.flush()
                for line in f:
                    heard.append(line)
                    f.write(b"-ERR no\r\n" if not line.startswith(b"CAPA") else b"+OK\r\nUSER\r\n.\r\n")
                    f.flush()
    threading.Thread(target=serve, daemon=True).start()
    g = gateway({"account a": {"host": "127.0.0.1", "port": listener.getsockname()[1], "security": "starttls", "user": "u",
                               "password": "geheim"}}, start=False)
    got, status = steps(g, "account", "a")
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    assert status == 1 and not got["TLS"]["ok"] and b"geheim" not in b"".join(heard)


def test_relay(gateway, relay, dovecot, ca):
    dovecot.add_user("sender", "secret")
    sections = {"relay": {"host": "127.0.0.1", "port": relay.auth_port, "security": "starttls", "ca_file": ca.cert,
                          "user": "sender", "password": "secret"}}
    g = gateway(sections, start=False)
    got, status = steps(g, "relay")
    assert status == 0 and got["log-in"]["ok"], got
    g.write({"relay": {"password": "wrong"}})
    got, status = steps(g, "relay")
    assert status == 1 and not got["log-in"]["ok"] and "app password" in got["log-in"]["mend"]


def test_test_mistakes(gateway):
    g = gateway(start=False)
    for args, why in ((["account", "nosuch"], "no [account nosuch]"), (["relay"], "no host"), (["acount", "x"], "did you mean"),
                      ([], "usage")):
        p = g.ctl("test", *args)
        assert p.returncode == 1 and why in p.stderr, p.stderr


# ---- init ----

def init(home, answers, *args, before=()):
    return subprocess.run([*before, gw.OFMCTL, "-d", str(home), "init", *args], input="\n".join(answers) + "\n",
                          capture_output=True, text=True, timeout=120)


@pytest.fixture
def home():
    path = scratch.folder("init")
    yield path
    scratch.remove(path)


def full_answers(dovecot, relay, mailbox, password="secret"):
    return ["", "info@firm.example", "127.0.0.1", dovecot.port, "none", mailbox, password, "forever",
            "no", "127.0.0.1", "", relay.port, "none", "",
            "anna", "anna@firm.example", "geheim;1", "boris", "", "x", "",
            "Счёт; №", "anna, boris", "", "anna"]


def test_init_from_a_pipe_makes_a_gateway_that_works(home, gateway, dovecot, mailbox, relay):
    dovecot.put(mailbox, message("Счёт; № 5", to="who@firm.example"))
    p = init(home, map(str, full_answers(dovecot, relay, mailbox)), "--no-dns")
    assert p.returncode == 0, p.stdout + p.stderr
    assert "is let in" in p.stdout and "Thunderbird" in p.stdout and "anna@office.lan" in p.stdout
    ini = home / "etc/ofmsrv.ini"
    text = ini.read_text()
    assert "geheim" not in text + p.stdout + p.stderr and "$y$" in text and ini.stat().st_mode & 0o777 == 0o640
    assert text.count("\n;") > 8, "it is commented"
    c = subprocess.run([gw.OFMCTL, "-d", str(home), "check"], capture_output=True, text=True)
    assert c.returncode == 0, c.stdout
    # The file as it is, but for the ports, runs.
    g = gateway(start=False)
    g.ini_path.write_text(text + f"\n[pop3]\nport = {g.pop3_port}\nbind = 127.0.0.1\n"
                          f"[smtp]\nport = {g.smtp_port}\nbind = 127.0.0.1\n")
    g.start()
    g.ctl_ok("sync", "--wait")
    assert len(g.wait_box("anna")) == 1 and len(g.wait_box("boris")) == 1
    with g.pop3("anna", "geheim;1") as c:
        assert c.cmd("STAT").startswith("+OK 1 ")
    g.send("anna@office.lan", ["x@far.example"], message("out"))
    assert relay.wait("x@far.example")


def test_init_tries_before_it_writes(home, dovecot, mailbox, relay):
    answers = list(map(str, full_answers(dovecot, relay, mailbox, "wrong")))
    p = init(home, answers + ["no"], "--no-dns")
    assert p.returncode == 1 and "FAILED" in p.stdout and "nothing was written" in p.stderr
    assert not (home / "etc/ofmsrv.ini").exists()
    p = init(home, answers + ["yes"], "--no-dns")
    assert p.returncode == 0 and (home / "etc/ofmsrv.ini").exists()


def test_init_on_a_terminal_asks_again_for_what_does_not_fit(home, dovecot, mailbox):
    """Nobody has to type everything anew for one slip: each wrong answer is asked for again, and so is the provider."""
    s = screen.Screen([gw.OFMCTL, "-d", str(home), "init", "--no-dns"], rows=140, cols=150)
    wanted = "wanted."

    def provider(password):
        for question, *answers in (("whose mailbox is collected", "info@firm.example"), ("POP3 server", "a b", "127.0.0.1"),
                                   ("its port", "995x", str(dovecot.port)), ("its security", "ssl", "none"),
                                   ("user name there", mailbox), ("password there", "both;\"'", password),
                                   ("how long collected mail", "2 weeks", "14d"), ("same provider", "maybe", "no"),
                                   ("SMTP server that takes it", "")):
            answer(question, *answers)

    def answer(question, *answers):
        for a in answers:
            n = s.text().count(wanted)
            s.wait(question)
            s.key(a + "\n")
            if a != answers[-1]:
                scratch.wait_for(lambda: s.read(0.1) and s.text().count(wanted) > n, 20, lambda: f"{a} taken:\n{s.text()}")
    try:
        answer("domain of the addresses", "office lan", "office.lan")
        provider("wrong")
        answer("A user on the LAN", "Анна", "anna")
        answer("their Internet address", "anna", "anna@firm.example")
        answer("their password", "pw")
        answer("Another user", "anna", "daemon", "")
        answer("subject contains", "invoice")
        answer("goes to", "anna, nobody", "anna")
        s.key("\n")  # no more rules
        answer("Who looks after", "ghost", "anna")
        answer("about the provider anew", "")
        assert not (home / "etc/ofmsrv.ini").exists()
        for line in s.lines:
            line[:] = [" "] * s.cols
        provider("secret")
        s.wait("is written")
        assert s.process.wait(20) == 0
    finally:
        s.close()
    text = (home / "etc/ofmsrv.ini").read_text()
    assert "password = secret" in text and "wrong" not in text and "deliver = anna\n" in text
    assert "secret" not in s.raw.decode() and "both;" not in s.raw.decode(), "it was shown"


def test_init_refuses_what_is_there_and_unsound(home):
    minimal = ["firm.lan", "", "anna", "", "pw", "", "", ""]
    assert init(home, minimal).returncode == 0
    before = (home / "etc/ofmsrv.ini").read_bytes()
    p = init(home, minimal)
    assert p.returncode == 1 and "--force" in p.stderr
    p = init(home, ["firm.lan", "", "An na", "", "pw", "", "", ""], "--force")
    assert p.returncode == 1 and "An na" in p.stderr and "nothing was written" in p.stderr
    p = init(home, ["firm.lan"], "--force")
    assert p.returncode == 1 and "nothing was written" in p.stderr
    assert (home / "etc/ofmsrv.ini").read_bytes() == before
    assert not list((home / "etc").glob("ofmsrv.ini.*"))


def test_init_writes_over_the_sample_that_was_installed(home):
    (home / "etc").mkdir()
    shutil.copy(scratch.ROOT / "etc/ofmsrv.ini", home / "etc/ofmsrv.ini")
    assert init(home, ["firm.lan", "", "anna", "", "pw", "", "", ""]).returncode == 0
    assert "[user anna]" in (home / "etc/ofmsrv.ini").read_text()
    assert f"{home}/etc/ofmsrv.ini exists already" in init(home, []).stderr
    (home / "etc/ofmsrv.ini").write_text((scratch.ROOT / "etc/ofmsrv.ini").read_text() + "[user boris]\n")
    p = init(home, ["firm.lan", "", "anna", "", "pw", "", "", ""])
    assert p.returncode == 1 and "--force" in p.stderr, "somebody has written in it"


def test_init_sends_mail_to_whom_it_is_addressed(home):
    p = init(home, ["", "info@firm.example", "pop.firm.example", "", "", "", "p\"w'd", "", "", "smtp.firm.example", "", "",
                    "anna", "anna@firm.example", "pw", "boris", "boris@firm.example", "pw", "", "", "boris"],
             "--no-test", "--no-dns")
    assert p.returncode == 0, p.stderr
    (home / "m.eml").write_bytes(message("x", to="anna@firm.example"))
    p = subprocess.run([gw.OFMCTL, "-d", home, "explain", home / "m.eml", "--account", "info"], capture_output=True, text=True)
    assert p.returncode == 0 and "anna" in p.stdout and "boris" not in p.stdout, p.stdout + p.stderr


def test_init_knows_the_big_providers(home):
    p = init(home, ["", "firm@gmail.com"], "--no-test", "--no-dns")
    assert "[pop.gmail.com]" in p.stderr and "[995]" in p.stderr and "app password" in p.stderr


def test_init_asks_microsofts_users_for_a_command(home):
    p = init(home, ["", "firm@outlook.com", "", "", "", "", "/usr/bin/token outlook", "", "", "", "", "", "anna", "", "pw", "",
                    "", ""], "--no-test", "--no-dns")
    assert p.returncode == 0 and "takes no passwords" in p.stderr, p.stderr
    text = (home / "etc/ofmsrv.ini").read_text()
    assert text.count("auth = xoauth2\n") == 2 and 'password_command = "/usr/bin/token outlook"\n' in text
    assert "\npassword = " not in text.split("[user")[0]


@pytest.mark.parametrize("address,pop3,smtp", [
    ("a@gmail.com", "pop.gmail.com", "smtp.gmail.com"), ("a@ya.ru", "pop.yandex.ru", "smtp.yandex.ru"),
    ("a@bk.ru", "pop.mail.ru", "smtp.mail.ru"), ("a@rambler.ru", "pop.rambler.ru", "smtp.rambler.ru"),
    ("a@yahoo.com", "pop.mail.yahoo.com", "smtp.mail.yahoo.com"), ("a@gmx.de", "pop.gmx.net", "mail.gmx.net")])
def test_init_takes_a_providers_suggestions(home, address, pop3, smtp):
    p = init(home, ["", address, "", "", "", "", "pw", "", "", "", "", "", "anna", "", "pw", "", "", ""], "--no-test", "--no-dns")
    assert p.returncode == 0, p.stderr
    text = (home / "etc/ofmsrv.ini").read_text()
    assert f"host = {pop3}\n" in text and f"host = {smtp}\n" in text


# ---- DNS ----

def name(text):
    return b"".join(bytes([len(x)]) + x.encode() for x in text.split(".")) + b"\0"


class Names:
    """A name server on 127.0.0.77 that knows SRV records alone."""

    def __init__(self, records):
        self.records, self.asked = records, []
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.bind(("127.0.0.77", 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                q, peer = self.s.recvfrom(1000)
            except OSError:
                return
            if not q:
                return
            labels, at = [], 12
            while q[at]:
                labels.append(q[at + 1:at + 1 + q[at]].decode())
                at += 1 + q[at]
            asked = ".".join(labels).lower()
            self.asked.append(asked)
            answers = self.records.get(asked, [])
            out = q[:2] + struct.pack(">HHHHH", 0x8580 | (0 if answers else 3), 1, len(answers), 0, 0) + q[12:at + 5]
            for priority, port, target in answers:
                data = struct.pack(">HHH", priority, 0, port) + name(target)
                out += b"\xc0\x0c" + struct.pack(">HHIH", 33, 1, 60, len(data)) + data
            self.s.sendto(out, peer)

    def close(self):
        self.s.sendto(b"", ("127.0.0.77", 53))
        self.s.close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root has a resolv.conf of its own")
def test_init_suggests_what_dns_says(home):
    try:
        names = Names({"_pop3s._tcp.firm.example": [(20, 9995, "late.firm.example"), (10, 1995, "pop.firm.example")],
                       "_submission._tcp.firm.example": [(0, 2587, "out.firm.example")]})
    except OSError:
        pytest.skip("port 53 of 127.0.0.77 is taken")
    (home / "resolv.conf").write_text("nameserver 127.0.0.77\n")
    script = f"mount --bind {home}/resolv.conf /etc/resolv.conf && exec \"$@\""
    before = ["unshare", "-m", "sh", "-c", script, "sh"]
    p = init(home, ["", "info@firm.example", "", "", "", "", "pw", "", "", "", "", "", "anna", "", "pw", "", "", ""],
             "--no-test", before=before)
    names.close()
    assert p.returncode == 0, p.stderr
    text = (home / "etc/ofmsrv.ini").read_text()
    assert "host = pop.firm.example\nport = 1995\nsecurity = tls\n" in text
    assert "host = out.firm.example\nport = 2587\nsecurity = starttls\n" in text
    assert "_pop3s._tcp.firm.example" in names.asked
