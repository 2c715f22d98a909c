"""The memory of a false Logix controller: templates, tags by name and by instance, and what a path points at.

    Controller            scope ""              Level REAL, Motors MotorUDT[5], Flags BOOL[64] ..
      templates           scope Program:Main    Speed REAL ..
      changes             counts that move when a program is downloaded

Every tag is a piece of bytes laid out as a Logix controller lays it out (`types`). Where a value comes from
elsewhere (the plant), `LogixTag.fill` writes it into those bytes when the tag is first read after `Controller.tick`
moved.

Paths are looked up by their raw bytes in a dictionary, and parsed only when they are new: clients ask the same few
thousand over and over. No I/O here and no clock.

Source: Rockwell Automation 1756-PM020, Logix 5000 Controllers Data Access ("CIP services and user-created tags").
"""

from __future__ import annotations

import random
from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

from simulator.logix.cip import (
    ATOMICS,
    CipError,
    ClassCode,
    Extended,
    GeneralStatus,
    PathSegment,
    SegmentType,
    parse_path,
)
from simulator.logix.types import Template, Type, bool_words, store

PATHS_KEPT = 65_536
"""Paths whose meaning is remembered; the table is emptied when full, so that a stranger cannot make it grow."""

PREDEFINED_STRING = 0xFCE
"""Template instance and handle of the built-in STRING: clients know it by this number."""

STRING_LENGTH = 82
"""Characters of a STRING."""


class LogixTag:
    """One symbol and its bytes."""

    __slots__ = ("data", "dims", "fill", "filled", "instance", "name", "system", "title", "type")

    def __init__(
        self, instance: int, name: str, kind: Type, dims: tuple[int, ...], *, title: str = "", system: bool = False
    ) -> None:
        self.instance = instance
        self.name = name
        """Without the program."""
        self.title = title or name
        """With it."""
        self.type = kind
        self.dims = dims
        self.data = bytearray(kind.size * prod(dims))
        self.system = system
        """Hidden from users by bit 12 of its symbol type, as the controller's own symbols are."""
        self.fill: Callable[[bytearray], None] | None = None
        """Writes the present value into `data`; None where `set` is the only source."""
        self.filled = -1
        """`Controller.tick` at which `fill` was called last."""

    @property
    def word(self) -> int:
        """Symbol type: bit 15 structure, 14-13 dimensions, 12 system, then template instance or type code."""
        return self.type.word | len(self.dims) << 13 | (0x1000 if self.system else 0)

    def set(self, value: Any) -> None:
        """Store a Python value: a number, bool or str; a list for an array (row by row); a dict for a structure."""
        kind, count = self.type, prod(self.dims)
        if self.dims and kind is ATOMICS["DWORD"] and value and isinstance(value[0], bool):
            value = bool_words(value)
        store(self.data, 0, kind, count if self.dims else 0, value)


class Location(NamedTuple):
    """What a path points at."""

    tag: LogixTag
    type: Type
    offset: int
    """In the tag's bytes."""
    left: int
    """Elements from here to the end of the array; 1 for a scalar."""
    bit: int
    """Of the byte at `offset`, for a BOOL member; else -1."""


@dataclass(slots=True)
class TagScope:
    """Symbols of the controller, or of one program."""

    title: str
    """Empty for the controller, else `Program:Main`."""
    by_name: dict[str, LogixTag] = field(default_factory=dict)
    """Keys in lower case: names do not distinguish case."""
    by_instance: dict[int, LogixTag] = field(default_factory=dict)
    instances: list[int] = field(default_factory=list)
    """Sorted, for the symbol list."""


