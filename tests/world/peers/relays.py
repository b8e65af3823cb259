"""Relays with limits of their own: Exim and OpenSMTPD in roots of their own, Postfix as the other tests use it.

limits: per_connection (messages), recipients (of one transaction), rate (messages in RATE_TIME seconds from one client), size
(octets). Each refuses recipients whose local part begins with "no-" for good. delivered() gives (recipient, message) for each copy."""
import os
import re
import time

from lib import clients, postfix as lib_postfix, scratch

from . import room

RATE_TIME = 3
REFUSED = "550 5.1.1 nobody of that name"


class Relay:
    NAME = None

    def __init__(self, **limits):
        self.port = scratch.free_port()
        self.limits = limits
        self.room = room.Room(self.NAME)
        self.mail = self.room.share / "mail"
        try:
            self.start()
            scratch.wait_for(self._greets, 20, lambda: f"{self.NAME}'s greeting; " + self.room.log())
        except BaseException:
            self.close()
            raise

    def _greets(self):
        try:
            with clients.SMTP(self.port, timeout=5) as s:
                return s.greeting[0] == 220
        except (OSError, EOFError):
            return False

    def log(self):
        return self.room.log()

    def close(self):
        self.room.close()


EXIM = """
primary_hostname = relay.test
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
host_lookup =
dns_ipv4_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
smtp_accept_max = 100
smtp_accept_queue_per_connection = 0
smtp_reserve_hosts =
smtp_accept_max_per_connection = {per_connection}
recipients_max = {recipients}
recipients_max_reject = false
message_size_limit = {size}
queue_run_max = 5
deliver_drop_privilege = true
log_file_path = /world/exim.%slog
acl_smtp_mail = pace
acl_smtp_rcpt = take

begin acl
pace:
{pace}
  accept
take:
  deny
    local_parts = ^no-
    message = 5.1.1 nobody of that name
  accept

begin routers
all:
  driver = accept
  transport = box

begin transports
box:
  driver = appendfile
  directory = /world/mail
  maildir_format
  envelope_to_add
"""


class Exim(Relay):
    NAME = "exim"

    def start(self):
        pace = "" if "rate" not in self.limits else f"""  defer
    ratelimit = {self.limits["rate"]} / {RATE_TIME}s / strict / per_mail
    message = 4.7.1 too many messages, slow down"""
        self.room.write("/etc/exim4/exim4.conf", EXIM.format(
            port=self.port, pace=pace, per_connection=self.limits.get("per_connection", 1000),
            recipients=self.limits.get("recipients", 50000), size=self.limits.get("size", "50M")))
        self.room.run("sh", "-c", "mkdir -p /world/mail /var/spool/exim4 /run/exim4; touch /world/exim.mainlog;"
                      "chown -R Debian-exim:Debian-exim /world/mail /world/exim.mainlog /var/spool/exim4 /run/exim4; chmod 777 /world")
        self.room.daemon("exim4", "-bdf", "-q10m")

    def delivered(self):
        for p in (self.mail / "new").glob("*"):
            raw = p.read_bytes()
            yield re.search(rb"^Envelope-to: (.*?)\r?$", raw, re.M | re.I).group(1).decode(), raw

    def log(self):
        return self.room.log() + scratch.tail(self.room.share / "exim.mainlog") + scratch.tail(self.room.share / "exim.rejectlog", 10)


OPENSMTPD = """
smtp limit max-mails {per_connection}
smtp limit max-rcpt {recipients}
smtp max-message-size "{size}"
table all {{ "@" = "box" }}
action "store" mda "/world/store" virtual <all>
listen on 127.0.0.1 port {port} hostname relay.test no-dsn
match from any for any rcpt-to regex {{ "^no-" }} reject
match from any for any action "store"
"""
STORE = """#!/bin/sh
# One copy: the recipient's address, then the message. Whole before it is seen.
f=$(mktemp /world/mail/tmp/XXXXXXXX) && { echo "X-Recipient: $RECIPIENT"; cat; } >"$f" && mv "$f" /world/mail/new/
"""


class OpenSMTPD(Relay):
    NAME = "opensmtpd"

    def start(self):
        self.room.write("/etc/smtpd.conf", OPENSMTPD.format(
            port=self.port, per_connection=self.limits.get("per_connection", 1000),
            recipients=self.limits.get("recipients", 1000), size=self.limits.get("size", "50M")))
        self.room.write("/world/store", STORE, 0o755)
        self.room.run("sh", "-c", "useradd -m box; mkdir -p /world/mail/tmp /world/mail/new; chown -R box /world/mail")
        self.room.daemon("smtpd", "-d")

    def delivered(self):
        for p in (self.mail / "new").glob("*"):
            head, _, raw = p.read_bytes().partition(b"\n")
            yield head.partition(b": ")[2].decode(), raw


class Postfix(lib_postfix.Postfix):
    NAME = "postfix"

    def __init__(self, ca, dovecot, **limits):
        self.limits = limits
        super().__init__(ca, dovecot)

    def start(self):
        more = {"smtpd_recipient_restrictions": f"check_recipient_access regexp:{self.home}/refused, permit"}
        if "recipients" in self.limits:
            more["smtpd_recipient_limit"] = self.limits["recipients"]
        if "size" in self.limits:
            more["message_size_limit"] = self.limits["size"]
        if "rate" in self.limits:
            more.update({"smtpd_client_message_rate_limit": self.limits["rate"], "anvil_rate_time_unit": f"{RATE_TIME}s",
                         "smtpd_client_event_limit_exceptions": ""})
        (self.home / "refused").write_text(f"/^no-/ {REFUSED}\n")
        main = self.home / "etc/main.cf"
        kept = [x for x in main.read_text().splitlines() if x.split(" =")[0] not in more]
        main.write_text("\n".join(kept + [f"{k} = {v}" for k, v in more.items()]) + "\n")
        super().start()

    def delivered(self):
        for d in super().delivered():
            yield d.recipient, d.raw
