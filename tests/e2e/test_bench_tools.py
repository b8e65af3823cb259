"""What the bench makes of its figures: peers that stall or are not to be had, and the row that says so."""
import json
import pathlib
import sys
import time
import xml.etree.ElementTree

import pytest

from lib import scratch

sys.path.insert(0, str(scratch.ROOT / "tests/bench"))
from rig import collectors, contest, folding, growth, mail, peers, report  # noqa: E402
from jobs import b1_accept, b4_collect, b6_send  # noqa: E402
import chart  # noqa: E402


def stall():
    raise contest.Stalled("stalled after 3 of 40")


def row_with_stall():
    c = contest.Contest(3, {"ofmsrv": lambda: 10, "swift": lambda: 4, "sleepy": stall}, told={"swift": "20 messages", "gone": "was not to be had"})
    return contest.Row("B1", "accepted", "messages/s", c.row(""), None, [("≥ 2 × swift", 2, "swift")], told=c.told)


def test_who_stalls_is_left_out_and_told():
    row = row_with_stall()
    assert row.values == {"ofmsrv": [10, 10, 10], "swift": [4, 4, 4]}
    assert report.others(row) == "swift 4 (2.5 ×; 20 messages), gone: was not to be had, sleepy: round 1: stalled after 3 of 40"


def test_a_row_says_the_same_when_it_comes_from_a_file():
    row = row_with_stall()
    again = contest.Row.of_json(json.loads(json.dumps(row.as_json())))
    assert report.cells(again) == report.cells(row)
    assert list(again.verdicts()) == [("≥ 2 × swift", True)]


def test_a_program_that_waits_for_ever_is_ended_with_its_children(tmp_path):
    pid = tmp_path / "pid"
    began = time.monotonic()
    with pytest.raises(contest.Stalled):
        collectors.run(["sh", "-c", f"sleep 300 & echo $! >{pid}; wait"], tmp_path, patience=1)
    assert time.monotonic() - began < 20
    stat = pathlib.Path(f"/proc/{int(pid.read_text())}/stat")
    scratch.wait_for(lambda: not stat.exists() or ") Z " in stat.read_text(), 10, "the child's end")


class Silent:
    """Takes what comes, and brings it nowhere."""
    name, pid, port, folders = "Silent", 1, 1, []

    def count(self):
        return 7


def test_a_server_that_does_not_answer_has_stalled(monkeypatch):
    def never(*_, **__):
        raise AssertionError("no reply for a minute")
    monkeypatch.setattr(b1_accept.tools, "run", never)
    monkeypatch.setattr(b1_accept.tools, "settle_disk", lambda: None)
    with pytest.raises(contest.Stalled, match="stalled after 7 of 40"):
        b1_accept.patient(Silent(), 40, 1)


def test_what_is_not_to_be_had_costs_nobody_else(monkeypatch, tmp_path):
    monkeypatch.setattr(peers, "UNPACKED", tmp_path)
    assert peers.present([peers.Exim, peers.OpenSMTPD]) == ([], {"Exim": "was not to be had", "OpenSMTPD": "was not to be had"})


def test_when_the_last_message_came(tmp_path):
    boxes = [tmp_path / name for name in ("u0", "u1")]
    for box in boxes:
        put(box, 0, b"")
    time.sleep(0.1)
    came = time.monotonic()
    put(boxes[0], 1, b"")
    time.sleep(0.1)
    assert abs(mail.arrived(boxes) - came) < 0.05


def put(folder, number, tail):
    (folder / "new").mkdir(parents=True, exist_ok=True)
    (folder / "new" / str(len(list((folder / "new").iterdir())))).write_bytes(mail.head(number) + tail)


@pytest.mark.parametrize("numbers,tail,fault", [([0, 1, 2], b"", None), ([0, 1], b"", "1 of 3 are missing"), ([0, 1, 2, 2], b"", "twice"),
                                                ([0, 1, 2, 3], b"", "1 were never sent"), ([0, 1, 2], b"!", "damaged")])
def test_what_is_lost_doubled_or_damaged_is_seen(tmp_path, numbers, tail, fault):
    for n in numbers:
        put(tmp_path, n, mail.body(4096) + tail)
    if fault is None:
        return mail.check([tmp_path], range(3), 4096)
    with pytest.raises(AssertionError, match=fault):
        mail.check([tmp_path], range(3), 4096)
    return None


def test_a_part_of_the_work_is_told():
    c = object.__new__(b4_collect.Collecting)
    c.boxes, c.messages, c.ms = 100, 40, 0
    contestants, told = b4_collect.everybody(c, b4_collect.ARRANGEMENTS)
    assert {"mpop", "mpop ×20", "fetchmail", "fetchmail ×20", "fdm", "fdm ×20", "getmail6", "getmail6 ×20"} <= set(contestants)
    assert told["getmail6 ×20"] == "20 × 20, times 10" and "mpop" not in told
    c.boxes, c.messages = 1, 1000
    assert b4_collect.everybody(c, [("mpop", 1), ("fetchmail", 1)])[1] == {"fetchmail": "1 × 100, times 10"}


@pytest.mark.parametrize("figures", [{"messages": 9, "damaged": 0, "again": 0}, {"messages": 10, "damaged": 1, "again": 0},
                                     {"messages": 10, "damaged": 0, "again": 1}])
def test_what_a_relay_lacks_has_damaged_or_has_twice_is_seen(figures):
    b6_send.check({"messages": 10, "damaged": 0, "again": 0}, 10)
    with pytest.raises(AssertionError):
        b6_send.check(figures, 10)


