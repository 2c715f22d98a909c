"""What both ends share: columns, blocks, seals, shards, frames, the store. No socket, no clock; SPEC.md is exact."""
