"""The model of delivery holds, and fails as soon as one ordering is taken from it: see docs/model.pml."""
import importlib.util
import pathlib

import pytest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "model.py"
spec = importlib.util.spec_from_file_location("model", TOOL)
model = importlib.util.module_from_spec(spec)
spec.loader.exec_module(model)


@pytest.mark.parametrize("name, defines", model.WHOLES[:2], ids=[name for name, _ in model.WHOLES[:2]])
def test_no_crash_breaks_a_promise(name, defines):
    states, broken, _ = model.verify(*defines)
    assert broken is None
    assert states > 10000


@pytest.mark.parametrize("mutation", model.mutations())
def test_without_this_ordering_a_promise_breaks(mutation):
    assert model.broken_by(mutation)
