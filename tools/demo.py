#!/usr/bin/python3
"""Shows the gateway at its main job, on loopback: one ofmsrv is the office's, another one plays the provider.

Every step looks at what really happened; the first that does not hold ends the show with status 1."""
import email
import email.header
import email.policy
import pathlib
import poplib
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PASSWORD = "let me in"
INVOICE = "Счёт 42 за ноябрь"
WAIT = 30

PROVIDER = """[server]
hostname = mail.provider.example
domain = firm.example
[pop3]
bind = 127.0.0.1
port = {pop3}
[smtp]
bind = 127.0.0.1
port = {smtp}
[sync]
every = 0
[user info]
password = "{password}"
[user sales]
password = "{password}"
[user customer]
password = "{password}"
alias = customer@client.example
"""

OFFICE = """[server]
hostname = gate.office.lan
domain = office.lan
[pop3]
bind = 127.0.0.1
port = {pop3}
[smtp]
bind = 127.0.0.1
port = {smtp}
[special]
boss = chief
[user anna]
password = "{password}"
alias = anna@firm.example
[user boris]
password = "{password}"
alias = boris@firm.example
[user chief]
password = "{password}"
alias = chief@firm.example
[user postmaster]
password = "{password}"
[connection]
type = lan
[sync]
every = 0
on_send = no
min_interval = 1s
[account info]
host = 127.0.0.1
port = {provider_pop3}
security = none
user = info
password = "{password}"
keep = 0
[account sales]
host = 127.0.0.1
port = {provider_pop3}
security = none
user = sales
password = "{password}"
keep = 0
[rule invoices]
field = Subject
contains = счёт
deliver = anna
[rule orders]
field = Subject
matches = ^order \\d+
deliver = boris
[relay]
host = 127.0.0.1
port = {provider_smtp}
security = none
auth = off
"""


class Failed(Exception):
    pass


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Instance:
    def __init__(self, name, home, ini, smtp, pop3):
        self.name, self.home, self.smtp_port, self.pop3_port = name, home, smtp, pop3
        for folder in ("etc", "mailboxes", "outqueue"):
            (home / folder).mkdir(parents=True)
        (home / "etc/ofmsrv.ini").write_text(ini, encoding="utf-8")
        self.process = None

    def start(self):
        with open(self.home / "stderr", "wb") as err:
            self.process = subprocess.Popen([ROOT / "ofmsrv", "-d", self.home], stdin=subprocess.DEVNULL, stdout=err,
                                            stderr=err)
        until(lambda: self.listens(self.smtp_port) and self.listens(self.pop3_port), f"the {self.name} listens")

    def listens(self, port):
        if self.process.poll() is not None:
            raise Failed(f"the {self.name} did not start: {(self.home / 'stderr').read_text()}")
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def ctl(self, *words):
        p = subprocess.run([ROOT / "ofmctl", "-d", self.home, *words], stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, timeout=WAIT * 2)
        if p.returncode != 0:
            raise Failed(f"ofmctl {' '.join(words)}: {p.stdout}{p.stderr}")
        return p.stdout

    def send(self, sender, recipients, subject, text, charset="utf-8", to=None):
        head = email.header.Header(subject, charset).encode() if not subject.isascii() else subject
        message = (f"From: {sender}\r\nTo: {to or ', '.join(recipients)}\r\nSubject: {head}\r\n"
                   f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n")
        with smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=WAIT) as s:
            s.sendmail(sender, recipients, message.encode())

    def read(self, user):
        """The user's mailbox as a mail program sees it, by POP3."""
        box = poplib.POP3("127.0.0.1", self.pop3_port, timeout=WAIT)
        box.user(user)
        box.pass_(PASSWORD)
        count = len(box.list()[1])
        found = [email.message_from_bytes(b"\r\n".join(box.retr(n + 1)[1]) + b"\r\n", policy=email.policy.default)
                 for n in range(count)]
        box.quit()
        return found

    def queue(self):
        return sorted((self.home / "outqueue").glob("*.eml"))


def until(ready, what):
    deadline = time.monotonic() + WAIT
    while not ready():
        if time.monotonic() > deadline:
            raise Failed(f"not seen within {WAIT} seconds: {what}")
        time.sleep(0.05)


def say(text):
    print(text, flush=True)


def seen(ok, what):
    if not ok:
        raise Failed(f"not seen: {what}")
    say(f"   seen  {what}")


def show(user, messages):
    for m in messages:
        say(f"         {user}: \"{m['Subject']}\" from {m['From']}")


def mail_waits_at_the_provider(provider):
    say("\n1. Mail lies at the provider, in two mailboxes")
    provider.send("customer@client.example", ["info@firm.example"], INVOICE, "see attachment", "koi8-r")
    provider.send("customer@client.example", ["sales@firm.example"], "order 7", "twelve, please")
    provider.send("stranger@far.example", ["info@firm.example"], "is anybody there?", "hello")
    seen(len(provider.read("info")) == 2 and len(provider.read("sales")) == 1, "two messages for info@, one for sales@")


