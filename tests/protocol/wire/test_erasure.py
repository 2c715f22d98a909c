"""Laws of the erasure code: its bytes are reedsolo's, and any `need` shards are the block."""

from __future__ import annotations

import random
from itertools import combinations
from math import comb

import numpy as np
import pytest
import reedsolo
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.content.array import Array
from protocol.errors import ConfigError
from protocol.wire import engines, galois
from protocol.wire.engines import PackedTables, Product
from protocol.wire.erasure import BLOCK_FAILURE, KEPT_BYTES, Code, spares_for
from protocol.wire.reference import Reference, repair, spares

ENGINES = ("isal", "numpy")
GEOMETRIES = [(1, 1), (1, 6), (2, 2), (10, 3), (32, 4), (64, 8), (64, 64), (127, 127), (127, 128), (200, 20), (254, 1)]


def shards(need: int, width: int, seed: int) -> Array:
    """Random data rows."""
    return np.random.default_rng(seed).integers(0, 256, (need, width), dtype=np.uint8)


def mask(indices: list[int]) -> int:
    """The rows that are there, as `Code.restore` takes them."""
    return sum(1 << index for index in indices)


# ---- the field and the matrix


def test_field_is_that_of_reedsolo() -> None:
    """Every product and every inverse of bytes is reedsolo's."""
    reedsolo.init_tables(galois.POLYNOMIAL)
    expected = [[reedsolo.gf_mul(left, right) for right in range(256)] for left in range(256)]
    assert galois.PRODUCT.tolist() == expected
    assert all(galois.PRODUCT[byte, galois.INVERSE[byte]] == 1 for byte in range(1, 256))


@pytest.mark.parametrize(("need", "spare"), GEOMETRIES)
def test_matrix_is_what_reedsolo_does_to_unit_vectors(need: int, spare: int) -> None:
    """Column j of the matrix is the parity of the message with a 1 at j and nothing else."""
    codec = reedsolo.RSCodec(spare, nsize=need + spare)
    matrix = galois.parity(need, spare)
    for at in range(need):
        unit = bytearray(need)
        unit[at] = 1
        assert bytes(codec.encode(unit))[need:] == matrix[:, at].tobytes()


@pytest.mark.parametrize("spare", [1, 8, 32, 127])
def test_one_matrix_serves_every_shorter_block(spare: int) -> None:
    """The matrix for fewer data shards is the end of the longest one."""
    longest = galois.parity(255 - spare, spare)
    for need in (1, 2, 60, 128 - spare // 2):
        assert np.array_equal(galois.parity(need, spare), longest[:, 255 - spare - need :])


@pytest.mark.parametrize("seed", range(20))
def test_inverse_times_matrix_is_the_identity(seed: int) -> None:
    """For square parts of parity matrices, all of which have an inverse."""
    dice = np.random.default_rng(seed)
    size = int(dice.integers(1, 20))
    part = galois.parity(100, 40)[np.sort(dice.choice(40, size, replace=False))][
        :, dice.choice(100, size, replace=False)
    ]
    assert np.array_equal(galois.multiply(galois.invert(part), part), np.eye(size, dtype=np.uint8))


def test_singular_matrix_and_impossible_geometry_are_refused() -> None:
    """No silent nonsense for what the code does not have."""
    with pytest.raises(ValueError, match="singular"):
        galois.invert(np.ones((2, 2), np.uint8))
    for need, spare in ((0, 3), (250, 6), (-1, 1)):
        with pytest.raises(ValueError, match="255 is the most"):
            galois.parity(need, spare)


# ---- spares


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(("need", "spare"), GEOMETRIES)
def test_spares_are_reedsolos_byte_for_byte(name: str, need: int, spare: int) -> None:
    """Column by column, whatever the engine."""
    data = shards(need, 9, need + spare)
    assert np.array_equal(spares(Code(name), data, spare), Reference().spares(data, spare))


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 127), st.integers(1, 127), st.integers(1, 6), st.integers(0, 2**32))
def test_any_geometry_gives_reedsolos_spares(need: int, spare: int, width: int, seed: int) -> None:
    """The same for geometries nobody thought of."""
    data = shards(need, width, seed)
    expected = Reference().spares(data, spare)
    for name in ENGINES:
        assert np.array_equal(spares(Code(name), data, spare), expected)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 127), st.integers(1, 128), st.integers(1, 1500), st.integers(0, 2**32))
def test_engines_agree_at_every_width(need: int, spare: int, width: int, seed: int) -> None:
    """numpy's bytes are ISA-L's, at every width that a shard can have."""
    data = shards(need, width, seed)
    assert np.array_equal(spares(Code("numpy"), data, spare), spares(Code("isal"), data, spare))


