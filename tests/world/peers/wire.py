"""A line between the gateway and a real server that records what is said, and hangs up where a test wants it."""
import re
import socket
import threading

from lib import threads


class Talk:
    """One connection: what the client and the server said so far."""

    def __init__(self):
        self.sent, self.received = bytearray(), bytearray()

    def commands(self, verb):
        """The arguments of a command, in plain text."""
        return [a.decode() for a in re.findall(rb"^" + verb.encode() + rb"(?: ([^\r\n]*))?\r\n", bytes(self.sent), re.M | re.I)]


class Wire(threads.Server):
    """cut(talk) is asked after each piece that was passed on; once it is true, both sides lose the connection, once. `cuts` counts.
    edit: octets of the server's words in plain text, and what the client hears instead."""

    def __init__(self, port, edit=None):
        self.target = port
        self.edit = edit
        self.talks = []
        self.cut = None
        self.cuts = 0
        super().__init__()

    def serve(self, near, number):
        talk = Talk()
        self.talks.append(talk)
        with socket.create_connection(("127.0.0.1", self.target), 20) as far:
            far.settimeout(None)
            self.open.add(far)
            back = threading.Thread(target=self._pass, args=(talk, far, near, talk.received), daemon=True)
            back.start()
            self._pass(talk, near, far, talk.sent)
            back.join()
            self.open.discard(far)

    def _pass(self, talk, source, sink, said):
        try:
            while data := source.recv(8192):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)  # who sends in small pieces waits for none
                if self.edit and said is talk.received:
                    data = data.replace(*self.edit)
                said += data
                sink.sendall(data)
                cut = self.cut
                if cut is not None and cut(talk):
                    self.cut = None
                    self.cuts += 1
                    source.shutdown(socket.SHUT_RDWR)
                    sink.shutdown(socket.SHUT_RDWR)
                    return
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for s in (source, sink):
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def commands(self, verb):
        return [a for t in self.talks for a in t.commands(verb)]
