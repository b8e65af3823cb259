"""A provider that lies: a small POP3 server in threads, whose replies a test decides.

Provider(reply=…) where reply(verb, arg, connection) gives the reply's text ("-ERR no"), bytes (sent as they are, and the
usual reply is left out), None (the usual reply), DROP (the connection is closed), HANG (nothing is said any more) or a
function that is called with the session. verb "" is the greeting. What is deleted goes at QUIT alone."""
import base64
import hashlib
import hmac
import ssl
import threading
import time

from . import threads

DROP, HANG = object(), object()


class Cut(EOFError):
    """The connection ends here."""


class Provider(threads.Server):
    """tls: None, "stls" (offered) or "tls" (from the first byte); cert: (chain, key). cut_at: bytes that each session may
    send from `cut_from`'s reply on (any, where that is None), with a TLS close before the end of TCP where `polite`.
    byte_every: seconds between the bytes of all replies. password: one for all users, or {user: password}. tickets: of
    TLS 1.3, for a client that comes back. forgets: "login" (what came behind a log-in, as servers do that hand over to
    another program there) or "behind" (all but the first command of what was read at once). most: connections at once;
    what is beyond is told `crowded` in place of a greeting ("" = closed without a word)."""

    def __init__(self, messages=(), reply=None, password="secret", caps=("TOP", "UIDL", "USER", "PIPELINING"), tls=None,
                 cert=None, greeting="+OK ready", login_caps=None, mechanisms=(), tickets=0):
        self.mail = {}   # UIDL -> bytes, in order
        for n, m in enumerate(messages):
            self.mail[f"u{n}"] = m
        self.reply = reply or (lambda verb, arg, connection: None)
        self.password, self.caps, self.tls, self.greeting = password, list(caps), tls, greeting
        self.mechanisms = list(mechanisms)
        self.login_caps = login_caps
        self.listing = None          # [(number, UIDL, size)] instead of the truth
        self.shown = lambda uidl: uidl
        self.counted = len           # message -> the size that LIST says
        self.list_most = None        # so many at a time
        self.cut_at, self.cut_from, self.polite = None, None, False
        self.byte_every = 0
        self.forgets = None
        self.most, self.crowded, self.refusals = None, "-ERR too many connections from your address", 0
        self.commands = []           # (connection, line, under TLS)
        self.bursts = []             # (connection, bytes) as they were received
        self.logins = []             # (connection, user, how, what was given as password)
        self.deleted = []            # UIDLs, once QUIT was answered
        self.resumed = {}            # connection -> whether its handshake went on with an earlier session
        self.tickets = tickets
        if cert is not None:
            self.show(cert)
        self.stopped = threading.Event()
        super().__init__()

    def show(self, cert):
        """From now on this certificate, and nothing is known of earlier sessions."""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*map(str, cert))
        self.context.num_tickets = self.tickets

    def secret(self, user):
        return self.password[user] if isinstance(self.password, dict) else self.password

    def said(self, verb):
        """Command lines of that verb."""
        return [c for _, c, _ in self.commands if c.upper().split(" ")[0] == verb]

    def put(self, *messages):
        for m in messages:
            self.mail[f"p{len(self.mail)}.{time.monotonic_ns()}"] = m

    def close(self):
        self.stopped.set()
        super().close()

    def serve(self, s, number):
        if self.most is not None and self.at_once > self.most:
            self.refusals += 1
            s.sendall((self.crowded + "\r\n").encode() if self.crowded else b"")
            return
        session = Session(self, s, number)
        try:
            session.run()
        finally:
            session.s.close()


