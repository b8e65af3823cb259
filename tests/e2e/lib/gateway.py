"""The program under test: a home of its own, an ini file from a table, and its life and death."""
import json
import os
import pathlib
import re
import signal
import subprocess

from . import clients, scratch

BUILD = os.environ.get("OFM_BUILD", "build")
SLOWER = 1 if BUILD == "build" else 5  # how much more time sanitized programs may take
BIN = scratch.ROOT if BUILD == "build" else scratch.ROOT / BUILD
OFMSRV, OFMCTL = str(BIN / "ofmsrv"), str(BIN / "ofmctl")
SANITIZER = re.compile(r"(ERROR|WARNING): \w+Sanitizer|runtime error:|LeakSanitizer")


def ini_text(sections):
    """An ini file from {section: {key: value}}; values are written as they are, lists with commas, None is left out."""
    out = []
    for name, keys in sections.items():
        out.append(f"[{name}]")
        for key, value in keys.items():
            if value is None:
                continue
            if isinstance(value, (list, tuple)):
                value = ", ".join(map(str, value))
            out.append(f"{key} = {value}")
        out.append("")
    return "\n".join(out)


def merged(base, more):
    """Sections of `more` over those of `base`, key by key."""
    out = {k: dict(v) for k, v in base.items()}
    for name, keys in (more or {}).items():
        out.setdefault(name, {}).update(keys)
    return out


