"""Power cuts from a written-down run: what a disk may hold when everything unsynced is lost in some combination.

The model. A file's bytes are safe once fsync or syncfs has returned; until then each 4 KiB block may be old or new
(beyond the safe length: zero), and the length old or new. A change of names is safe once fsync of its folder, fsync of
the file itself, or syncfs has returned. Unsafe changes of names are lost from the end of their order, as with ext4's journal ("journal"), or, harsher than any
journal allows, each for itself ("any")."""
import copy
import hashlib
import os
import pathlib
import random
import shutil

from . import audit, shim

BLOCK = 4096
MODES = ("journal", "any")


class File:
    def __init__(self, data=b""):
        self.now, self.safe = bytearray(data), bytes(data)
        self.sizes = {len(data)}  # that it has had since it was safe

    def write(self, at, data):
        if len(self.now) < at:
            self.now += bytes(at - len(self.now))
        self.now[at:at + len(data)] = data
        self.sizes.add(len(self.now))

    def resize(self, n):
        self.now = self.now[:n] + bytes(max(0, n - len(self.now)))
        self.sizes.add(n)

    def sync(self):
        self.safe, self.sizes = bytes(self.now), {len(self.now)}

    @property
    def dirty(self):
        return self.safe != self.now

    def lose(self, rng):
        """What a power cut may leave of it."""
        if not self.dirty or (how := rng.choice(("all", "nothing", "zeros", "blocks"))) == "all":
            return bytes(self.now)
        if how == "nothing":
            return self.safe
        size = rng.choice(sorted(self.sizes)) if how == "blocks" else len(self.now)
        if how == "zeros":
            return self.safe[:size] + bytes(max(0, size - len(self.safe)))
        out = bytearray()
        for at in range(0, size, BLOCK):
            n = min(BLOCK, size - at)
            # What was safe and not written again stays; beyond it, blocks that never came are zeros.
            out += bytes(rng.choice((self.now, self.safe))[at:at + n]).ljust(n, b"\0")
        return bytes(out)


