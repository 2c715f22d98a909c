"""The laws that every output keeps, as tests: subclass `OutputContract`, name a destination, run pytest.

    class TestMyOutput(OutputContract):
        output = MyOutput
        wrong = {"url": 5}                    a value that cannot be right, for each key of its own

        def settings(self): ...               its own keys, right
        @contextmanager
        def destination(self): ...            a server on 127.0.0.1; leave it out where it keeps files
        def held(self, state): ...            every sample that the destination has, as a Counter of facts
        @contextmanager
        def away(self): ...                   the server is gone; leave it out where there is none

Kills are real (a process, SIGKILL), time is virtual, and nothing here knows a destination. Nothing here is imported by
the product.
"""

from __future__ import annotations

import random
from collections import Counter
from contextlib import ExitStack

from protocol.content.catalog import Page
from protocol.settings.findings import Findings, read_table
from receiver.outputs.base import BatchBody, EventBody, OpenedBlock, StateBody, TallyBody
from receiver.outputs.scope import Scope
from receiver.outputs.testing.feed import (
    ASSETS,
    TAGS,
    UNSEEN,
    VENDOR,
    doubled,
    facts,
    odd,
    others,
    samples,
    stream,
    twin,
)
from receiver.outputs.testing.stand import OutputStand, Waited, open_files, plain

SEEDS = (1, 2, 3)
"""Of the kills: after how many hand-overs each comes."""


