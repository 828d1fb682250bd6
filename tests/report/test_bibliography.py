"""Every key that a method or a number cites has an entry, and no entry is idle."""

import csv
from pathlib import Path

import pytest

from reedbench.core import plugins
from reedbench.core.errors import ConfigError
from reedbench.objectives import _card
from reedbench.report import bibliography
from reedbench.report.bibliography import Entry

GOOD = "@article{a2020b,\n  title = {T},\n  author = {Ada, B. and Cy, D.},\n  year = {2020},\n  doi = {10.1/x},\n}\n"


def cited() -> set[str]:
    """By the objectives of the package, under whatever settings, and by the papers' numbers."""
    own = [one for one in plugins.discover("objectives").values() if one.code is None]
    by_settings = {_card.REPA, _card.REED, _card.IREPA, _card.HASTE}
    return {key for one in own for key in one.general().cites} | by_settings | sources()


def sources() -> set[str]:
    files = (Path(__file__).parents[2] / "config/reference").glob("*.csv")
    return {row["source"] for file in files for row in csv.DictReader(file.read_text().splitlines())}


def test_every_key_has_an_entry_and_none_is_unused():
    keys = {entry.key for entry in bibliography.read(bibliography.OWN)}
    assert cited() - keys == set(), "add these to reedbench/report/bibliography.bib"
    assert keys - cited() == set(), "nothing cites these entries of reedbench/report/bibliography.bib"


def test_every_entry_says_where_the_paper_is():
    assert all(entry.where and entry.link.startswith("https://") for entry in bibliography.read(bibliography.OWN))


def test_the_file_has_no_key_twice():
    keys = [entry.key for entry in bibliography.read(bibliography.OWN)]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("author", "short"),
    [
        ("Yu, Sihyun and Kwak, Sangkyung and Xie, Saining", "Yu et al. 2025, arXiv:1.2"),
        ("Ada, B. and Cy, D.", "Ada and Cy 2025, arXiv:1.2"),
        ("Dauparas, Justas and others", "Dauparas et al. 2025, arXiv:1.2"),
        ("Ada Lovelace", "Lovelace 2025, arXiv:1.2"),
    ],
)
def test_a_paper_has_a_short_name(author, short):
    text = f"@misc{{k,\n  title = {{T}},\n  author = {{{author}}},\n  year = {{2025}},\n  eprint = {{1.2}},\n}}"
    assert Entry("k", text).short == short


def test_a_folder_of_plugins_brings_its_own_entries(tmp_path, monkeypatch):
    (tmp_path / bibliography.FILE).write_text(GOOD)
    monkeypatch.setenv(plugins.VARIABLE, str(tmp_path))
    assert bibliography.entries()["a2020b"].link == "https://doi.org/10.1/x"
    assert bibliography.short(["a2020b", "nobody2021"]) == "Ada and Cy 2020, doi:10.1/x; nobody2021"
    assert bibliography.bibtex(["a2020b", "nobody2021"]) == ([GOOD.strip()], ["nobody2021"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("\n}\n", " }\n"), "no BibTeX entry at '@article"),
        ("words\n" + GOOD, "no BibTeX entry at 'words'"),
        (GOOD.replace("  year = {2020},\n", ""), "a2020b lacks its year"),
        (GOOD.replace("a2020b", "ma2024sit"), "ma2024sit is defined twice, differently"),
    ],
)
def test_a_faulty_file_is_one_line(tmp_path, monkeypatch, text, words):
    (tmp_path / bibliography.FILE).write_text(text)
    monkeypatch.setenv(plugins.VARIABLE, str(tmp_path))
    with pytest.raises(ConfigError, match=words) as refused:
        bibliography.entries()
    assert str(tmp_path / bibliography.FILE) in str(refused.value)
    assert "\n" not in str(refused.value)
