"""A relay that treats each recipient as its address says, in moods that a test sets, and remembers what it took; and the
audit of what became of every recipient.

Addresses are KIND.TOKEN@far.example, each used once in a test; the relay's verdict is always the same for one address, so
whatever is tried again ends alike:
    ok      is taken
    bad     550 at RCPT
    late    451 at RCPT until calm(), then taken
    lost    451 at RCPT until calm(), then 550
A token that ends in "d" is refused (554) behind the message's data, for whomever RCPT took."""
import collections
import email
import random
import re
import subprocess
import threading

from . import liar, scratch

MOODS = ("drop", "hang", "421", "4xx")
VERBS = ("", "EHLO", "MAIL", "RCPT", "DATA", ".", "RSET")


class Fickle(liar.Liar):
    """limit: recipients a transaction, 452 4.5.3 to those beyond. moods: {(mood, verb): probability}: "drop" closes the
    connection instead of a reply, "hang" does so after hang_s or release(), "4xx" refuses for now. Nothing of it after
    calm()."""

    def __init__(self, offers=("PIPELINING",), limit=100, moods=None, seed=1, hang_s=0.3):
        self.limit, self.moods, self.hang_s = limit, moods or {}, hang_s
        self.random = random.Random(seed)
        self.quiet = threading.Event()
        self.free = threading.Event()      # hangs end
        self.taken = collections.Counter()  # address -> how often a 250 was decided for it
        self.refused = collections.Counter()
        self.hanging = 0
        super().__init__(offers=offers)

    def calm(self):
        self.quiet.set()
        self.free.set()

    def serve(self, s, number):
        session = _Session(self, s, number)
        try:
            session.run()
        finally:
            session.s.close()

    def mood(self, verb):
        """The mood that strikes now; None mostly."""
        if self.quiet.is_set():
            return None
        with self.lock:
            at = self.random.random()
        for (mood, v), probability in self.moods.items():
            if v == verb:
                at -= probability
                if at < 0:
                    return mood
        return None


def kind(address):
    return address.partition(".")[0]


def token(address):
    return address.partition("@")[0].rpartition(".")[2]


class _Session(liar._Session):
    def _words(self, verb, arg, usual):
        r = self.liar
        struck = r.mood(verb)
        if struck in ("drop", "hang"):
            if struck == "hang":
                with r.lock:
                    r.hanging += 1
                r.free.wait(r.hang_s)
            raise EOFError
        if struck == "421":
            return "421 4.3.2 closing"
        if struck == "4xx" and verb in ("MAIL", "RCPT", "DATA", "."):
            usual = "451 4.3.0 not now"
        elif verb == "RCPT" and self.sender is not None:
            usual = self._verdict(re.search(r"<(.*)>", arg).group(1)) or usual
        elif verb == "." and self.recipients and token(self.recipients[0]).endswith("d"):
            usual = "554 5.6.0 unwelcome"
        if verb == "." and usual[0] == "2":
            with r.lock:
                r.taken.update(self.recipients)
        return usual

    def _verdict(self, address):
        k = kind(address)
        if k == "bad" or (k == "lost" and self.liar.quiet.is_set()):
            with self.liar.lock:
                self.liar.refused[address] += 1
            return "550 5.1.1 no such user"
        if k in ("late", "lost") and not self.liar.quiet.is_set():
            return "451 4.2.0 later"
        if len(self.recipients) >= self.liar.limit:
            return "452 4.5.3 too many recipients"
        return None


def bounced(g, users):
    """address -> in how many failure reports of these mailboxes it stands."""
    out = collections.Counter()
    for user in users:
        for raw in g.box(user):
            m = email.message_from_bytes(raw)
            if m.get_content_type() != "multipart/report":
                continue
            for part in m.get_payload()[1].get_payload():
                if part["Action"] == "failed":
                    out[part["Final-Recipient"].partition(";")[2].strip()] += 1
    return out


def audit(g, relays, accepted, maybe_dropped=(), queued=(), users=("anna", "boris")):
    """What is wrong, a line each. accepted: every address that a 250 was given for. maybe_dropped: addresses that an
    operator asked to drop, whatever came of it. queued: those that may still wait."""
    taken, told, out = collections.Counter(), bounced(g, users), []
    for r in relays:
        taken.update(r.taken)
    for a in accepted:
        ends = (taken[a] > 0) + (told[a] > 0)
        if told[a] > 1:
            out.append(f"{a}: in {told[a]} bounces")
        if ends > 1:
            out.append(f"{a}: delivered and bounced")
        if ends == 0 and a not in maybe_dropped and a not in queued:
            out.append(f"{a}: lost without a bounce")
        refuses = kind(a) in ("bad", "lost") or token(a).endswith("d")
        if taken[a] if refuses else told[a]:
            out.append(f"{a}: {taken[a]} times taken, {told[a]} times bounced")
    strangers = set(told) - set(accepted)
    return out + [f"{a}: a bounce for nobody's mail" for a in sorted(strangers)]


def slow_disk(folder):
    """Builds slow_disk.c into a folder; what env() of the program needs, with SLOW_DISK_MS added by the caller."""
    library = folder / "slow_disk.so"
    source = scratch.ROOT / "tests/e2e/lib/slow_disk.c"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return {"LD_PRELOAD": str(library)}
