"""Every number of the first reading of the papers (papers_reference.csv, one row per result) is in config/reference."""

import csv
import re
from pathlib import Path

import pytest

from reedbench.report import published
from reedbench.schema.published_row import Published

HERE = Path(__file__).parent
READ = list(csv.DictReader((HERE / "papers_reference.csv").read_text(encoding="utf-8").splitlines()))
METRICS = {
    "fid": "fid",
    "sfid": "sfid",
    "is": "inception-score",
    "prec": "precision",
    "rec": "recall",
    "lin_acc": "linear-probe",
    "cmmd": "cmmd",
    "KDD": "kdd",
    "seq_recovery_pct": "recovery",
    "atom_stab": "atom-stability",
    "mol_stab": "molecule-stability",
    "connected_validity": "connected-validity",
    "bond_angle": "bond-angle-distance",
    "dihedral": "dihedral-distance",
    "xtb_bond_len_err": "bond-length-error",
    "bond_angle_err": "bond-angle-error",
    "dihedral_err": "dihedral-error",
    "median_dE_relax_kcal": "relaxation-energy-median",
    "mean_dE_relax_kcal": "relaxation-energy-mean",
}
# The first reading took two rows of REPI alone for REPA+REPI (arXiv:2609.35292, Table 2).
MISREAD = {("REPA+REPI", "SiT-B/2"): "REPI", ("REPA+REPI", "SiT-L/2"): "REPI"}
# A number without a source is no row here.
UNSOURCED = "re-run reported by a third party (exact source not recorded)"


@pytest.fixture(scope="module")
def rows() -> tuple[Published, ...]:
    return published.load(HERE.parents[1] / "config/reference")


def numbers(row: dict[str, str]) -> dict[str, float]:
    """What a row says, by our names of metrics."""
    given = {name: row[name] for name in ("fid", "sfid", "is", "prec", "rec")}
    given |= dict(re.findall(r"(\w+)[= ]([\d.]+)", row["extra"]))
    return {METRICS[name]: float(text) for name, text in given.items() if text and name in METRICS}


def scale(text: str) -> str:
    if text in ("", "none"):
        return text
    found = re.match(r"cfg([\d.]+)", text)
    return f"{float(found[1]):g}" if found else "guided"


def is_of(one: Published, row: dict[str, str]) -> bool:
    """Whether a number of ours is of a row of the first reading; the metric and the value are not looked at."""
    method = MISREAD.get((row["method"], row["backbone"]), row["method"])
    steps = round(float(row["iters_k"]) * 1000) if row["iters_k"] else None
    data = {"protein": "pdb", "molecule": "geom-drugs"}.get(row["task"], f"imagenet-{row['res']}")
    same = (one.domain, one.data, one.method, one.steps) == (row["task"], data, method, steps)
    same &= row["task"] != "image" or row["backbone"].startswith(one.backbone)
    same &= steps is not None or str(one.epochs or "") == row["epochs"]
    drawn = re.fullmatch(r"(\d+) steps", row["sampler"])
    same &= drawn is None or one.sampler_steps == int(drawn[1])
    return same and one.guidance == scale(row["guidance"])


@pytest.mark.parametrize("row", READ, ids=lambda row: f"{row['method']}-{row['source'][:24]}-{row['fid']}")
def test_its_numbers_are_here(row, rows):
    known = {(one.metric, one.value) for one in rows if is_of(one, row)}
    found = numbers(row)
    assert found, "a row of the first reading has a number"
    if row["source"] == UNSOURCED:
        assert not known & set(found.items())
    else:
        assert set(found.items()) - known == set()


def test_the_first_reading_is_whole():
    assert len(READ) == 241
    assert sum(row["source"] == UNSOURCED for row in READ) == 1
    assert sum(len(numbers(row)) for row in READ) > 500


@pytest.mark.parametrize(
    ("asked", "value"),
    [
        ({"method": "REED", "steps": 300_000, "metric": "fid"}, 8.2),
        ({"method": "REPA", "steps": 4_000_000, "metric": "fid", "guidance": "1.8", "interval": "0,0.7"}, 1.42),
        ({"method": "DiT", "metric": "fid", "backbone": "DiT-XL/2", "setting": "code=pytorch"}, 18.1),
        ({"method": "SiT", "metric": "fid", "setting": "encoder=none"}, 18.8),
        ({"method": "SiT", "metric": "fid", "steps": 7_000_000, "source": "haghighi2025layersync"}, 8.99),
        ({"method": "SiT", "metric": "fid", "steps": 7_000_000, "source": "ghosh2026forcing"}, 8.61),
        ({"method": "RAEv2", "metric": "ep-fid@2"}, 35),
        ({"method": "RAE", "metric": "ep-fid@2"}, 177),
        ({"method": "REED", "metric": "speed-up", "setting": "against=SiT"}, 23.3),
    ],
)  # fmt: skip
def test_what_the_first_reading_lacked_is_here_too(asked, value, rows):
    found = {one.value for one in rows if all(getattr(one, name) == key for name, key in asked.items())}
    assert found == {value}
