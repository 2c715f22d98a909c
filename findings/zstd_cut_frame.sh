#!/bin/sh
# A Zstandard file that was cut in half reads to its end without an error: zstandard's streaming readers.
#
# Version:  zstandard 0.25.0, and Python's gzip for comparison
# Expected: a frame that states its size and carries a checksum, cut in half, is told to be incomplete by every reader,
#           as gzip does (EOFError).
# Seen:     only the one-shot decompress() raises. stream_reader, read_to_iter, copy_stream, open and decompressobj hand
#           over what could be decoded and then the end of file. With the last 4 bytes missing, the checksum, all the
#           data comes and nobody says that it was never checked.
# Matters:  a half-written export or a transfer that broke off is taken for a shorter, whole one. Who streams compares
#           the length with frame_content_size(), or asks decompressobj for `eof`.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check zstandard==0.25.0

cat > show.py <<'END'
import gzip
import io
import random
import sys
from importlib.metadata import version

import zstandard

DATA = random.Random(1).randbytes(1_000_000)


def object_of(data):
    one = zstandard.ZstdDecompressor().decompressobj()
    out = one.decompress(data)
    return out + (b"" if not one.eof else b"!")  # a mark where it says that the frame is complete


def copied(data):
    out = io.BytesIO()
    zstandard.ZstdDecompressor().copy_stream(io.BytesIO(data), out)
    return out.getvalue()


READERS = {
    "decompress": lambda data: zstandard.ZstdDecompressor().decompress(data),
    "stream_reader": lambda data: zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read(),
    "read_to_iter": lambda data: b"".join(zstandard.ZstdDecompressor().read_to_iter(io.BytesIO(data))),
    "copy_stream": copied,
    "open": lambda data: zstandard.open(io.BytesIO(data), "rb").read(),
    "decompressobj": object_of,
}


def outcome(read, data):
    try:
        return len(read(data))
    except (zstandard.ZstdError, EOFError) as error:
        return type(error).__name__


frame = zstandard.ZstdCompressor(write_checksum=True).compress(DATA)
stated = zstandard.frame_content_size(frame)
half = {name: outcome(read, frame[: len(frame) // 2]) for name, read in READERS.items()}
bare = {name: outcome(read, frame[:-4]) for name, read in READERS.items()}
packed = gzip.compress(DATA)
gzipped = outcome(lambda data: gzip.GzipFile(fileobj=io.BytesIO(data)).read(), packed[: len(packed) // 2])
print("version ", "zstandard", version("zstandard"))
print("expected", "an error from each; gzip:", gzipped)
print("seen    ", "of", stated, "bytes, half the frame:", half)
print("         ", "without the checksum:", bare)
quiet = [name for name in READERS if name != "decompress"]
known = half["decompress"] == bare["decompress"] == "ZstdError" and gzipped == "EOFError" and stated == len(DATA)
known = known and all(0 < half[name] < stated and bare[name] == stated for name in quiet)
sys.exit(0 if known else "the behaviour has changed")
END
v/bin/python show.py
