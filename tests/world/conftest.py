"""The fixtures of ../e2e/lib/fixtures.py, for the tests of this folder."""
import pathlib
import sys

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
pytest.register_assert_rewrite("peers")

from lib.fixtures import *  # noqa: E402, F403