@pytest.mark.parametrize("name", ENGINES)
def test_no_spares_and_odd_layouts_are_served(name: str) -> None:
    """Nothing asked gives nothing; rows that are not contiguous or not writable are read all the same."""
    code = Code(name)
    data = shards(10, 40, 1)
    assert spares(code, data, 0).shape == (0, 40)
    striped = np.repeat(data, 2, axis=1)[:, ::2]
    frozen = np.frombuffer(data.tobytes(), np.uint8).reshape(10, 40)
    assert np.array_equal(spares(code, striped, 4), spares(code, frozen, 4))


# ---- blocks


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(st.binary(min_size=1, max_size=900), st.integers(1, 40), st.integers(0, 20), st.randoms(use_true_random=False))
def test_any_block_survives_any_loss_its_spares_cover(block: bytes, need: int, spare: int, dice: random.Random) -> None:
    """Cut, lose any `spare` shards, repair, join: the block, to the byte."""
    need = min(need, len(block))
    for name in ENGINES:
        code = Code(name)
        rows = code.rows(block, need, spare)
        assert np.array_equal(rows[:need], code.rows(block, need, 0))
        left = dice.sample(range(need + spare), need)
        got = repair(code, {index: rows[index].tobytes() for index in left}, need, spare)
        assert got.tobytes()[: len(block)] == block


@pytest.mark.parametrize("name", ENGINES)
def test_every_pattern_of_loss_of_a_small_block_is_repaired(name: str) -> None:
    """All 210 ways to lose 4 of 10 shards, what was lost being filled with rubbish."""
    code = Code(name)
    rows = code.rows(bytes(range(1, 100)), 6, 4)
    for lost in combinations(range(10), 4):
        broken = rows.copy()
        broken[list(lost)] = 0xEE
        code.restore(broken, mask([at for at in range(10) if at not in lost]), 6)
        assert np.array_equal(broken[:6], rows[:6]), lost


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(("need", "spare"), [(64, 8), (64, 20), (127, 127), (127, 128), (1, 6)])
def test_block_survives_loss_of_as_many_shards_as_it_has_spares(name: str, need: int, spare: int) -> None:
    """The worst case, all from the data, and twenty random ones (seed 5)."""
    code, dice = Code(name), random.Random(5)
    rows = np.concatenate([shards(need, 33, 1), np.zeros((spare, 33), np.uint8)])
    rows[need:] = spares(code, rows[:need], spare)
    worst = list(range(min(need, spare)))
    for lost in [worst, *(dice.sample(range(need + spare), spare) for _ in range(20))]:
        broken = rows.copy()
        broken[lost] = 0
        code.restore(broken, mask([at for at in range(need + spare) if at not in lost]), need)
        assert np.array_equal(broken[:need], rows[:need]), lost


@pytest.mark.parametrize(("need", "spare"), [(1, 4), (10, 4), (64, 8)])
def test_reedsolo_repairs_what_the_engine_made(need: int, spare: int) -> None:
    """The oracle takes our shards for its own, and gives the same data back."""
    rows = Code().rows(shards(need, 5, 2).tobytes(), need, spare)
    left = random.Random(3).sample(range(need + spare), need)
    held = {index: rows[index].tobytes() for index in left}
    assert np.array_equal(Reference().repair(held, need, spare), rows[:need])
    assert np.array_equal(repair(Code(), held, need, spare), rows[:need])


@pytest.mark.parametrize("name", ENGINES)
def test_too_few_shards_are_refused_and_nothing_is_made_up(name: str) -> None:
    """One shard fewer than `need` is an error, not a guess."""
    code = Code(name)
    rows = code.rows(b"some bytes of a block", 5, 3)
    with pytest.raises(ValueError, match="2 shards are lost and 1 spares are there"):
        code.restore(rows.copy(), mask([0, 1, 2, 5]), 5)
    with pytest.raises(ValueError, match="shards are lost"):
        repair(code, {}, 5, 3)
    for wrong in ({8: b"12345"}, {-1: b"12345"}, {0: b"12345", 1: b"1234"}):
        with pytest.raises(ValueError, match="shard"):
            repair(code, wrong, 5, 3)


def test_whole_data_needs_no_spares() -> None:
    """Where all data shards are there nothing is computed, even without spares."""
    code = Code("numpy")
    rows = code.rows(b"abcdef", 3, 0)
    code.restore(rows, 0b111, 3)
    assert rows.tobytes()[:6] == b"abcdef"


def test_memory_for_loss_patterns_is_bounded() -> None:
    """Thousands of different patterns keep no more than KEPT_BYTES, and the code still repairs."""
    code, dice = Code("numpy"), random.Random(9)
    rows = code.rows(shards(64, 8, 4).tobytes(), 64, 10)
    for _ in range(300):
        lost = dice.sample(range(74), 10)
        broken = rows.copy()
        broken[lost] = 1
        code.restore(broken, mask([at for at in range(74) if at not in lost]), 64)
        assert np.array_equal(broken[:64], rows[:64])
    assert sum(product.nbytes for product in code._kept.values()) == code._kept_bytes <= KEPT_BYTES
    assert len(code._kept) < 300


