"""The JSON schema of files of jobs, by which editors complete keys and point out errors; made from the structs that read them."""

from __future__ import annotations

from typing import Any

import msgspec

from tallac.backup.option_table import JOB_OPTIONS, BackupOption, OptionKind
from tallac.jobs.keys import JobKeys
from tallac.jobs.loader import NAME


def job_schema() -> dict[str, Any]:
    """Return the schema, as JSON has it."""
    made = msgspec.json.schema(JobKeys)
    definitions = made["$defs"]
    for definition in definitions.values():
        definition["properties"] = {name: _without_null(value) for name, value in definition["properties"].items()}
        definition.pop("title", None)
    keys = definitions["JobKeys"]
    keys["description"] = "The keys of a job: its own, and the options of `tallac backup` under their names."
    for name, option in JOB_OPTIONS.items():
        keys["properties"][name] = _option_schema(option)
        if "-" in name:
            keys["properties"][name.replace("-", "_")] = {"$ref": f"#/$defs/JobKeys/properties/{name}"}
    reference = {"$ref": "#/$defs/JobKeys"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Jobs of Tallac",
        "description": "Backups that run by themselves; `tallac run` does what is due.",
        "type": "object",
        "properties": {
            "defaults": reference | {"description": "Keys of every job that does not have them itself."},
            "job": {
                "description": "Each table is a job, as in [job.home].",
                "type": "object",
                "propertyNames": {"pattern": f"^{NAME.pattern}$"},
                "additionalProperties": reference,
            },
        },
        "additionalProperties": False,
        "$defs": definitions,
    }


def schema_text() -> bytes:
    """Return the schema as the text of a file."""
    return msgspec.json.format(msgspec.json.encode(job_schema()), indent=2) + b"\n"


def _option_schema(option: BackupOption) -> dict[str, Any]:
    described = {"description": option.text.replace("; may be repeated", "")}
    text = {"type": "string"}
    if option.kind.is_flag:
        return described | {"type": "boolean"}
    if option.kind is OptionKind.SIZE:
        return described | {"anyOf": [text, {"type": "integer", "minimum": 0}]}
    if option.kind.is_several:
        return described | {"anyOf": [text, {"type": "array", "items": text}]}
    return described | text


def _without_null(value: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a key as TOML has it, which knows no null: what has no value is left out."""
    shown = {key: part for key, part in value.items() if not (key == "default" and part is None)}
    choices = [choice for choice in shown.pop("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        only: dict[str, Any] = choices[0]
        return only | shown
    return shown | ({"anyOf": choices} if choices else {})
