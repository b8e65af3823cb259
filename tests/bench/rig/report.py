"""The table on the terminal, in Markdown and as a chart."""


def number(v):
    if v is None:
        return "–"
    if v >= 100:
        return f"{v:,.0f}"
    return f"{v:.3g}" if v < 10 else f"{v:.1f}"


def times(v):
    return "–" if v is None else (f"{v:.0f} ×" if v >= 20 else f"{v:.2g} ×" if v < 10 else f"{v:.1f} ×")


def others(row):
    """What each peer reached, and what is to be known of it; or why there is nothing."""
    out = []
    for n in row.values:
        if n != "ofmsrv":
            told = f"; {row.told[n]}" if n in row.told else ""
            out.append(f"{n} {number(row.figure(n))} ({times(row.ratio(n))}{told})")
    out += [f"{n}: {told}" for n, told in row.told.items() if n not in row.values]
    return ", ".join(out) or "–"


def share(row, name):
    """How much of the limit ours reaches: 1.3 = 130 %."""
    r = row.ratio(name)
    return "–" if r is None else f"{100 * r:.0f} %"


def limits(row):
    return ", ".join(f"{n} {number(row.figure(n))} ({share(row, n)})" for n in row.limits) or "–"


def verdict(row):
    return ", ".join(f"{w}: {'reached' if ok else 'MISSED'}" for w, ok in row.verdicts()) or "–"


HEAD = ("job", "what", "unit", "ours", "peers (ours is … better)", "limit of the machine (share reached)", "target")


def cells(row):
    return (row.job, row.what, row.unit, number(row.ours()), others(row), limits(row), verdict(row))


def markdown(rows):
    out = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    out += ["| " + " | ".join(cells(r)) + " |" for r in rows]
    return "\n".join(out)


def text(rows):
    out = []
    for r in rows:
        j, what, unit, ours, peers, limit, target = cells(r)
        out.append(f"{j:4} {what} [{unit}]: {ours}")
        for name, value in (("peers", peers), ("limit", limit), ("target", target), ("note", r.note or "–")):
            if value != "–":
                out.append(f"       {name + ':':8}{value}")
    return "\n".join(out)
