"""The model of delivery holds, and fails as soon as one ordering is taken from it: see docs/model.pml
and docs/model_queue.pml."""
import importlib.util
import pathlib

import pytest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "model.py"
spec = importlib.util.spec_from_file_location("model", TOOL)
model = importlib.util.module_from_spec(spec)
spec.loader.exec_module(model)


QUICK = (*model.WHOLES[:2], ("three recipients, 1 crash", model.QUEUE, ("CRASHES=1", "OPERATIONS=1", "FAILURES=0")))
MUTATIONS = [(m, name) for m in model.MUTANTS for name in model.mutations(m)]


@pytest.mark.parametrize("name, which, defines", QUICK, ids=[q[0] for q in QUICK])
def test_no_crash_breaks_a_promise(name, which, defines):
    states, broken, _ = model.verify(which, *defines, optimize="-O2", table="-w24")
    assert broken is None
    assert states > 10000


@pytest.mark.parametrize("which, mutation", MUTATIONS, ids=[name for _, name in MUTATIONS])
def test_without_this_ordering_a_promise_breaks(which, mutation):
    assert model.broken_by(which, mutation)
