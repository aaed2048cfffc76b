from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tallac.backup.option_table import JOB_OPTIONS
from tallac.jobs.keys import JobKeys, KeepKeys
from tallac.jobs.loader import JobFileError, parse_jobs
from tallac.jobs.schema import job_schema, schema_text

SCHEMA = job_schema()
KINDS: dict[str, type | tuple[type, ...]] = {"string": str, "boolean": bool, "integer": int, "array": list, "object": dict}


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference."""
    while "$ref" in schema:
        found: Any = SCHEMA
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def is_valid(value: object, schema: dict[str, Any]) -> bool:
    """Whether a value is what a schema says, as far as ours goes."""
    schema = resolve(schema)
    if "anyOf" in schema:
        return any(is_valid(value, choice) for choice in schema["anyOf"])
    kind = schema.get("type")
    if kind is not None and (not isinstance(value, KINDS[kind]) or (isinstance(value, bool) and kind == "integer")):
        return False
    if isinstance(value, dict):
        properties, more = schema.get("properties", {}), schema.get("additionalProperties", True)
        return all(
            is_valid(inner, properties[key]) if key in properties else isinstance(more, dict) and is_valid(inner, more)
            for key, inner in value.items()
        )
    if isinstance(value, list):
        return all(is_valid(inner, schema.get("items", {})) for inner in value)
    if isinstance(value, int):
        return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))
    return True


def test_every_key_is_in_it() -> None:
    """Own keys and options of `backup` are there with a description; nulls, which TOML has not, are not."""
    properties = SCHEMA["$defs"]["JobKeys"]["properties"]
    assert {*JobKeys.__struct_fields__, *JOB_OPTIONS} <= properties.keys()
    assert set(KeepKeys.__struct_fields__) == SCHEMA["$defs"]["KeepKeys"]["properties"].keys()
    assert all("description" in resolve(value) for value in properties.values())
    assert b"null" not in schema_text()
    assert json.loads(schema_text()) == SCHEMA


@pytest.mark.parametrize(
    ("keys", "valid"),
    [
        ('every = "day at 03:00"\nkeep = { daily = 7, tag = ["a"] }\nexclude = ["a"]\nexclude-caches = true', True),
        ('exclude = "a"\none_file_system = true\nexclude-larger-than = 5\nbefore = ["a", ["b", "c"]]', True),
        ("dump_options = { postgresql = ['-h'] }\nnice = 19", True),
        ("nice = 20", False),
        ("evry = 'day'", False),
        ("keep = { dayly = 7 }", False),
        ("exclude-caches = 1", False),
        ("before = [3]", False),
    ],
)
def test_it_accepts_what_is_read(keys: str, valid: bool) -> None:
    """An editor that goes by the schema and the reader agree."""
    text = f'[defaults]\nprune = "never"\n[job.a]\nsources = ["~"]\ntarget = "a:"\n{keys}\n'
    assert is_valid(tomllib.loads(text), SCHEMA) is valid
    try:
        parse_jobs(text.encode(), Path("jobs.toml"))
    except JobFileError:
        assert not valid
    else:
        assert valid
