"""A gateway between a provider, two relays and LAN clients; a load of a second or two; and what was promised in it."""
import copy
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time

from lib import clients, gateway, scratch
from lib.sending import to

from . import peers, shim

BIG = 150 * 1024  # past what stays in memory: a spool file of its own
DOMAINS = (b"office.lan", b"firm.example")


class Message:
    """What a client or the provider handed over, and what became of it there: "accepted" (250, or its deletion was
    confirmed at QUIT), "refused", "unknown" (no reply came) or "unsent"."""

    def __init__(self, token, sender, users=(), outside=(), size=0, road="smtp"):
        self.token, self.sender, self.users, self.outside, self.road = token, sender, list(users), list(outside), road
        self.fate, self.ns = "unsent", 0
        to = ", ".join([f"{u}@office.lan" for u in users] + list(outside)) or "anna@office.lan"
        body = f"body of {token}\r\n.\r\n".encode() + b"".join(b"%06d %s\r\n" % (i, token.encode())
                                                                for i in range(size // (len(token) + 9)))
        self.raw = gateway.message(token, sender, to, body)

    @property
    def sent_outside(self):
        """As the relay must get it: local addresses have become aliases."""
        head, gap, rest = self.raw.partition(b"\r\n\r\n")
        return head.replace(*DOMAINS) + gap + rest


def load_messages():
    """In the order in which one SMTP client sends them."""
    return [
        Message("T01-two", "anna@office.lan", ["boris", "carol"]),
        Message("T02-big", "anna@office.lan", ["carol", "boris"], size=BIG),
        Message("T03-out", "anna@office.lan", outside=["x03@far.example"]),
        Message("T04-both", "anna@office.lan", ["boris"], ["x04@far.example", "y04@far.example"]),
        Message("T05-second", "boris@office.lan", outside=["x05@far.example"]),
        Message("T06-bounce", "boris@office.lan", outside=["refused06@far.example"]),
        Message("T07-bigout", "anna@office.lan", ["carol"], ["x07@far.example"], size=BIG),
        Message("T08-late", "carol@office.lan", ["boris"]),
        # Each relay gets one message of several transactions, in which it takes, refuses and defers.
        Message("T09-chunked", "anna@office.lan", outside=_far("x09", "refused09", "y09", "late09", "z09", "refusedtoo09")),
        Message("T10-piped", "boris@office.lan", ["carol"],
                _far("x10", "y10", "refused10", "z10", "late10", "refusedtoo10")),
        Message("T11-stepped", "carol@office.lan", outside=_far("x11", "refused11", "y11", "hangup11", "late11", "z11")),
        Message("T12-end", "anna@office.lan", outside=_far("endbad12")),
        Message("T13-end", "boris@office.lan", outside=_far("endlate13")),
        Message("T14-lost", "carol@office.lan", outside=_far("lost14", "x14")),
        Message("T15-dropped", "anna@office.lan", outside=_far("dropped15", "refused15")),
    ]


def _far(*names):
    return [f"{n}@far.example" for n in names]


def provider_messages():
    return {f"uid{n}": Message(f"P{n:02d}", "stranger@far.example", ["anna", "carol"], road="pop3",
                               size=BIG if n == 2 else 0) for n in range(1, 5)}


class World:
    """disk: a folder on which the gateway's home lies; else memory, where flushing costs nothing."""

    def __init__(self, disk=None):
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="ofm.crash.", dir=base))
        self.base.chmod(0o755)
        self.shim = shim.Shim(self.base)
        self.provider = peers.Provider()
        self.relays = [peers.Relay(o) for o in (peers.CHUNKING, peers.PLAIN, peers.LOCK_STEP)]
        first, second, third = (to(r.port) for r in self.relays)
        keys = {"host": "127.0.0.1", "port": self.provider.port, "security": "none", "auth": "plain", "user": "box",
                "password": "secret", "keep": 0, "deliver": "anna, carol"}
        self.gateway = gateway.Gateway({
            **first, "relay second": {**second["relay"], "senders": "boris@firm.example"},
            "relay third": {**third["relay"], "senders": "carol@firm.example"},
            "account info": keys, "special": {"boss": "boss"}, "user boss": {"password": "x"},
            "user carol": {"alias": "carol@firm.example"}, "sync": {"every": 0, "on_send": "no", "min_interval": "1s"},
            "server": {"log_level": "info"},
        }, start=False)
        made, self.home = self.gateway.home, (disk or self.base) / "home"
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.move(made, self.home)
        self.gateway.home, self.gateway.ini_path = self.home, self.home / "etc/ofmsrv.ini"
        self.gateway.env = self.shim.env(self.home)
        self.template = None
        self.kills = 0

    # ---- one round ----

    def make_template(self):
        """A gateway that has run before, with three old messages for boris."""
        self.shim.arm()
        self.gateway.start()
        self.seeds = [Message(f"S{n:02d}-old", "anna@office.lan", ["boris"]) for n in range(3)]
        for m in self.seeds:
            self.gateway.send(m.sender, ["boris@office.lan"], m.raw)
            m.fate = "accepted"
        self.gateway.wait_box("boris", len(self.seeds))
        self.gateway.stop()
        self.template = self.base / "template"
        shutil.copytree(self.home, self.template, symlinks=True)

    def reset(self, fresh=False):
        """The template again; fresh: an installation that has never run."""
        self.gateway.kill()
        shutil.rmtree(self.home)
        if fresh:
            self.home.mkdir()
            for sub in ("mailboxes", "outqueue"):
                (self.home / sub).mkdir()
            shutil.copytree(self.template / "etc", self.home / "etc")
        else:
            shutil.copytree(self.template, self.home, symlinks=True)
        self.old = [] if fresh else self.seeds
        self.collected = provider_messages()
        self.provider.fill({uid: m.raw for uid, m in self.collected.items()})
        for r in self.relays:
            r.forget()
        self.sent = load_messages()
        self.dropping = set()  # addresses that an operator has asked to drop
        self.deletions = []  # [tokens, "confirmed" or "unknown", when confirmed, when asked for]
        self.final_outside = {}  # address -> how often relays had it when the database called it done
        self.kills = 0

    def rewind(self, run, when):
        """The outside as it was at a time (ns) of a recorded run, and what had been promised by then."""
        self.gateway.kill()
        self.kills, self.final_outside = 1, {}
        self.sent = [copy.copy(m) for m in run.sent]
        for m in self.sent:
            m.fate = m.fate if m.ns and m.ns <= when else "unknown"
        self.deletions = [[d[0], "confirmed" if d[2] and d[2] <= when else "unknown", d[2], d[3]]
                          for d in run.deletions if d[3] <= when]
        gone = {uid for uid, ns in run.deleted.items() if ns <= when}
        self.provider.fill({uid: m.raw for uid, m in self.collected.items() if uid not in gone})
        self.provider.deleted = {uid: run.deleted[uid] for uid in gone}
        self.dropping = set(run.dropping)
        for relay, accepted in zip(self.relays, run.accepted):
            relay.forget()
            relay.accepted.extend(a for a in accepted if a.ns <= when)

    def promised_before(self, when):
        """Answers that came later (ns) are none."""
        for m in self.sent:
            if m.ns > when:
                m.fate = "unknown"
        for d in self.deletions:
            if d[2] > when:
                d[1] = "unknown"
        self.provider.deleted = {uid: ns for uid, ns in self.provider.deleted.items() if ns <= when}

    def begin(self, seconds=60):
        """Starts the program: True when it listens, False when it died or gave up."""
        g = self.gateway
        g.start(wait=False)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if g.process.poll() is not None:
                return False
            if all(scratch.listens(p) for p in g.ports()):
                return True
            time.sleep(0.01)
        raise AssertionError("neither up nor dead: " + g.log()[-2000:])

    def died(self):
        """Takes note of a process that ended, and of what the database promised until then."""
        g = self.gateway
        if g.process is not None and g.process.poll() is not None:
            g.kill()
            self.kills += 1
            self.note_final()
            return True
        return g.process is None

    # ---- the load ----

    def _smtp(self):
        try:
            with clients.SMTP(self.gateway.smtp_port, timeout=60) as s:
                for m in self.sent:
                    m.fate = "unknown"
                    s.cmd(f"MAIL FROM:<{m.sender}>")
                    m.users = [u for u in m.users if s.cmd(f"RCPT TO:<{u}@office.lan>")[0] == 250]
                    m.outside = [a for a in m.outside if s.cmd(f"RCPT TO:<{a}>")[0] == 250]
                    code = s.data(m.raw)[0]
                    m.fate, m.ns = ("accepted" if code == 250 else "refused"), time.monotonic_ns()
                self._hold_all()
                s.cmd("MAIL FROM:<anna@office.lan>")
                s.cmd("RCPT TO:<daemon@office.lan>")
                s.data(b"Subject: sync\r\n\r\n")
                s.cmd("QUIT")
        except (OSError, EOFError):
            pass

    def _pop3(self, user):
        """Reads all there is, deletes it, and quits."""
        tokens = []
        try:
            with clients.POP3(self.gateway.pop3_port, user, "x", timeout=60) as p:
                for n in sorted(p.list()):
                    raw = p.retr(n)
                    tokens += [token_of(raw) or "about " + about(raw), *("bounce " + a for a in named(raw))]
                    p.ok(f"DELE {n}")
                entry = [tokens, "unknown", 0, time.monotonic_ns()]
                self.deletions.append(entry)
                if p.quit().startswith("+OK"):
                    entry[1:3] = "confirmed", time.monotonic_ns()
        except (OSError, EOFError, clients.POP3.Refused):
            pass

    def _readers(self):
        self._pop3("boris")
        time.sleep(0.15)
        self._pop3("boris")

    def _ctl(self, *args):
        try:
            return self.gateway.ctl(*args, timeout=20)
        except subprocess.SubprocessError:
            return None

    def _hold_all(self):
        """Once the queue shows the last message; on a failing disk it may never do so."""
        end = time.monotonic() + 2
        while time.monotonic() < end:
            p = self._ctl("queue", "list")
            if p is None or p.returncode != 0 or "refused15" in p.stdout or "dropped15" in p.stdout:
                break
            time.sleep(0.01)
        self._ctl("queue", "hold", "all")

    def _operator(self):
        """Interferes with what is being sent; all of it is held when this begins."""
        self.dropping |= set(_far("dropped15", "refused15"))
        drop = threading.Thread(target=self._ctl, args=("queue", "drop", "dropped15@far.example"))
        drop.start()
        self._ctl("queue", "release", "all")
        drop.join()
        self._ctl("queue", "hold", "all")
        self._ctl("queue", "release", "all")
        self._ctl("queue", "retry", "all")

    def _smtp_then_operator(self):
        self._smtp()
        self._operator()

    def load(self, seconds=12):
        """Runs clients until all is done or the program is dead; returns whether it lives."""
        threads = [threading.Thread(target=t) for t in (self._smtp_then_operator, self._readers)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        end = time.monotonic() + seconds
        while self.gateway.process.poll() is None and time.monotonic() < end and not self.outside_done():
            self._ctl("sync", "--wait")
            time.sleep(0.02)
        if self.gateway.process.poll() is None:
            self._pop3("boris")
        return self.gateway.process.poll() is None

    def outside_done(self):
        wanted = {a for m in self.sent if m.fate == "accepted" for a in m.outside
                  if not peers.refuses(a) and a not in self.dropping}
        return not self.provider.messages and wanted <= set(self.relayed())

    def relayed(self):
        """Recipient -> how often a relay has taken a message for it."""
        out = {}
        for r in self.relays:
            for a in list(r.accepted):
                for address in a.recipients:
                    out[address] = out.get(address, 0) + 1
        return out

    # ---- afterwards ----

    def _database(self):
        """(database, its log), of one moment: a checkpoint between the two reads would leave pages in neither."""
        def bytes_of(name):
            try:
                return (self.home / "state" / name).read_bytes()
            except FileNotFoundError:
                return b""
        base, before = bytes_of("ofmsrv.db"), None
        while base != before:
            before, log, base = base, bytes_of("ofmsrv.db-wal"), bytes_of("ofmsrv.db")
        return base, log

    def query(self, sql):
        """On a copy, so that nothing is recovered or checkpointed under the program's feet."""
        with tempfile.TemporaryDirectory(dir=self.base) as d:
            base, log = self._database()
            pathlib.Path(d, "ofmsrv.db").write_bytes(base)
            pathlib.Path(d, "ofmsrv.db-wal").write_bytes(log)
            db = sqlite3.connect(f"{d}/ofmsrv.db")
            try:
                return db.execute(sql).fetchall()
            finally:
                db.close()

    def note_final(self):
        try:
            waiting = {a for (a,) in self.query("SELECT address FROM recipient WHERE state = 0")}
        except sqlite3.Error:
            return
        for address, n in self.relayed().items():
            if address not in waiting:
                self.final_outside.setdefault(address, n)

    def finish(self):
        """What the next quiet hour would bring: everything collected, sent, settled; then a clean stop."""
        g = self.gateway
        end = time.monotonic() + 30
        while True:
            g.ctl("queue", "release", "all")
            g.ctl("sync", "--wait", timeout=60)
            if (self.outside_done() and not self.query("SELECT 1 FROM message UNION ALL SELECT 1 FROM tombstone"
                                                       " UNION ALL SELECT 1 FROM recipient")):
                break
            if time.monotonic() > end:
                break
            time.sleep(0.05)
        g.ctl("sync", "--wait", timeout=60)
        g.stop()

    def close(self):
        self.gateway.kill()
        self.provider.close()
        for r in self.relays:
            r.close()
        self.shim.close()
        scratch.remove(self.base)


def token_of(raw):
    """The token of a message by its own header; "" for what the gateway wrote itself."""
    m = re.search(rb"^Subject: ([STP]\d\d[-a-z]*)", raw.partition(b"\r\n\r\n")[0], re.M)
    return m.group(1).decode() if m else ""


def about(raw):
    """The token of the message that a bounce or a warning is about."""
    m = re.search(rb"^Subject: ([STP]\d\d[-a-z]*)", raw.partition(b"\r\n\r\n")[2], re.M)
    return m.group(1).decode() if m else ""


def named(raw):
    """The addresses whose failure a bounce reports."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    if b"multipart/report" not in head:
        return []
    blocks = rest.partition(b"message/delivery-status")[2].split(b"\r\n\r\n")
    return [m.group(1).decode() for b in blocks if b"\r\nAction: failed" in b"\r\n" + b
            for m in [re.search(rb"^Final-Recipient: rfc822; *(\S+)", b, re.M)] if m]
