"""The outside: a provider that remembers what it was told to delete, and relays that remember what they took and when."""
import threading
import time

from lib import liar, threads

CHUNKING, PLAIN = ("PIPELINING", "CHUNKING", "8BITMIME"), ("PIPELINING", "8BITMIME")


class Stamped(list):
    def __init__(self):
        super().__init__()
        self.moment = threading.local()

    def append(self, item):
        item.ns = self.moment.ns
        super().append(item)


class Relay(liar.Liar):
    """Refuses recipients named refused…; accepted items carry .ns, the time just before the final reply was sent."""

    def __init__(self, offers):
        super().__init__(self._reply, offers)
        self.accepted = Stamped()

    def _reply(self, verb, arg, connection):
        if verb == ".":
            self.accepted.moment.ns = time.monotonic_ns()
        return "550 5.1.1 no such user" if verb == "RCPT" and "<refused" in arg else None


class Provider(threads.Server):
    """One POP3 mailbox. A message is gone when QUIT was received: .deleted has UIDL -> the time."""

    def __init__(self):
        self.messages, self.deleted, self.quits = {}, {}, 0
        super().__init__()

    def fill(self, messages):
        with self.lock:
            self.messages, self.deleted = dict(messages), {}

    def serve(self, s, number):
        self._session(s.makefile("rwb"))

    def _session(self, f):
        with self.lock:
            listing = list(self.messages.items())
        gone = set()

        def say(*lines):
            f.write(b"".join(x + b"\r\n" for x in lines))
            f.flush()
        say(b"+OK provider")
        for raw in f:
            verb, _, arg = raw.strip().decode().partition(" ")
            verb = verb.upper()
            n = int(arg.split()[0]) if arg[:1].isdigit() else 0
            if verb == "CAPA":
                say(b"+OK", b"USER", b"UIDL", b"TOP", b"PIPELINING", b".")
            elif verb == "STAT":
                say(b"+OK %d %d" % (len(listing), sum(len(m) for _, m in listing)))
            elif verb in ("LIST", "UIDL"):
                say(b"+OK", *(b"%d %s" % (i, uid.encode() if verb == "UIDL" else b"%d" % len(m))
                              for i, (uid, m) in enumerate(listing, 1)), b".")
            elif verb == "RETR":
                body = listing[n - 1][1].replace(b"\r\n.", b"\r\n..")
                f.write(b"+OK\r\n" + body + b".\r\n")
                f.flush()
            elif verb == "DELE":
                gone.add(listing[n - 1][0])
                say(b"+OK")
            elif verb == "QUIT":
                with self.lock:
                    for uid in gone:
                        self.messages.pop(uid, None)
                        self.deleted.setdefault(uid, time.monotonic_ns())
                    self.quits += 1
                say(b"+OK bye")
                return
            else:
                say(b"+OK")
