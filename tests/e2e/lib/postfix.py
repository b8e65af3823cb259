"""A real Postfix in a scratch folder: the relay. It needs root, as Postfix does.

Everything it accepts lands in one Maildir; each recipient's copy has Return-Path and Delivered-To in front."""
import email
import email.policy
import os
import pwd
import subprocess

from . import clients, scratch

MAIN = """
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {home}/maillog
maillog_file_prefixes = /tmp
myhostname = relay.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = ipv4
local_transport = error:no local mail
virtual_mailbox_domains = static:all
virtual_mailbox_maps = static:all/
virtual_mailbox_base = {home}/mail
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_mailbox_limit = 0
virtual_minimum_uid = 1
virtual_transport = virtual
message_size_limit = 120000000
smtpd_recipient_restrictions = check_recipient_access texthash:{home}/access, permit
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
alias_maps =
alias_database =
smtpd_sender_restrictions = check_sender_access texthash:{home}/senders
smtpd_delay_reject = yes
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 10000
smtpd_hard_error_limit = 20000
smtpd_client_connection_count_limit = 0
smtpd_junk_command_limit = 100000
smtpd_recipient_limit = 2000
smtpd_recipient_overshoot_limit = 10000
smtpd_tls_security_level = may
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
smtpd_tls_auth_only = no
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{auth}
smtpd_sasl_security_options = noanonymous
anvil_rate_time_unit = 3s
default_destination_concurrency_limit = 20
in_flow_delay = 0
"""

MASTER = """
127.0.0.1:{port} inet n - n - 200 smtpd
127.0.0.1:{auth_port} inet n - n - 200 smtpd
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o smtpd_tls_security_level=encrypt
127.0.0.1:{tls_port} inet n - n - 200 smtpd
  -o smtpd_tls_wrappermode=yes
127.0.0.1:{bare_port} inet n - n - 200 smtpd
  -o smtpd_discard_ehlo_keywords=chunking
127.0.0.1:{notls_port} inet n - n - 200 smtpd
  -o smtpd_tls_security_level=none
127.0.0.1:{strict_port} inet n - n - 200 smtpd
  -o smtpd_tls_security_level=none
  -o smtpd_recipient_limit=20
  -o smtpd_recipient_overshoot_limit=10000
  -o smtpd_helo_restrictions=reject_non_fqdn_helo_hostname
  -o smtpd_client_message_rate_limit=25
  -o smtpd_client_event_limit_exceptions=
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Delivered:
    """One recipient's copy as it arrived."""

    def __init__(self, raw):
        self.raw = raw
        self.message = email.message_from_bytes(raw, policy=email.policy.default)
        self.sender = self.message["Return-Path"].strip("<>")
        self.recipient = self.message["Delivered-To"]

    def __repr__(self):
        return f"<{self.sender} -> {self.recipient}: {self.message['Subject']}>"


