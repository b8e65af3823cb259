#!/usr/bin/python3
"""The first evening with the gateway, written down from the real programs: docs/FIRST_EVENING.md.

    tools/evening.py [FILE]     writes it there (default: stdout); make evening writes the committed one

It needs root and runs in a network, host name and file names of its own (unshare): a real Dovecot is the provider's POP3
server on port 995, a real Postfix its SMTP server on 587, both with certificates that the machine trusts, and the gateway
has its usual ports. Nothing leaves the machine. The first step that does not do what it should ends it with status 1."""
import json
import os
import pathlib
import poplib
import pwd
import re
import shutil
import smtplib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests/e2e"))

from lib import ca as authority, dovecot, gateway, postfix, scratch, screen  # noqa: E402

USER = "ofmsrv"
NAMES = "pop.provider.example smtp.provider.example gate.office.lan gate"
SECRET = "abcd-efgh-ijkl"
ANSWERS = [  # to the questions of ofmctl init, in order; "" takes what it suggests
    "", "info@firm.example",
    "pop.provider.example", "", "", "", SECRET, "",
    "yes", "smtp.provider.example", "", "",
    "anna", "anna@firm.example", "annas-password", "boris", "boris@firm.example", "boriss-password", "",
    "invoice", "anna", "",
    "boris"]


