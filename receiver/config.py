"""`receiver.toml`: read, checked whole, and handed on as one frozen value.

    [inlet]      where datagrams are listened for; no address of the sender is anywhere in the file
    [keys]       own folder, and the public keys that are believed
    [retention]  how long the journal and the history are kept
    [portal]     where the pages are served
    [[output]]   destinations besides the history, each with its scope

Tags, units, assets and vendors are not in here: they travel in band. Every mistake is gathered before anything is
raised, each as one line, `inlet.listen: what is wrong; next step`. Paths are relative to the file.
"""

from __future__ import annotations

import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails

from protocol import text
from protocol.errors import ConfigError
from protocol.written import toml
from receiver.settings import CatchConfig, File, Inlet, Keys, Retention, Section, quoted

RESERVED = frozenset({"catch", "publish", "portal", "history", "historian"})
"""Names that the receiver's own processes and stores have."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def _address(value: object) -> tuple[str, int]:
    return text.address(quoted(value, '"127.0.0.1:8600"'))


def _kind(value: str) -> str:
    if value not in kinds():
        raise ValueError(f'"{value}" is no kind of output; one of {", ".join(kinds())}')
    return value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(f'"{value}" is no short name; write small letters, digits, - and _, such as "plant-influx"')
    if value in RESERVED:
        raise ValueError(f'"{value}" is the name of the receiver\'s own; choose another')
    return value


class Portal(Section):
    """The pages."""

    listen: Annotated[tuple[str, int], BeforeValidator(_address)] = ("127.0.0.1", 8600)
    """IPv4 address and port."""


class Scope(Section):
    """Which assets an output is given; without any key: all of them, as `scope = "all"` says aloud."""

    vendor: Annotated[str, Field(min_length=1)] | None = None
    """Assets of this vendor."""
    asset: Annotated[str, Field(min_length=1)] | None = None
    """This asset alone."""


def _scope(value: object) -> Scope:
    if value == "all":
        return Scope()
    if isinstance(value, dict) and len(value) == 1 and set(value) <= {"vendor", "asset"}:
        return Scope.model_validate(value)
    raise ValueError(f'{value!r} is no scope; write {{ vendor = ".." }}, {{ asset = ".." }} or, aloud, "all"')


class Output(Section):
    """One destination besides the history."""

    EXAMPLES: ClassVar[dict[str, Any]] = {"kind": "influx", "name": "plant-influx", "scope": {"vendor": "Acme Pumps"}}

    kind: Annotated[str, AfterValidator(_kind)]
    """The folder of `receiver/outputs` that serves it."""
    name: Annotated[str, AfterValidator(_name)]
    """Short and unlike any other: its cursor and its status file are called so."""
    scope: Annotated[Scope, BeforeValidator(_scope)]
    """What it is given."""
    url: str = ""
    """Where it is, or where it listens."""
    token_file: File | None = None
    """File with the secret that the destination asks for; the secret itself never stands in the configuration."""
    org: str = ""
    """InfluxDB: organisation."""
    bucket: str = ""
    """InfluxDB: bucket."""


class ReceiverConfig(CatchConfig):
    """The whole file, right; its paths are absolute."""

    portal: Portal
    outputs: tuple[Output, ...]

    @property
    def journal(self) -> Path:
        """The segment store that `catch` writes and `publish` reads."""
        return self.state / "journal"


AnySection = TypeVar("AnySection", bound=Section)

_TABLES = ("inlet", "keys", "retention", "portal", "output")


def load(path: Path) -> ReceiverConfig:
    """Read and check `receiver.toml`.

    Args:
        path: The file; other paths in it are relative to its folder.

    Raises:
        ConfigError: with every mistake of the file, one a line.
    """
    path = path.absolute()
    raw = _read(path)
    wrong: dict[str, str] = {}
    for key in sorted(raw.keys() - set(_TABLES)):
        near = get_close_matches(key, _TABLES, n=1)
        wrong[key] = "unknown table; " + (f"did you mean {near[0]}?" if near else f"known are {', '.join(_TABLES)}")
    inlet = _section(Inlet, raw.get("inlet"), "inlet", wrong)
    keys = _section(Keys, raw.get("keys"), "keys", wrong)
    retention = _section(Retention, raw.get("retention", {}), "retention", wrong)
    portal = _section(Portal, raw.get("portal", {}), "portal", wrong)
    outputs = _outputs(raw.get("output", []), wrong)
    if wrong or not (inlet and keys and retention and portal):
        lines = "\n  ".join(f"{key}: {line}" for key, line in wrong.items())
        told = f"{path} has {len(wrong)} mistake{'s' * (len(wrong) > 1)}:\n  {lines}"
        raise ConfigError(told, hint=f"mend the file and try again: checkvalve receive {path} --check")
    folder = path.parent
    absolute = {"own": folder / keys.own, "senders": tuple(folder / one for one in keys.senders)}
    return ReceiverConfig(
        path=path,
        inlet=inlet,
        keys=keys.model_copy(update=absolute),
        retention=retention,
        portal=portal,
        outputs=tuple(
            one.model_copy(update={"token_file": folder / one.token_file}) if one.token_file else one for one in outputs
        ),
    )


def kinds() -> list[str]:
    """Kinds of outputs there are: the folders beside the history's."""
    folder = Path(__file__).parent / "outputs"
    return sorted(one.parent.name for one in folder.glob("*/__init__.py") if one.parent.name not in RESERVED)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        hint = "examples/receiver.toml is a complete one to begin with"
        raise ConfigError(f"{path} does not exist", hint=hint) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 (byte {error.start})", hint="save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}", hint="mend that line; texts stand in quotes") from None


