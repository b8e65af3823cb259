"""The POP3 servers of Debian, as providers. Each has add_user(), put() in the way that its mail arrives, count() of what is left,
`ports` by kind of security, and says what it does to mail: `stored(raw)` is what a message becomes when it is stored there, and
`ADDED` names the fields that the server writes into it."""
import itertools
import os
import re
import smtplib
import time

from lib import clients, dovecot as lib_dovecot, scratch

from . import room

PASSWORD = "secret"
_serial = itertools.count(1)


def speaks(port, wanted=b"+OK"):
    """The server greets (a port may listen before what stands behind it does)."""
    try:
        with clients.Line(port, timeout=5) as c:
            return c.line().startswith(wanted)
    except (OSError, EOFError):
        return False


def lf(raw):
    """As files of mail are kept: line ends of one octet, and the last line has one."""
    raw = raw.replace(b"\r\n", b"\n")
    return raw if raw.endswith(b"\n") else raw + b"\n"


def crlf(raw):
    """As POP3 sends a file with line ends of one octet."""
    return re.sub(rb"(?<!\r)\n", b"\r\n", raw)


class Provider:
    NAME = ADDED = None
    SECURITY = ("none", "starttls", "tls")
    EDIT = None     # what the wire changes of its words, in plain text
    SHORT = False   # under TLS, half of the tests that cut connections are enough
    WITHOUT = ()  # kinds of mail that it does not take, or does not give back as they were

    def __init__(self, ca):
        self.room = room.Room(self.NAME)
        self.ports = {}
        self.cert, self.key = ca.issue(f"{self.NAME}.test", also=("localhost",))
        self.room.write("/etc/pop/cert.pem", self.cert.read_bytes())
        self.room.write("/etc/pop/key.pem", self.key.read_bytes(), 0o600)
        self.room.write("/etc/pop/both.pem", self.key.read_bytes() + self.cert.read_bytes(), 0o600)
        try:
            self.start()
            for p in set(self.ports.values()):
                scratch.wait_for(lambda p=p: scratch.listens(p), 20, lambda: f"{self.NAME}'s port; " + self.room.log())
            scratch.wait_for(lambda: speaks(self.ports["none"]), 20, lambda: f"{self.NAME}'s greeting; " + self.room.log())
        except BaseException:
            self.close()
            raise

    def fresh(self, n=1):
        """The name of a new, empty mailbox."""
        user = f"u{os.getpid()}x{next(_serial)}"
        self.add_user(user)
        return user

    def stored(self, raw):
        return crlf(lf(raw))

    def log(self):
        return self.room.log()

    def alike(self, got, sent):
        """What arrived, without the fields of ADDED, is what was put there."""
        return got == self.stored(sent)

    def close(self):
        self.room.close()


# As an agent of delivery appends: under both kinds of lock, since a session that was cut may still be writing.
APPEND = """
use Fcntl qw(:DEFAULT :flock);
my ($f, $l) = ($ARGV[0]);
select(undef, undef, undef, 0.05) until sysopen($l, "$f.lock", O_CREAT | O_EXCL | O_WRONLY);
open(my $box, '>>', $f) or die "$f: $!";
my $whole = pack('s s x4 q q i x4', F_WRLCK, 0, 0, 0, 0);
fcntl($box, F_SETLKW, $whole) or die "lock: $!";
flock($box, LOCK_EX) or die "lock: $!";
binmode(STDIN);
print $box $_ while read(STDIN, $_, 1 << 20);
close($box) or die "$f: $!";
unlink("$f.lock");
"""


class _Mbox(Provider):
    """One file of mail for each user of the system, as procmail or mail.local append to it."""

    def add_user(self, user):
        self.room.run("useradd", "-M", "-d", "/tmp", "-s", "/bin/sh", user)
        self.room.run("chpasswd", stdin=f"{user}:{PASSWORD}\n".encode())
        self.room.run("sh", "-c", f"umask 077; : >/var/mail/{user}; chown {user}:mail /var/mail/{user}")

    def put(self, user, messages):
        out = bytearray()
        for n, m in enumerate(messages):
            when = time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(time.time()))
            out += f"From s{n}@far.example {when}\n".encode() + self._quoted(lf(m)) + b"\n"
        self.room.run("perl", "-e", APPEND, f"/var/mail/{user}", stdin=bytes(out))

    @staticmethod
    def _quoted(raw):
        head, gap, body = raw.partition(b"\n\n")
        return head + gap + re.sub(rb"^(>*From )", rb">\1", body, flags=re.M)

    def stored(self, raw):
        return crlf(self._quoted(lf(raw)))

    def count(self, user):
        return int(self.room.run("sh", "-c", f"grep -ac '^X-World: ' /var/mail/{user} || true"))