# ---- engines


def forget() -> None:
    """Let the engines be looked for anew."""
    engines.engine.cache_clear()
    engines._find_isal.cache_clear()


class Wrong(PackedTables):
    """An engine that errs where it is told to."""

    def __init__(self, row: int, column: int) -> None:
        self.row, self.column = row, column

    def prepare(self, matrix: Array, sources: Array, targets: Array) -> Product:
        """One member of the matrix is another, if the matrix has that member."""
        matrix = matrix.copy()
        if self.row < matrix.shape[0] and self.column < matrix.shape[1]:
            matrix[self.row, self.column] ^= 1
        return super().prepare(matrix, sources, targets)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 2), (8, 6), (2, 63)])
def test_engine_that_errs_in_one_place_fails_its_test(row: int, column: int) -> None:
    """The self-test can fail: one wrong coefficient, even in a large matrix only, is found."""
    assert engines.works(PackedTables())
    assert not engines.works(Wrong(row, column))


def test_code_falls_back_to_numpy_where_isal_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that multiplies in another field is not used, nor one that is not there."""
    monkeypatch.setattr(engines, "works", lambda candidate: candidate.name != "isal")
    forget()
    try:
        assert Code().name == "numpy"
        with pytest.raises(ConfigError) as refused:
            Code("isal")
        assert "checkvalve[fast]" in refused.value.hint
    finally:
        monkeypatch.undo()
        forget()


def test_fastest_engine_is_taken_and_unknown_ones_are_refused() -> None:
    """Without a name, ISA-L where it is; a name that is none says which there are."""
    assert Code().name == "isal"
    with pytest.raises(ConfigError) as refused:
        Code("zfec")
    assert "isal, numpy" in refused.value.hint


class WrongOnce(PackedTables):
    """An engine that multiplies one pair of bytes as no field does, where it stands at its place alone."""

    def __init__(self, left: int, right: int) -> None:
        self.pair = left, right

    def prepare(self, matrix: Array, sources: Array, targets: Array) -> Product:
        """Its tables have one byte changed."""
        changed = galois.PRODUCT.copy()
        changed[self.pair] ^= 1
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(galois, "PRODUCT", changed)
            return super().prepare(matrix, sources, targets)


@pytest.mark.parametrize("pair", [(0, 0), (0, 255), (1, 1), (200, 17), (17, 200), (128, 2), (255, 255)])
def test_engine_that_errs_for_one_pair_of_bytes_fails_its_test(pair: tuple[int, int]) -> None:
    """All 65,536 products are compared, by the call that is used afterwards: any one that is changed is noticed."""
    assert not engines.works(WrongOnce(*pair))


def test_isal_of_another_field_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library in use passes; a table that differs from it in one product is noticed."""
    used = engines.engine("isal")
    assert isinstance(used, engines.Isal)
    assert engines.works(used)
    changed = galois.PRODUCT.copy()
    changed[200, 17] ^= 1
    monkeypatch.setattr(galois, "PRODUCT", changed)
    assert not engines.works(used)


# ---- how many spares


@pytest.mark.parametrize(
    ("need", "expected"),
    [(1, (2, 3, 4, 6)), (16, (2, 4, 7, 12)), (32, (3, 4, 8, 15)), (64, (3, 5, 10, 20)), (127, (4, 6, 13, 28))],
)
def test_spares_follow_the_binomial(need: int, expected: tuple[int, ...]) -> None:
    """For 0.01, 0.1, 1 and 5 % of loss, as worked out beforehand."""
    assert tuple(spares_for(need, loss) for loss in (0.0001, 0.001, 0.01, 0.05)) == expected


@pytest.mark.parametrize("loss", [0.001, 0.01, 0.05, 0.2])
def test_one_spare_fewer_would_miss_the_target(loss: float) -> None:
    """The number is enough, and the least that is; checked by adding up what does *not* fail."""
    for need in range(1, 128):
        spare = spares_for(need, loss)

        def failure(spare: int, need: int = need) -> float:
            total = need + spare
            return sum(
                comb(total, lost) * loss**lost * (1 - loss) ** (total - lost) for lost in range(spare + 1, total + 1)
            )

        assert failure(spare) < BLOCK_FAILURE or spare == 127
        assert failure(spare - 1) >= BLOCK_FAILURE


def test_spares_stay_within_the_code() -> None:
    """No loss needs no spares; a hopeless one gets as many as the code has room for."""
    assert spares_for(64, 0.0) == 0
    assert spares_for(127, 0.9) == 127
    assert spares_for(200, 0.9) == 55
