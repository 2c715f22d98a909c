"""Certificates of encrypted connections, read from files or as they came over the wire, and when each ends.

A connection ends on the day its certificate does, at a moment at which nobody has changed anything. So what a
collector's connection rests on is told with its end from the first connect on (`Collector.certificates`).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from pathlib import Path

from cryptography import x509


def read(data: bytes) -> x509.Certificate | None:
    """A certificate in PEM or DER, None where the bytes hold none; of a chain the first one."""
    if data[:2] == b"\x30\x82":
        data = data[: int.from_bytes(data[2:4]) + 4]
    with suppress(ValueError):
        pem = data.lstrip().startswith(b"-----")
        return x509.load_pem_x509_certificate(data) if pem else x509.load_der_x509_certificate(data)
    return None


def end_ns(data: bytes) -> int | None:
    """When it ends [ns since 1970 UTC]; None where the bytes hold no certificate."""
    held = read(data)
    return None if held is None else int(held.not_valid_after_utc.astimezone(UTC).timestamp()) * 10**9


def ends(files: Mapping[str, str]) -> dict[str, int]:
    """Of those files that hold a certificate: `KEY PATH`, and when it ends [ns since 1970 UTC].

    Args:
        files: By key of the configuration; an empty path is no file, and one that cannot be read is left out.
    """
    out: dict[str, int] = {}
    for key, path in files.items():
        with suppress(OSError):
            if path and (end := end_ns(Path(path).read_bytes())) is not None:
                out[f"{key} {path}"] = end
    return out
