"""Every key that a plugin, weights or a number cite has an entry, none is idle, and whoever cites nothing says why."""

import contextlib
import csv
import re
from pathlib import Path

import pytest

from reedbench.core import plugins
from reedbench.core.errors import ConfigError
from reedbench.objectives import _card
from reedbench.report import bibliography
from reedbench.report.bibliography import Entry
from reedbench.schema import suite

REPOSITORY = Path(__file__).parents[2]
OWN = [(kind, name, one) for kind in plugins.KINDS for name, one in plugins.discover(kind).items() if one.code is None]

GOOD = "@article{a2020b,\n  title = {T},\n  author = {Ada, B. and Cy, D.},\n  year = {2020},\n  doi = {10.1/x},\n}\n"


def cited() -> set[str]:
    """By the plugins of the package, under whatever settings, by what its configuration names, and by numbers."""
    by_settings = {_card.REPA, _card.REED, _card.IREPA, _card.HASTE}
    with contextlib.chdir(REPOSITORY):
        shipped = suite.load()
    weights = {key for one in shipped.weights.values() for key in one.cites}
    papers = {key for one in shipped.benchmarks.values() for key in one.dataset.papers}
    return {key for _, _, one in OWN for key in one.cites} | by_settings | weights | papers | sources()


def sources() -> set[str]:
    """Of the papers' numbers."""
    files = (REPOSITORY / "config/reference").glob("*.csv")
    return {row["source"] for file in files for row in csv.DictReader(file.read_text().splitlines())}


@pytest.mark.parametrize(("kind", "name", "plugin"), OWN, ids=[f"{kind}-{name}" for kind, name, _ in OWN])
def test_a_plugin_cites_something_or_says_why_not(kind, name, plugin):
    assert plugin.cites or plugin.uncited, f"{kind}/{name}: say whom it `cites`, or why it is `uncited`"


def test_weights_that_are_shipped_have_keys_beside_words():
    with contextlib.chdir(REPOSITORY):
        assert [name for name, one in suite.load().weights.items() if not one.cites] == []


def test_data_in_a_layout_of_anybodys_are_named_by_every_shipped_benchmark():
    with contextlib.chdir(REPOSITORY):
        benchmarks = suite.load().benchmarks
    layouts = {name: one.dataset for name, one in benchmarks.items() if "`papers`" in one.dataset.uncited}
    assert layouts, "no benchmark reads such a layout any more: this test is idle"
    assert [name for name, dataset in layouts.items() if not dataset.papers] == []


def test_every_key_has_an_entry_and_none_is_unused():
    keys = {entry.key for entry in bibliography.read(bibliography.OWN)}
    assert cited() - keys == set(), "add these to reedbench/report/bibliography.bib"
    assert keys - cited() == set(), "nothing cites these entries of reedbench/report/bibliography.bib"


def test_every_entry_says_where_the_paper_is():
    assert all(entry.where and entry.link.startswith("https://") for entry in bibliography.read(bibliography.OWN))


def test_entries_are_bibtex():
    """By its grammar: braces are balanced, fields are set once, and years and addresses are what they must be."""
    for entry in bibliography.read(bibliography.OWN):
        body = re.sub(r"\\\\.", "", entry.text)
        assert body.count("{") == body.count("}"), entry.key
        names = [name for name, _ in bibliography._FIELD.findall(entry.text)]
        assert len(names) == len(set(names)) == len(entry.text.splitlines()) - 2, entry.key
        assert re.fullmatch(r"(19|20)\d\d", entry.fields["year"]), entry.key
        assert re.fullmatch(r"\d{4}\.\d{4,5}", entry.fields.get("eprint", "1234.5678")), entry.key
        assert re.fullmatch(r"10\.\d{4,}/\S+", entry.fields.get("doi", "10.1234/x")), entry.key
        assert entry.text.isascii(), f"{entry.key}: write accents as BibTeX does"


def test_no_paper_has_two_entries():
    places = [entry.where for entry in bibliography.read(bibliography.OWN)]
    titles = [entry.fields["title"].lower() for entry in bibliography.read(bibliography.OWN)]
    assert len(set(places)) == len(places)
    assert len(set(titles)) == len(titles)


def test_a_doi_with_odd_signs_is_an_address():
    entry = bibliography.entries()["halgren1996mmff94"]
    assert entry.link.endswith("17%3A5/6%3C490%3A%3AAID-JCC1%3E3.0.CO%3B2-P")


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
