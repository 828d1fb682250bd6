"""Made backbones have the bonds and angles of peptides, touch nowhere, and are compact."""

import numpy as np
import pytest

from reedbench.core.errors import ConfigError
from reedbench.domains import made_backbones
from reedbench.domains.made_backbones import HELIX, LOOP, STRAND, clashes, make, plan

N, CA, C, O = range(4)  # noqa: E741


def torsion(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """IUPAC sign, degrees."""
    normal, other = np.cross(b - a, c - b), np.cross(c - b, d - c)
    axis = (c - b) / np.linalg.norm(c - b, axis=-1, keepdims=True)
    return np.degrees(np.arctan2((np.cross(normal, other) * axis).sum(-1), (normal * other).sum(-1)))


def angle(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    one, other = a - b, c - b
    norms = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return np.degrees(np.arccos((one * other).sum(-1) / norms))


@pytest.fixture(scope="module")
def chains() -> list[np.ndarray]:
    return [make(40 + i, 6.0, np.random.default_rng(i)).astype(float) for i in range(20)]


def test_bond_lengths_are_those_of_peptides(chains):
    for x in chains:
        for one, other, length in (
            (x[:, N], x[:, CA], 1.458),
            (x[:, CA], x[:, C], 1.525),
            (x[:, C], x[:, O], 1.231),
            (x[:-1, C], x[1:, N], 1.329),
        ):
            np.testing.assert_allclose(np.linalg.norm(one - other, axis=-1), length, atol=2e-3)  # 1e-3 per coordinate


def test_bond_angles_are_those_of_peptides(chains):
    for x in chains:
        before, after = x[:-1], x[1:]
        for atoms, degrees in (
            ((x[:, N], x[:, CA], x[:, C]), 111.2),
            ((x[:, CA], x[:, C], x[:, O]), 120.8),
            ((before[:, CA], before[:, C], after[:, N]), 116.2),
            ((before[:, C], after[:, N], after[:, CA]), 121.7),
        ):
            np.testing.assert_allclose(angle(*atoms), degrees, atol=0.15)


def test_peptides_are_trans_and_oxygen_lies_in_their_plane(chains):
    for x in chains:
        before, after = x[:-1], x[1:]
        omega = torsion(before[:, CA], before[:, C], after[:, N], after[:, CA])
        assert np.abs(omega).min() > 160
        improper = torsion(before[:, CA], after[:, N], before[:, C], before[:, O])
        np.testing.assert_allclose(np.abs(improper), 180, atol=0.3)


def test_torsions_stay_in_the_regions_that_they_were_drawn_from(chains):
    """Phi is mostly negative; in a mirrored chain it would be mostly positive."""
    phi = np.concatenate([torsion(x[:-1, C], x[1:, N], x[1:, CA], x[1:, C]) for x in chains])
    assert 0.75 < np.mean(phi < 0) < 0.99
    psi = np.concatenate([torsion(x[:-1, N], x[:-1, CA], x[:-1, C], x[1:, N]) for x in chains])
    helical = np.mean(np.abs(psi + 43) < 20)
    extended = np.mean(np.abs(psi - 135) < 35)
    assert helical > 0.3
    assert extended > 0.3
    assert helical + extended > 0.8


def test_nothing_clashes(chains):
    for x in chains:
        number = np.arange(len(x))
        apart = np.abs(number[:, None] - number)
        ca = np.linalg.norm(x[:, None, CA] - x[None, :, CA], axis=-1)
        assert ca[apart >= 2].min() > 3.8 - 4e-3
        every = np.linalg.norm(x[:, None, :, None] - x[None, :, None, :], axis=-1).min(axis=(2, 3))
        assert every[apart >= 3].min() > 2.8 - 4e-3


def test_chains_are_more_compact_than_coils_and_no_denser_than_proteins(chains):
    """Folded: 2.2 L^0.38 (Kuszewski et al. 1999, as in Xplor-NIH); coil: 1.927 L^0.598 (Kohn et al. 2004, PNAS 101)."""
    length = np.array([len(x) for x in chains])
    radius = np.array([np.sqrt(((x[:, CA] - x[:, CA].mean(axis=0)) ** 2).sum(-1).mean()) for x in chains])
    assert np.median(radius / (1.927 * length**0.598)) < 0.75
    assert (radius / (2.2 * length**0.38)).min() > 0.85


def test_chains_are_centred_and_have_the_precision_of_a_pdb_file():
    x = make(45, 6.0, np.random.default_rng(0))
    assert x.shape == (45, 4, 3)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[:, CA].mean(axis=0), 0, atol=1e-3)
    np.testing.assert_array_equal(x, np.round(x.astype(float), 3).astype(np.float32))


def test_a_stream_gives_the_same_bytes_and_another_one_others():
    one, again, other = (make(40, 6.0, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert one.tobytes() == again.tobytes()
    assert one.tobytes() != other.tobytes()


def test_a_plan_has_as_many_residues_as_are_wanted_and_loops_between_elements():
    for seed in range(50):
        pieces = list(plan(50, np.random.default_rng(seed)))
        assert sum(map(len, pieces)) == 50
        for kinds in pieces[:-1]:
            changes = np.flatnonzero(np.diff(kinds))
            assert len(changes) == 1
            assert 2 <= changes[0] + 1 <= 5
            assert set(kinds[: changes[0] + 1].tolist()) == {LOOP}
            assert (kinds[-1], 8 <= len(kinds) - changes[0] - 1 <= 14) == (HELIX, True) or kinds[-1] == STRAND


def test_a_piece_that_touches_itself_or_the_chain_clashes(chains):
    x = chains[0]
    assert not clashes(x[20:], x[:20])
    on_top = x[20:] - x[30, CA] + x[5, CA] + 1.0
    assert clashes(on_top, x[:20])
    knotted = x.copy()
    knotted[35] = x[25] + 0.5
    assert clashes(knotted[20:], x[:20])


def test_an_oxygen_that_comes_near_is_a_clash_where_alpha_carbons_are_far(chains):
    x = chains[0].copy()
    x[30, O] = x[10, O] + [0, 0, 2.7]
    assert clashes(x[20:], x[:20])


def test_too_much_noise_is_refused_with_the_reason(monkeypatch):
    monkeypatch.setattr(made_backbones, "ATTEMPTS", 2)
    monkeypatch.setattr(made_backbones, "CANDIDATES", 1)
    with pytest.raises(ConfigError, match=r"no backbone of 100 residues without clashes in 2 attempts at noise 20"):
        make(100, 20.0, np.random.default_rng(0))
