"""Proxies as an office has them: SOCKS5 (names resolved by the proxy) and HTTP CONNECT on one port, each named target led to a
port of loopback."""
import re
import socket
import threading

from . import threads


class Tunnel(threads.Server):
    """targets: {"smtp.provider.example:587": port}. `asked` lists what was asked for, as ("socks5", "host:port")."""

    def __init__(self, targets):
        self.targets = targets
        self.asked = []
        super().__init__()

    def serve(self, s, number):
        with s.makefile("rb") as f:
            self._socks(s, f) if f.peek(1)[:1] == b"\5" else self._http(s, f)

    def _socks(self, s, f):
        f.read(f.read(2)[1])
        s.sendall(b"\5\0")
        kind = f.read(4)[3]
        assert kind == 3, "a name, for the proxy to resolve"
        host = f.read(f.read(1)[0]).decode()
        self._join(s, f, "socks5", f"{host}:{int.from_bytes(f.read(2), 'big')}",
                   b"\5\0\0\1\0\0\0\0\0\0", b"\5\5\0\1\0\0\0\0\0\0")

    def _http(self, s, f):
        where = re.match(rb"CONNECT (\S+) HTTP", f.readline()).group(1).decode()
        while f.readline().strip():
            pass
        self._join(s, f, "http", where, b"HTTP/1.1 200 go\r\n\r\n", b"HTTP/1.1 502 no\r\n\r\n")

    def _join(self, s, f, kind, where, yes, no):
        self.asked.append((kind, where))
        if where not in self.targets:
            s.sendall(no)
            return
        with socket.create_connection(("127.0.0.1", self.targets[where])) as far:
            s.sendall(yes)
            back = threading.Thread(target=self._copy, args=(far.recv, s), daemon=True)
            back.start()
            self._copy(f.read1, far)
            back.join(5)

    @staticmethod
    def _copy(read, to):
        try:
            while data := read(65536):
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass
