"""The JSON Schema of `status --output=json` is that of the code, and the reference names every field of it.

After a change that is meant:  UPDATE_GOLDEN=1 pytest tests/consistency/test_status_schema.py  and read the difference.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pydantic

from backup.showing import snapshot
from backup.showing.snapshot import Status
from tests.consistency.source import ROOT, rows

FILE = ROOT / "docs/reference/status.schema.json"
DOCUMENT = "docs/reference/status.md"


def schema() -> dict[str, Any]:
    """What pydantic makes of the dataclasses, with their docstrings, without the titles that only repeat the names."""
    made: dict[str, Any] = without_titles(pydantic.TypeAdapter(Status).json_schema(mode="serialization"))
    for name, each in made["$defs"].items():
        each["description"] = described(getattr(snapshot, name))
    title = "salespider-backup status --output=json"
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, "description": described(Status)}
    return head | made


def described(kind: type) -> str:
    return " ".join((kind.__doc__ or "").split())


def without_titles(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: without_titles(entry) for key, entry in value.items() if not (key == "title" and isinstance(entry, str))
        }
    return [without_titles(entry) for entry in value] if isinstance(value, list) else value


def test_the_schema_in_the_reference_is_that_of_the_code() -> None:
    if os.environ.get("UPDATE_GOLDEN") == "1":
        FILE.write_text(json.dumps(schema(), indent=2) + "\n", "utf-8")
    assert json.loads(FILE.read_text("utf-8")) == schema()


def test_every_field_is_always_there_and_described() -> None:
    made = schema()
    objects = {"Status": made, **made["$defs"]}
    for name, each in objects.items():
        optional = set(each["properties"]) - set(each["required"])
        assert optional <= {"continuity_checked", "hint", "since"}, f"{name}: {optional}"
    documented = {cell.strip("`") for cell, _ in rows(DOCUMENT, "## Fields")}
    assert documented == set(made["properties"])