class Mailutils(_Mbox):
    NAME = "mailutils"
    ADDED = (b"X-UIDL", b"X-IMAPbase", b"X-UID", b"Status")

    def stored(self, raw):
        return crlf(lf(raw))  # it takes the quotes of lines that begin with From off again

    def alike(self, got, sent):
        """Once it has rewritten its file, a message without a body has an empty line as its body."""
        was = self.stored(sent)
        return got == was or (was.endswith(b"\r\n\r\n") and got == was + b"\r\n")

    def start(self):
        self.ports = {"none": scratch.free_port(), "tls": scratch.free_port()}
        self.ports["starttls"] = self.ports["none"]
        self.room.write("/etc/pam.d/gnu-pop3d", "auth required pam_unix.so\naccount required pam_unix.so\n")
        self.room.write("/etc/pop3d.conf", f"""
mode daemon;
foreground yes;
max-children 100;
logging {{ syslog yes; facility mail; }}
mailbox {{ mail-spool /var/mail; mailbox-type mbox; }}
tls {{ ssl-certificate-file /etc/pop/cert.pem; ssl-key-file /etc/pop/key.pem; }}
server 127.0.0.1:{self.ports["none"]} {{ tls-mode ondemand; }}
server 127.0.0.1:{self.ports["tls"]} {{ tls-mode connection; }}
""")
        self.room.daemon("pop3d", "--config-file=/etc/pop3d.conf")


class Popa3d(_Mbox):
    """Its own daemon knows port 110 alone, so inetd starts it for each connection; under TLS stunnel does."""
    NAME = "popa3d"
    SECURITY = ("none", "tls")
    ADDED = ()
    COMMAND = "/usr/sbin/popa3d popa3d"

    def start(self):
        self.ports = {"none": scratch.free_port(), "tls": scratch.free_port()}
        self.room.write("/etc/inetd.conf", f"127.0.0.1:{self.ports['none']} stream tcp nowait.20000 root {self.COMMAND}\n")
        self.room.write("/etc/stunnel.conf", f"""
foreground = yes
syslog = no
pid =
[pop3s]
accept = 127.0.0.1:{self.ports["tls"]}
exec = /usr/sbin/popa3d
cert = /etc/pop/both.pem
""")
        self.room.daemon("inetd", "-i", "/etc/inetd.conf")
        self.room.daemon("stunnel4", "/etc/stunnel.conf")


class Solid(_Mbox):
    NAME = "solid"
    SECURITY = ("none",)
    ADDED = ()

    def stored(self, raw):
        return super().stored(raw) + b"\r\n"  # the empty line between two messages counts as the first one's last

    def start(self):
        self.ports = {"none": scratch.free_port()}
        self.room.write("/etc/inetd.conf",
                        f"127.0.0.1:{self.ports['none']} stream tcp nowait.20000 root /usr/sbin/solid-pop3d solid-pop3d\n")
        self.room.daemon("inetd", "-i", "/etc/inetd.conf")


class Courier(Provider):
    NAME = "courier"
    ADDED = ()
    PER_ADDRESS = 100  # as shipped: 4
    # It announces ten seconds between two log-ins, does not insist, and cannot be told another number. We keep to it.
    EDIT = (b"LOGIN-DELAY 10\r\n", b"LOGIN-DELAY 01\r\n")
    SHORT = True

    def start(self):
        self.ports = {"none": scratch.free_port(), "tls": scratch.free_port()}
        self.ports["starttls"] = self.ports["none"]
        self._users = ""
        for name, wanted in (("authdaemonrc", {"authmodulelist": '"authuserdb"'}),
                             ("pop3d", {"ADDRESS": "127.0.0.1", "PORT": self.ports["none"], "MAXPERIP": self.PER_ADDRESS,
                                        "MAXDAEMONS": 100}),
                             ("pop3d-ssl", {"SSLADDRESS": "127.0.0.1", "SSLPORT": self.ports["tls"],
                                            "TLS_CERTFILE": "/etc/pop/both.pem", "TLS_TRUSTCERTS": "/etc/pop/cert.pem"})):
            text = self.room.run("cat", f"/etc/courier/{name}")
            for k, v in wanted.items():
                text = re.sub(rf"^{k}=.*$", f"{k}={v}", text, flags=re.M)
            self.room.write(f"/etc/courier/{name}", text)
        self.room.run("sh", "-c", "mkdir -p /run/courier/authdaemon /var/lib/courier; chown -R courier:courier /run/courier;"
                      "chown courier /etc/pop/both.pem; mkdir -p /world/mail; chown mail:mail /world/mail; touch /etc/courier/userdb;"
                      "chmod 600 /etc/courier/userdb; makeuserdb")
        for program in ("authdaemond", "pop3d", "pop3d-ssl"):
            self.room.run(program, "start")

    def add_user(self, user):
        box = f"/world/mail/{user}"
        self._users += (f"{user}\tuid=8|gid=8|home={box}|mail={box}/Maildir|systempw="
                        + self.room.run("perl", "-e", f'print crypt("{PASSWORD}", "\\$1\\$abcdefgh\\$")') + "\n")
        self.room.write("/etc/courier/userdb", self._users, 0o600)
        self.room.run("makeuserdb")
        self.room.run("sh", "-c", f"cd /world/mail; mkdir -p -m 700 {user}/Maildir/new {user}/Maildir/cur {user}/Maildir/tmp;"
                      f"chown -R mail:mail {user}")

    def put(self, user, messages):
        box = self.room.share / "mail" / user / "Maildir"
        for m in messages:
            name = f"{int(time.time())}.M{next(_serial):07d}P{os.getpid()}.courier"
            (box / "tmp" / name).write_bytes(lf(m))
            os.chown(box / "tmp" / name, 8, 8)
            (box / "tmp" / name).rename(box / "new" / name)

    def count(self, user):
        box = self.room.share / "mail" / user / "Maildir"
        return sum(1 for sub in ("new", "cur") for _ in (box / sub).iterdir())


