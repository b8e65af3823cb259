"""Real mail programs, run as their users run them. tls is "none", "starttls" or "tls"; ca is the file that verifies it.

Readers return the messages that they fetched (line ends as the program stores them, so compare by lines()); senders take the
bytes of one message. All raise with the program's own words when it fails."""
import os
import pathlib
import pty
import pwd
import re
import select
import subprocess
import time

from . import scratch

HOST = "localhost"


def lines(raw):
    """A message without regard to line ends, and without what the program put in front or at the end."""
    return raw.replace(b"\r\n", b"\n").rstrip(b"\n")


class Program:
    def __init__(self, port, tls="none", ca=None, user=None, password="x", auth=None):
        self.port, self.tls, self.ca, self.user, self.password, self.auth = port, tls, ca, user, password, auth
        self.home = scratch.folder("mua")

    def write(self, name, text):
        p = self.home / name
        p.write_text(text)
        p.chmod(0o600)
        return p

    def run(self, *args, stdin=b"", codes=(0,), user=None):
        env = dict(os.environ, HOME=str(self.home), FETCHMAILHOME=str(self.home), LC_ALL="C.UTF-8")
        try:
            p = subprocess.run([str(a) for a in args], input=stdin, capture_output=True, env=env, timeout=60,
                               **(dict(user=user, group="nogroup", extra_groups=[]) if user else {}))
        except subprocess.TimeoutExpired as e:
            raise AssertionError(f"{args[0]} did not end: {e.stdout} {e.stderr}") from None
        if p.returncode not in codes:
            raise AssertionError(f"{args[0]} ended with {p.returncode}: {p.stdout.decode(errors='replace')} "
                                 f"{p.stderr.decode(errors='replace')}")
        return p.stdout

    def maildir(self):
        box = self.home / "box"
        for sub in ("tmp", "new", "cur"):
            (box / sub).mkdir(parents=True, exist_ok=True)
        return box

    def fetched(self):
        files = [p for sub in ("new", "cur") for p in (self.home / "box" / sub).iterdir()]
        return [p.read_bytes() for p in sorted(files, key=lambda p: (p.stat().st_mtime_ns, p.name))]

    def close(self):
        scratch.remove(self.home)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Fetchmail(Program):
    def read(self):
        security = {"none": "sslproto ''", "starttls": "sslproto 'TLS1.2+'", "tls": "ssl"}[self.tls]
        trust = f"sslcertck sslcertfile {self.ca}" if self.tls != "none" else ""
        self.maildir()
        auth = "auth password"
        rc = self.write("fetchmailrc", f"poll {HOST} protocol pop3 port {self.port} {auth}\n  user '{self.user}' "
                        f"password '{self.password}'\n  {security} {trust}\n  fetchall no keep\n"
                        f"  mda \"sh -c 'cat >$(mktemp {self.home}/box/new/XXXXXXXX)'\"\n")
        self.run("fetchmail", "-f", rc, "--nosyslog", "--pidfile", self.home / "pid", "-v", codes=(0, 1))
        return self.fetched()


class Mpop(Program):
    def read(self):
        security = {"none": "tls off", "starttls": f"tls on\ntls_starttls on\ntls_trust_file {self.ca}",
                    "tls": f"tls on\ntls_starttls off\ntls_trust_file {self.ca}"}[self.tls]
        rc = self.write("mpoprc", f"account it\nhost {HOST}\nport {self.port}\nuser {self.user}\n"
                        f"password {self.password}\nauth {self.auth or 'user'}\n{security}\nkeep off\nreceived_header off\n"
                        f"uidls_file {self.home}/uidls\ndelivery maildir {self.maildir()}\n")
        self.run("mpop", "-C", rc, "-a")
        return self.fetched()


class Getmail(Program):
    def read(self):
        kind = {"none": "SimplePOP3Retriever", "tls": "SimplePOP3SSLRetriever"}[self.tls]
        trust = f"ca_certs = {self.ca}\n" if self.tls == "tls" else ""
        # It waits a minute or more for a delivery that ended before it began to wait, so this one does not end at once.
        new = self.maildir() / "new"
        rc = self.write("getmailrc", f"[retriever]\ntype = {kind}\nserver = {HOST}\nport = {self.port}\n"
                        f"username = {self.user}\npassword = {self.password}\n{trust}\n"
                        "[destination]\ntype = MDA_external\npath = /bin/sh\n"
                        f"arguments = ('-c', 'cat >{new}/$$; sleep 0.5')\n\n"
                        "[options]\nread_all = true\ndelete = true\nreceived = false\ndelivered_to = false\n")
        root = os.getuid() == 0
        if root:  # it delivers to anybody but root
            for path in (self.home, *self.home.rglob("*")):
                os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
        self.run("getmail", "--getmaildir", self.home, "--rcfile", rc, user="nobody" if root else None)
        return self.fetched()


