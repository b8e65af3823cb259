"""Memory and processor time of a program and all that it started."""
import pathlib


def parents():
    out = {}
    for p in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = p.read_text()
        except OSError:
            continue
        out.setdefault(int(text[text.rindex(")") + 2:].split()[1]), []).append(int(p.parent.name))
    return out


def family(pid):
    below, out, left = parents(), [], [pid]
    while left:
        p = left.pop()
        out.append(p)
        left += below.get(p, [])
    return out


def pss(pid):
    """KiB: each page counts by its share."""
    total = 0
    for p in family(pid):
        try:
            for line in open(f"/proc/{p}/smaps_rollup"):
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            pass
    return total


def cpu(pid):
    """Seconds that it, its living descendants and those that have ended have used."""
    total = 0
    for p in family(pid):
        try:
            text = open(f"/proc/{p}/stat").read()
        except OSError:
            continue
        total += sum(map(int, text[text.rindex(")") + 2:].split()[11:15]))
    return total / 100


def written(pid):
    """Bytes that it and its living descendants have caused to be written."""
    total = 0
    for p in family(pid):
        try:
            for line in open(f"/proc/{p}/io"):
                if line.startswith("write_bytes:"):
                    total += int(line.split()[1])
        except OSError:
            pass
    return total
