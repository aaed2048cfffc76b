"""The protections that `make mutate` switches off are where it looks for them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_each_protection_is_there_once() -> None:
    """Each text that is taken out stands once in its file, and the tests that are to notice exist."""
    spec = importlib.util.spec_from_file_location("mutations", ROOT / "scripts" / "mutations.py")
    assert spec is not None
    assert spec.loader is not None
    mutations = importlib.util.module_from_spec(spec)
    sys.modules["mutations"] = mutations
    try:
        spec.loader.exec_module(mutations)
    finally:
        del sys.modules["mutations"]
    assert len(mutations.MUTATIONS) > 30
    wrong = [each.name for each in mutations.MUTATIONS if (ROOT / each.path).read_text("utf-8").count(each.before) != 1]
    assert wrong == []
    assert [path for each in mutations.MUTATIONS for path in each.tests.split() if not (ROOT / path).exists()] == []
