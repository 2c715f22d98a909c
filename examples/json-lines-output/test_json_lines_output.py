"""The output keeps the laws that every output keeps: `pytest test_json_lines_output.py`."""

import errno
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from json_lines_output import JsonLinesOutput

from receiver.outputs.testing.contract import OutputContract
from receiver.outputs.testing.feed import Fact


class TestJsonLines(OutputContract):
    """Every law, against the file that it writes."""

    output = JsonLinesOutput
    wrong = {"file": 7}  # noqa: RUF012

    def settings(self) -> Mapping[str, Any]:
        return {"file": "samples.jsonl"}

    def held(self, state: Path) -> Counter[Fact]:
        length = json.loads((state / "under-test.json").read_text())["length"]
        lines = (state / "samples.jsonl").read_bytes()[:length].splitlines()
        told = [json.loads(line) for line in lines]
        return Counter(Fact(one["asset"], one["tag"], one["time_ns"], one["value"]) for one in told)

    @contextmanager
    def full(self) -> Iterator[None]:
        with mock.patch.object(os, "pwrite", side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))):
            yield
