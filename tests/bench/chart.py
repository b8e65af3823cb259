#!/usr/bin/python3
"""A chart of how many times better ours is than each job's best peer, from the bench's JSON: chart.py FILE.json FILE.svg"""
import html
import json
import math
import sys

WIDTH, LEFT, BAR, GAP, TOP = 960, 430, 16, 8, 56
LOW, HIGH = 0.5, 1000


def x(ratio):
    share = math.log(max(LOW, min(HIGH, ratio)) / LOW) / math.log(HIGH / LOW)
    return LEFT + share * (WIDTH - LEFT - 70)


def rows_of(data):
    for r in data["rows"]:
        ratios = {n: r["ratios"][n] for n in r["values"] if n != "ofmsrv" and r["ratios"].get(n)}
        if ratios:
            best = min(ratios, key=ratios.get)
            yield f"{r['job']} {r['what']}", best, ratios[best]


def text(at, y, s, anchor="start", size=12):
    return f'<text x="{at:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}">{html.escape(s)}</text>'


def chart(rows):
    height = TOP + len(rows) * (BAR + GAP) + 20
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif">',
           f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>', text(12, 24, "How many times better than the best peer of each job", size=16)]
    for mark in (1, 2, 5, 10, 20, 50, 100, 500):
        out += [f'<line x1="{x(mark):.0f}" x2="{x(mark):.0f}" y1="{TOP - 8}" y2="{height - 14}" stroke="{"#888" if mark == 1 else "#ddd"}"/>',
                text(x(mark), TOP - 12, f"{mark} ×", "middle", 10)]
    for i, (what, best, ratio) in enumerate(rows):
        y = TOP + i * (BAR + GAP)
        a, b = sorted((x(1), x(ratio)))
        what = what if len(what) <= 68 else what[:66] + "…"
        out += [text(LEFT - 8, y + 12, what, "end", 11),
                f'<rect x="{a:.0f}" y="{y}" width="{max(b - a, 1):.0f}" height="{BAR}" fill="{"#2a7" if ratio >= 1 else "#c53"}"/>',
                text(b + 4, y + 12, f"{ratio:.3g} × {best}", size=11)]
    return "\n".join(out + ["</svg>", ""])


def main():
    data = json.load(open(sys.argv[1]))
    with open(sys.argv[2], "w") as f:
        f.write(chart(list(rows_of(data))))


if __name__ == "__main__":
    main()