def _section(model: type[AnySection], given: object, at: str, wrong: dict[str, str]) -> AnySection | None:
    """Read one table; None where it has a mistake, each of which is written down in `wrong`."""
    if not isinstance(given, dict):
        example = ", ".join(f"{key} = {toml(value)}" for key, value in model.EXAMPLES.items()) or "its keys"
        wrong[at] = f"{'missing' if given is None else 'no table'}; write [{at}] with {example}"
        return None
    try:
        return model.model_validate(given)
    except ValidationError as error:
        for detail in error.errors():
            wrong.setdefault(_key(at, detail["loc"]), _explain(model, detail))
        return None


def _outputs(given: object, wrong: dict[str, str]) -> list[Output]:
    if not isinstance(given, list):
        wrong["output"] = "no list; write [[output]]"
        return []
    names: dict[str, str] = {}
    for index, one in enumerate(given):
        name = one.get("name") if isinstance(one, dict) else None
        if isinstance(name, str):
            if name in names:
                wrong[f"output[{index}].name"] = f'"{name}" is {names[name]} already; choose another name'
            names.setdefault(name, f"output[{index}]")
    read = [_section(Output, one, f"output[{index}]", wrong) for index, one in enumerate(given)]
    return [one for one in read if one is not None]


def _key(at: str, where: tuple[int | str, ...]) -> str:
    return at + "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in where)


def _explain(model: type[Section], detail: ErrorDetails) -> str:
    """pydantic's finding in this project's words: what is wrong; next step."""
    key, kind, value = str(detail["loc"][-1]), detail["type"], detail["input"]
    if kind == "missing" and key == "scope":
        return 'missing: without a scope nothing is published; write scope = { vendor = ".." }, or aloud, "all"'
    if kind == "missing":
        return f"missing; write {key} = {toml(model.EXAMPLES.get(key, '..'))}"
    if kind == "extra_forbidden":
        near = get_close_matches(key, model.model_fields, n=1)
        return "unknown key; " + (f"did you mean {near[0]}?" if near else "known are " + ", ".join(model.model_fields))
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    return f"{value!r} does not fit; it {detail['msg'].removeprefix('Input ')}"
