"""The power goes at any moment: from what was synced by then, and any part of the rest, every promise is kept.

A sample of states here; `make powerloss` tries thousands. SEED=n samples others."""
import os
import random
import time

import pytest

from crash import ext4, replay, sweep
from crash.world import World

SEED = os.environ.get("SEED", "1")
SECONDS = 10  # for each kind; on a busy machine fewer states, but at least three


@pytest.fixture(scope="module")
def world():
    w = World()
    w.make_template()
    yield w
    w.close()


@pytest.fixture(scope="module", params=[False, True], ids=["at work", "at its first start"])
def recording(request, world):
    return replay.Recording(world, fresh=request.param)


@pytest.mark.parametrize("mode", replay.MODES)
def test_power_cut_nothing_is_lost_or_doubled(recording, mode):
    assert len(recording.calls) > 200
    rng, seen, bad = random.Random(f"{SEED}.{mode}"), set(), []
    end = time.monotonic() + SECONDS
    while len(seen) < 3 or time.monotonic() < end:
        p, state = replay.draw(recording, rng, mode)
        if replay.digest(state) in seen:
            continue
        seen.add(replay.digest(state))
        faults = replay.audit_state(recording, state, recording.calls[p - 1].ns)
        if faults:
            bad.append((p, recording.calls[p - 1], faults))
    assert not bad, f"SEED={SEED}: {bad}"


def test_the_model_loses_what_was_not_synced(recording):
    """The replay itself: some states do lack bytes and names that the running program saw."""
    rng, whole = random.Random(SEED), 0
    for _ in range(40):
        p = rng.randint(1, len(recording.calls))
        disk = recording.disk_before(p)
        _, files = disk.cut(rng, "any")
        now = {path: bytes(f.now) for path, f in disk.names.items()}
        whole += now == {path: data for path, (_, data) in files.items()}
    assert 0 < whole < 40


@pytest.fixture(scope="module")
def disk():
    try:
        made = ext4.Ext4()
    except ext4.Unable as e:
        pytest.skip(f"no loop-mounted ext4 here: {e}")
    yield made
    made.close()


@pytest.mark.parametrize("how", [ext4.KEEP_LOG, ext4.LOSE_LOG], ids=["journal kept", "journal lost"])
def test_power_cut_after_a_250_on_a_real_ext4(disk, how):
    w = World(disk.path)
    try:
        w.make_template()
        rng, promised = random.Random(f"{SEED}.{how}"), 0
        for _ in range(3):
            delay = rng.uniform(0.05, 0.8)
            faults = sweep.power_cut(w, disk, delay, how)
            assert not faults, (delay, faults)
            promised += sum(m.fate == "accepted" for m in w.sent)
        assert promised > 0, "no cut came behind a 250"
    finally:
        w.close()
