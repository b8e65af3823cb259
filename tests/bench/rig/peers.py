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

    def postfix(self, *args, program="postfix"):
        subprocess.run([f"/usr/sbin/{program}", "-c", str(self.home / "etc"), *args], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=True)

    def set(self, line):
        """One more line of main.cf, in force at once."""
        with open(self.home / "etc/main.cf", "a") as f:
            f.write(line + "\n")
        self.postfix("reload")

    def count(self):
        return mail.count(self.folders)

    def clear(self):
        for f in self.folders:
            shutil.rmtree(f, ignore_errors=True)

    def close(self):
        self.postfix("stop")
        scratch.wait_for(lambda: not scratch.listens(self.port), 30, "Postfix's end")
        scratch.remove(self.home)
