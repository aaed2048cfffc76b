#!/usr/bin/env python3
"""Write docs/jobs.schema.json, and the tables of keys in docs/guide/jobs.md, from the structs that read jobs.

Run it with the clone's Python after a change of jobs/keys.py or backup/option_table.py:
.venv/bin/python scripts/write_job_pages.py. A test writes both anew and compares.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from tallac.backup.option_table import JOB_OPTIONS
from tallac.jobs.keys import JobKeys, KeepKeys
from tallac.jobs.schema import schema_text

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "docs" / "jobs.schema.json"
PAGE = ROOT / "docs" / "guide" / "jobs.md"
TABLE = "<!-- {name} -->\n"


def _descriptions(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return the description of each key of a struct."""
    hints: dict[str, Any] = get_type_hints(struct, include_extras=True)
    found = {}
    for name, hint in hints.items():
        metas = [meta for meta in get_args(hint) if isinstance(meta, msgspec.Meta)] if get_origin(hint) is Annotated else []
        found[name] = next(meta.description or "" for meta in metas)
    return found


def _table(rows: dict[str, str]) -> str:
    lines = [f"| `{key}` | {text.replace('|', chr(92) + '|')} |" for key, text in rows.items()]
    return "\n".join(["| key | meaning |", "|---|---|", *lines]) + "\n"


def tables() -> dict[str, str]:
    """Return the tables of the page, by the names that stand above them there."""
    options = {name: option.text.replace("; may be repeated", "") for name, option in JOB_OPTIONS.items()}
    return {
        "keys of a job": _table(_descriptions(JobKeys)),
        "keys of keep": _table(_descriptions(KeepKeys)),
        "options of backup": _table(options),
    }


def page(text: str) -> str:
    """Return the page with its tables as they should be."""
    for name, table in tables().items():
        mark = re.escape(TABLE.format(name=name))
        text, count = re.subn(rf"({mark}\n)(?:\|.*\n)*", lambda found, table=table: found[1] + table, text)  # type: ignore[misc]
        if count != 1:
            raise SystemExit(
                f"{PAGE}: the line {TABLE.format(name=name).strip()} is to stand there once, and an empty one below it"
            )
    return text


if __name__ == "__main__":
    SCHEMA.write_bytes(schema_text())
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
    print(f"{SCHEMA.relative_to(ROOT)}, {PAGE.relative_to(ROOT)}: written")
