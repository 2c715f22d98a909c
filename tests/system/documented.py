"""The commands that README and docs tell people to type, found in their code, and how each one is tried.

A page that names a command which is not in the table below fails the test: what is written down is run.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(path for room in ("collectors", "receiver", "examples") for path in (ROOT / room).rglob("README.md")),
]
FOLLOWED = {
    f"docs/life/{name}.md"
    for name in ("keys", "escrow", "backup", "restore", "upgrade", "rollback", "full-disks", "replaced")
}
"""Pages whose blocks are run as they stand, from start to end, by test_life.py and test_life_upgrade.py."""
_BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r"^\s*(?:\$ )?(sudo )?checkvalve (.+)$")
_REST = re.compile(r"\s+#|\s{3,}|\s[|>]")
"""What follows a command on its line: a remark, prose, another program, a file."""
_INLINE = re.compile(r"(?<!`)`(?:sudo )?checkvalve ([^`\n]+)`(?!`)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Documented:
    """One command of one page."""

    page: str
    words: tuple[str, ...]
    """As written, without `checkvalve`, remarks and where its output goes."""
    sudo: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How commands of one shape are tried."""

    shape: str
    """Regular expression for all the words as written."""
    first: str = ""
    """Regular expression that the first line of what it prints begins with."""
    exit: int = 0
    also: tuple[str, ...] = ()
    """Words added for the trial: a command that goes on until Ctrl-C ends after some seconds."""
    elsewhere: str = ""
    """The test that runs it, for what needs interfaces or a machine of its own."""


