"""The peers, each in a scratch folder on loopback, with the configurations in tests/bench/peers/."""
import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys

from lib import clients, gateway, scratch

from . import mail, memory, tools

PEERS = tools.BENCH / "peers"
UNPACKED = scratch.ROOT / "build" / "peers" / "root"  # what tools/unpack.sh has put there
MAIL = pwd.getpwnam("mail").pw_uid


class Absent(Exception):
    """A peer that is not to be had here."""


def present(makers):
    """(servers that started, {name: why not}) of classes; one that cannot start costs only its own figures."""
    servers, told = [], {}
    for make in makers:
        try:
            servers.append(make())
        except Absent as e:
            told[make.name] = str(e)
        except AssertionError as e:
            told[make.name] = "did not start"
            print(e, file=sys.stderr)
    return servers, told


def fill(name, target, **values):
    """Writes a configuration of peers/ with its {placeholders} filled."""
    pathlib.Path(target).write_text((PEERS / name).read_text().format(**values))


def greets(port):
    try:
        with clients.SMTP(port, timeout=2) as s:
            return s.greeting[0] == 220
    except (OSError, EOFError):
        return False


class Ours:
    """The gateway as its defaults have it, with so many users."""
    name = "ofmsrv"

    def __init__(self, users=20, sections=None, log_level="info"):
        every = {"server": {"log_level": log_level, "log_size_kib": 100}}
        every.update({f"user u{i}": {} for i in range(users)})
        self.gateway = gateway.Gateway(gateway.merged(every, sections), name="bench")
        self.port = self.gateway.smtp_port
        self.folders = [self.gateway.home / "mailboxes" / f"u{i}" for i in range(users)]
        self.pid = self.gateway.process.pid

    def count(self):
        return mail.count(self.folders)

    def wait_queued(self, messages):
        scratch.wait_for(lambda: len(self.gateway.queue_files()) == messages, 60)

    def flush(self):
        """Sends what waits."""
        self.gateway.ctl_ok("sync", timeout=300)

    def clear(self):
        for path in list(mail.files_in(self.folders)):
            os.unlink(path)

    def close(self):
        self.gateway.close()


