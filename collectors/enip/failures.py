"""What a failure of the library means: for the samples a quality, for a person its words.

    a write was refused             bad configuration: what is asked for is not on the list
    a timeout anywhere below        the device did not answer in time
    the library's, or a socket's    the connection failed
    anything else                   a reply that the library cannot read

The library wraps what it catches, so causes are followed down to the first. Pure.
"""

from __future__ import annotations

from pycomm3 import PycommError

from collectors.guard import WriteRefused
from protocol.content.sample import Quality
from protocol.errors import AssetError


def asset_error(error: BaseException) -> AssetError:
    """What a failure means for the samples, with all its causes in words."""
    text = str(error)
    inner = error.__cause__ or error.__context__
    while inner is not None:
        text = f"{text}: {inner}"
        inner = inner.__cause__ or inner.__context__
    if isinstance(error, WriteRefused):
        quality = Quality.BAD_CONFIGURATION
    elif is_timeout(error):
        quality = Quality.BAD_TIMEOUT
    elif isinstance(error, OSError | PycommError):
        quality = Quality.BAD_COMMUNICATION
    else:
        quality = Quality.BAD_DECODING
    return AssetError(text, quality=quality)


def is_timeout(error: BaseException | None) -> bool:
    """Whether the device did not answer in time, whatever the library made of it on the way."""
    while error is not None:
        if isinstance(error, TimeoutError):
            return True
        error = error.__cause__ or error.__context__
    return False