LIVE, SETUP = "tests/namespace/test_live.py", "tests/namespace/test_ends.py"
TRAIL = "tests/receiver/governed/trail/test_trail_commands.py"
WAYS = (
    Way(shape=r"keys new (high|low) \S+", first=r"\S+/keys/new/(sign|catch).key"),
    Way(shape=r"init (high|low) /root/\w+( --\S+ \S+)*", first=r"made \S+: (sender|receiver)\.toml, keys/"),
    Way(shape=r"init (high|low) /var/lib/checkvalve --sheet", first="CHECKVALVE COMMISSIONING SHEET"),
    Way(shape=r"keys show \S+", first="sign "),
    Way(shape="discover lines .*", elsewhere="tests/collectors/test_example_collector.py"),
    Way(shape="discover (opcua|modbus|enip) .*", first=r"# \S+, as `checkvalve discover` found it"),
    Way(shape="peek .*", first="┏"),
    Way(shape="plan sender.toml", first="pump-7  tcp://"),
    Way(shape="watch sender.toml", first="┏", also=("--seconds", "1")),
    Way(shape=r"send (\S+ --check|--check \S+)", first=r"\S+/sender.toml: right \(3 assets, 255 tags, 0 warnings\)"),
    Way(shape=r"recommendation sender\.toml", first="no recommendation was answered here yet"),
    Way(shape=r"recommendation receiver\.toml", first="nothing was recommended yet"),
    Way(shape=r"recommendation sender\.toml FILE.*", elsewhere="tests/sender/recommendations/test_recommendation.py"),
    Way(shape=r"recommendation receiver\.toml rec-\S+( .*)?", elsewhere="tests/system/test_carried_in.py"),
    Way(shape=r"keys new recommend \S+", elsewhere="tests/sender/recommendations/test_recommendation.py"),
    Way(shape=r"send \S+ --reload", first=r"\S+/sender.toml: right"),
    Way(shape=r"apply \S+ --from new.toml .*", first="pump-7", also=("--yes",)),
    Way(shape=r"apply \S+ --back", first="pump-7", also=("--yes",)),
    Way(shape=r"apply \S+ --list", first=r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ  application \d+, back to \d+ by "),
    Way(shape="send sender.toml", exit=2, first="error: it runs already: "),
    Way(shape=r"receive (\S+ --check|--check \S+)", first=r"\S+/receiver.toml: no mistakes"),
    Way(shape="receive receiver.toml --only lines", elsewhere="tests/receiver/outputs/test_example_output.py"),
    Way(shape="receive receiver.toml", exit=2, first="error: it runs already: "),
    Way(shape="gaps receiver.toml", first=r"no block is missing|\d+ blocks? "),
    Way(shape=r"status \S*receiver.toml", first=r"catch \(pid \d+\): said \d+\.\d s ago"),
    Way(shape=r"doctor \S*(sender|receiver)\.toml( --json)?", elsewhere="tests/system/test_doctor.py"),
    Way(shape="replay (SENDER|sender).toml CV1-.*", exit=2, first="error: CV1-[0-9A-Z-]+: well typed, but the stream"),
    Way(
        shape="export receiver.toml --out .*",
        first=r"\S+: [\d,]+ ((samples|buckets) of [\d,]+ tags|events), ",
        also=("--replace",),
    ),
    Way(
        shape=r"(person|service) [a-z]+ .*",
        elsewhere="tests/receiver/governed/people/test_people_commands.py",
    ),
    Way(
        shape=r"(request|grant) [a-z]+ .*",
        elsewhere="tests/receiver/governed/grants/test_grant_commands.py",
    ),
    Way(shape=r"keys new trail \S+", elsewhere="tests/receiver/governed/trail/test_trail_commands.py"),
    Way(
        shape=r"trail (show|verify|export|checkpoint|clock) .*",
        elsewhere="tests/receiver/governed/trail/test_trail_commands.py",
    ),
    Way(
        shape=r"(alerts|roster|break-glass) [a-z]+ .*",
        elsewhere="tests/receiver/governed/alerts/test_programme_commands.py",
    ),
    Way(shape=r"evidence \S+ .*", elsewhere="tests/receiver/governed/evidence/test_evidence_pack.py"),
    Way(shape=r"history check \S+", first=r"current\.db: sound"),
    Way(shape=r"history rebuild \S+", exit=1, first="error: .*/history: another process writes this store"),
    Way(
        shape=r"asset-report receiver\.toml pump-7 .*",
        first=r"\S+/pump-7\.html: \d+ tags, ",
    ),
    Way(shape=r"aside (list|resend|drop) \S+ \S+", elsewhere="tests/receiver/outputs/test_aside.py"),
    Way(shape="setup (high|low) --config .*", elsewhere=SETUP),
    Way(shape="audit code .*", first="code  20"),
    Way(shape="audit selftest.*", first="selftest  20"),
    Way(shape="audit explain", first="CAP-1 "),
    Way(shape="audit explain rules", first="NERC CIP-003-9"),
    Way(shape="audit questions", first="# What people looked at"),
    Way(shape="audit live .*", elsewhere=LIVE),
    Way(shape="audit provoke .*", elsewhere="tests/namespace/test_provocations.py"),
    Way(shape="audit journal .*", first="journal "),
    Way(shape="audit capture .*", elsewhere="tests/audit/test_audit_capture.py"),
    Way(shape="audit incident .*", elsewhere="tests/audit/test_audit_incident.py"),
    Way(shape="audit report .*", elsewhere="tests/audit/test_audit_report.py"),
    Way(shape=r"accept \S+ SESSION", elsewhere="tests/receiver/catch/test_sessions.py"),
    Way(shape=r"accept \S+ --lower", elsewhere="tests/receiver/catch/test_sessions.py"),
    Way(shape="simulate small --netns", elsewhere="tests/simulator/link/test_netlab.py"),
    Way(shape="simulate .*", elsewhere="tests/simulator/test_simulate.py"),
    Way(shape=r"demo --control \d+", elsewhere="tests/simulator/test_demo.py"),
    Way(shape="relay .*", elsewhere="tests/simulator/link/test_relay.py"),
    Way(shape="bench .* --page .*", elsewhere="tests/bench/test_bench.py"),
)
WORDS_ALONE = re.compile(
    r"(demo|simulate|relay|init|apply|recommendation|discover|plan|peek|watch|send|receive|accept|linktest|replay|gaps"
    r"|aside|history|export|asset-report|person|service|request|grant|trail|alerts|roster|break-glass|evidence|backup|restore"
    r"|status|doctor|setup|keys|audit|bench)"
    r"( [a-z]+)?( (--?[a-z-]+|[a-z]+\|[a-z]+))*"
)
"""A command that prose names without its arguments: its help must be there."""


def documented() -> Iterator[Documented]:
    """Every command in the code of every page, each once a page."""
    for page in PAGES:
        text, name = page.read_text(encoding="utf-8"), page.relative_to(ROOT).as_posix()
        found: dict[tuple[str, ...], bool] = {}
        indented = "\n".join(re.findall(r"^ {4}.*$", _BLOCK.sub("", text), re.MULTILINE))
        for block in [] if name in FOLLOWED else [*_BLOCK.findall(text), indented]:
            for line in re.sub(r"\\\n\s*", "", block).splitlines():
                if match := _LINE.match(line):
                    found.setdefault(_words(match[2]), bool(match[1]))
        for inline in _INLINE.findall(text):
            found.setdefault(_words(inline), False)
        for words, sudo in found.items():
            yield Documented(page=name, words=words, sudo=sudo)


def way_of(words: tuple[str, ...]) -> Way | None:
    """How a command is tried; None: no way is known."""
    whole = " ".join(words)
    for way in WAYS:
        if re.fullmatch(way.shape, whole):
            return way
    if WORDS_ALONE.fullmatch(whole):
        return Way(shape=whole, first="Usage: checkvalve", also=("--help",))
    return None


def tried(words: tuple[str, ...], way: Way, places: Mapping[str, str]) -> list[str]:
    """The words to run: names of files and addresses of the page become those of the running plant.

    Args:
        places: What stands for what, by regular expression for a whole word.
    """
    if way.also == ("--help",):
        plain = [word for word in words if not word.startswith("-") and "|" not in word]
        return [*plain, *way.also]
    out = []
    for word in words:
        for shape, real in places.items():
            if re.fullmatch(shape, word):
                word = real
                break
        out.append(word)
    return [*out, *way.also]


def _words(line: str) -> tuple[str, ...]:
    return tuple(shlex.split(_REST.split(line, maxsplit=1)[0]))
