"""Real molecules of QM9: their graphs and coordinates, and the splits of two references.

References: E(n) diffusion fce07d7 (split, and the order of its test file), MiDi (split), specs/molecule.md 1.6 and Q19.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from reedbench.core import io
from reedbench.datasets import _qm9_files
from reedbench.datasets.molecules_npz import MoleculesNpz
from reedbench.domains.rows import TEST

DATA = Path(os.environ.get("REEDBENCH_DATA", Path(__file__).parents[2] / "../shared/data")) / "qm9_test.npz"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not there (REEDBENCH_DATA)")


@pytest.fixture(scope="module")
def gdb() -> np.ndarray:
    """Indices, from 0, of EDM's 13,083 test molecules in QM9."""
    return io.read_npz(DATA, ["gdb_index"])["gdb_index"].astype(np.int64) - 1


def test_the_real_molecules_have_the_graphs_and_the_spread_that_are_known():
    pytest.importorskip("rdkit")
    everything = {"graphs": "any", "fragments": "any", "properties": (), "test_share": 0, "valid_share": 0}
    dataset = MoleculesNpz(file=str(DATA), bonds="distances", **everything)
    made = dataset.rows()
    told = dataset.measured(made)
    assert told["left_out"] == {}
    assert told["elements"] == {"H": 120_847, "C": 83_118, "N": 13_297, "O": 18_289, "F": 332}
    assert (min(map(int, told["sizes"])), max(map(int, told["sizes"]))) == (7, 29)
    assert told["std"]["centred"] == pytest.approx(1.3989, abs=5e-4)
    assert told["std"]["uncentred"] == pytest.approx(1.7221, abs=5e-4)
    sanitised = np.flatnonzero(made.arrays["smiles"].lengths)
    assert len(sanitised) == 12_787
    assert not any("." in smiles for smiles in made.arrays["smiles"][sanitised].strings())  # one fragment each
    bonds = made.arrays["bonds"][sanitised].values[:, 2]
    assert np.bincount(bonds).tolist() == [0, 217_011, 9_187, 3_429, 9_910]


def test_edms_test_split_is_that_of_its_published_file(gdb):
    """The list of what it excludes is not at hand: one that fits the file is, and the permutation does the rest."""
    places = np.sort(np.random.RandomState(0).permutation(130_831)[100_000 + 17_748 :])
    before = gdb - places  # excluded molecules below each
    assert len(places) == len(gdb) == 13_083
    assert (before[0], before[-1]) == (0, 3044)
    assert (np.diff(before) >= 0).all()
    gaps = zip([-1, *gdb.tolist()], gdb.tolist(), np.diff(before, prepend=0).tolist(), strict=False)
    excluded = [index for low, high, count in gaps for index in range(low + 1, high)[:count]]
    excluded += range(133_885 - 10, 133_885)
    assert len(excluded) == _qm9_files.UNCHARACTERISED
    splits = _qm9_files.edm_split(excluded)
    assert [index for index, split in enumerate(splits) if split == TEST] == gdb.tolist()
    assert {split: splits.count(split) for split in set(splits)} == {
        "train": 100_000, "valid": 17_748, "test": 13_083, "": 3_054
    }  # fmt: skip


def test_midis_split_is_pandas_and_trains_on_much_of_edms_test_split(gdb):
    pandas = pytest.importorskip("pandas")
    splits = np.array(_qm9_files.midi_split([5, 7]))
    order = pandas.DataFrame({"row": range(133_885)}).sample(frac=1, random_state=42)["row"].to_numpy()
    assert splits[[5, 7]].tolist() == ["", ""]
    kept = order[~np.isin(order, [5, 7])]
    for split, part in (("train", order[:100_000]), ("valid", order[100_000:120_497]), ("test", order[120_497:])):
        assert set(splits[part[np.isin(part, kept)]]) == {split}
    whole = np.array(_qm9_files.midi_split([]))
    assert [(whole == split).sum() for split in ("train", "valid", "test")] == [100_000, 20_497, 13_388]
    assert (whole[gdb] == "train").sum() == 9_770
