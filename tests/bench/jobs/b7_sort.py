"""B7: sort by 200 rules, delivered to disk; and the sorter alone, headers only and no disk."""
import os
import pwd
import subprocess
import time

from lib import scratch
from rig import mail, peers, tools
from rig.contest import Contest, Row

SIZE, RULES, BOXES = 4096, 200, 20


def text(i):
    return f"rule {i:03d}"


def ours(messages):
    """Collected over plain POP3 from a provider that costs little: more work than the others have."""
    with tools.Server("null_pop3", scratch.free_port(), boxes=1, messages=messages, size=SIZE) as provider:
        sections = {"account a0": {"host": "127.0.0.1", "port": provider.port, "user": "a0", "password": "x",
                                   "security": "none", "deliver": "postmaster"}}
        for i in range(RULES):
            sections[f"rule r{i}"] = {"field": "Subject", "contains": text(i), "deliver": f"u{i % BOXES}", "stop": "yes"}
        s = peers.Ours(BOXES, sections)
        try:
            tools.settle_disk()
            began = time.monotonic()
            p = s.gateway.ctl("sync", "--wait", timeout=tools.DEADLINE)
            assert p.returncode == 0, p.stderr
            last = tools.wait_until(lambda: s.count() >= messages)
            mail.check(s.folders, range(messages), SIZE)
            return messages / (last - began)
        finally:
            s.close()


class Folder:
    """A Maildir of messages to sort, with the bare LFs that these programs expect, and empty ones to sort into."""

    def __init__(self, messages):
        self.home = scratch.folder("sort")
        self.folders = [self.home / "in"]
        peers.put_boxes(self, messages, SIZE, bare_lf=True)
        self.source = self.folders[0]
        self.boxes = [self.home / f"u{i}" for i in range(BOXES)]
        for f in self.boxes:
            for sub in ("", "tmp", "new", "cur"):
                (f / sub).mkdir()

    def timed(self, messages, run, whole=True):
        try:
            tools.settle_disk()
            began = time.monotonic()
            run()
            took = time.monotonic() - began
            mail.check(self.boxes, range(messages), SIZE, some=not whole)
            return mail.count(self.boxes) / took
        finally:
            scratch.remove(self.home)


def quietly(args, home, stdin=subprocess.DEVNULL, **who):
    p = subprocess.run(list(map(str, args)), stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=home,
                       env=dict(os.environ, HOME=str(home), USER=who.get("user", "root")), timeout=tools.DEADLINE, **who)
    assert p.returncode == 0, f"{args[0]}: {p.returncode} {p.stdout[-1500:]}"


def fdm(messages):
    """Now and then it ends with a few messages left where they were (socket errors between its processes): they do not
    count."""
    f = Folder(messages)
    rules = "".join(f'match "^Subject:.*{text(i)}" in headers action "d{i % BOXES}"\n' for i in range(RULES))
    actions = "".join(f'action "d{i}" maildir "{f.boxes[i]}"\n' for i in range(BOXES))
    conf = f.home / "fdm.conf"
    conf.write_text((peers.PEERS / "fdm-defaults.conf").read_text() + f'set lock-file "{f.home}/lock"\naccount "in" maildir "{f.source}"\n{actions}{rules}')
    conf.chmod(0o600)
    return f.timed(messages, lambda: quietly(["fdm", "-q", "-f", conf, "fetch"], f.home), whole=False)


def maildrop(messages):
    """A process a message, as every mail server runs it."""
    f = Folder(messages)
    rc = f.home / "rc"
    rc.write_text("".join(f'if (/^Subject:.*{text(i)}/)\n{{\n  to "{f.boxes[i % BOXES]}"\n}}\n' for i in range(RULES)))
    rc.chmod(0o600)

    def run():
        for path in mail.files_in(f.folders):
            with open(path, "rb") as raw:
                quietly(["maildrop", rc], f.home, raw)
    return f.timed(messages, run)


def sieve(messages):
    """sieve-filter over a Maildir, compiled script, indexes as Dovecot keeps them."""
    f = Folder(messages)
    for i, box in enumerate(f.boxes):
        box.rename(f.source / f".u{i}")
    f.boxes = [f.source / f".u{i}" for i in range(BOXES)]
    branches = " els".join(f'if header :contains "subject" "{text(i)}" {{ fileinto "u{i % BOXES}"; }}' for i in range(RULES))
    (f.home / "sort.sieve").write_text('require ["fileinto"];\n' + branches + "\n")
    conf = f.home / "dovecot.conf"
    who = {} if os.getuid() else {"user": "mail", "group": "mail", "extra_groups": []}  # it works for anybody but root
    uid, gid = (pwd.getpwnam("mail")[2:4]) if who else (os.getuid(), os.getgid())
    peers.fill("sieve-dovecot.conf", conf, home=f.home, source=f.source, uid=uid, gid=gid)
    subprocess.run(["chown", "-R", f"{uid}:{gid}", f.home], check=True)
    quietly(["sievec", "-c", conf, f.home / "sort.sieve"], f.home, **who)
    run = ["sieve-filter", "-c", conf, "-e", "-W", f.home / "sort.sieve", "INBOX"]
    return f.timed(messages, lambda: quietly(run, f.home, **who))


def alone():
    """Headers a second that one core sorts, by the slowest of the kinds of rules that share one field (bench_sorter.c)."""
    p = subprocess.run(tools.command("bench_sorter", {}), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=tools.DEADLINE)
    assert p.returncode == 0, p.stderr
    return float(p.stdout.splitlines()[-1].split()[-1])


def b7(o):
    n = o.scaled(4000)
    few = max(100, n // 10)
    contestants = {"ofmsrv": lambda: ours(n), "sieve-filter": lambda: sieve(few * 2), "fdm": lambda: fdm(few),
                   "maildrop": lambda: maildrop(few)}
    c = Contest(o.rounds, contestants, "B7")
    values = c.row("")
    fastest = max((x for x in values if x != "ofmsrv"), key=lambda x: sorted(values[x])[len(values[x]) // 2])
    headers = Contest(o.rounds, {"ofmsrv": alone}, "B7 headers").row("")
    return [Row("B7", "sort by 200 rules, delivered", "messages/s", values, None, [(f"≥ 10 × the fastest ({fastest})", 10, fastest)]),
            Row("B7", "sort by 200 rules on one field, headers alone, one core, the slowest kind of rule", "messages/s", headers, None,
                [("≥ 100,000", 100000, None)])]


JOBS = {"B7": b7}
