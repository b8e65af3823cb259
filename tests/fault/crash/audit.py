"""Whether the promises were kept: every message that was accepted is in each of its places exactly once."""
import collections
import re

from . import peers
from .world import named, token_of


def files(world, user):
    box = world.home / "mailboxes" / user
    for sub in filter(lambda s: (box / s).is_dir(), ("new", "cur")):
        for p in sorted((box / sub).iterdir()):
            yield p, p.read_bytes()


def all_messages(world):
    return [*world.old, *world.sent, *world.collected.values()]


def partial(world):
    """Faults of what stands in new/ and cur/ at this moment, however the program ended."""
    by_token = {m.token: m for m in all_messages(world)}
    out = []
    for box in (world.home / "mailboxes").iterdir():
        if box.name.startswith(".") or not (box / "new").is_dir():
            continue
        for p, raw in files(world, box.name):
            size = re.search(r",S=(\d+)", p.name)
            m = by_token.get(token_of(raw))
            if size is None or int(size.group(1)) != len(raw) or (m is not None and not raw.endswith(m.raw)) or \
                    (m is None and b"Auto-Submitted" not in raw):
                out.append(f"{p}: partial or strange: {len(raw)} bytes")
    return out


def _count(world, user):
    """How often a message (by its token) or a bounce (by the address that it names) is in a mailbox."""
    out = collections.Counter()
    for _, raw in files(world, user):
        out.update([token_of(raw), *named(raw)])
    return out


def _local(world, boxes, m):
    """How often the message is in each of its local places; None for one that a POP3 client was free to delete."""
    places = {}
    for user in [*m.users, *(["boss"] if m.road == "smtp" and m not in world.old else [])]:
        n = boxes[user][m.token]
        deleted = [d[1] for d in world.deletions if user == "boris" and m.token in d[0]]
        if "confirmed" in deleted:
            if n != 0:
                yield f"{m.token}: {n} in {user}'s mailbox after its deletion was confirmed"
        elif deleted and n == 0:
            pass
        else:
            places[user] = n
    relayed, lost = world.relayed(), collections.Counter()
    for r in world.relays:
        lost.update(r.lost)
    for a in m.outside:
        if peers.refuses(a) and a in relayed:
            yield f"{m.token}: {a} was refused and delivered"
        elif not peers.refuses(a) and not (a in world.dropping and a not in relayed):
            places[a] = relayed.get(a, 0)
    for where, n in places.items():
        external = "@" in where
        most = 1 + world.kills + lost[where] if external else 1
        if n > most or (external and n > world.final_outside.get(where, n)):
            yield f"{m.token}: {n} times at {where}"
    if m.fate == "accepted" and 0 in places.values():
        yield f"{m.token} was accepted and is lost: {places}"
    if m.fate in ("refused", "unsent") and any(places.values()):
        yield f"{m.token} was {m.fate} and is there: {places}"
    if m.fate == "unknown" and 0 in places.values() and any(places.values()):
        yield f"{m.token} is there in part: {places}"


def _bounces(world, boxes):
    """A refused recipient stands in exactly one bounce that the sender has; nobody else stands in any."""
    for m in world.sent:
        who = m.sender.partition("@")[0]
        for a in m.outside:
            n = boxes[who][a]
            read = sum(d[0].count("bounce " + a) for d in world.deletions)
            due = peers.refuses(a) and m.fate == "accepted" and a not in world.dropping
            if n > 1 or (n > 0 and not (peers.refuses(a) and m.fate in ("accepted", "unknown"))) or \
                    (due and n == 0 and read == 0):
                yield f"{m.token}: {n} bounces for {who} that name {a} ({m.fate}, {read} read)"


def _outside_bytes(world):
    by_token = {m.token: m for m in world.sent}
    for r in world.relays:
        for a in r.accepted:
            m = by_token.get(token_of(a.data))
            if m is None or not a.data.endswith(m.sent_outside):
                yield f"a relay got strange bytes for {a.recipients}: {a.data[:300]!r}"


def _provider(world):
    if world.provider.messages:
        yield f"never collected: {list(world.provider.messages)}"
    for uid, m in world.collected.items():
        m.fate = "accepted" if uid in world.provider.deleted else "unknown"


def _leftovers(world, spools):
    for folder in ("outqueue", *(("mailboxes/.spool", "outqueue/.spool") if spools else ())):
        left = [p.name for p in (world.home / folder).iterdir() if not p.name.startswith(".")]
        if left:
            yield f"left in {folder}: {left}"
    for table in ("message", "linked", "tombstone", "queue", "recipient"):
        rows = world.query(f"SELECT * FROM {table}")
        if rows:
            yield f"left in table {table}: {str(rows)[:300]}"


def final(world, spools=True):
    """After World.finish(). spools: a spool file that could not be unlinked lies there until the next start."""
    out = [*partial(world), *_provider(world)]
    boxes = {p.name: _count(world, p.name) for p in (world.home / "mailboxes").iterdir() if (p / "new").is_dir()}
    for m in all_messages(world):
        out += _local(world, boxes, m)
    out += [*_bounces(world, boxes), *_outside_bytes(world), *_leftovers(world, spools)]
    if b"assert" in world.gateway.stderr().encode() or "Sanitizer" in world.gateway.stderr():
        out.append(world.gateway.stderr()[-2000:])
    return out
