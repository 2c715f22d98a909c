"""Every limit of the link, each with its unit and its reason. Numbers without a source were measured."""

from __future__ import annotations

WIRE_VERSION = 1
"""The version in every frame and block; any other is counted by number and refused, never guessed."""

BLOCK_BYTES = 256 * 1024
"""Largest sealed block [bytes]: bounds what one assembly may claim before a byte of it is checked."""

BLOCK_SHARDS = 127
"""Most data shards of a block: with as many spares the code word still fits GF(2**8), 255 shards."""

FULL_SHARDS = 64
"""Data shards at which a block closes: 64 keeps repair below a millisecond and parity under 16 % at 1 % loss."""

CODE_SHARDS = 255
"""Most shards, data and spare together: the code works in GF(2**8) (RFC 5510, 8.1)."""

BLOCK_AGE = 0.1
"""A block closes this long after its first sample [s]: the largest share of the latency."""

PLAIN_BYTES = 8 * 1024 * 1024
"""Largest unpacked block [bytes]: a 256 KiB block of real samples unpacks to well under 4 MiB."""

MTU_LEAST = 576
"""Smallest mtu taken [bytes]: every IPv4 host must accept it (RFC 791, 3.2)."""

UDP_HEADERS = 28
"""IPv4 and UDP headers [bytes] (RFC 791, RFC 768): mtu less these is the largest frame."""

WIRE_OVERHEAD = 28 + 14
"""IP, UDP and Ethernet headers [bytes a frame] (IEEE 802.3, 3.1), as a capture shows them: counted when pacing."""

ASSEMBLY_BLOCKS = 4096
"""Most blocks in assembly at once; the oldest is given up first."""

ASSEMBLY_BYTES = 256 * 1024 * 1024
"""Most bytes in assembly at once [bytes]."""

UNKNOWN_BYTES = 32 * 1024 * 1024
"""Frames kept for sessions whose LINK has not come yet [bytes]."""

LINK_CHECKS = 20
"""New LINK frames verified in a second as they come: a start says three a receiver, an hour one more."""

LINK_DRAWS = 1000
"""LINK frames beyond these that are verified in a second, drawn by lot: a signature costs 0.12 ms, so a flood of forged
ones takes 12 % of a core while it lasts, and up to 1,000 of them a second hide the true one for a second at most."""

MISSING_AFTER = 0.2
"""A block is missing this long after its first sending, spares included, was finished [s]: covers reordering."""

UNCONFIRMED_S = 24 * 3600
"""A session whose wall time is further from ours than this is UNCONFIRMED when no floor is there to judge it [s]."""

QUEUE_BLOCKS = 4096
"""Blocks between the receiving and the writing thread; a full queue drops and counts, the receiver never waits."""

PAGE_TAGS = 500
"""Tag descriptions on one CATALOG page."""

STREAM_TAGS = 1_000_000
"""Most tag ids of a stream."""

TEXT_BYTES = 65_536
"""Longest text value [bytes]; a longer one is cut by the sender, quality Uncertain."""

NAME_BYTES = 512
"""Longest name, path, unit or description [bytes]."""

BATCH_ROWS = 262_144
"""Most rows of one batch: bounds what a block can make the opener allocate."""

GROUP_SYNC_S = 0.02
"""Longest time a written record waits for its fsync [s]."""

GROUP_SYNC_BYTES = 1024 * 1024
"""Most bytes that wait for one fsync [bytes]."""

SEGMENT_BYTES = 64 * 1024 * 1024
"""A segment file is closed at this size [bytes]; retention unlinks whole segments."""
