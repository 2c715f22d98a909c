"""The high side's status files as typed documents: the readers know what the writers write."""

from __future__ import annotations

import ast
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import sender
from protocol.process.document import from_json, to_json
from sender.status_documents import EmitStatus, PollStatus

FILES = Path(__file__).parent / "files"
"""Status files as the processes write them today; a later build reads them too."""
HEADER = ("process", "time_ns", "pid", "capabilities")
ENDS: dict[str, type[Any]] = {"emit": EmitStatus, "poll": PollStatus}
WRITTEN = {"emit": {"process.py": "_say", "emitter.py": "status"}, "poll": {"process.py": "_say"}}
"""In which files and functions the keys of each stand."""
OF_THE_START = {"preflight", "preflight_unread"}
"""What emit passes on of the looks at the interface before it was started."""


def _missed(told: Any, read: Any, where: str = "") -> list[str]:
    """Where what was read is not what was told; a document may have more keys."""
    if isinstance(told, dict) and isinstance(read, dict):
        return [one for key, held in told.items() for one in _missed(held, read.get(key), f"{where}/{key}")]
    return [] if told == read else [f"{where}: {told!r} was read as {read!r}"]


@pytest.mark.parametrize("name", ENDS)
def test_a_status_file_of_today_is_read_whole(name: str) -> None:
    """Key by key and value by value."""
    told = json.loads((FILES / f"status-{name}.json").read_text())
    read = to_json(from_json(ENDS[name], told))
    assert _missed({key: held for key, held in told.items() if key not in HEADER}, read) == []


@pytest.mark.parametrize("name", ENDS)
def test_a_document_has_the_keys_that_its_process_writes(name: str) -> None:
    """As they stand where it makes its status; a key that only one of both has is a key that nobody reads or writes."""
    keys = set[str]()
    for file, function in WRITTEN[name].items():
        tree = ast.parse(Path(f"{sender.__path__[0]}/{name}/{file}").read_text())
        (say,) = (one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) and one.name == function)
        written = max((one for one in ast.walk(say) if isinstance(one, ast.Dict)), key=lambda one: len(one.keys))
        keys |= {ast.literal_eval(key) for key in written.keys if key is not None}
    assert keys == {one.name for one in fields(ENDS[name])} - OF_THE_START


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("wrong", [None, True, -1, 1e400, "x", [[]], {"a": [1]}])
def test_a_value_of_another_type_is_the_fields_default(name: str, wrong: Any) -> None:
    """Each key by itself; no reader meets an exception."""
    told = json.loads((FILES / f"status-{name}.json").read_text())
    for key in told:
        read: Any = from_json(ENDS[name], {**told, key: wrong})
        assert json.dumps(to_json(read), allow_nan=False)
