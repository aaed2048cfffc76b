"""How runs of jobs look."""

from __future__ import annotations

import msgspec

from tallac.cli.output.display import show_duration, show_size
from tallac.jobs.records import RunRecord, Step, StepRecord

_NS = 1_000_000_000
_SIZES = {Step.BACKUP: ("bytes_stored", "stored"), Step.PRUNE: ("freed_bytes", "freed"), Step.CHECK: ("bytes_read", "read")}
_SIZES |= {Step.COPY: ("bytes", "in all"), Step.DRILL: ("bytes", "in all"), Step.DUMP: ("bytes", "in all")}


def step_row(record: StepRecord) -> str:
    """Return a line on a step that has ended."""
    parts = [record.message] if record.message else []
    if record.step in _SIZES:
        key, verb = _SIZES[record.step]
        parts.append(f"{show_size(max(record.counts.get(key, 0), 0))} {verb}")
    parts.append(show_duration((record.ended_ns - record.started_ns) / _NS))
    return f"{record.step.value.replace('_', ' '):10}  {', '.join(parts)}"


def run_fields(record: RunRecord) -> dict[str, object]:
    """Return the JSON fields of a run."""
    fields: dict[str, object] = msgspec.to_builtins(record)
    # What has its default is left out where it is stored, and never for programs.
    steps = [{"ended_ns": 0, "message": "", "counts": {}, "snapshot": ""} | msgspec.to_builtins(step) for step in record.steps]
    return {"ended_ns": 0, "is_manual": False} | fields | {"steps": steps}