class Session:
    def __init__(self, provider, s, number):
        self.p, self.s, self.number = provider, s, number
        self.buffer = b""
        self.secure = False
        self.user = None
        self.numbers, self.gone = [], set()
        self.left = None  # bytes until the cut
        if provider.cut_from is None:
            self.left = provider.cut_at

    # ---- bytes ----

    def handshake(self):
        self.s = self.p.context.wrap_socket(self.s, server_side=True)
        self.p.open.add(self.s)
        self.p.resumed[self.number] = self.s.session_reused
        self.secure = True

    def end(self):
        if self.secure and self.p.polite:
            self.s.settimeout(2)
            try:
                self.s.unwrap()
            except (OSError, ValueError):
                pass
        raise Cut

    def send(self, data):
        if self.left is not None and len(data) >= self.left:
            data, self.left = data[:self.left], 0
        elif self.left is not None:
            self.left -= len(data)
        if self.p.byte_every:
            self.drip(data, self.p.byte_every)
        elif data:
            self.s.sendall(data)
        if self.left == 0:
            self.end()

    def drip(self, data, seconds):
        for n in range(len(data)):
            self.s.sendall(data[n:n + 1])
            if self.p.stopped.wait(seconds):
                raise Cut

    def hang(self):
        """Says nothing more, until the client goes or the test ends."""
        self.s.settimeout(0.2)
        while not self.p.stopped.is_set():
            try:
                if not self.s.recv(65536):
                    raise EOFError
            except TimeoutError:
                pass
        raise Cut

    def line(self):
        while b"\r\n" not in self.buffer:
            got = self.s.recv(65536)
            if not got:
                raise EOFError
            self.p.bursts.append((self.number, got))
            self.buffer += got
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        if self.p.forgets == "behind":
            self.buffer = b""
        return line.decode("latin1")

    # ---- replies ----

    def say(self, verb, arg, usual):
        """Sends what the test wants, or `usual`; True where the usual was said."""
        if self.p.cut_from == verb:
            self.left = self.p.cut_at
        said = self.p.reply(verb, arg, self.number)
        if said is DROP:
            raise Cut
        if said is HANG:
            self.hang()
        if callable(said):
            said(self)
            return False
        if said is not None:
            self.send(said if isinstance(said, bytes) else said.encode() + b"\r\n")
            return False
        self.send(usual if isinstance(usual, bytes) else usual.encode() + b"\r\n")
        return True

    def run(self):
        if self.p.tls == "tls":
            self.handshake()
        self.say("", "", self.p.greeting)
        while True:
            line = self.line()
            self.p.commands.append((self.number, line, self.secure))
            verb, _, arg = line.partition(" ")
            getattr(self, "do_" + verb.lower(), self.do_unknown)(verb.upper(), arg)

    def do_unknown(self, verb, arg):
        self.say(verb, arg, "-ERR what")

    def do_capa(self, verb, arg):
        caps = self.p.login_caps if self.user and self.p.login_caps is not None else list(self.p.caps)
        if self.p.tls == "stls" and not self.secure:
            caps = caps + ["STLS"]
        if self.p.mechanisms:
            caps = caps + ["SASL " + " ".join(self.p.mechanisms)]
        self.say(verb, arg, "\r\n".join(["+OK", *caps, "."]))

    def do_stls(self, verb, arg):
        usual = self.p.tls == "stls" and not self.secure
        if self.say(verb, arg, "+OK begin" if usual else "-ERR no TLS here") and usual:
            self.buffer = b""
            self.handshake()

    def enter(self, verb, arg, user, how, given, good):
        self.p.logins.append((self.number, user, how, given))
        if self.p.forgets == "login":
            self.forget()
        if self.say(verb, arg, "+OK in" if good else "-ERR [AUTH] wrong") and good:
            self.user = user
            self.numbers = list(self.p.mail)[:self.p.list_most]

    def forget(self):
        """What is here already is lost."""
        self.buffer = b""
        self.s.settimeout(0.05)
        try:
            self.s.recv(65536)
        except (TimeoutError, OSError):
            pass
        self.s.settimeout(None)

    def do_user(self, verb, arg):
        self.name = arg
        self.say(verb, arg, "+OK")

    def do_pass(self, verb, arg):
        self.enter(verb, arg, self.name, "USER", arg, arg == self.p.secret(self.name))

    def do_apop(self, verb, arg):
        user, digest = arg.split(" ")
        stamp = self.p.greeting[self.p.greeting.index("<"):self.p.greeting.index(">") + 1]
        good = hashlib.md5((stamp + self.p.secret(user)).encode()).hexdigest()
        self.enter(verb, arg, user, "APOP", digest, digest == good)

    def do_auth(self, verb, arg):
        how, _, first = arg.partition(" ")
        if how.upper() not in self.p.mechanisms:
            self.say(verb, arg, "-ERR [AUTH] unknown mechanism")
            return
        getattr(self, "auth_" + how.lower().replace("-", "_"))(verb, arg, first)

    def answer(self, challenge=b""):
        self.send(b"+ " + base64.b64encode(challenge) + b"\r\n")
        line = self.line()
        self.p.commands.append((self.number, line, self.secure))
        return line

    def auth_plain(self, verb, arg, first):
        _, user, password = base64.b64decode(first or self.answer()).decode().split("\0")
        self.enter(verb, arg, user, "PLAIN", password, password == self.p.secret(user))

    def auth_login(self, verb, arg, first):
        user = base64.b64decode(first or self.answer(b"Username:")).decode()
        password = base64.b64decode(self.answer(b"Password:")).decode()
        self.enter(verb, arg, user, "LOGIN", password, password == self.p.secret(user))

    def auth_cram_md5(self, verb, arg, first):
        challenge = b"<1896.697170952@provider.test>"
        user, digest = base64.b64decode(self.answer(challenge)).decode().split(" ")
        good = hmac.new(self.p.secret(user).encode(), challenge, "md5").hexdigest()
        self.enter(verb, arg, user, "CRAM-MD5", digest, digest == good)

    def auth_xoauth2(self, verb, arg, first):
        fields = base64.b64decode(first or self.answer()).decode().split("\1")
        user, token = fields[0].removeprefix("user="), fields[1].removeprefix("auth=Bearer ")
        good = token == self.p.secret(user)
        if not good:
            self.answer(b'{"status":"401"}')
        self.enter(verb, arg, user, "XOAUTH2" + (" at once" if first else " in two steps"), token, good)

    # ---- the mailbox ----

    def rows(self):
        if self.p.listing is not None:
            return self.p.listing
        return [(n, self.p.shown(u), self.p.counted(self.p.mail[u])) for n, u in enumerate(self.numbers, 1) if u not in self.gone]

    def do_stat(self, verb, arg):
        rows = self.rows()
        self.say(verb, arg, f"+OK {len(rows)} {sum(size for _, _, size in rows)}")

    def do_uidl(self, verb, arg):
        self.say(verb, arg, "\r\n".join(["+OK", *(f"{n} {u}" for n, u, _ in self.rows()), "."]))

    def do_list(self, verb, arg):
        self.say(verb, arg, "\r\n".join(["+OK", *(f"{n} {size}" for n, _, size in self.rows()), "."]))

    def find(self, arg):
        n = int(arg.split(" ")[0])
        return self.numbers[n - 1] if 1 <= n <= len(self.numbers) else None

    def body(self, verb, arg, data):
        if not data.endswith(b"\r\n"):
            data += b"\r\n"
        stuffed = (b"\r\n" + data).replace(b"\r\n.", b"\r\n..")[2:]
        self.say(verb, arg, b"+OK follows\r\n" + stuffed + b".\r\n")

    def do_top(self, verb, arg):
        uidl = self.find(arg)
        if uidl is None:
            self.say(verb, arg, "-ERR no such message")
        else:
            self.body(verb, arg, self.p.mail[uidl].partition(b"\r\n\r\n")[0] + b"\r\n\r\n")

    def do_retr(self, verb, arg):
        uidl = self.find(arg)
        if uidl is None:
            self.say(verb, arg, "-ERR no such message")
        else:
            self.body(verb, arg, self.p.mail[uidl])

    def do_dele(self, verb, arg):
        uidl = self.find(arg)
        if uidl is None:
            self.say(verb, arg, "-ERR no such message")
        elif self.say(verb, arg, "+OK marked"):
            self.gone.add(uidl)

    def do_quit(self, verb, arg):
        if self.say(verb, arg, "+OK bye"):
            self.p.deleted += [u for u in self.numbers if u in self.gone]
            for u in self.gone:
                self.p.mail.pop(u, None)
        self.end()