class Postfix:
    """It has to be root's."""
    name = "Postfix"

    def __init__(self, users=20, relay=25, concurrency=20, extra=""):
        self.home = scratch.folder("postfix")
        self.port = scratch.free_port()
        owner = pwd.getpwnam("mail")
        (self.home / "etc").mkdir()
        for d in ("queue", "data", "mail"):
            (self.home / d).mkdir()
        os.chown(self.home / "data", pwd.getpwnam("postfix").pw_uid, -1)
        os.chown(self.home / "mail", owner.pw_uid, owner.pw_gid)
        (self.home / "boxes").write_text("".join(f"u{i}@office.lan u{i}/\n" for i in range(users)))
        values = dict(home=self.home, uid=owner.pw_uid, gid=owner.pw_gid, port=self.port, relay=relay,
                      concurrency=concurrency, extra=extra)
        fill("postfix-main.cf", self.home / "etc/main.cf", **values)
        fill("postfix-master.cf", self.home / "etc/master.cf", **values)
        (self.home / "etc/dynamicmaps.cf").write_text("")
        self.folders = [self.home / "mail" / f"u{i}" for i in range(users)]
        self.start()

    def postfix(self, *args, program="postfix"):
        subprocess.run([f"/usr/sbin/{program}", "-c", str(self.home / "etc"), *args], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=True)

    def start(self):
        self.postfix("start")
        scratch.wait_for(lambda: greets(self.port), 30, lambda: "Postfix: " + scratch.tail(self.home / "maillog"))
        self.pid = int((self.home / "queue/pid/master.pid").read_text())

    def stop(self):
        self.postfix("stop")
        scratch.wait_for(lambda: not scratch.listens(self.port), 30, "Postfix's end")

    def set(self, line):
        """One more line of main.cf. It is started anew, since a master that is told to reload can block on its own log."""
        self.stop()
        with open(self.home / "etc/main.cf", "a") as f:
            f.write(line + "\n")
        self.start()

    def deferred(self):
        return sum(len(files) for _, _, files in os.walk(self.home / "queue/deferred"))

    def wait_queued(self, messages):
        scratch.wait_for(lambda: self.deferred() >= messages, 120, lambda: f"{self.deferred()} deferred")

    def flush(self):
        self.postfix("-f", program="postqueue")

    def hold(self, held):
        """What is held does not go when it is started; what is released waits for flush()."""
        self.postfix("-h" if held else "-H", "ALL", program="postsuper")

    def count(self):
        return mail.count(self.folders)

    def clear(self):
        for f in self.folders:
            shutil.rmtree(f, ignore_errors=True)

    def close(self):
        try:
            self.stop()
        except (AssertionError, subprocess.SubprocessError):
            for pid in memory.family(self.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        finally:
            scratch.remove(self.home)


class Roomed:
    """A mail server whose package excludes Postfix's: unpacked, not installed, and run in a root of its own (room.sh). It has to be
    root's."""
    costs_known = True  # its processes are waited for, so what they used is known
    users = ()  # what its package adds to /etc/passwd

    def __init__(self, users=20):
        if not (UNPACKED / self.program.lstrip("/")).exists():
            raise Absent("was not to be had")
        self.home = scratch.folder(self.name.lower())
        self.port = scratch.free_port()
        self.room = self.home / "room"
        self.folders = [self.room / "mail" / f"u{i}" for i in range(users)]
        for d in ("etc", "mail", "var/log"):
            (self.room / d).mkdir(parents=True)
        self.room.chmod(0o755)
        self.furnish([f"u{i}" for i in range(users)])
        self.process = subprocess.Popen(["unshare", "-m", str(PEERS / "room.sh"), str(UNPACKED), str(self.room), *self.command],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(self.home / "stderr", "ab"), start_new_session=True)
        self.pid = self.process.pid
        try:
            scratch.wait_for(lambda: greets(self.port), 20, lambda: f"{self.name}: {scratch.tail(self.home / 'stderr')}")
        except AssertionError:
            self.close()
            raise

    def furnish(self, boxes):
        etc = self.room / "etc"
        fill(self.conf[0], self.room / self.conf[1], port=self.port)
        lines = [f"{name}:x:{uid}:{uid}::/:/bin/sh" for name, uid in (("root", 0), ("mail", MAIL), *self.users)]
        (etc / "passwd").write_text("\n".join(lines) + "\n")
        (etc / "group").write_text("".join(":".join(line.split(":")[:3]) + ":\n" for line in lines))
        (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
        (etc / "hosts").write_text("127.0.0.1 localhost peer.test\n")
        (etc / "boxes").write_text("".join(self.box(b) for b in boxes))
        for folder, uid, gid, mode in self.owned:
            path = self.room / folder
            path.mkdir(parents=True, exist_ok=True)
            os.chown(path, uid, gid)
            path.chmod(mode)

    def count(self):
        return mail.count(self.folders)

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        finally:
            for pid in memory.family(self.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait(20)
            scratch.remove(self.home)


class Exim(Roomed):
    name, program, conf = "Exim", "/usr/sbin/exim4", ("exim.conf", "etc/exim4/exim4.conf")
    command, users = ("/usr/sbin/exim4", "-bdf"), (("Debian-exim", 101),)
    costs_known = False  # whoever receives does not wait for those that deliver
    owned = [(d, 101, 101, 0o755) for d in ("mail", "var/log/exim4", "var/spool/exim4", "run/exim4")]

    def furnish(self, boxes):
        (self.room / "etc/exim4").mkdir()
        super().furnish(boxes)

    @staticmethod
    def box(name):
        return f"{name}: {name}\n"


class OpenSMTPD(Roomed):
    name, program, conf = "OpenSMTPD", "/usr/sbin/smtpd", ("opensmtpd.conf", "etc/smtpd.conf")
    command, users = ("/usr/sbin/smtpd", "-d"), (("opensmtpd", 101), ("opensmtpq", 102))
    owned = [("mail", MAIL, MAIL, 0o755), ("var/spool/smtpd", 0, 0, 0o711), ("var/lib/opensmtpd/empty", 0, 0, 0o755),
             ("var/run", 0, 0, 0o755)]

    @staticmethod
    def box(name):
        return f"{name} {MAIL}:{MAIL}:/mail/{name}\n"


class Dovecot:
    """As shipped, or tuned. Its mailboxes u0 … hold what put_boxes() wrote; password x."""

    def __init__(self, cert, key, users, tuned=False):
        self.name = "Dovecot tuned" if tuned else "Dovecot"
        self.home = scratch.folder("dovecot")
        self.port, self.tls_port = scratch.free_port(), scratch.free_port()
        self.owner = pwd.getpwnam("mail")
        (self.home / "mail").mkdir()
        os.chown(self.home / "mail", self.owner.pw_uid, self.owner.pw_gid)
        (self.home / "users").write_text("".join(f"u{i}:x\n" for i in range(users)))
        extra = (PEERS / "dovecot-tuned.conf").read_text().replace("{{", "{").replace("}}", "}") if tuned else ""
        fill("dovecot.conf", self.home / "dovecot.conf", home=self.home, cert=cert, key=key, uid=self.owner.pw_uid,
             gid=self.owner.pw_gid, pop3=self.port, pop3s=self.tls_port, extra=extra,
             login="service_count = 0\n  process_min_avail = 2" if tuned else "",
             pop3_service="service_count = 1000\n  process_min_avail = 20" if tuned else "")
        self.folders = [self.home / "mail" / f"u{i}" for i in range(users)]
        self.process = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", str(self.home / "dovecot.conf")],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(self.home / "stderr", "ab"), start_new_session=True)
        self.pid = self.process.pid
        scratch.wait_for(lambda: scratch.listens(self.port), 20,
                         lambda: "Dovecot: " + scratch.tail(self.home / "stderr") + scratch.tail(self.home / "dovecot.log"))

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        scratch.remove(self.home)


def put_boxes(server, messages, size, bare_lf=False):
    """Fills each mailbox anew with `messages` of its own: plain Maildir files with sizes in their names, as each server gives
    them itself."""
    tail = mail.body(size)
    owner = getattr(server, "owner", None)
    for box, folder in enumerate(server.folders):
        shutil.rmtree(folder, ignore_errors=True)
        for sub in ("", "tmp", "new", "cur"):
            (folder / sub).mkdir()
        for i in range(messages):
            raw = mail.head(box * messages + i) + tail
            if bare_lf:
                raw = raw.replace(b"\r\n", b"\n")
            name = f"M{i:06d}P1.bench,S={len(raw)},W={len(raw)}" if owner is not None or bare_lf else f"{i:020x},S={len(raw)}"
            with open(folder / "new" / f"{1700000000 + i}.{name}", "wb") as f:
                f.write(raw)
        if owner is not None:
            subprocess.run(["chown", "-R", f"{owner.pw_uid}:{owner.pw_gid}", folder], check=True)