class Curl(Program):
    def _tls(self):
        return {"none": [], "starttls": ["--ssl-reqd", "--cacert", self.ca], "tls": ["--cacert", self.ca]}[self.tls]

    def _login(self):
        how = ["--login-options", f"AUTH={self.auth.upper()}"] if self.auth else []
        return ["-u", f"{self.user}:{self.password}", *how] if self.user else []

    def read(self):
        url = f"{'pop3s' if self.tls == 'tls' else 'pop3'}://{HOST}:{self.port}"
        common = ["curl", "-sS", *self._tls(), *self._login()]
        numbers = [x.split()[0] for x in self.run(*common, f"{url}/").decode().splitlines()]
        got = [self.run(*common, f"{url}/{n}") for n in numbers]
        for n in reversed(numbers):
            self.run(*common, "--head", "-X", "DELE", f"{url}/{n}")
        return got

    def send(self, sender, recipients, message):
        url = f"{'smtps' if self.tls == 'tls' else 'smtp'}://{HOST}:{self.port}/client.test"
        to = [x for r in recipients for x in ("--mail-rcpt", r)]
        self.run("curl", "-sS", *self._tls(), *self._login(), url, "--mail-from", sender, *to, "--upload-file", "-",
                 stdin=message)


class Mutt(Program):
    def _rc(self, more):
        trust = f"set ssl_ca_certificates_file={self.ca}\n" if self.ca else ""
        force = {"none": "set ssl_starttls=no\nset ssl_force_tls=no\n"}.get(self.tls, "set ssl_starttls=yes\n"
                                                                              "set ssl_force_tls=yes\n")
        return self.write("muttrc", "set mbox_type=Maildir\nset mail_check=0\nset sleep_time=0\nset move=no\n"
                          "set confirmappend=no\nset quit=yes\nset header_cache=\nunset record\n" + trust + force + more)

    def read(self):
        box = self.maildir()
        scheme = "pops" if self.tls == "tls" else "pop"
        rc = self._rc(f"set spoolfile={box}\nset folder={self.home}\nset pop_delete=yes\nset pop_checkinterval=0\n"
                      f"set pop_host=\"{scheme}://{self.user}:{self.password}@{HOST}:{self.port}\"\n"
                      + (f"set pop_authenticators=\"{self.auth}\"\n" if self.auth else "")
                      + "push \"<fetch-mail><quit>y\"\n")
        self._on_terminal("mutt", "-F", str(rc))
        return self.fetched()

    def _on_terminal(self, *args, seconds=40):
        """Its screen is a terminal of its own; what it draws there is kept for the error."""
        pid, fd = pty.fork()
        if pid == 0:
            os.environ.update(HOME=str(self.home), TERM="vt100", LC_ALL="C.UTF-8")
            os.execvp(args[0], args)
        screen, end = b"", time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([fd], [], [], 0.2)[0]:
                try:
                    got = os.read(fd, 65536)
                except OSError:
                    got = b""
                if not got:
                    break
                screen += got
        else:
            os.kill(pid, 9)
        status = os.waitpid(pid, 0)[1]
        os.close(fd)
        if status != 0:
            raise AssertionError(f"mutt: {status} " + re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b" ", screen).decode(errors="replace"))

    def send(self, sender, recipients, message):
        """mutt writes the message itself: its subject and body are taken from the one given."""
        head, _, body = message.partition(b"\r\n\r\n")
        subject = re.search(rb"^Subject: *(.*?)\r?$", head, re.M).group(1).decode()
        scheme = "smtps" if self.tls == "tls" else "smtp"
        login = f"{self.user}:{self.password}@" if self.user else ""
        rc = self._rc(f"set smtp_url=\"{scheme}://{login}{HOST}:{self.port}\"\nset from={sender}\n"
                      f"set envelope_from=yes\nset use_envelope_from=yes\nset hostname=client.test\n"
                      + (f"set smtp_authenticators=\"{self.auth}\"\n" if self.auth else ""))
        self.run("mutt", "-F", rc, "-s", subject, "--", *recipients, stdin=body.replace(b"\r\n", b"\n"))


class Msmtp(Program):
    def send(self, sender, recipients, message):
        security = {"none": "tls off", "starttls": f"tls on\ntls_starttls on\ntls_trust_file {self.ca}",
                    "tls": f"tls on\ntls_starttls off\ntls_trust_file {self.ca}"}[self.tls]
        login = f"auth {self.auth or 'plain'}\nuser {self.user}\npassword {self.password}\n" if self.user else "auth off\n"
        rc = self.write("msmtprc", f"account it\nhost {HOST}\nport {self.port}\nfrom {sender}\n{login}{security}\n"
                        "account default : it\n")
        self.run("msmtp", "-C", rc, *recipients, stdin=message.replace(b"\r\n", b"\n"))


class Swaks(Program):
    def send(self, sender, recipients, message):
        security = {"none": [], "starttls": ["-tls", "--tls-verify", "--tls-ca-path", self.ca],
                    "tls": ["--tls-on-connect", "--tls-verify", "--tls-ca-path", self.ca]}[self.tls]
        login = ["--auth", (self.auth or "plain").upper(), "--auth-user", self.user, "--auth-password", self.password] \
            if self.user else []
        path = self.home / "message"
        path.write_bytes(message.replace(b"\r\n", b"\n"))
        self.run("swaks", "--server", HOST, "--port", self.port, *security, *login, "--from", sender,
                 "--to", ",".join(recipients), "--data", f"@{path}")


READERS = (Fetchmail, Mpop, Getmail, Mutt, Curl)
SENDERS = (Msmtp, Swaks, Mutt, Curl)