class Postfix:
    """port: STARTTLS offered; auth_port: TLS and log-in required; tls_port: implicit TLS; bare_port: without CHUNKING;
    notls_port: without TLS; strict_port: so too, at most 20 recipients at once, 25 messages in three seconds, and no name in
    EHLO without a dot. Users are those of the Dovecot given."""

    def __init__(self, ca, dovecot, name="relay.test"):
        assert os.getuid() == 0, "Postfix runs as root alone"
        self.home = scratch.folder("postfix")
        self.name = name
        self.port, self.auth_port, self.tls_port, self.bare_port, self.notls_port, self.strict_port = (
            scratch.free_port() for _ in range(6))
        self.cert, self.key = ca.issue(name, also=("localhost",))
        self.mail = self.home / "mail" / "all"
        owner = pwd.getpwnam("mail")
        fill = dict(home=self.home, uid=owner.pw_uid, gid=owner.pw_gid, cert=self.cert, key=self.key,
                    auth=dovecot.auth_port, port=self.port, auth_port=self.auth_port, tls_port=self.tls_port,
                    bare_port=self.bare_port, notls_port=self.notls_port, strict_port=self.strict_port)
        (self.home / "etc").mkdir()
        for d in ("queue", "data", "mail"):
            (self.home / d).mkdir()
        os.chown(self.home / "data", pwd.getpwnam("postfix").pw_uid, -1)
        os.chown(self.home / "mail", owner.pw_uid, owner.pw_gid)
        (self.home / "etc/main.cf").write_text(MAIN.format(**fill))
        (self.home / "etc/master.cf").write_text(MASTER.format(**fill))
        (self.home / "etc/dynamicmaps.cf").write_text("")
        self.refusing = False
        self._write_access("access", {})
        self._write_access("senders", {})
        self.start()

    def _write_access(self, name, table):
        (self.home / name).write_text("".join(f"{k} {v}\n" for k, v in table.items()))

    def _postfix(self, *args, check=True):
        p = subprocess.run(["/usr/sbin/postfix", "-c", str(self.home / "etc"), *args], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        assert not check or p.returncode == 0, p.stdout + self.log()
        return p

    def start(self):
        self._postfix("start")
        for p in (self.port, self.auth_port, self.tls_port, self.bare_port, self.notls_port, self.strict_port):
            scratch.wait_for(lambda p=p: scratch.listens(p), 20, lambda: "Postfix's port; log: " + self.log())
        scratch.wait_for(self._greets, 20, lambda: "Postfix's greeting; log: " + self.log())

    def _greets(self):
        try:
            with clients.SMTP(self.port, timeout=2) as s:
                return s.greeting[0] == 220
        except (OSError, EOFError):
            return False

    def stop(self):
        self._postfix("stop", check=False)
        scratch.wait_for(lambda: not scratch.listens(self.port), 20, "Postfix's end")

    def close(self):
        self.stop()
        scratch.remove(self.home)

    def log(self):
        return scratch.tail(self.home / "maillog")

    def refuse(self, recipients=None, senders=None):
        """Replies by recipient (or sender), such as {"no@far.example": "550 5.1.1 nobody"}; empty tables end them."""
        self.refusing = bool(recipients or senders)
        self._write_access("access", recipients or {})
        self._write_access("senders", senders or {})
        self._postfix("reload")

    def delivered(self):
        files = sorted((self.mail / "new").glob("*"), key=lambda p: p.stat().st_mtime_ns) if self.mail.exists() else []
        return [Delivered(p.read_bytes()) for p in files]

    def to(self, recipient):
        return [d for d in self.delivered() if d.recipient == recipient]

    def wait(self, recipient, n=1, seconds=30):
        """The n (or more) copies that arrived for a recipient."""
        scratch.wait_for(lambda: len(self.to(recipient)) >= n, seconds,
                         lambda: f"{n} messages to {recipient} at the relay (has {self.delivered()}); {self.log()}")
        return self.to(recipient)

    def clear(self):
        for p in (self.mail / "new").glob("*"):
            p.unlink()


NULL_CLIENT = """
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {home}/maillog
maillog_file_prefixes = /tmp
myhostname = printer.office.lan
myorigin = office.lan
mydestination =
relayhost = [127.0.0.1]:{relay}
inet_interfaces = loopback-only
inet_protocols = ipv4
minimal_backoff_time = 1s
queue_run_delay = 1s
"""

NULL_MASTER = """
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class NullClient(Postfix):
    """A Postfix as it is installed, that hands all its mail to the gateway: what is given to its sendmail goes there."""

    def __init__(self, relay):
        assert os.getuid() == 0, "Postfix runs as root alone"
        self.home = scratch.folder("nullclient")
        for d in ("etc", "queue", "data"):
            (self.home / d).mkdir()
        os.chown(self.home / "data", pwd.getpwnam("postfix").pw_uid, -1)
        (self.home / "etc/main.cf").write_text(NULL_CLIENT.format(home=self.home, relay=relay))
        (self.home / "etc/master.cf").write_text(NULL_MASTER)
        (self.home / "etc/dynamicmaps.cf").write_text("")
        self._postfix("start")

    def sendmail(self, sender, recipients, message):
        p = subprocess.run(["/usr/sbin/sendmail", "-C", str(self.home / "etc"), "-i", "-f", sender, *recipients], input=message,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        assert p.returncode == 0, p.stdout

    def queue(self):
        return subprocess.run(["/usr/sbin/postqueue", "-c", str(self.home / "etc"), "-p"], stdout=subprocess.PIPE, text=True,
                              timeout=60).stdout

    def stop(self):
        self._postfix("stop", check=False)
