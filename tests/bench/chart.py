#!/usr/bin/python3
"""A chart of how many times better ours is than each job's best peer, from the bench's JSON: chart.py FILE.json FILE.svg. A thin line
shows where the other peers of the row stand."""
import html
import json
import math
import sys

WIDTH, JOB, LEFT, RIGHT, BAR, GAP, TOP, BETWEEN = 1080, 14, 420, 190, 15, 6, 58, 10
LOW, HIGH = 0.5, 1000
MARKS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
SAME = "the same: "


def x(ratio):
    share = math.log(max(LOW, min(HIGH, ratio)) / LOW) / math.log(HIGH / LOW)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def rows_of(data):
    """(job, what, best peer, ours is so many times better, the same of the others)"""
    for r in data["rows"]:
        ratios = {n: r["ratios"][n] for n in r["values"] if n != "ofmsrv" and r["ratios"].get(n)}
        if ratios:
            best = min(ratios, key=ratios.get)
            yield r["job"], r["what"], best, ratios[best], [v for n, v in ratios.items() if n != best]


def text(at, y, s, anchor="start", size=12, more=""):
    return f'<text x="{at:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}"{more}>{html.escape(s)}</text>'


def label(what):
    """What belongs to the row above stands smaller behind a dot."""
    what = what.replace("the same, ", SAME)
    if what.startswith(SAME):
        what = "· " + what[len(SAME):]
    return what if len(what) <= 62 else what[:60] + "…"


def bar(y, best, ratio, others):
    a, b = sorted((x(1), x(ratio)))
    out = [f'<rect x="{a:.0f}" y="{y}" width="{max(b - a, 2):.0f}" height="{BAR}" fill="{"#2a7" if ratio >= 1 else "#c53"}"/>']
    out += [f'<line x1="{x(v):.0f}" x2="{x(v):.0f}" y1="{y + 2}" y2="{y + BAR - 2}" stroke="#9bb" stroke-width="2"/>'
            for v in others if x(v) > b + 1]
    # On white, so that lines behind it do not cross the words.
    words = f"{ratio:,.0f} ×  {best}" if ratio >= 100 else f"{ratio:.3g} ×  {best}"
    out += [f'<rect x="{b + 3:.0f}" y="{y}" width="{6.2 * len(words) + 4:.0f}" height="{BAR}" fill="#fff" fill-opacity="0.8"/>',
            text(b + 6, y + 12, words, size=11)]
    return out


def grid(bottom):
    out = []
    for mark in MARKS:
        out += [f'<line x1="{x(mark):.0f}" x2="{x(mark):.0f}" y1="{TOP - 8}" y2="{bottom}" stroke="{"#888" if mark == 1 else "#ddd"}"/>',
                text(x(mark), TOP - 12, f"{mark} ×", "middle", 10)]
    return out


def chart(rows):
    out, y, job = [], TOP, None
    for name, what, best, ratio, others in rows:
        if name != job:
            if job is not None:
                out.append(f'<line x1="{JOB}" x2="{WIDTH - 14}" y1="{y + BETWEEN / 2 - GAP / 2:.0f}" y2="{y + BETWEEN / 2 - GAP / 2:.0f}" stroke="#bbb"/>')
                y += BETWEEN
            out.append(text(JOB, y + 12, name, more=' font-weight="bold"'))
            job = name
        follows = label(what).startswith("·")
        out.append(text(LEFT - 10, y + 12, label(what), "end", 10 if follows else 11, ' fill="#555"' if follows else ""))
        out += bar(y, best, ratio, others)
        y += BAR + GAP
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 14}" font-family="sans-serif">',
                      f'<rect width="{WIDTH}" height="{y + 14}" fill="#fff"/>',
                      text(JOB, 24, "How many times better than the best peer of each row (thin lines: the other peers)", size=15),
                      *grid(y + 4), *out, "</svg>", ""])


def main():
    data = json.load(open(sys.argv[1]))
    with open(sys.argv[2], "w") as f:
        f.write(chart(list(rows_of(data))))


if __name__ == "__main__":
    main()
