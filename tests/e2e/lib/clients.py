"""SMTP and POP3 by plain sockets: every byte is the test's own."""
import base64
import re
import socket
import ssl


class Line:
    """A connection that reads lines."""

    def __init__(self, port, host="127.0.0.1", timeout=20, tls=None, source=None):
        self.sock = socket.create_connection((host, port), timeout, source_address=(source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pending = b""
        if tls is not None:
            self.wrap(tls)

    def wrap(self, tls=True):
        """TLS from here on. tls: an SSLContext, or True for one that verifies nothing."""
        if tls is True:
            tls = ssl.create_default_context()
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        self._pending = b""
        self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")

    def send(self, data):
        self.sock.sendall(data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data)

    def _more(self):
        got = self.sock.recv(1 << 16)
        self._pending += got
        return bool(got)

    def line(self):
        """One line without its CRLF; b"" and EOFError at the end of the stream."""
        while b"\n" not in self._pending:
            if not self._more():
                raise EOFError(f"closed after {self._pending!r}")
        line, self._pending = self._pending.split(b"\n", 1)
        return line.removesuffix(b"\r")

    def until(self, end):
        got, seen, more = bytearray(self._pending), 0, True
        try:
            while (at := got.find(end, seen)) < 0:  # each byte once: a message may have 100 MiB
                if not more:
                    raise EOFError(f"closed after {bytes(got[-200:])!r}")
                seen, self._pending = max(0, len(got) - len(end) + 1), b""
                more = self._more()
                got += self._pending
        except BaseException:
            self._pending = bytes(got)
            raise
        at += len(end)
        self._pending = bytes(got[at:])
        return bytes(got[:at])

    def rest(self):
        """All that comes until the peer closes."""
        try:
            while self._more():
                pass
        except (ConnectionResetError, ssl.SSLError):
            pass
        got, self._pending = self._pending, b""
        return got

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class SMTP(Line):
    """Replies are (code, text), text with its lines joined by newline."""

    def __init__(self, port, helo="client.test", **kw):
        super().__init__(port, **kw)
        self.greeting = self.reply()
        self.ehlo = self.cmd(f"EHLO {helo}")[1] if helo and self.greeting[0] == 220 else ""

    def reply(self):
        lines = []
        while True:
            line = self.line().decode("utf-8", "replace")
            assert re.match(r"^\d{3}[ -]", line) or re.match(r"^\d{3}$", line), f"no SMTP reply: {line!r}"
            lines.append(line[4:])
            if line[3:4] != "-":
                return int(line[:3]), "\n".join(lines)

    def cmd(self, line):
        self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return self.reply()

    def ok(self, line, code=None):
        got = self.cmd(line)
        assert got[0] == code if code else got[0] < 400, f"{line}: {got}"
        return got

    def starttls(self, tls=True, helo="client.test"):
        self.ok("STARTTLS", 220)
        self.wrap(tls)
        self.ehlo = self.ok(f"EHLO {helo}", 250)[1]

    def auth_plain(self, user, password, initial=True):
        secret = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        if initial:
            return self.cmd(f"AUTH PLAIN {secret}")
        self.ok("AUTH PLAIN", 334)
        return self.cmd(secret)

    def auth_login(self, user, password):
        first = self.ok("AUTH LOGIN", 334)
        assert base64.b64decode(first[1]) == b"Username:", first
        second = self.ok(base64.b64encode(user.encode()).decode(), 334)
        assert base64.b64decode(second[1]) == b"Password:", second
        return self.cmd(base64.b64encode(password.encode()).decode())

    def data(self, message):
        """Sends DATA with dot-stuffing; the message's own line ends stay as they are."""
        got = self.cmd("DATA")
        if got[0] != 354:
            return got
        stuffed = re.sub(rb"(\A|\r\n)\.", rb"\1..", message)
        self.send(stuffed + (b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n"))
        return self.reply()

    def mail(self, sender, recipients, message):
        """One transaction, which must be accepted for every recipient."""
        self.ok(f"MAIL FROM:<{sender}>")
        for r in [recipients] if isinstance(recipients, str) else recipients:
            self.ok(f"RCPT TO:<{r}>")
        got = self.data(message)
        assert got[0] == 250, got
        return got

    def quit(self):
        got = self.cmd("QUIT")
        self.close()
        return got


class POP3(Line):
    """Replies are the line's text behind +OK; -ERR raises POP3.Refused unless asked for with cmd()."""

    class Refused(Exception):
        pass

    def __init__(self, port, user=None, password="", **kw):
        super().__init__(port, **kw)
        self.greeting = self.line().decode()
        if user is not None:
            self.login(user, password)

    def cmd(self, line):
        self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return self.line().decode("utf-8", "replace")

    def ok(self, line):
        got = self.cmd(line)
        if not got.startswith("+OK"):
            raise POP3.Refused(got)
        return got[3:].strip()

    def multi(self, line):
        """The bytes of a multi-line reply, unstuffed, without the final dot's line."""
        self.ok(line)
        return self.body()

    def body(self):
        raw = b"\r\n" + self.until_dot()
        return re.sub(rb"\r\n\.", b"\r\n", raw[:-3])[2:]

    def until_dot(self):
        """Everything to the line with the single dot, that line included."""
        if not self._pending.startswith(b".\r\n"):
            while len(self._pending) < 3 and self._more():
                pass
        if self._pending.startswith(b".\r\n"):
            got, self._pending = self._pending[:3], self._pending[3:]
            return got
        return self.until(b"\r\n.\r\n")

    def lines(self, line):
        return self.multi(line).decode().split("\r\n")[:-1]

    def login(self, user, password=""):
        self.ok(f"USER {user}")
        return self.ok(f"PASS {password}")

    def stls(self, tls=True):
        self.ok("STLS")
        self.wrap(tls)

    def stat(self):
        return tuple(map(int, self.ok("STAT").split()[:2]))

    def list(self):
        return {int(n): int(size) for n, size in (x.split() for x in self.lines("LIST"))}

    def uidl(self):
        return dict((int(n), uid) for n, uid in (x.split() for x in self.lines("UIDL")))

    def retr(self, n):
        return self.multi(f"RETR {n}")

    def all(self):
        return [self.retr(n) for n in sorted(self.list())]

    def quit(self):
        got = self.cmd("QUIT")
        self.close()
        return got
