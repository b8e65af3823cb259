"""A real Dovecot in a scratch folder: the provider whose mailboxes are collected, and SASL for the relay."""
import os
import pathlib
import pwd
import signal
import subprocess
import time

from . import scratch

CONFIG = """
protocols = pop3
base_dir = {home}/run
state_dir = {home}/run
log_path = {home}/dovecot.log
mail_location = maildir:{home}/mail/%u
mail_access_groups = {group}
first_valid_uid = 1
first_valid_gid = 1
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5 apop
auth_cache_size = 0
auth_failure_delay = 0
auth_worker_max_count = 4
default_process_limit = 400
default_client_limit = 4000
ssl = yes
ssl_cert = <{cert}
ssl_key = <{key}
ssl_min_protocol = TLSv1.2
mail_max_userip_connections = 500
mail_fsync = never
pop3_uidl_format = %g
pop3_no_flag_updates = yes
{users}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {home}/users/%u
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home}/mail/%u
}}
service pop3-login {{
  process_min_avail = 1
  service_count = 0
  {chroot}
  inet_listener pop3 {{
    address = 127.0.0.1
    port = {pop3}
  }}
  inet_listener pop3s {{
    address = 127.0.0.1
    port = {pop3s}
    ssl = yes
  }}
}}
service auth {{
  inet_listener {{
    address = 127.0.0.1
    port = {auth}
  }}
}}
service anvil {{
  {chroot}
}}
service stats {{
  {chroot}
}}
{extra}
"""


class Dovecot:
    """port: plain and STLS; tls_port: implicit TLS; auth_port: its SASL for Postfix."""

    def __init__(self, ca, name="provider.test", extra="", cert=None):
        self.home = scratch.folder("dovecot")
        self.name = name
        self.port, self.tls_port, self.auth_port = (scratch.free_port() for _ in range(3))
        self.cert, self.key = cert or ca.issue(name)
        self.extra = extra
        self.users = {}
        self.process = None
        self._serial = 0
        me = pwd.getpwuid(os.getuid()).pw_name
        self._owner = pwd.getpwnam("mail" if os.getuid() == 0 else me)
        self._write(me)
        (self.home / "mail").mkdir()
        (self.home / "users").mkdir()
        os.chown(self.home / "mail", self._owner.pw_uid, self._owner.pw_gid)
        self.start()

    def _write(self, me):
        root = os.getuid() == 0
        users = "" if root else f"default_internal_user = {me}\ndefault_login_user = {me}\ndefault_internal_group = {me}\n"
        (self.home / "dovecot.conf").write_text(CONFIG.format(
            home=self.home, cert=self.cert, key=self.key, pop3=self.port, pop3s=self.tls_port, auth=self.auth_port,
            uid=self._owner.pw_uid, gid=self._owner.pw_gid, group="mail" if root else "", users=users,
            chroot="" if root else "chroot =", extra=self.extra))

    def start(self):
        self.process = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", str(self.home / "dovecot.conf")],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(self.home / "stderr", "ab"), start_new_session=True)
        scratch.wait_for(lambda: scratch.listens(self.port) or self._dead(), 20, "Dovecot's port")

    def _dead(self):
        if self.process.poll() is not None:
            raise AssertionError("dovecot ended: " + scratch.tail(self.home / "stderr") + self.log())

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def close(self):
        self.stop()
        scratch.remove(self.home)

    def log(self):
        return scratch.tail(self.home / "dovecot.log")

    def add_user(self, user, password="secret"):
        """A mailbox. A file a user, since Dovecot looks at each only once a second; so a change of password waits."""
        if self.users.get(user, password) != password:
            time.sleep(1.1)
        self.users[user] = password
        new = self.home / "users" / f".{user}"
        new.write_text(f"{user}:{password}::::::\n")
        new.chmod(0o644)
        new.replace(self.home / "users" / user)
        box = self.home / "mail" / user
        for d in (box, box / "new", box / "cur", box / "tmp"):
            if not d.exists():
                d.mkdir(mode=0o700)
                os.chown(d, self._owner.pw_uid, self._owner.pw_gid)
        return user

    def put(self, user, *messages):
        """Puts messages into the mailbox; bytes are kept, so give CRLF. Dovecot sends bare LF as CRLF."""
        if user not in self.users:
            self.add_user(user)
        for m in messages:
            self._serial += 1
            name = f"{int(time.time())}.M{self._serial:06d}P{os.getpid()}.provider"
            tmp = self.home / "mail" / user / "tmp" / name
            tmp.write_bytes(m)
            os.chown(tmp, self._owner.pw_uid, self._owner.pw_gid)
            tmp.rename(self.home / "mail" / user / "new" / name)

    def messages(self, user):
        """What lies there, oldest first."""
        box = self.home / "mail" / user
        files = [p for sub in ("new", "cur") for p in (box / sub).iterdir()]
        return [p.read_bytes() for p in sorted(files, key=lambda p: p.name.split(".M")[-1])]

    def count(self, user):
        return len(self.messages(user))
