"""The pages as `receive` runs them: everything that `[portal]` says, put together."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from ipaddress import ip_address

from protocol.errors import ConfigError
from receiver.config import ReceiverConfig
from receiver.governed.open_authority import open_authority, running_ns
from receiver.portal.serving import portal_tls
from receiver.portal.serving.portal_tls import PortalTls
from receiver.portal.serving.serve import WILDCARDS
from receiver.portal.serving.serve import run as serve
from receiver.portal.signing_in.office import SignInOffice, open_office
from receiver.portal.signing_in.oidc import OpenIdProvider
from receiver.portal.signing_in.reading_policy import ReadingPolicy


def run(config: ReceiverConfig, say: Callable[[str], None], *, bound: Callable[[], None]) -> None:
    """Serve the pages until SIGINT or SIGTERM.

    Args:
        config: The low side's.
        say: Takes lines for people.
        bound: Called once the address is bound.

    Raises:
        ConfigError, HeldError, StoreError, TrailError: as `serve`, and where what people sign in with cannot be opened.
    """
    table = config.portal
    policy = ReadingPolicy.read(table.policy) if table.policy else ReadingPolicy.own()
    host, port = table.listen

    def spoken() -> PortalTls | None:
        if not table.encrypted:
            return None
        if table.certificate and table.key:
            return portal_tls.from_files(table.certificate, table.key)
        return portal_tls.own(config.state, certificate_names(host, table.names), wall_ns=time.time_ns())

    def office() -> SignInOffice:
        authority = open_authority(config.path.parent, config.state)
        made = open_office(config.state, authority, policy, wall=time.time_ns, running=running_ns)
        made.telling.start(made.desk.now)
        return made

    serve(
        config.state / "history",
        config.state,
        f"{host}:{port}",
        table.anyone.scope() if table.anyone else None,
        names=table.names,
        bound=bound,
        tls=spoken,
        office=office,
        oidc=_provider(config),
        foot=table.foot(),
        zone=table.zone or "",
        reports=config.reports,
        say=say,
    )


def certificate_names(host: str, names: tuple[str, ...]) -> list[str]:
    """What an own certificate is for: the address that is listened on, this machine's name, loopback, further names."""
    machine = socket.gethostname()
    wanted = [*names, *([] if host in WILDCARDS else [host]), machine, "localhost", "127.0.0.1"]
    return list(dict.fromkeys(one for one in wanted if _fits(one)))


def _fits(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return name.isascii() and 0 < len(name) < 254 and not set(name) & set(" _/:@")
    return True


def _provider(config: ReceiverConfig) -> OpenIdProvider | None:
    table = config.portal.oidc
    if table is None:
        return None
    try:
        secret = table.secret_file.read_text().strip()
    except (OSError, ValueError) as error:
        text = f"portal.oidc.secret_file: {table.secret_file}: {error}"
        raise ConfigError(text, hint="write what the provider gave into it, for this user alone") from error
    return OpenIdProvider(table, secret)
