"""The outside: a provider that remembers what it was told to delete, and relays that remember what they took and when."""
import threading
import time

from lib import liar, threads

CHUNKING, PLAIN, LOCK_STEP = ("PIPELINING", "CHUNKING", "8BITMIME"), ("PIPELINING", "8BITMIME"), ("8BITMIME",)
AT_ONCE = 3  # recipients that a relay takes in one transaction


def refuses(address):
    """Whether the relays refuse this recipient for good, at RCPT or at the end of the data."""
    return address.startswith(("refused", "endbad"))


class Stamped(list):
    def __init__(self):
        super().__init__()
        self.moment = threading.local()

    def append(self, item):
        item.ns = self.moment.ns
        super().append(item)


class Relay(liar.Liar):
    """What it does with a recipient follows from its name. refused…: 550 at RCPT. late…: 450 there the first time.
    hangup…: the connection is closed there the first time. endbad…: 554 at the end of the data. endlate…: 451 there the
    first time. lost…: taken, and the reply is lost the first time. More than AT_ONCE recipients in a transaction: 452.

    Accepted items carry .ns, the time just before the final reply was sent; .lost counts lost replies by address."""

    def __init__(self, offers):
        self.accepted_once, self.lost, self.envelopes = set(), {}, {}
        super().__init__(self._reply, offers)
        self.accepted = Stamped()

    def forget(self):
        """A new round of the world begins."""
        self.accepted.clear()
        self.accepted_once.clear()
        self.lost.clear()

    def _first(self, what):
        new = what not in self.accepted_once
        self.accepted_once.add(what)
        return new

    def _rcpt(self, address, envelope):
        if address.startswith("refused"):
            return "550 5.1.1 no such user"
        if address.startswith("late") and self._first(address):
            return "450 4.2.1 mailbox busy"
        if address.startswith("hangup") and self._first(address):
            return liar.Liar.DROP
        if len(envelope) >= AT_ONCE:
            return "452 4.5.3 too many recipients"
        envelope.append(address)
        return None

    def _end(self, envelope):
        self.accepted.moment.ns = time.monotonic_ns()
        if any(a.startswith("endbad") for a in envelope):
            return "554 5.7.1 not this message"
        if any(a.startswith("endlate") and self._first(a) for a in envelope):
            return "451 4.3.0 later"
        return None

    def _lose(self, recipients):
        """Called when a message was taken: whether its reply gets lost."""
        lost = [a for a in recipients if a.startswith("lost") and self._first(a)]
        for a in recipients if lost else ():
            self.lost[a] = self.lost.get(a, 0) + 1
        return bool(lost)

    def _reply(self, verb, arg, connection):
        envelope = self.envelopes.setdefault(connection, [])
        if verb in ("MAIL", "RSET"):
            envelope.clear()
        elif verb == "RCPT":
            return self._rcpt(arg.partition("<")[2].partition(">")[0], envelope)
        elif verb == ".":
            said = self._end(envelope)
            if said is None and envelope and self._lose(envelope):
                said = liar.Liar.TAKE_AND_DROP
            envelope.clear()
            return said
        return None


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
