"""Mail servers that send all their mail to us, as a computer of the LAN may have one: each with send(), plain or with TLS and log-in."""
from lib import scratch

from . import room

OPENSMTPD = """
table secrets {{ us = {user}:secret }}
action "out" relay host "{url}" {more}
match from local for any action "out"
"""
EXIM = """
primary_hostname = satellite.test
local_interfaces = 127.0.0.1
dns_ipv4_lookup =
log_file_path = /world/exim.%slog
begin routers
smart:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = us
begin transports
us:
  driver = smtp
  port = {port}
  allow_localhost
{more}
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  client_send = ^{user}^secret
"""


class Satellite:
    """tls: none, starttls or tls; with TLS it also logs in as `user`."""
    NAME = None

    def __init__(self, port, tls, user):
        self.port, self.tls, self.user = port, tls, user
        self.room = room.Room(self.NAME)
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def send(self, sender, to, raw):
        """Given to its sendmail, as programs of the same machine do."""
        self.room.run("/usr/sbin/sendmail", "-i", "-f", sender, *to, stdin=raw.replace(b"\r\n", b"\n"))

    def log(self):
        return self.room.log()

    def close(self):
        self.room.close()


class PostfixNullClient(Satellite):
    """Postfix as Debian installs it, made a null client in the way of its own document."""
    NAME = "nullclient"

    def start(self):
        more = []
        if self.tls != "none":
            more = ["smtp_tls_security_level=encrypt", "smtp_sasl_auth_enable=yes", f"smtp_sasl_password_maps=static:{self.user}:secret",
                    "smtp_sasl_security_options=noanonymous", f"smtp_tls_wrappermode={'yes' if self.tls == 'tls' else 'no'}"]
        self.room.run("sh", "-c", "[ -e /etc/postfix/main.cf ] || cp /usr/share/postfix/main.cf.debian /etc/postfix/main.cf")
        self.room.run("postconf", "-e", "myhostname=satellite.test", f"relayhost=[127.0.0.1]:{self.port}", "inet_interfaces=loopback-only",
                      "inet_protocols=ipv4", "mydestination=", "maillog_file=/var/log/postfix.log", *more)
        self.room.run("postconf", "-MX", "smtp/inet")
        self.room.run("sh", "-c", "/usr/lib/postfix/configure-instance.sh - ; postfix start")

    def log(self):
        return self.room.run("tail", "-n", "30", "/var/log/postfix.log", check=False)


class EximSmarthost(Satellite):
    NAME = "exim"

    def start(self):
        more = "" if self.tls == "none" else "  hosts_require_auth = *\n  hosts_require_tls = *\n  tls_verify_certificates =\n"
        if self.tls == "tls":
            more += "  protocol = smtps\n"
        self.room.write("/etc/exim4/exim4.conf", EXIM.format(port=self.port, more=more, user=self.user))
        self.room.run("sh", "-c", "mkdir -p /var/spool/exim4; touch /world/exim.mainlog;"
                      "chown -R Debian-exim:Debian-exim /world/exim.mainlog /var/spool/exim4; chmod 777 /world")
        self.room.daemon("exim4", "-bdf", "-q10m", "-oX", str(scratch.free_port()))

    def log(self):
        return self.room.run("sh", "-c", "tail -n 30 /world/exim.mainlog", check=False)


class OpenSMTPDRelay(Satellite):
    NAME = "opensmtpd"

    def start(self):
        url = {"none": "smtp+notls://", "starttls": "smtp+tls://us@", "tls": "smtps://us@"}[self.tls] + f"127.0.0.1:{self.port}"
        more = "" if self.tls == "none" else "auth <secrets> tls no-verify"
        self.room.write("/etc/smtpd.conf", OPENSMTPD.format(user=self.user, url=url, more=more))
        self.room.daemon("smtpd", "-d")
        scratch.wait_for(lambda: "uptime" in self.room.run("smtpctl", "show", "stats", check=False), 20, self.log)


ALL = {"postfix": PostfixNullClient, "exim": EximSmarthost, "opensmtpd": OpenSMTPDRelay}