class Gateway:
    """sections are merged over a small working configuration: users anna (alias anna@firm.example) and boris, no relay,
    no schedule. `.ini` is what was written last; write() it anew and reload()."""

    def __init__(self, sections=None, text=None, start=True, name="gw", wait=True):
        self.home = scratch.folder(name)
        (self.home / "etc").mkdir()
        (self.home / "mailboxes").mkdir()
        (self.home / "outqueue").mkdir()
        self.ini_path = self.home / "etc/ofmsrv.ini"
        self.smtp_port, self.pop3_port = scratch.free_port(), scratch.free_port()
        self.smtps_port, self.pop3s_port = scratch.free_port(), scratch.free_port()
        self.process = None
        self.env = {}      # what the program's environment has besides
        self.prefix = []   # a command that runs it: strace and its like
        base = {
            "server": {"hostname": "gate.test", "domain": "office.lan", "log_size_kib": 999, "log_level": "debug"},
            "pop3": {"bind": "127.0.0.1", "port": self.pop3_port},
            "smtp": {"bind": "127.0.0.1", "port": self.smtp_port},
            "sync": {"every": 0, "on_send": "no", "min_interval": "1s"},
            "user anna": {"alias": "anna@firm.example"},
            "user boris": {"alias": "boris@firm.example"},
        }
        if os.getuid() == 0:
            base["server"]["run_as"] = "root"  # whoever installed the package has a user ofmsrv, and the homes here are root's
        self.ini = merged(base, sections)
        self.write(text=text)
        if start:
            self.start(wait)

    # ---- configuration ----

    def write(self, sections=None, text=None):
        """Writes the ini file: what stood there with `sections` merged over it, or `text` alone."""
        self.ini = merged(self.ini, sections)
        self.ini_path.write_text(text if text is not None else ini_text(self.ini))

    def drop(self, *sections):
        """Takes whole sections out of the ini file."""
        for s in sections:
            self.ini.pop(s, None)
        self.write()

    def reload(self, sections=None):
        """Writes and reloads; must succeed."""
        if sections:
            self.write(sections)
        p = self.ctl("reload")
        assert p.returncode == 0, p.stderr + p.stdout
        return p

    # ---- life ----

    def start(self, wait=True):
        env = {**os.environ, "ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1:exitcode=99",
               "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1", **self.env}
        self._stderr = open(self.home / "stderr", "ab")
        self.process = subprocess.Popen([*self.prefix, OFMSRV, "-d", str(self.home)], stdin=subprocess.DEVNULL,
                                        stdout=self._stderr, stderr=self._stderr, env=env, start_new_session=True)
        if wait:
            self.wait_ready()

    def ports(self):
        found = []
        for server in ("smtp", "pop3"):
            keys = self.ini.get(server, {})
            found += [int(keys[k]) for k in ("port", "tls_port") if str(keys.get(k, 0)) != "0"]
        return found

    def wait_ready(self, seconds=30):
        def ready():
            assert self.process.poll() is None, f"ofmsrv ended with {self.process.returncode}: {self.stderr()[-3000:]}"
            return all(scratch.listens(p) for p in self.ports())
        scratch.wait_for(ready, seconds, lambda: "the listeners; " + self.stderr() + self.log())

    def stderr(self):
        path = self.home / "stderr"
        return path.read_text(errors="replace") if path.exists() else ""

    def check_sanitizers(self):
        assert not SANITIZER.search(self.stderr()), self.stderr()[-6000:]

    def stop(self, seconds=40):
        """SIGTERM, and a clean end with status 0."""
        if self.process is None:
            return
        p, self.process = self.process, None
        if p.poll() is None:
            p.send_signal(signal.SIGTERM)
        try:
            status = p.wait(seconds)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
            raise AssertionError(f"no end within {seconds} s of SIGTERM: " + self.log()[-3000:])
        finally:
            self._stderr.close()
        self.check_sanitizers()
        assert status == 0, f"ofmsrv ended with {status}: {self.stderr()[-3000:]}"

    def kill(self):
        """SIGKILL: what a crash leaves behind."""
        p, self.process = self.process, None
        if p is not None:
            p.kill()
            p.wait()
            self._stderr.close()

    def restart(self, kill=False):
        self.kill() if kill else self.stop()
        self.start()

    def signal(self, number):
        self.process.send_signal(number)

    def close(self):
        try:
            self.stop()
            self.check_sanitizers()
        finally:
            scratch.remove(self.home)

    # ---- talking to it ----

    def ctl(self, *args, timeout=60):
        return subprocess.run([OFMCTL, "-d", str(self.home), *map(str, args)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout)

    def ctl_ok(self, *args, timeout=60):
        p = self.ctl(*args, timeout=timeout)
        assert p.returncode == 0, f"ofmctl {args}: {p.returncode} {p.stdout} {p.stderr} {self.log()[-2000:]}"
        return p.stdout

    def json(self, *args):
        return json.loads(self.ctl_ok(*args, "--json"))

    def sync(self, *accounts):
        """A sync by hand that must succeed."""
        return self.ctl_ok("sync", *accounts, "--wait", timeout=120)

    def smtp(self, **kw):
        return clients.SMTP(self.smtp_port, **kw)

    def pop3(self, user=None, password="x", **kw):
        return clients.POP3(self.pop3_port, user, password, **kw)

    def send(self, sender, recipients, message):
        """Sends one message by SMTP, accepted for everybody."""
        with self.smtp() as s:
            s.mail(sender, recipients, message)
            s.quit()

    # ---- looking at what it has ----

    def log(self):
        text = ""
        for p in (self.home / "ofmsrv.log.1", self.home / "ofmsrv.log"):
            if p.exists():
                text += p.read_text(errors="replace")
        return text

    def box(self, user):
        """The files of a mailbox as they stand, in order of arrival."""
        files = [p for sub in ("new", "cur") for p in (self.home / "mailboxes" / user / sub).glob("*")]
        return [p.read_bytes() for p in sorted(files, key=lambda p: (p.stat().st_mtime_ns, p.name))]

    def subjects(self, user):
        return sorted(subject(m) for m in self.box(user))

    def wait_box(self, user, n=1, seconds=20):
        """The mailbox's messages once n (or more) are there."""
        scratch.wait_for(lambda: len(self.box(user)) >= n, seconds,
                         lambda: f"{n} messages for {user} (there are {len(self.box(user))}); {self.log()[-3000:]}")
        return self.box(user)

    def queue_files(self):
        return sorted(p for p in (self.home / "outqueue").glob("*.eml"))

    def wait_queue(self, n, seconds=20):
        scratch.wait_for(lambda: len(self.queue_files()) == n, seconds,
                         lambda: f"{n} in the outqueue (there are {len(self.queue_files())}); {self.log()[-3000:]}")
        return self.queue_files()


def subject(raw):
    m = re.search(rb"^Subject: *([^\r\n]*)", raw.split(b"\r\n\r\n")[0], re.M | re.I)
    return m.group(1).decode("utf-8", "replace") if m else ""


def body(raw):
    return raw.partition(b"\r\n\r\n")[2]


def message(subject="hello", sender="anna@office.lan", to="boris@office.lan", body=b"text\r\n", extra=b""):
    if isinstance(body, str):
        body = body.encode()
    return (f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n".encode()
            + b"Date: Tue, 24 Nov 2026 04:00:00 +0000\r\n"
            + f"Message-ID: <{os.urandom(8).hex()}@client.test>\r\n".encode() + extra + b"\r\n" + body)


def programs_exist():
    return pathlib.Path(OFMSRV).exists() and pathlib.Path(OFMCTL).exists()