class Cyrus(Provider):
    NAME = "cyrus"
    ADDED = (b"Return-Path", b"Received", b"X-Sieve", b"X-Cyrus-Session-Id")
    WITHOUT = ("NUL", "bare CR")
    MINUTES = 0  # between two log-ins; as Debian ships it: 1

    def start(self):
        self.ports = {"none": scratch.free_port(), "tls": scratch.free_port()}
        self.ports["starttls"] = self.ports["none"]
        conf = self.room.run("cat", "/etc/imapd.conf")
        conf = re.sub(r"^(popminpoll|allowplaintext|admins|autocreate_quota|tls_client_ca_dir):.*$", "", conf, flags=re.M) + f"""
popminpoll: {self.MINUTES}
allowplaintext: yes
admins: cyrus
autocreate_quota: 0
autocreate_post: 1
sasl_auxprop_plugin: sasldb
sasl_mech_list: PLAIN
tls_server_cert: /etc/pop/cert.pem
tls_server_key: /etc/pop/key.pem
duplicatesuppression: no
"""
        self.room.write("/etc/imapd.conf", conf)
        self.room.write("/etc/cyrus.conf", f"""
START {{
  recover cmd="/usr/sbin/cyrus ctl_cyrusdb -r"
}}
SERVICES {{
  pop3 cmd="pop3d -U 30" listen="127.0.0.1:{self.ports["none"]}" prefork=1 maxchild=50
  pop3s cmd="pop3d -s -U 30" listen="127.0.0.1:{self.ports["tls"]}" prefork=0 maxchild=50
  lmtpunix cmd="lmtpd" listen="/world/lmtp" prefork=1 maxchild=20
}}
EVENTS {{
}}
""")
        self.room.run("sh", "-c", "mkdir -p /run/cyrus/proc /run/cyrus/lock /run/cyrus/socket; chown -R cyrus:mail /run/cyrus;"
                      "chown -R cyrus /etc/pop; chmod 600 /etc/pop/*; /usr/lib/cyrus/bin/makedirs || true")
        self.room.daemon("cyrmaster")

    def add_user(self, user):
        self.room.run("sh", "-c", f"printf {PASSWORD} | saslpasswd2 -p -c -u \"$(hostname)\" {user}; chgrp sasl /etc/sasldb2;"
                      "chmod 640 /etc/sasldb2")

    def put(self, user, messages):
        with smtplib.LMTP(str(self.room.share / "lmtp")) as c:
            for n, m in enumerate(messages):
                c.sendmail(f"s{n}@far.example", [user], m)

    def count(self, user):
        with clients.POP3(self.ports["none"], user, PASSWORD) as c:
            return c.stat()[0]


class Dovecot(Provider):
    """Dovecot as the tests of the whole program use it."""
    NAME = "dovecot"
    ADDED = ()

    def __init__(self, ca):
        self.server = lib_dovecot.Dovecot(ca, "dovecot.test", cert=ca.issue("dovecot.test", also=("localhost",)))
        self.ports = {"none": self.server.port, "starttls": self.server.port, "tls": self.server.tls_port}

    def fresh(self):
        return self.server.add_user(f"u{os.getpid()}x{next(_serial)}")

    def put(self, user, messages):
        self.server.put(user, *messages)

    def count(self, user):
        return self.server.count(user)

    def stored(self, raw):
        return raw if raw.endswith(b"\r\n") else raw + b"\r\n"

    def log(self):
        return self.server.log()

    def close(self):
        self.server.close()


ALL = {p.NAME: p for p in (Dovecot, Courier, Cyrus, Mailutils, Popa3d, Solid)}