class Evening:
    def __init__(self, home):
        self.home, self.out, self.dest = home, [], home / "dest"
        self.ini, self.data = self.dest / "etc/ofmsrv/ofmsrv.ini", self.dest / "var/lib/ofmsrv"
        self.process = None

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    # ---- writing down ----

    def say(self, text=""):
        self.out.append(text)

    def show(self, command, output):
        output = "\n".join(line.rstrip() for line in output.replace(str(self.dest), "").strip("\n").splitlines())
        self.say(f"```\n$ {command}\n{output}".rstrip() + "\n```\n")

    def run(self, command, *args, status=0, want="", stdin=None):
        """A command as the reader types it, and as it is run here."""
        p = subprocess.run([str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           input=stdin, timeout=120)
        text = p.stdout
        if p.returncode != status or want not in text:
            raise SystemExit(f"evening: {command}: status {p.returncode}, wanted {status} and {want!r}:\n{text}")
        return text

    def ctl(self, words, want="", status=0, args=None, stdin=None):
        text = self.run("ofmctl " + words, self.dest / "usr/local/bin/ofmctl", "-c", self.ini, "-d", self.data,
                        *(args or words.split()), want=want, status=status, stdin=stdin)
        self.show("ofmctl " + words, text)
        return text

    # ---- the evening ----

    def install(self):
        self.say("## 1. Install\n")
        self.run("make install", "make", "-s", "-C", ROOT, "-o", "all", f"BUILD={gateway.BUILD}", "install",
                 f"DESTDIR={self.dest}")
        found = self.run("ls", "ls", self.dest / "usr/local/sbin", self.dest / "usr/local/bin", want="ofmctl")
        self.show("sudo make install && ls /usr/local/sbin /usr/local/bin", found)
        self.say("The user `ofmsrv`, whom the programs run as, and the owner of the folders are made as the manual says (the\n"
                 "Debian package makes them by itself). The configuration that `make install` put there is an example; the next\n"
                 "step writes one that fits.\n")
        for p in (self.data, *self.data.rglob("*")):
            shutil.chown(p, USER, USER)

    def init(self):
        self.say("## 2. Answer the questions\n\n"
                 "A line each; where an answer is empty, what stands in brackets is taken. Passwords do not show on a terminal.\n")
        text = self.run("init", "stdbuf", "-oL", self.dest / "usr/local/bin/ofmctl", "-c", self.ini, "-d", self.data, "init", stdin="\n".join(ANSWERS) + "\n", want="is let in")
        self.show("sudo ofmctl init", text)

    def start(self):
        self.say("## 3. Check, and start\n")
        self.ctl("check", want="no faults")
        self.process = subprocess.Popen([self.dest / "usr/local/sbin/ofmsrv", "-c", self.ini, "-d", self.data],
                                        stdin=subprocess.DEVNULL, stdout=open(self.home / "stdout", "wb"),
                                        stderr=subprocess.STDOUT)
        scratch.wait_for(lambda: scratch.listens(25) and scratch.listens(110) or self.ended(), 30, "the gateway")
        self.show("sudo ofmsrv &", "")
        # The first collection is over: what status says does not depend on how fast this machine is.
        scratch.wait_for(self.has_collected, 30, "the first collection")
        self.ctl("status", want="Listening")

    def has_collected(self):
        status = json.loads(self.run("status", self.dest / "usr/local/bin/ofmctl", "-c", self.ini, "-d", self.data, "status", "--json"))
        return not status["sync"]["running"] and status["accounts"][0]["last_at"] > 0

    def ended(self):
        if self.process.poll() is not None:
            raise SystemExit("evening: ofmsrv ended: " + (self.home / "stdout").read_text())

    def mail_programs(self):
        self.say("## 4. The mail programs\n\n"
                 "What `ofmctl init` said at its end goes into each mail program; for Thunderbird the manual says where. Anna writes to\n"
                 "Boris, and to a customer; Boris's program finds her letter at once.\n")
        with smtplib.SMTP("127.0.0.1", 25, "anna-pc") as s:
            s.sendmail("anna@office.lan", ["boris@office.lan"], letter("anna@office.lan", "boris@office.lan", "Lunch at one?"))
            s.sendmail("anna@office.lan", ["customer@far.example"],
                       letter("anna@office.lan", "customer@far.example", "Our offer"))
        scratch.wait_for(lambda: self.reads("boris", "boriss-password"), 20, "Boris's letter")
        self.say("Boris has: " + self.reads("boris", "boriss-password") + "\n")

    def reads(self, user, password):
        p = poplib.POP3("127.0.0.1", 110, 20)
        p.user(user)
        p.pass_(password)
        lines = [re.search(r"(?mi)^subject: (.*)$", b"\n".join(p.top(n + 1, 0)[1]).decode())[1]
                 for n in range(p.stat()[0])]
        p.quit()
        return ", ".join(f"*{s.strip()}*" for s in lines)

    def sync(self, provider, relay):
        self.say("## 5. A sync\n\nTwo letters wait at the provider: an invoice, and one to Boris.\n")
        provider.put("info@firm.example", letter("shop@far.example", "info@firm.example", "Invoice 17"),
                     letter("friend@far.example", "boris@firm.example", "Hello Boris"))
        self.ctl("sync --wait", want="info")
        sent = relay.wait("customer@far.example")[0]
        assert sent.sender == "anna@firm.example" and sent.message["From"] == "anna@firm.example", sent.message["From"]
        scratch.wait_for(lambda: "Invoice" in self.reads("anna", "annas-password"), 20, "the invoice")
        self.say(f"Anna has: {self.reads('anna', 'annas-password')}. Boris has: {self.reads('boris', 'boriss-password')}. The "
                 f"customer got\n*{sent.message['Subject']}* from `{sent.message['From']}`: the local address has become the real one.\n")

    def look(self):
        self.say("## 6. Look at it\n")
        self.ctl("status", want="info")
        self.ctl("journal --since today", want="Invoice 17")
        self.ctl("queue", want="")
        self.ctl("users", want="anna")
        self.ctl("report", want="ollected")
        self.ctl("health", want="OK")
        self.say("`ofmctl top` shows all of it live, on a screen of 80 by 24:\n")
        s = screen.Screen([str(self.dest / "usr/local/bin/ofmctl"), "-c", str(self.ini), "-d", str(self.data), "top"])
        try:
            text = s.wait("info", "Invoice 17")
            s.key("q")
        finally:
            s.close()
        self.show("ofmctl top", text)

    def trouble(self, provider):
        self.say("## 7. When something is wrong\n\nThe provider's password changes over night. Postmaster, who is Boris here, is told "
                 "once; `ofmctl test` says\nwhat to do at any time.\n")
        provider.add_user("info@firm.example", "another-one")
        self.ctl("sync info --wait", status=1, want="log-in refused")
        self.ctl("test account info", status=1, want="log-in")
        self.ctl("health", status=2, want="info")
        provider.add_user("info@firm.example", SECRET)
        self.ctl("sync info --wait", want="info")
        self.say("## 8. Stop\n")
        self.ctl("stop")
        if self.process.wait(40) != 0:
            raise SystemExit("evening: ofmsrv did not end well")


HEAD = """# The first evening

What the programs say on the first evening, from installation to the first trouble. `make evening` writes this file anew from the
real programs: a Dovecot plays the provider's POP3 server, a Postfix its SMTP server, all of it on one machine without a network.
Only the folder in which it happens is left out of the names.
"""


def letter(sender, to, subject):
    return (f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nDate: Tue, 24 Nov 2026 18:00:00 +0000\r\n"
            f"Message-ID: <{os.urandom(6).hex()}@example>\r\n\r\nGood evening.\r\n").encode()


def ports(*given):
    """The provider's servers have the usual ports where somebody types them."""
    rest = list(given)
    scratch.free_port = lambda: rest.pop(0)


def evening(home, ca):
    ports(10110, 995, 10024)
    provider = dovecot.Dovecot(ca, "pop.provider.example")
    try:
        provider.add_user("info@firm.example", SECRET)
        ports(10025, 587, 10465, 10026, 10027, 10028)
        relay = postfix.Postfix(ca, provider, "smtp.provider.example")
        e = Evening(home)
        try:
            e.say(HEAD)
            for step in (e.install, e.init, e.start, e.mail_programs, lambda: e.sync(provider, relay), e.look,
                         lambda: e.trouble(provider)):
                step()
            return "\n".join(e.out)
        finally:
            e.close()
            relay.close()
    finally:
        provider.close()


def apart(argv):
    """Runs this program again in namespaces of its own, with names and trust of its own."""
    home, ca = scratch.folder("evening"), authority.CA()
    try:
        system = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
        (home / "ca.crt").write_text((system.read_text() if system.exists() else "") + ca.cert.read_text())
        (home / "hosts").write_text(f"127.0.0.1 localhost {NAMES}\n")
        (home / "resolv").write_text("nameserver 127.0.0.1\n")
        passwd, group = (pathlib.Path(f"/etc/{n}").read_text() for n in ("passwd", "group"))
        if USER not in [u.pw_name for u in pwd.getpwall()]:
            passwd += f"{USER}:x:988:988::/var/lib/ofmsrv:/usr/sbin/nologin\n"
            group += f"{USER}:x:988:\n"
        (home / "passwd").write_text(passwd)
        (home / "group").write_text(group)
        binds = {"hosts": "/etc/hosts", "resolv": "/etc/resolv.conf", "passwd": "/etc/passwd", "group": "/etc/group"}
        if system.exists():
            binds["ca.crt"] = str(system)
        prepare = " && ".join(["ip link set lo up", "hostname gate"]
                              + [f"mount --bind {home / a} {b}" for a, b in binds.items()])
        return subprocess.run(["unshare", "-n", "-m", "-u", "sh", "-e", "-c", prepare + ' && exec "$0" "$@"', sys.executable,
                               str(pathlib.Path(__file__).resolve()), "--inside", str(home), str(ca.home), *argv],
                              timeout=300).returncode
    finally:
        ca.close()
        scratch.remove(home)


def inside(home, ca_home, target=None):
    ca = authority.CA.__new__(authority.CA)
    ca.home = pathlib.Path(ca_home)
    ca.cert, ca.key = ca.home / "ca.pem", ca.home / "ca.key"
    text = evening(pathlib.Path(home), ca)
    if target:
        pathlib.Path(target).write_text(text)
    else:
        print(text)
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        sys.exit(inside(*sys.argv[2:]))
    sys.exit(apart(sys.argv[1:]))