def test_some_may_be_missing_where_a_peer_leaves_them_but_none_doubled(tmp_path):
    put(tmp_path, 0, mail.body(4096))
    mail.check([tmp_path], range(3), 4096, some=True)
    put(tmp_path, 0, mail.body(4096))
    with pytest.raises(AssertionError, match="twice"):
        mail.check([tmp_path], range(3), 4096, some=True)


# ---- the chart ----

def test_the_chart_holds_every_row_that_has_a_peer(tmp_path):
    rows = [contest.Row("B1", "accepted <4 KB>", "messages/s", {"ofmsrv": [9000], "Postfix": [3], "slow": [1]}),
            contest.Row("B1", "the same: processor time", "µs", {"ofmsrv": [4], "Postfix": [2]}, better="less"),
            contest.Row("B8", "alone", "KiB", {"ofmsrv": [4]})]
    data = {"rows": [r.as_json() for r in rows]}
    assert [r[:4] for r in chart.rows_of(data)] == [("B1", "accepted <4 KB>", "Postfix", 3000), ("B1", "the same: processor time", "Postfix", 0.5)]
    svg = xml.etree.ElementTree.fromstring(chart.chart(list(chart.rows_of(data))))
    texts = [e for e in svg if e.tag.endswith("text")]
    said = [e.text for e in texts]
    assert {"accepted <4 KB>", "· processor time", "3,000 ×  Postfix", "0.5 ×  Postfix"} <= set(said)
    assert said.count("B1") == 1 and "B8" not in said
    for e in texts:
        if e.get("text-anchor") == "start":
            assert float(e.get("x")) + 6 * len(e.text) < float(svg.get("width"))


# ---- profiles ----

SCRIPT = """  101 
\tffffffff81a0 do_writev ([kernel.kallsyms])
\tffffffff81b0 __x64_sys_writev+0x15 ([kernel.kallsyms])
\tffffffff81c0 do_syscall_64 ([kernel.kallsyms])
\t    7f0010 __GI___writev (/usr/lib/x86_64-linux-gnu/libc.so.6)
\t    7f0020 evbuffer_write_atmost (/usr/lib/x86_64-linux-gnu/libevent-2.1.so.7.0.1)
\t    7f0030 event_base_loop (/usr/lib/x86_64-linux-gnu/libevent-2.1.so.7.0.1)
\t    550010 main (/srv/of/ofmsrv)
\t    7f0040 __libc_start_main@@GLIBC_2.34 (/usr/lib/x86_64-linux-gnu/libc.so.6)
\t    550000 _start (/srv/of/ofmsrv)

  102 
\tffffffff81d0 clear_page ([kernel.kallsyms])
\tffffffff81e0 asm_exc_page_fault ([kernel.kallsyms])
\t    7f0050 malloc (/usr/lib/x86_64-linux-gnu/libc.so.6)
\t    550030 store.part.0 (/srv/of/ofmsrv)
\t    550020 run (/srv/of/ofmsrv)
\t    7f0060 start_thread (/usr/lib/x86_64-linux-gnu/libc.so.6)

  102 
\t    550040 store.constprop.0 (/srv/of/ofmsrv)
"""


def test_stacks_are_folded_to_what_one_reads():
    assert folding.stacks(folding.samples(SCRIPT.splitlines())) == {
        ("main", "event_base_loop (libevent-2.1)", "writev (kernel)"): 1,
        ("run", "store", "malloc (libc)", "page fault (kernel)"): 1,
        ("run", "store"): 1}


FOLDED = {("loop", "read"): 30, ("loop", "answer", "write"): 20, ("loop", "answer", "log"): 10, ("writer", "commit", "flush"): 39,
          ("writer",): 1}


def test_shares_are_of_all_samples():
    assert folding.threads(FOLDED) == [("loop", 0.6), ("writer", 0.4)]


def test_the_tree_is_in_order_and_joins_what_is_one_path():
    assert folding.lines(folding.tree(FOLDED), 1) == [
        " 60.0 %  loop",
        " 30.0 %    answer",
        " 20.0 %      write",
        " 10.0 %      log",
        " 30.0 %    read",
        " 40.0 %  writer › commit › flush"]


def test_the_heaviest_paths_are_those_that_stay():
    assert folding.text(FOLDED, 4) == [" 60.0 %  loop", " 30.0 %    answer", " 30.0 %    read", " 40.0 %  writer › commit › flush"]
    assert len(folding.text(FOLDED, 100)) == 6


# ---- growth ----

def test_names_that_differ_in_their_size_are_a_curve():
    found = growth.curves([("start with 1,000 users", "s", 2), ("start with 100 users", "s", 1), ("start with 9 rules", "s", 1),
                           ("collect 100 accounts × 20 with 30 on record", "s", 3), ("collect 100 accounts × 20 with 300 on record", "s", 30)])
    assert [(c.what, c.points) for c in found] == [("start with N users", [(100, 1), (1000, 2)]),
                                                   ("collect 100 accounts × 20 with N on record", [(30, 3), (300, 30)])]
    assert [c.steeper() for c in found] == [False, False]
    assert found[1].exponent() == pytest.approx(1)


def test_what_grows_steeper_than_linear_is_said():
    found = growth.curves([(f"start with {n:,} users", "s", v) for n, v in ((10, 1), (100, 1), (1000, 100))])
    assert found[0].steeper() and "STEEPER" in growth.markdown(found)
    svg = xml.etree.ElementTree.fromstring(growth.svg(found))
    assert len(svg.findall("{http://www.w3.org/2000/svg}circle")) == 3
