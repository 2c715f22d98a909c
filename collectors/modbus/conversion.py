"""How a value is made of registers, in words that change whenever its numbers would (pure).

    int16 x 0.1 - 20                     read as int16, then scale and offset
    int16 x 10^holding:1                 a power of ten of the device (`scale_from`)
    float32, words little                the type is that of the catalog, the order is not the usual one

It is the description's `conversion`: what was read before and after another one is not the same quantity, although
name, type, unit and address are. Nothing is said of a value that is taken as it stands.
"""

from __future__ import annotations

from collectors.modbus.config import WIDE_BYTES, Item
from collectors.modbus.formats import FORMATS
from collectors.settings import linear


def conversion(item: Item) -> str:
    """The words for this value; empty where it is taken as it stands."""
    form = FORMATS.get(item.type)
    usual = "little" if form is not None and form.low_first else "big"
    orders = (
        f"words {item.words}" * (form is not None and form.registers > 1 and item.words != usual),
        "bytes swapped" * (item.swap_bytes and form is not None),
        "bcd" * item.bcd,
        f"{8 * WIDE_BYTES} bits an address" * (item.cell == WIDE_BYTES),
    )
    scaled = "" if item.factor is None else f" x 10^{item.table.value}:{item.factor}"
    scaled += "" if item.scale is None else linear(item.scale, item.offset)
    said = [word for word in orders if word]
    if not said and not scaled and item.type == item.column_type:
        return ""
    return ", ".join([item.type, *said]) + scaled
