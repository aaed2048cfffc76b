"""The published schema and the guide's tables of keys are made from what reads jobs."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest

from tallac.jobs.loader import parse_jobs

ROOT = Path(__file__).parents[2]
PAGES = runpy.run_path(str(ROOT / "scripts" / "write_job_pages.py"))


def test_the_schema_is_the_published_one() -> None:
    """docs/jobs.schema.json is what `tallac job schema` prints."""
    assert PAGES["SCHEMA"].read_bytes() == PAGES["schema_text"](), "run scripts/write_job_pages.py"


def test_the_guide_has_every_key() -> None:
    """The tables in the guide are those of the structs, and every key has a description."""
    text = PAGES["PAGE"].read_text("utf-8")
    assert PAGES["page"](text) == text, "run scripts/write_job_pages.py"
    for table in PAGES["tables"]().values():
        rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", table, flags=re.MULTILINE)
        assert len(rows) > 8
        assert all(len(description) > 10 for _, description in rows)


def test_a_stale_page_is_found() -> None:
    """A row that is missing, or says something else, makes another page."""
    text = PAGES["PAGE"].read_text("utf-8")
    assert PAGES["page"](text.replace("| `drill` |", "| `drills` |")) == text
    with pytest.raises(SystemExit):
        PAGES["page"]("no tables")


def test_the_guide_s_example_is_read() -> None:
    """The file in the guide is a file of jobs."""
    blocks = re.findall(r"(?:^    .*\n|^\n)+", PAGES["PAGE"].read_text("utf-8"), flags=re.MULTILINE)
    examples = [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in blocks if "[job.home]" in block]
    assert examples
    for example in examples:
        assert tomllib.loads(example)
        assert parse_jobs(example.encode(), Path("jobs.toml"))["home"].keys.every == "day at 03:00"