def it_is_collected_and_sorted(office, provider):
    say("\n2. The office collects both accounts: ofmctl sync --wait")
    for line in office.ctl("sync", "--wait").splitlines():
        say(f"         {line}")
    seen(not provider.read("info") and not provider.read("sales"), "the provider's mailboxes are empty now")
    say("\n3. The sorter has placed it; mail programs read it by POP3")
    anna, boris, rest = office.read("anna"), office.read("boris"), office.read("postmaster")
    show("anna", anna)
    seen([m["Subject"] for m in anna] == [INVOICE], "the Russian invoice is Anna's: rule on Subject, \"счёт\"")
    show("boris", boris)
    seen([m["Subject"] for m in boris] == ["order 7"], "the order is Boris's: rule on Subject, ^order \\d+")
    show("postmaster", rest)
    seen([m["Subject"] for m in rest] == ["is anybody there?"] and "X-Ofmsrv-Unsorted" in rest[0],
         "what nobody could place went to postmaster, and says why")


def mail_is_sent_and_held(office):
    say("\n4. Anna writes to a customer and to Boris, from anna@office.lan")
    office.send("anna@office.lan", ["customer@client.example", "boris@office.lan"], "our offer", "ten per cent off")
    until(lambda: len(office.queue()) == 1, "the message in the outqueue")
    until(lambda: len(office.read("boris")) == 2, "Boris's message")
    seen("anna@office.lan" in [m["From"] for m in office.read("boris")], "Boris has it at once, without any Internet")
    seen(len(office.queue()) == 1, "the customer's copy waits in the outqueue:")
    for line in office.ctl("queue").splitlines():
        say(f"         {line}")


def the_daemon_is_woken(office, provider):
    say("\n5. Boris writes to daemon@office.lan: that starts a session with the outside")
    office.send("boris@office.lan", ["daemon@office.lan"], "go", "")
    until(lambda: not office.queue(), "an empty outqueue after the daemon was woken")
    seen(True, "the outqueue is empty")
    until(lambda: len(provider.read("customer")) == 1, "the message at the provider")
    got = provider.read("customer")[0]
    say(f"         Return-Path: {got['Return-Path']}")
    say(f"         From:        {got['From']}")
    say(f"         To:          {got['To']}")
    seen(got["Return-Path"] == "<anna@firm.example>" and got["From"] == "anna@firm.example" and
         "boris@firm.example" in got["To"],
         "the customer has it, from Anna's real address; the office's own names stay inside")
    seen("go" not in [m["Subject"] for user in ("anna", "boris", "chief", "postmaster") for m in office.read(user)],
         "the letter to the daemon was eaten")


def the_boss_has_a_copy(office):
    say("\n6. The boss gets a copy of everything sent")
    until(lambda: office.read("chief"), "the boss copy")
    copies = office.read("chief")
    show("chief", copies)
    seen([m["Subject"] for m in copies] == ["our offer"] and copies[0]["From"] == "anna@office.lan",
         "the boss copy, as Anna wrote it")


def perform(scratch, instances):
    ports = [free_port() for _ in range(4)]
    provider = Instance("provider", scratch / "provider",
                        PROVIDER.format(smtp=ports[0], pop3=ports[1], password=PASSWORD), *ports[:2])
    office = Instance("office's gateway", scratch / "office",
                      OFFICE.format(smtp=ports[2], pop3=ports[3], provider_smtp=ports[0], provider_pop3=ports[1],
                                    password=PASSWORD), *ports[2:])
    instances += [provider, office]
    say("Two ofmsrv on loopback: one plays the provider, one is the office's gateway.")
    for i in instances:
        i.start()
        say(f"   {i.name}: SMTP {i.smtp_port}, POP3 {i.pop3_port}")
    mail_waits_at_the_provider(provider)
    it_is_collected_and_sorted(office, provider)
    mail_is_sent_and_held(office)
    the_daemon_is_woken(office, provider)
    the_boss_has_a_copy(office)


def main():
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="ofm.demo."))
    instances = []
    status = 1
    try:
        perform(scratch, instances)
        status = 0
    except (Failed, OSError, smtplib.SMTPException, poplib.error_proto) as e:
        say(f"\nFAILED: {e}")
        for i in instances:
            log = i.home / "ofmsrv.log"
            if log.exists():
                say(f"\nthe log of the {i.name}:\n{log.read_text(errors='replace')[-3000:]}")
    finally:
        for i in instances:
            i.stop()
        shutil.rmtree(scratch, ignore_errors=True)
    if status == 0:
        say("""
All of it was seen. To run the gateway for real:

   edit etc/ofmsrv.ini       (every key is explained there; a dozen lines are enough, see README.md)
   ./ofmctl check            what is wrong with it, line by line
   make run                  in the foreground, from this folder
   sudo make install         programs to /usr/local, /etc/ofmsrv/ofmsrv.ini, /var/lib/ofmsrv
""")
    return status


if __name__ == "__main__":
    sys.exit(main())
