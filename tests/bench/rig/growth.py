"""How the figures of one kind grow with the number that stands in their names, and whether that is steeper than linear."""
import html
import math
import re

MARGIN = 1.15  # times the step in size: what rounds differ by
COLOURS = ("#2a7", "#c53", "#37b", "#a5a", "#b80", "#478", "#933", "#585", "#66c", "#a73")


class Curve:
    def __init__(self, what, unit, points):
        self.what, self.unit, self.points = what, unit, sorted(points)

    def exponent(self):
        """1 = linear, over the last step: a constant part hides what grows where everything is small."""
        (n, v), (m, w) = self.points[-2:]
        return math.log(w / v) / math.log(m / n)

    def steeper(self):
        (n, v), (m, w) = self.points[-2:]
        return w > v * m / n * MARGIN


def curves(rows):
    """rows: (what, unit, ours). The last number of a name is its size; names that differ in it alone are a curve."""
    found = {}
    for what, unit, value in rows:
        sizes = re.findall(r"\d[\d,]*", what)
        if sizes:
            at = what.rindex(sizes[-1])
            name = what[:at] + "N" + what[at + len(sizes[-1]):]
            found.setdefault((name, unit), {})[int(sizes[-1].replace(",", ""))] = value
    return [Curve(what, unit, points.items()) for (what, unit), points in found.items() if len(points) > 1]


def number(v):
    return f"{v:,.0f}" if v >= 100 else f"{v:.3g}"


def markdown(found):
    out = ["| N grows | unit | at each size | last step: N^ | |", "| --- | --- | --- | --- | --- |"]
    for c in found:
        points = ", ".join(f"{n:,}: {number(v)}" for n, v in c.points)
        out.append(f"| {c.what} | {c.unit} | {points} | {c.exponent():.2f} | {'STEEPER than linear' if c.steeper() else 'not steeper than linear'} |")
    return "\n".join(out)


# ---- drawn: both axes in powers of ten, each curve against its own first value ----

WIDTH, HEIGHT, LEFT, TOP, PLOT_W, PLOT_H = 1080, 520, 60, 50, 460, 420


def at(n, v):
    """v: times the first value. Six powers of ten to the right, four up from a tenth."""
    return LEFT + PLOT_W * math.log10(n / 100) / 5, TOP + PLOT_H * (1 - (math.log10(v) + 1) / 5)


def svg(found):
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="11">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
           f'<text x="{LEFT}" y="24" font-size="15">Growth: how many times its value at the smallest size, over N (grey: linear)</text>']
    for p in range(2, 8):
        x, _ = at(10 ** p, 1)
        out.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{TOP}" y2="{TOP + PLOT_H}" stroke="#ddd"/>'
                   f'<text x="{x:.0f}" y="{TOP + PLOT_H + 16}" text-anchor="middle">{10 ** p:,}</text>')
        _, y = at(100, 10.0 ** (p - 3))
        out.append(f'<line x1="{LEFT}" x2="{LEFT + PLOT_W}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{10.0 ** (p - 3):g}</text>')
    for first in sorted({c.points[0][0] for c in found}):
        last = max(c.points[-1][0] for c in found if c.points[0][0] == first)
        (x1, y1), (x2, y2) = at(first, 1), at(last, last / first)
        out.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#aaa" stroke-width="6" stroke-opacity="0.4"/>')
    for i, c in enumerate(found):
        colour, base = COLOURS[i % len(COLOURS)], c.points[0][1]
        dash = ' stroke-dasharray="5 3"' if i >= len(COLOURS) else ""
        dots = [at(n, max(v / base, 0.1)) for n, v in c.points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in dots]
        y = TOP + 14 + 20 * i
        (n, v), (m, w) = c.points[0], c.points[-1]
        words = f"{c.what}: {number(v)} to {number(w)} {c.unit}, N {n:,} to {m:,}"
        out.append(f'<line x1="{LEFT + PLOT_W + 20}" x2="{LEFT + PLOT_W + 44}" y1="{y - 4}" y2="{y - 4}" stroke="{colour}" stroke-width="2"{dash}/>'
                   f'<text x="{LEFT + PLOT_W + 50}" y="{y}">{html.escape(words)}</text>')
    return "\n".join([*out, "</svg>", ""])
