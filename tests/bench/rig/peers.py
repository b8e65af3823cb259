"""The peers, each in a scratch folder on loopback, with the configurations in tests/bench/peers/."""
import os
import pathlib
import pwd
import shutil
import subprocess

from lib import clients, gateway, scratch

from . import mail, tools

PEERS = tools.BENCH / "peers"


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
        self.postfix("start")
        scratch.wait_for(lambda: greets(self.port), 30, lambda: "Postfix: " + scratch.tail(self.home / "maillog"))
        self.pid = int((self.home / "queue/pid/master.pid").read_text())

    def postfix(self, *args, program="postfix"):
        subprocess.run([f"/usr/sbin/{program}", "-c", str(self.home / "etc"), *args], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=True)

    def set(self, line):
        """One more line of main.cf, in force at once."""
        with open(self.home / "etc/main.cf", "a") as f:
            f.write(line + "\n")
        self.postfix("reload")

    def deferred(self):
        return sum(len(files) for _, _, files in os.walk(self.home / "queue/deferred"))

    def wait_queued(self, messages):
        scratch.wait_for(lambda: self.deferred() >= messages, 120, lambda: f"{self.deferred()} deferred")

    def flush(self):
        self.postfix("-f", program="postqueue")

    def count(self):
        return mail.count(self.folders)

    def clear(self):
        for f in self.folders:
            shutil.rmtree(f, ignore_errors=True)

    def close(self):
        self.postfix("stop")
        scratch.wait_for(lambda: not scratch.listens(self.port), 30, "Postfix's end")
        scratch.remove(self.home)


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
