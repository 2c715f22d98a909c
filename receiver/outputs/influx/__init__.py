"""Samples as InfluxDB line protocol, to a server that may be down, full or wrong for as long as it likes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from protocol.errors import ConfigError

if TYPE_CHECKING:
    from receiver.config import Output as Section
    from receiver.outputs.influx.output import InfluxOutput


def build(section: Section, state: Path, *, wait: Callable[[float], None] = time.sleep) -> InfluxOutput:
    """The output of an `[[output]]` section; its store is `state/NAME.db`.

    Args:
        wait: Pauses for so many seconds while the disk is full; may raise to give up.

    Raises:
        ConfigError: no url, no bucket, or a token file that cannot be read.
    """
    from receiver.outputs.influx.output import InfluxOutput  # the client takes half a second to import

    for key, example in (("url", '"http://127.0.0.1:8086"'), ("bucket", '"plant"')):
        if not getattr(section, key):
            raise ConfigError(f'output "{section.name}" has no {key}', hint=f"write {key} = {example}")
    return InfluxOutput(
        state / f"{section.name}.db",
        name=section.name,
        url=section.url,
        token=_token(section),
        org=section.org,
        bucket=section.bucket,
        scope_text=_scope_text(section),
        wait=wait,
    )


def _token(section: Section) -> str:
    if section.token_file is None:
        return ""
    try:
        token = section.token_file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f'output "{section.name}": {section.token_file} cannot be read: {error}',
            hint="write the token into that file, readable by this user alone (mode 0600)",
        ) from error
    if not token or any(not "!" <= letter <= "~" for letter in token):
        raise ConfigError(
            f'output "{section.name}": {section.token_file} holds no token', hint="one line, the token and nothing else"
        )
    return token


def _scope_text(section: Section) -> str:
    if section.scope.vendor is not None:
        return f"vendor {section.scope.vendor}"
    return "all" if section.scope.asset is None else f"asset {section.scope.asset}"