class Controller:
    """Tags, templates and the counts that tell a client of a download.

    Args:
        seed: Decides how a download renumbers the symbols.
    """

    def __init__(self, *, seed: int = 1) -> None:
        self.templates: dict[int, Template] = {}
        self.scopes: dict[str, TagScope] = {"": TagScope("")}
        self.tick = 0
        """Moves whenever the values behind `LogixTag.fill` may be others."""
        self.changes = [5, 1, 0x00010000, 0x00010000, 0x00020000]
        """Attributes 1, 2, 3, 4 and 10 of class 0xAC (1756-PM020, "Detecting changes"); empty for a controller that
        does not have the class."""
        self._random = random.Random(seed)
        self._hidden: list[tuple[TagScope, LogixTag]] = []
        self._locations: dict[bytes, Location] = {}
        self.string = self.template(
            "ASCIISTRING82",
            [("LEN", "DINT", 0), ("DATA", "SINT", STRING_LENGTH)],
            instance=PREDEFINED_STRING,
            handle=PREDEFINED_STRING,
        )

    # -- what a test or a scene builds

    def template(
        self,
        name: str,
        members: Sequence[tuple[str, str | Type, int]],
        *,
        instance: int | None = None,
        handle: int | None = None,
    ) -> Template:
        """Declare a structure type; members' types are types or names of types declared before."""
        number = 0x100 + len(self.templates) if instance is None else instance
        made = Template(number, name, [(one, self.type(kind), count) for one, kind, count in members], handle)
        self.templates[number] = made
        return made

    def string_type(self, length: int) -> Template:
        """A string type of that many characters: STRING itself, or one declared for it."""
        if length == STRING_LENGTH:
            return self.string
        name = f"STRING_{length}"
        template = next((one for one in self.templates.values() if one.name == name), None)
        return template or self.template(name, [("LEN", "DINT", 0), ("DATA", "SINT", length)])

    def type(self, kind: str | Type) -> Type:
        """The type of that name. Raises KeyError."""
        if not isinstance(kind, str):
            return kind
        if kind == "STRING":
            return self.string
        named = ATOMICS.get(kind) or next((one for one in self.templates.values() if one.name == kind), None)
        if named is None:
            raise KeyError(kind)
        return named

    def tag(
        self, name: str, kind: str | Type, dims: Sequence[int] = (), value: Any = None, *, system: bool = False
    ) -> LogixTag:
        """Declare a tag, `Level` or `Program:Main.Speed`; a BOOL array is given its number of BOOLs."""
        scope, short = self._split(name)
        made = self.type(kind)
        sizes = tuple(dims)
        if sizes and made is ATOMICS["BOOL"]:
            made, sizes = ATOMICS["DWORD"], (-(-prod(sizes) // 32),)
        tag = LogixTag(self._free(scope), short, made, sizes, title=name, system=system)
        self._enter(scope, tag)
        if value is not None:
            tag.set(value)
        return tag

    def find(self, name: str) -> LogixTag:
        """The tag of that name. Raises KeyError."""
        scope, short = self._split(name)
        return scope.by_name[short.lower()]

    def download(self) -> None:
        """A program download: every symbol gets another instance number, and the change counts move."""
        self.hide(lambda _: False)
        for scope in self.scopes.values():
            tags = list(scope.by_instance.values())
            numbers = self._random.sample(range(1, len(tags) * 3 + 2), len(tags))
            scope.by_instance.clear()
            scope.instances.clear()
            for tag, number in zip(tags, numbers, strict=True):
                tag.instance = number
                self._enter(scope, tag)
        self._changed()

    def remove(self, name: str) -> None:
        """Delete a tag, as an edit of the program does."""
        scope, short = self._split(name)
        self._leave(scope, scope.by_name[short.lower()])
        self._changed()

    @property
    def hiding(self) -> bool:
        """Whether a tag is hidden."""
        return bool(self._hidden)

    def hide(self, gone: Callable[[str], bool]) -> None:
        """Let the tags whose title `gone` says yes to not be there, and all others be there again."""
        back = [(scope, tag) for scope, tag in self._hidden if not gone(tag.title)]
        self._hidden = [hidden for hidden in self._hidden if gone(hidden[1].title)]
        for scope, tag in back:
            self._enter(scope, tag)
        for scope in self.scopes.values():
            for tag in [tag for tag in scope.by_instance.values() if not tag.system and gone(tag.title)]:
                self._leave(scope, tag)
                self._hidden.append((scope, tag))
                back.append((scope, tag))
        if back:
            self._changed()

    # -- what the objects ask

    def scope(self, title: str) -> TagScope:
        """The program's scope, or the controller's for an empty title.

        Raises:
            CipError: (PATH_DESTINATION_UNKNOWN) no such program.
        """
        scope = self.scopes.get(title.lower())
        if scope is None:
            raise CipError(GeneralStatus.PATH_DESTINATION_UNKNOWN)
        return scope

    def locate(self, path: bytes) -> Location:
        """What the path points at, its bytes brought up to date.

        Raises:
            CipError: no such tag or member (PATH_SEGMENT_ERROR), an index that does not fit the dimensions.
        """
        location = self._locations.get(path)
        if location is None:
            location = self._resolve(parse_path(path))
            if len(self._locations) >= PATHS_KEPT:
                self._locations.clear()
            self._locations[path] = location
        tag = location.tag
        if tag.fill is not None and tag.filled != self.tick:
            tag.fill(tag.data)
            tag.filled = self.tick
        return location

    def _resolve(self, segments: list[PathSegment]) -> Location:
        tag, at = self._base(segments)
        place = Location(tag, tag.type, 0, prod(tag.dims), -1)
        dims = tag.dims
        while at < len(segments):
            if segments[at].part is SegmentType.ELEMENT:
                end = at
                while end < len(segments) and segments[end].part is SegmentType.ELEMENT:
                    end += 1
                place = _element(place, dims, [segment.number for segment in segments[at:end]])
                at, dims = end, ()
            elif segments[at].part is SegmentType.SYMBOL and isinstance(place.type, Template) and not dims:
                one = place.type.by_name.get(segments[at].name.lower())
                if one is None:
                    raise CipError(GeneralStatus.PATH_SEGMENT_ERROR, 0)
                place = Location(tag, one.type, place.offset + one.offset, max(one.count, 1), one.bit)
                at, dims = at + 1, (one.count,) if one.count else ()
            else:
                raise CipError(GeneralStatus.PATH_DESTINATION_UNKNOWN)
        return place

    def _base(self, segments: list[PathSegment]) -> tuple[LogixTag, int]:
        """The tag that a path begins with, and the number of segments that named it."""
        scope, at = self.scopes[""], 0
        if segments and segments[0].name.lower().startswith("program:"):
            scope, at = self.scope(segments[0].name), 1
        part, number, name = segments[at] if at < len(segments) else PathSegment(SegmentType.PORT, 0)
        tag: LogixTag | None = None
        if part is SegmentType.SYMBOL:
            tag, at = scope.by_name.get(name.lower()), at + 1
        elif part is SegmentType.CLASS and number == ClassCode.SYMBOL and len(segments) > at + 1:
            tag, at = scope.by_instance.get(segments[at + 1].number), at + 2
        if tag is None:
            raise CipError(GeneralStatus.PATH_SEGMENT_ERROR, 0)
        return tag, at

    # -- inside

    def _split(self, name: str) -> tuple[TagScope, str]:
        program, dot, short = name.partition(".")
        if not (dot and program.lower().startswith("program:")):
            return self.scopes[""], name
        if program.lower() not in self.scopes:
            self.scopes[program.lower()] = TagScope(program)
            own = self.scopes[""]
            self._enter(own, LogixTag(self._free(own), program, ATOMICS["DINT"], (), system=True))
        return self.scopes[program.lower()], short

    def _free(self, scope: TagScope) -> int:
        return scope.instances[-1] + 1 if scope.instances else 1

    def _enter(self, scope: TagScope, tag: LogixTag) -> None:
        scope.by_name[tag.name.lower()] = tag
        scope.by_instance[tag.instance] = tag
        insort(scope.instances, tag.instance)
        self._locations.clear()

    def _leave(self, scope: TagScope, tag: LogixTag) -> None:
        del scope.by_name[tag.name.lower()]
        del scope.by_instance[tag.instance]
        scope.instances.remove(tag.instance)

    def _changed(self) -> None:
        self._locations.clear()
        self.changes = [*self.changes[:1], *(count + 1 for count in self.changes[1:])]


def _element(place: Location, dims: tuple[int, ...], index: list[int]) -> Location:
    """Step into an array; as many numbers as it has dimensions."""
    if len(index) != len(dims):
        raise CipError(GeneralStatus.PATH_DESTINATION_UNKNOWN)
    number = 0
    for at, size in zip(index, dims, strict=True):
        if at >= size:
            raise CipError(GeneralStatus.GENERAL_ERROR, Extended.END_OF_OBJECT)
        number = number * size + at
    return Location(place.tag, place.type, place.offset + number * place.type.size, prod(dims) - number, -1)
