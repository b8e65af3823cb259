"""Programs that collect POP3 mailboxes a0 … of one provider over TLS into Maildirs, each alone or several at once."""
import concurrent.futures
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time

from lib import scratch

from . import mail, memory, peers, tools
from .contest import Stalled

HOST = "127.0.0.1"
PATIENCE = 60
GETMAIL_PATIENCE = 25


def maildirs(home, boxes):
    folders = [home / f"box{i}" for i in range(boxes)]
    for f in folders:
        for sub in ("", "tmp", "new", "cur"):
            (f / sub).mkdir()
    return folders


def end(process):
    """And all that it has started."""
    for pid in memory.family(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def run(args, home, codes=(0,), user=None, patience=PATIENCE):
    env = dict(os.environ, HOME=str(home), FETCHMAILHOME=str(home))
    with subprocess.Popen(list(map(str, args)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=env, cwd=home, **({"user": user, "group": user, "extra_groups": []} if user else {})) as p:
        try:
            out = p.communicate(timeout=patience)[0]
        except subprocess.TimeoutExpired as e:
            raise Stalled("stalled") from e
        finally:
            end(p)
    assert p.returncode in codes, f"{args[0]}: {p.returncode} {out[-2000:]}"


def mpop(home, ca, port, boxes, folders, under=()):
    """Its page advises nothing for speed: it pipelines by itself."""
    peers.fill("mpop-defaults", home / "mpoprc", ca=ca, home=home)
    with open(home / "mpoprc", "a") as f:
        for i in boxes:
            f.write(f"account a{i}\nhost {HOST}\nport {port}\nuser a{i}\nuidls_file {home}/uidls{i}\n"
                    f"delivery maildir {folders[i]}\n")
    os.chmod(home / "mpoprc", 0o600)
    run([*under, "mpop", "-C", home / "mpoprc", "-Q", *(f"a{i}" for i in boxes)], home)


def fetchmail(home, ca, port, boxes, folders):
    """With maildrop as its page proposes; batchlimit and expunge are of no use with POP3."""
    rc = home / "fetchmailrc"
    with open(rc, "w") as f:
        for i in boxes:
            filter_rc = home / f"maildrop{i}"
            filter_rc.write_text(f'to "{folders[i]}"\n')
            filter_rc.chmod(0o600)
            f.write(f"poll p{i} via {HOST} protocol pop3 port {port} auth password\n  user 'a{i}' password 'x'\n"
                    f"  ssl sslcertck sslcertfile {ca} sslcommonname collect.test\n  fetchall no keep\n"
                    f"  mda \"/usr/bin/maildrop {filter_rc}\"\n")
    rc.chmod(0o600)
    run(["fetchmail", "-f", rc, "--nosyslog", "--pidfile", home / "pid", "-s"], home, (0, 1))


def fdm(home, ca, port, boxes, folders):
    with open(home / "fdm.conf", "w") as f:
        f.write((peers.PEERS / "fdm-defaults.conf").read_text() + f'set lock-file "{home}/lock"\n')
        for i in boxes:
            f.write(f'account "a{i}" pop3s server "{HOST}" port {port} user "a{i}" pass "x" no-verify\n'
                    f'action "d{i}" maildir "{folders[i]}"\nmatch account "a{i}" action "d{i}"\n')
    os.chmod(home / "fdm.conf", 0o600)
    run(["fdm", "-q", "-f", home / "fdm.conf", "fetch"], home)


def getmail6(home, ca, port, boxes, folders):
    """It delivers to anybody but root. Debian 12's 6.18.11 forks before it has its handler for SIGCHLD, and now and then waits for a
    child that has ended, so it is given a bounded time."""
    args = ["getmail", "--getmaildir", home]
    for i in boxes:
        peers.fill("getmailrc", home / f"getmailrc{i}", host=HOST, port=port, user=f"a{i}", ca=home / "ca.pem", folder=folders[i])
        args += ["--rcfile", home / f"getmailrc{i}"]
    shutil.copy(ca, home / "ca.pem")
    owner = pwd.getpwnam("mail")
    subprocess.run(["chown", "-R", f"{owner.pw_uid}:{owner.pw_gid}", home, *(folders[i] for i in boxes)], check=True)
    run(args, home, user=None if os.getuid() else "mail", patience=GETMAIL_PATIENCE)


PROGRAMS = {"mpop": mpop, "fetchmail": fetchmail, "fdm": fdm, "getmail6": getmail6}


def collect(program, at_once, ca, port, boxes, messages, size, **options):
    """Seconds in which `at_once` processes of a program empty all mailboxes. mpop can be run under another program."""
    home, folders = scratch.folder("collect"), []
    try:
        folders = maildirs(home, boxes)
        shares = [list(range(boxes))[k::at_once] for k in range(at_once)]
        homes = [home / f"home{k}" for k in range(at_once)]
        for h in homes:
            h.mkdir()
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            for f in [pool.submit(PROGRAMS[program], h, ca, port, share, folders, **options)
                      for h, share in zip(homes, shares) if share]:
                f.result()
        took = time.monotonic() - began
        mail.check(folders, range(boxes * messages), size)
        return took
    except Stalled as e:
        raise Stalled(f"stalled after {mail.count(folders):,} of {boxes * messages:,}") from e
    finally:
        scratch.remove(home)


class Provider:
    """A provider that keeps its mail in memory and costs little (null_pop3), behind a long line where ms > 0."""

    def __init__(self, cert, key, boxes, messages, size, ms):
        self.total = boxes * messages
        self.server = tools.Server("null_pop3", scratch.free_port(), boxes=boxes, messages=messages, size=size, cert=cert, key=key)
        self.line = tools.Server("delay_proxy", scratch.free_port(), to=self.server.port, ms=ms // 2) if ms > 0 else None
        self.port = (self.line or self.server).port

    def emptied(self):
        """Every message was deleted by a QUIT that has been answered."""
        return self.server.figures()["removed"] >= self.total

    def close(self):
        for s in (self.line, self.server):
            if s is not None:
                s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def accounts(ca, port, boxes, parallel=100):
    """The sections of a gateway that collects a0 …"""
    sections = {"sync": {"parallel": min(parallel, 100)}}
    for i in range(boxes):
        sections[f"account a{i}"] = {"host": HOST, "port": port, "user": f"a{i}", "password": "x", "ca_file": ca,
                                     "deliver": f"u{i % 20}"}
    return sections


def ours(ca, provider, boxes, messages, size, parallel=100):
    """Seconds from `ofmctl sync` until all lies in new/ and the provider is empty: what the peers' processes end with. The second
    look that the gateway then takes at each mailbox, since more might have come, is not in it; no peer takes one. When it was is
    asked afterwards: to look all the time would cost the gateway alone a part of the processors."""
    s = peers.Ours(20, accounts(ca, provider.port, boxes, parallel))
    try:
        cpu, began = memory.cpu(s.pid), time.monotonic()
        p = s.gateway.ctl("sync", timeout=tools.DEADLINE)
        assert p.returncode == 0, p.stdout + p.stderr + s.gateway.log()[-2000:]
        tools.wait_until(lambda: provider.emptied() and s.count() >= boxes * messages, 120, 0.25)
        emptied = provider.server.figures()["last"]
        cpu = memory.cpu(s.pid) - cpu
        mail.check(s.folders, range(boxes * messages), size)
        return {"": max(mail.arrived(s.folders), emptied) - began, "cpu": 1e6 * cpu / (boxes * messages)}
    finally:
        s.close()


def null(ca, port, boxes, messages, size, at_once):
    """What a client that stores nothing needs: one log-in after another on `at_once` connections, all pipelined. It verifies
    certificates as the others do."""
    return tools.run("pop3_drain", port=port, user="a", boxes=boxes, at_once=at_once, messages=messages, size=size,
                     depth=1000, tls=1, ca=ca)["seconds"]
