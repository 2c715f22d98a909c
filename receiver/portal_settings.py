"""`[portal]` of `receiver.toml`: where the pages are served, how they are encrypted, who may read without signing in.

Nobody may, unless `anyone` says so: it is a weakening, and told wherever the low side tells of itself. Beyond loopback
the pages are served by TLS, with a certificate of their own where none is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from protocol.settings.table import Address, File, SettingsTable, one_or_more

if TYPE_CHECKING:
    from receiver.outputs.scope import Scope


@dataclass(frozen=True, slots=True)
class Anyone:
    """What may be read without signing in."""

    key: str = ""
    """`vendor` or `asset`; empty: everything."""
    name: str = ""

    @property
    def text(self) -> str:
        """`everything`, `what vendor Acme Pumps may see`."""
        if not self.key:
            return "everything"
        return f"what vendor {self.name} may see" if self.key == "vendor" else f"asset {self.name}"

    def scope(self) -> Scope:
        """The same as a scope."""
        from receiver.outputs.scope import Scope  # with numpy, which a reader of the settings does not need

        if not self.key:
            return Scope()
        named = frozenset({self.name})
        return Scope(vendors=named) if self.key == "vendor" else Scope(assets=named)


def _anyone(value: object) -> Anyone:
    if isinstance(value, Anyone):
        return value
    if value == "all":
        return Anyone()
    if isinstance(value, dict) and len(value) == 1:
        (key, name), *_ = value.items()
        if key in ("vendor", "asset") and isinstance(name, str) and name:
            return Anyone(key, name)
    raise ValueError(f'{value!r} is no scope; write {{ vendor = ".." }}, {{ asset = ".." }} or, aloud, "all"')


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f'"{value}" is no time zone; write one such as "Europe/Berlin"') from error
    return value


class OidcTable(SettingsTable):
    """An organisation's own sign-in: it says who somebody is, and grants nothing."""

    EXAMPLES: ClassVar[dict[str, Any]] = {
        "issuer": "https://login.plant.example",
        "client_id": "checkvalve",
        "secret_file": "keys/oidc.secret",
    }

    issuer: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    """Address of the provider; `/.well-known/openid-configuration` is below it."""
    client_id: Annotated[str, Field(min_length=1)]
    """Under which the provider knows these pages."""
    secret_file: File
    """What the provider gave with it, in a file that only this user reads."""
    label: Annotated[str, Field(min_length=1, max_length=40)] = "your organisation"
    """As the button of the sign-in page names it."""
    address: str | None = None
    """Of these pages, as a browser sees it, where it is not the one that they were asked under: behind a proxy."""


class PortalTable(SettingsTable):
    """The pages."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    listen: Address = ("127.0.0.1", 8600)
    """IPv4 address and port."""
    anyone: Annotated[Anyone | None, BeforeValidator(_anyone)] = None
    """What whoever reaches the pages reads without signing in; left out: nothing."""
    names: Annotated[tuple[str, ...], BeforeValidator(one_or_more)] = ()
    """Names under which people open the pages, beside the address and this machine's name; they stand in the own
    certificate, too."""
    tls: bool | None = None
    """Left out: on beyond loopback. False beyond loopback: passwords and values can be read on the way."""
    certificate: File | None = None
    """Chain as PEM; left out: an own one, made at the first start in `state/`."""
    key: File | None = None
    """Its private key as PEM."""
    policy: File | None = None
    """Text that people acknowledge before they sign in for the first time; left out: the one that comes with this."""
    zone: Annotated[str, AfterValidator(_zone)] | None = None
    """The plant's time zone, which readers may choose instead of their computer's; left out: there is no choice."""
    oidc: OidcTable | None = None
    """An organisation's own sign-in, beside passwords and passkeys."""

    def crossed(self) -> Iterator[tuple[str, str]]:
        if (self.certificate is None) != (self.key is None):
            missing = "key" if self.key is None else "certificate"
            yield missing, "missing; certificate and key are given together, or neither"
        elif self.certificate is not None and self.tls is False:
            yield "tls", "false, beside a certificate; take one of them out"

    def beside(self, folder: Path) -> PortalTable:
        placed = super().beside(folder)
        if placed.oidc is None:
            return placed
        return placed.model_copy(update={"oidc": placed.oidc.beside(folder)})

    def files(self) -> list[Path]:
        return [*super().files(), *(self.oidc.files() if self.oidc else ())]

    @property
    def loopback(self) -> bool:
        """Nobody reaches the pages but from this machine."""
        return ip_address(self.listen[0]).is_loopback

    @property
    def encrypted(self) -> bool:
        """Served by TLS."""
        return not self.loopback or self.certificate is not None if self.tls is None else self.tls

    def open_to(self) -> str:
        """What anyone reads, in a sentence; empty where nobody does."""
        if self.anyone is None:
            return ""
        where = "on this machine" if self.loopback else "who reaches the pages"
        return f"anyone {where} reads {self.anyone.text} without signing in: [portal] anyone"

    def foot(self) -> str:
        """What stands at the foot of each page: what anyone reads, and that nothing is encrypted where it should be."""
        plain = "" if self.loopback or self.encrypted else "these pages are not encrypted: [portal] tls = false"
        return "; ".join(one for one in (self.open_to(), plain) if one)

    def weaknesses(self) -> Iterator[tuple[str, str]]:
        """Key and text of what may be meant but opens something beyond this machine."""
        if not self.loopback and not self.encrypted:
            yield "tls", "false: passwords and values can be read and changed on the way; take the line out"
        if not self.loopback and self.anyone is not None:
            text = f"whoever reaches {self.listen[0]} reads {self.anyone.text} without signing in; enrol people instead"
            yield "anyone", text
