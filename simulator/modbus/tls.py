"""TLS for a false Modbus device: version 1.2 or later, with clients' certificates where the scene names their issuer.

Source: MODBUS/TCP Security (MB-TCP-Security v2.1), 5 and 6.
"""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

from protocol.errors import ConfigError
from simulator.certificates import pair
from simulator.scene.scene import DeviceSection


def context(section: DeviceSection, host: str) -> ssl.SSLContext | None:
    """The server's side, or None where the scene asks for none.

    Raises:
        ConfigError: a file that cannot be read.
    """
    settings = section.settings
    if not settings.get("tls", False):
        return None
    named = settings.get("certificate")
    own = pair(section.asset, f"urn:checkvalve:simulated:{section.asset}", host, Path(named) if named else None)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(own.certificate + own.key)
        file.flush()
        made.load_cert_chain(file.name)
    if clients := settings.get("clients"):
        try:
            made.load_verify_locations(str(clients))
        except OSError as error:
            raise ConfigError(f"{section.asset}: modbus.clients: {clients}: {error}", hint="name a PEM file") from error
        made.verify_mode = ssl.CERT_REQUIRED
    return made
