"""A relay that lies: a small SMTP server in threads, whose replies a test decides.

Liar(reply=…) where reply(verb, arg, connection) gives the reply's text ("550 5.1.1 no"), bytes (sent as they are),
None (the usual reply) or Liar.DROP (the connection is closed). verb "." is the end of a message, "" the greeting; there
Liar.TAKE_AND_DROP takes the message and closes the connection instead of the reply.

tls=(certificate, key): STARTTLS is offered, or with implicit=True the connection begins with the handshake. ends: which
lines end a message that came by DATA; a server that takes LF.CRLF for one, say, has b"\n.\r\n" among them."""
import base64
import re
import socket
import ssl

from . import threads


class Accepted:
    def __init__(self, sender, recipients, data):
        self.sender, self.recipients, self.data = sender, recipients, data


class Liar(threads.Server):
    DROP, TAKE_AND_DROP = object(), object()
    CHALLENGE = b"<1896.697170952@liar.test>"

    def __init__(self, reply=None, offers=("PIPELINING", "8BITMIME", "SIZE 10000000"), tls=None, implicit=False,
                 ends=(b"\r\n.\r\n",)):
        self.reply = reply or (lambda verb, arg, connection: None)
        self.offers = list(offers)
        self.accepted = []
        self.commands = []   # (connection number, command line)
        self.bursts = []     # each chunk of bytes as it was received, decoded
        self.logins = []     # (mechanism, what the client sent, decoded)
        self.ends = ends
        self.implicit = implicit
        self.tls = None
        if tls is not None:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*tls)
        super().__init__()

    def verbs(self, verb):
        return [c for _, c in self.commands if c.upper().startswith(verb)]

    def to(self, recipient):
        return [a for a in self.accepted if recipient in a.recipients]

    def serve(self, s, number):
        session = _Session(self, s, number)
        try:
            session.run()
        finally:
            session.s.close()


class _Session:
    def __init__(self, liar, s, number):
        self.liar, self.s, self.number = liar, s, number
        self.secure = False
        self.buffer = b""
        self.sender, self.recipients, self.data = None, [], b""

    def _more(self):
        got = self.s.recv(65536)
        if not got:
            raise EOFError
        self.liar.bursts.append(got.decode("latin1"))
        self.buffer += got

    def _line(self):
        while b"\r\n" not in self.buffer:
            self._more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("latin1")

    def _take(self, n):
        while len(self.buffer) < n:
            self._more()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def _data(self):
        self.buffer = b"\r\n" + self.buffer  # so that a dot may stand first
        while True:
            found = [(at, end) for end in self.liar.ends if (at := self.buffer.find(end)) >= 0]
            if found:
                at, end = min(found)
                data, self.buffer = self.buffer[:at], self.buffer[at + len(end):]
                return (data + b"\r\n").replace(b"\r\n.", b"\r\n")[2:]
            self._more()

    def _words(self, verb, arg, usual):
        said = self.liar.reply(verb, arg, self.number)
        if said is Liar.DROP:
            raise EOFError
        if said is Liar.TAKE_AND_DROP:
            self.liar.accepted.append(Accepted(self.sender, list(self.recipients), self.data))
            raise EOFError
        return usual if said is None else said

    def _send(self, said):
        """Sends the reply and returns its class."""
        self.s.sendall(said if isinstance(said, bytes) else said.encode() + b"\r\n")
        if isinstance(said, str) and said.startswith("421"):  # RFC 5321 3.8: it closes the connection
            self._leave()
        return (said if isinstance(said, str) else said.decode("latin1"))[:1]

    def _say(self, verb, arg, usual):
        return self._send(self._words(verb, arg, usual))

    def _leave(self):
        """Closes so that the last words arrive: unread bytes would make a reset of it, which takes them along."""
        self.s.shutdown(socket.SHUT_WR)
        self.s.settimeout(5)
        while self.s.recv(65536):
            pass
        raise EOFError

    def _reset(self):
        self.sender, self.recipients = None, []

    def _end(self, data):
        self.data = data
        said = self._words(".", "", "250 2.0.0 taken" if self.recipients else "554 5.5.1 no valid recipients")
        # Before the reply: who has read that may look at once.
        if said[:1] in ("2", b"2") and self.recipients:
            self.liar.accepted.append(Accepted(self.sender, list(self.recipients), data))
        self._send(said)
        self._reset()

    def _handshake(self):
        self.buffer = b""
        plain = self.s
        self.s = self.liar.tls.wrap_socket(plain, server_side=True)
        self.liar.open.add(self.s)
        self.secure = True

    def run(self):
        if self.liar.implicit:
            self._handshake()
        self._say("", "", "220 liar.test ESMTP")
        while True:
            line = self._line()
            self.liar.commands.append((self.number, line))
            verb, _, arg = line.partition(" ")
            getattr(self, "do_" + verb.lower(), self.do_unknown)(verb.upper(), arg)

    def do_unknown(self, verb, arg):
        self._say(verb, arg, "500 5.5.2 what")

    def do_ehlo(self, verb, arg):
        lines = ["liar.test"] + self.liar.offers
        if self.liar.tls and not self.secure:
            lines.append("STARTTLS")
        self._say(verb, arg, "\r\n".join("250" + ("-" if n + 1 < len(lines) else " ") + x for n, x in enumerate(lines)))

    def do_helo(self, verb, arg):
        self._say(verb, arg, "250 liar.test")

    def do_starttls(self, verb, arg):
        if self._say(verb, arg, "220 2.0.0 go" if self.liar.tls else "454 4.7.0 no TLS") == "2" and self.liar.tls:
            self._handshake()

    def _ask(self, prompt):
        self.s.sendall(b"334 " + base64.b64encode(prompt) + b"\r\n")
        return self._line()

    def do_auth(self, verb, arg):
        """The reply is asked for with "MECHANISM RESPONSE"."""
        mechanism, *given = arg.split(" ")
        prompts = {"LOGIN": [b"Username:", b"Password:"], "CRAM-MD5": [self.liar.CHALLENGE]}.get(mechanism, [b""])
        given += [self._ask(p) for p in prompts[len(given):]]
        self.liar.logins.append((mechanism, *(base64.b64decode(x).decode("latin1") for x in given)))
        self._say(verb, " ".join([mechanism, *given]), "235 2.7.0 in")

    def do_mail(self, verb, arg):
        if self.sender is not None:
            self._say(verb, arg, "503 5.5.1 nested MAIL")
        elif self._say(verb, arg, "250 2.1.0 ok") == "2":
            self.sender = re.match(r"FROM:<(.*?)>", arg, re.I).group(1)

    def do_rcpt(self, verb, arg):
        usual = "250 2.1.5 ok" if self.sender is not None else "503 5.5.1 MAIL first"
        if self._say(verb, arg, usual) == "2":
            self.recipients.append(re.match(r"TO:<(.*)>", arg, re.I).group(1))

    def do_data(self, verb, arg):
        if self._say(verb, arg, "354 go" if self.recipients else "503 5.5.1 RCPT first") == "3":
            self._end(self._data())

    def do_bdat(self, verb, arg):
        self._end(self._take(int(arg.split()[0])))

    def do_rset(self, verb, arg):
        self._say(verb, arg, "250 2.0.0 reset")
        self._reset()

    def do_quit(self, verb, arg):
        self._say(verb, arg, "221 2.0.0 bye")
        raise EOFError
