"""Sidecars say what a file was made from, and `verify` walks them back to the first file that changed."""

from pathlib import Path

import pytest

from reedbench.core import io, provenance
from reedbench.core.errors import MissingArtefact
from reedbench.core.provenance import Made, Recorder


def record(verb: str, made: Made) -> None:
    Recorder(verb, 2, {"a": 1}, ["reedbench", "step", verb]).record(made)


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """raw -> (first) middle -> (second) final, the final one a folder."""
    monkeypatch.chdir(tmp_path)
    Path("raw").write_text("raw")
    Path("middle").write_text("middle")
    record("first", Made(["middle"], ["raw"]))
    Path("final").mkdir()
    Path("final/x").write_text("final")
    record("second", Made(["final"], ["middle"]))
    return ["raw", "middle", "final"]


def test_every_output_gets_a_sidecar_with_the_digests_of_the_inputs(tmp_path):
    files = [str(tmp_path / name) for name in ("in", "one", "two")]
    for file in files:
        Path(file).write_text(file)
    record("make", Made(files[1:], files[:1], flops=5.0, notes={"n": 1}))
    for file in files[1:]:
        body = provenance.read(file)
        assert body["inputs"] == {files[0]: io.sha256(files[0])}
        assert body["sha256"] == io.sha256(file)
        assert body["file"] == Path(file).name
        assert (body["step"], body["version"], body["flops"], body["notes"]) == ("make", 2, 5.0, {"n": 1})
        assert body["settings"] == io.digest_of({"a": 1})
        assert body["command"] == ["reedbench", "step", "make"]
        assert body["packages"]["numpy"]


def test_the_costs_of_a_job_with_several_outputs_are_counted_once(tmp_path):
    files = [str(tmp_path / name) for name in ("one", "two", "three")]
    for file in files:
        Path(file).touch()
    record("make", Made(files, device_seconds=7.0))
    assert "cost_of" not in provenance.read(files[0])
    assert [provenance.read(file)["cost_of"] for file in files[1:]] == [files[0]] * 2
    assert provenance.total(provenance.costs(tmp_path), "device_seconds") == 7.0


def test_the_record_of_a_cache_is_no_job_and_has_no_cost(tmp_path):
    (tmp_path / "out").touch()
    record("make", Made([str(tmp_path / "out")]))
    io.write_json(tmp_path / "cache.prov.json", {"benchmark": "b", "inputs": {}})
    assert [job["step"] for job in provenance.costs(tmp_path)] == ["make"]


def test_a_cost_that_was_not_measured_adds_nothing():
    assert provenance.total([{"flops": None}, {}, {"flops": 2.0}], "flops") == 2.0


def test_an_untouched_chain_verifies_back_to_its_source(chain):
    lines = ["final: second v2, 1 inputs", "middle: first v2, 1 inputs", "raw: source"]
    assert list(provenance.verify("final")) == lines


@pytest.mark.parametrize(
    ("edited", "message"),
    [
        ("raw", "raw: changed since middle read it"),
        ("middle", "middle: changed since final read it"),
        ("final/x", "final: not the file that step second wrote"),
    ],
)
def test_verify_names_the_file_that_was_edited(chain, edited, message):
    Path(edited).write_text("edited")
    with pytest.raises(MissingArtefact) as caught:
        list(provenance.verify("final"))
    assert str(caught.value).startswith(message)


def test_verify_notices_an_input_that_was_made_again_with_another_result(chain):
    Path("middle").write_text("other")
    record("first", Made(["middle"], ["raw"]))
    assert len(list(provenance.verify("middle"))) == 2
    with pytest.raises(MissingArtefact, match="middle: changed since final read it"):
        list(provenance.verify("final"))


def test_verify_names_an_input_that_is_gone(chain):
    Path("raw").unlink()
    with pytest.raises(MissingArtefact, match="raw: no such file"):
        list(provenance.verify("final"))


def test_a_file_read_by_two_steps_is_checked_against_both(chain):
    Path("side").write_text("side")
    Path("raw").write_text("newer")
    record("third", Made(["side"], ["middle", "raw"]))
    with pytest.raises(MissingArtefact, match="raw: changed since middle read it"):
        list(provenance.verify("side"))


@pytest.mark.parametrize("look", [provenance.read, lambda path: list(provenance.verify(path))])
def test_a_file_without_a_sidecar_is_named_with_the_sidecar_it_lacks(chain, look):
    with pytest.raises(MissingArtefact, match=r"raw: has no provenance file raw\.prov\.json"):
        look("raw")


def test_a_sidecar_stands_beside_its_file_or_folder():
    assert provenance.sidecar("a/b.csv") == Path("a/b.csv.prov.json")
    assert provenance.sidecar("a/shards") == Path("a/shards.prov.json")