class OutputContract(OutputStand):
    """Subclass it under a name that begins with `Test`; see the module's docstring."""

    # -- the settings

    def test_a_wrong_setting_is_told_with_key_and_next_step(self) -> None:
        """Each wrong value, an unknown key and each missing one, all of them together, each with what to do."""
        with self.destination():
            right = self._section()
            found = Findings()
            read_table(self.output.table, {**right, **self.wrong, "no_such_key": 1}, "output[0]", found)
            assert set(found.mistakes) == {f"output[0].{key}" for key in (*self.wrong, "no_such_key")}
            assert all("; " in line for line in found.mistakes.values()), found.mistakes
            must = [key for key, one in self.output.table.model_fields.items() if one.is_required()]
            none = Findings()
            read_table(self.output.table, {}, "output[0]", none)
            assert set(none.mistakes) == {f"output[0].{key}" for key in must}
            assert set(must) <= set(self.output.table.EXAMPLES), "name an example of each key that must be there"
            again = Findings()
            read_table(self.output.table, {key: self.output.table.EXAMPLES[key] for key in must}, "output[0]", again)
            assert not again.mistakes, "an example is itself wrong"

    # -- content and place

    def test_what_was_taken_arrives_once_and_the_place_with_it(self) -> None:
        """A new store has no place; later it is the one handed over last, also without blocks, also opened anew."""
        blocks = [samples(number) for number in range(30)]
        with self._folder() as state:
            with self._opened(state) as one:
                assert one.place() is None
                self._take(one, blocks[:20], b"twenty")
                assert one.place() == b"twenty"
                self._take(one, blocks[20:], b"thirty")
                self._take(one, [], b"moved")
                assert one.place() == b"moved"
                self._arrived(one, state, blocks)
                plain(one.status())
            with self._opened(state) as again:
                assert again.place() == b"moved"
                assert not again.begun_again()
                self._arrived(again, state, blocks)

    def test_a_block_taken_twice_changes_nothing(self) -> None:
        """In the same hand-over, in a later one, and after it was opened anew: the journal may be read again."""
        blocks = [samples(number) for number in range(12)]
        with self._folder() as state:
            with self._opened(state) as one:
                self._take(one, [*blocks, *blocks[:3]], b"1")
                self._take(one, blocks[4:8], b"2")
                self._arrived(one, state, blocks)
            with self._opened(state) as again:
                self._take(again, blocks, b"3")
                self._arrived(again, state, blocks)
                assert again.place() == b"3"

    def test_blocks_arrive_in_whatever_order_they_come(self) -> None:
        """What was missing comes healed, later, between blocks of the stream that followed."""
        first, later = stream(), stream(b"stream-2", stream().boot + 1)
        blocks = [samples(number, of=first) for number in range(8)]
        blocks += [samples(number + 100, of=later) for number in range(8)]
        healed = [samples(number, of=first, healed=True) for number in (3, 4, 6)]
        came = [one for one in blocks if one.stream is later or one.number not in (3, 4, 6)]
        with self._folder() as state, self._opened(state) as one:
            for at, given in enumerate((came[:9], healed, came[9:])):
                self._take(one, given, b"%d" % at)
            self._arrived(one, state, [*came, *healed])

    def test_samples_with_equal_times_all_arrive(self) -> None:
        """Of the same tags, in a block, in blocks that follow, in the past behind live data, and healed; once each."""
        past, live, gone = ([samples(number) for number in range(at, at + 6)] for at in (0, 50, 100))
        beside = [twin(one, one.number + 7) for one in (*past, *live)]
        late = [twin(one, one.number + 20, healed=True) for one in (*past, *live)]
        double = doubled(samples(90))
        turns = [live[:3], past[:2], beside[9:], past[2:], live[3:], [double], late, beside[:9], gone]
        blocks = [one for given in turns for one in given]
        with self._folder() as state:
            for begin in (0, 5):  # as one process, then opened anew, with what came before handed over again
                with self._opened(state) as one:
                    for at, given in enumerate(turns[: begin + 5], 1):
                        self._take(one, given, b"%d" % at)
                    if begin:
                        self._arrived(one, state, blocks)

    def test_odd_samples_arrive_and_hold_nothing_up(self) -> None:
        """Numbers that are none, the largest, texts with controls and long ones, wrong clocks: all are there."""
        blocks = [samples(0), odd(1), samples(2)]
        with self._folder() as state, self._opened(state) as one:
            self._take(one, blocks, b"1")
            wanted = Counter((fact.asset, fact.tag, fact.time_ns) for fact in facts(blocks).elements())

            def there() -> bool:
                return wanted == Counter((fact.asset, fact.tag, fact.time_ns) for fact in self.held(state).elements())

            self._until(one, there)

    def test_content_of_every_kind_holds_nothing_up(self) -> None:
        """What an output has no use for passes by, and what a later sender may send; the samples around it arrive."""
        blocks = [samples(0), *others(1), samples(20), *others(21), samples(40)]
        with self._folder() as state, self._opened(state) as one:
            self._take(one, blocks, b"all")
            self._take(one, blocks, b"again")
            assert one.place() == b"again"
            self._arrived(one, state, blocks)
            plain(one.status())

    def test_a_kill_at_any_moment_loses_and_doubles_nothing(self) -> None:
        """What `take` returned for is durable, with its place; the rest is handed over again, and stands there once."""
        for seed in SEEDS:
            chance = random.Random(seed)
            with self._folder() as state:
                reached = 0
                for _ in range(4):
                    said = self._killed(state, reached, chance.randrange(1, 25))
                    with self._opened(state) as one:
                        place = int(one.place() or b"0")
                        assert reached + said <= place <= reached + said + 1, f"seed {seed}: what was taken is gone"
                        reached = place
                blocks = [samples(number) for number in range(reached + 3)]
                with self._opened(state) as one:
                    self._take(one, blocks[reached:], b"end")
                    self._arrived(one, state, blocks)

    # -- when the world is not as it should be

    def test_a_full_disk_is_told_waited_for_and_resumes(self) -> None:
        """While it lasts `take` waits and the status says why; then the same hand-over is stored, once."""
        blocks = [samples(number) for number in range(9)]
        with self._folder() as state, ExitStack() as full:
            told: list[str] = []

            def wait(seconds: float) -> None:
                assert 0 < seconds <= 60
                told.append(words(one.status()["trouble"]))
                if len(told) == 3:
                    full.close()

            with self._opened(state, wait) as one:
                self._take(one, blocks[:4], b"4")
                full.enter_context(self.full())
                one.take(blocks[4:], b"9")
                assert len(told) == 3, "it did not wait for its disk"
                assert all(told), "its status has no word of it"
                assert one.place() == b"9"
                self._arrived(one, state, blocks)
                assert not words(one.status()["trouble"])

    def test_a_wait_that_is_given_up_stores_nothing_of_the_hand_over(self) -> None:
        """A stop ends the wait by an exception; the next start has the old place, and is handed the same again."""
        blocks = [samples(number) for number in range(9)]

        def wait(seconds: float) -> None:
            raise Waited

        with self._folder() as state:
            with self._opened(state, wait) as one:
                self._take(one, blocks[:4], b"4")
                try:
                    with self.full():
                        one.take(blocks[4:], b"9")
                except Waited:
                    pass
                else:
                    raise AssertionError("it did not wait for its disk")
            with self._opened(state) as again:
                assert again.place() == b"4"
                self._take(again, blocks[4:], b"9")
                self._arrived(again, state, blocks)

    def test_a_destination_that_is_away_is_told_and_resumes(self) -> None:
        """Taking goes on meanwhile, nothing raises, the status says why; when it is back all arrives."""
        blocks = [samples(number) for number in range(9)]
        with self._folder() as state, self._opened(state) as one:
            away = self.away()
            if away is None:
                return
            with away:
                for at, given in enumerate(blocks):
                    self._take(one, [given], b"%d" % at)
                self._until(one, lambda: words(one.status()["trouble"]))
                assert one.place() == b"8"
                plain(one.status())
            self._arrived(one, state, blocks)
            self._until(one, lambda: not words(one.status()["trouble"]))  # its answer may come behind what it brought

    # -- what it leaves alone, and lets go of

    def test_nothing_outside_the_scope_is_stored(self) -> None:
        """What was cut away stands in no file, though the stream's own description names every asset."""
        scope = Scope(vendors=frozenset({VENDOR}))
        whole = [samples(0), *others(1), *(samples(number) for number in range(20, 30))]
        blocks = [cut for one in whole if (cut := _cut(one, scope)) is not None]
        with self._folder() as state, self._opened(state) as one:
            self._take(one, blocks, b"cut")
            self._arrived(one, state, blocks)
            assert not [fact for fact in self.held(state) if fact.asset == UNSEEN]
            said = plain(one.status()).encode()
            for path in (file for file in state.rglob("*") if file.is_file()):
                said += path.read_bytes()
            assert UNSEEN.encode() not in said

    def test_one_process_has_a_store_open(self) -> None:
        """A second one is refused in words, and harms nothing."""
        blocks = [samples(number) for number in range(3)]
        with self._folder() as state, self._opened(state) as one:
            assert self._refused(state), "two have the store open"
            self._take(one, blocks, b"3")
            self._arrived(one, state, blocks)

    def test_close_lets_go_of_everything(self) -> None:
        """Files are closed and the store is free again; `close` may be called twice."""
        with self._folder() as state:
            for _ in range(3):
                one = self._built(state)
                self._take(one, [samples(0)], b"0")
                assert [file for file in open_files() if file.startswith(str(state))]
                one.close()
                one.close()
                assert [file for file in open_files() if file.startswith(str(state))] == []


def words(trouble: object) -> str:
    """`trouble` of a status: a text, empty where there is none."""
    assert isinstance(trouble, str), "trouble is a text"
    return trouble


def _cut(one: OpenedBlock, scope: Scope) -> OpenedBlock | None:
    """A block as the opener hands it to an output of that scope."""
    body = one.body
    if not isinstance(body, BatchBody | Page | StateBody | EventBody | TallyBody):
        return one
    assets = {asset.name: asset for asset in ASSETS}
    cut = scope.cut(body, assets, {tag.id: tag for tag in TAGS})
    if cut is None:
        return None
    return OpenedBlock(stream=one.stream, number=one.number, healed=one.healed, received_ns=one.received_ns, body=cut)
