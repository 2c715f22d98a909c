"""What the emitter needs of `sender.toml`: the outlet and the keys, and nothing of any device.

`poll/config.py` reads the whole file and loads collectors to check it; the emitter must load none. So this reads its
own three tables alone, and points to `--check` for the rest.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from protocol.errors import ConfigError
from protocol.wire.frame import width_for
from sender.geometry import Geometry
from sender.settings import Keys, Outlet


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFile:
    """The emitter's part of the file."""

    path: Path
    outlet: Outlet
    keys: Keys
    """Its paths are absolute."""

    @property
    def state(self) -> Path:
        """Folder of the spool and of the processes' own files: `state` beside the configuration."""
        return self.path.parent / "state"

    @property
    def geometry(self) -> Geometry:
        """How blocks are cut."""
        return geometry(self.outlet)


def load(path: Path) -> LinkFile:
    """Read the emitter's part of `sender.toml`.

    Raises:
        ConfigError: it cannot be read, or one of its tables is wrong.
    """
    path = path.absolute()
    hint = f"checkvalve send {path} --check names every mistake"
    try:
        raw = tomllib.loads(path.read_bytes().decode())
        outlet = Outlet.model_validate(raw["outlet"])
        keys = Keys.model_validate(raw["keys"])
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}", hint=hint) from None
    except (KeyError, ValidationError) as error:
        raise ConfigError(f"{path}: [outlet] or [keys] is missing or wrong", hint=hint) from error
    mistakes = [
        f"{table}.{key}: {text}" for table, one in (("outlet", outlet), ("keys", keys)) for key, text in one.crossed()
    ]
    if mistakes:
        raise ConfigError(f"{path}: " + "; ".join(mistakes), hint=hint)
    folder = path.parent
    absolute = {"own": folder / keys.own, "receivers": tuple(folder / one for one in keys.receivers)}
    return LinkFile(path=path, outlet=outlet, keys=keys.model_copy(update=absolute))


def geometry(outlet: Outlet) -> Geometry:
    """How blocks are cut for an outlet."""
    return Geometry(
        width=width_for(outlet.mtu),
        rate=outlet.rate_mbit * 1e6 / 8,
        repeats=len(outlet.repeat),
        loss=outlet.loss_target,
        share=outlet.spare,
    )