class Disk:
    """Names and files as they are now, and which changes of names are not safe yet."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.by_ino, self.names, self.folders = {}, {}, set()
        for path in sorted(self.root.rglob("*")):
            if path.is_dir():
                self.folders.add(str(path))
            elif path.is_file() and not path.name.startswith("ofmsrv.log"):
                st = path.stat()
                self.names[str(path)] = self.by_ino.setdefault(st.st_ino, File(path.read_bytes()))
        self.safe_names, self.safe_folders = dict(self.names), set(self.folders)
        self.pending = []  # ("mkdir", path) | ("add", path, file) | ("del", path) | ("move", path, to, file)

    # ---- changes ----

    def apply(self, c):
        getattr(self, "do_" + c.op)(c)

    def _change(self, *change):
        _do(self.names, self.folders, change)
        self.pending.append(change)

    def do_create(self, c):
        if c.at == 2:
            self.names[c.path].resize(0)
            return
        f = self.by_ino[c.ino] = File()
        self._change("add", c.path, f)

    def do_write(self, c):
        f = self.by_ino.get(c.ino)
        if f is not None:
            f.write(c.at, c.data)

    def do_truncate(self, c):
        self.by_ino[c.ino].resize(c.at)

    def do_allocate(self, c):
        f = self.by_ino[c.ino]
        f.resize(max(len(f.now), c.at))

    def do_mkdir(self, c):
        self._change("mkdir", c.path)

    def do_link(self, c):
        self._change("add", c.second, self.names[c.path])

    def do_unlink(self, c):
        if c.path in self.names:
            self._change("del", c.path)

    def do_rename(self, c):
        self._change("move", c.path, c.second, self.names[c.path])

    def do_fsync(self, c):
        if c.path in self.folders:
            self._settle([i for i, p in enumerate(self.pending) if c.path in map(os.path.dirname, _paths(p))])
        elif c.ino in self.by_ino:
            f = self.by_ino[c.ino]
            f.sync()
            self._settle([i for i, p in enumerate(self.pending) if p[-1] is f])

    def do_syncfs(self, c):
        for f in self.by_ino.values():
            f.sync()
        self._settle([len(self.pending) - 1])

    def _settle(self, which):
        """A journal is written in order: all up to the last of them."""
        for change in self.pending[:max(which, default=-1) + 1]:
            _do(self.safe_names, self.safe_folders, change)
        del self.pending[:max(which, default=-1) + 1]

    # ---- the power cut ----

    def cut(self, rng, mode):
        """(folders, {path: bytes or the path of the same file})"""
        names, folders = dict(self.safe_names), set(self.safe_folders)
        if mode == "journal":
            kept = self.pending[:rng.randint(0, len(self.pending))]
        else:
            chance = rng.choice((0.1, 0.5, 0.9))
            kept = [p for p in self.pending if rng.random() < chance]
        for change in kept:
            if all(os.path.dirname(p) in folders or os.path.dirname(p) == str(self.root) for p in _paths(change)):
                _do(names, folders, change)
        lost = {id(f): f.lose(rng) for f in {id(f): f for f in names.values()}.values()}
        return folders, {path: (id(f), lost[id(f)]) for path, f in sorted(names.items())}


def _paths(change):
    return change[1:3] if change[0] == "move" else change[1:2]


def _do(names, folders, change):
    if change[0] == "mkdir":
        folders.add(change[1])
    elif change[0] == "add":
        names[change[1]] = change[2]
    elif change[0] == "del":
        names.pop(change[1], None)
    else:
        names.pop(change[1], None)
        names[change[2]] = change[3]


def digest(state):
    h = hashlib.sha256()
    folders, files = state
    for f in sorted(folders):
        h.update(f.encode() + b"\n")
    order = {}
    for path, (which, data) in files.items():
        h.update(f"{path} {order.setdefault(which, len(order))} {len(data)}\n".encode() + data)
    return h.digest()


def build(state, home):
    folders, files = state
    for d in sorted(folders):
        os.makedirs(d, exist_ok=True)
    first = {}
    for path, (which, data) in files.items():
        if which in first:
            os.link(first[which], path)
        else:
            first[which] = path
            pathlib.Path(path).write_bytes(data)
            os.chmod(path, 0o600)


class Recording:
    """One run of the load, written down; at(p) is the disk before its p-th call."""

    def __init__(self, world, fresh=False):
        self.world = world
        world.reset(fresh)
        world.shim.record.unlink(missing_ok=True)
        world.gateway.env = world.shim.env(world.home, record=True)
        self.disk = Disk(world.home)
        world.shim.arm()
        assert world.begin()
        assert world.load()
        world.finish()
        world.gateway.env = world.shim.env(world.home, rebooted=True)
        self.calls = shim.calls(world.shim.record)
        self.sent, self.deletions = world.sent, world.deletions
        self.deleted = dict(world.provider.deleted)
        self.dropping = set(world.dropping)
        self.accepted = [list(r.accepted) for r in world.relays]

    def disk_before(self, p):
        """The disk when the first p calls have returned."""
        disk = copy.deepcopy(self.disk)
        for c in self.calls[:p]:
            disk.apply(c)
        return disk


def draw(rec, rng, mode):
    """(position, a state that a power cut after that many calls may leave)"""
    p = rng.randint(1, len(rec.calls))
    return p, rec.disk_before(p).cut(rng, mode)


def audit_state(rec, state, when):
    """Starts the program on the state of the time `when` (ns), lets it finish, and audits."""
    w = rec.world
    w.rewind(rec, when)
    shutil.rmtree(w.home)
    w.home.mkdir()
    build(state, w.home)
    w.note_final()
    faults = [f"on the disk: {f}" for f in audit.partial(w)] if (w.home / "mailboxes").is_dir() else []
    w.shim.arm()
    if not w.begin():
        return faults + ["no start: " + w.gateway.stderr()[-600:]]
    w.finish()
    return faults + audit.final(w)
