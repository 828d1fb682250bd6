"""Sidecars say what a file was made from, and `verify` walks them back to the first file that changed."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from reedbench.core import io, paths, provenance
from reedbench.core.errors import MissingArtefact
from reedbench.core.provenance import Made, Recorder

GIT_STATE = provenance._git_state.__wrapped__  # taken here: a fixture puts another in its place
DIGEST = io.digest_of({"a": 1})
VERBS = ("b", "first", "make", "second", "tabulate", "third", "train")


def record(verb: str, made: Made) -> None:
    Recorder(verb, 2, {"a": 1}, ["reedbench", "step", verb]).record(made)


def fresh(file: str, digest: str) -> bool:
    """Whether the step that made a file of these tests (it is named after it, or is `make`) would change nothing."""
    return any(provenance.fresh(file, digest, ["reedbench", "step", verb]) for verb in VERBS)


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
    own = provenance.read(files[0])
    assert [provenance.cost(file) for file in files] == [own] * 3
    assert own["device_seconds"] == 7.0


def test_the_cost_of_an_artefact_without_a_sidecar_is_an_error(tmp_path):
    files = [str(tmp_path / name) for name in ("one", "two")]
    for file in files:
        Path(file).touch()
    record("make", Made(files))
    provenance.sidecar(files[0]).unlink()
    for file in files:
        with pytest.raises(MissingArtefact, match=r"one: has no provenance file one\.prov\.json; run its step again"):
            provenance.cost(file)


def test_costs_are_summed():
    assert provenance.total([{"flops": 0.0}, {"flops": 1}, {"flops": 2.5}], "flops") == 3.5
    assert provenance.total([], "flops") == 0.0


@pytest.mark.parametrize("unmeasured", [{}, {"flops": None}])
def test_a_cost_that_was_not_measured_is_an_error_that_names_the_file(unmeasured):
    records = [{"file": "a", "flops": 1.0}, {"file": "b", "command": ["reedbench", "step", "make"], **unmeasured}]
    with pytest.raises(MissingArtefact, match=r"^b: its provenance has no flops \(made by: reedbench step make\)"):
        provenance.total(records, "flops")


def test_a_sidecar_keeps_the_seeds_of_its_step(tmp_path):
    (tmp_path / "out").touch()
    record("make", Made([str(tmp_path / "out")], seeds=[3, 4]))
    assert provenance.read(tmp_path / "out")["seeds"] == [3, 4]
    record("make", Made([str(tmp_path / "out")]))
    assert provenance.read(tmp_path / "out")["seeds"] == []


@pytest.mark.parametrize(("variable", "threads"), [("3", 3), ("", None), ("2,1", None)])
def test_threads_are_those_of_the_environment_where_torch_is_not_loaded(monkeypatch, tmp_path, variable, threads):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    (tmp_path / "out").touch()
    record("make", Made([str(tmp_path / "out")]))
    assert provenance.read(tmp_path / "out")["threads"] == threads


def test_threads_are_those_of_torch_where_it_is_loaded(monkeypatch, tmp_path):
    cuda = SimpleNamespace(is_initialized=lambda: True, max_memory_allocated=lambda: 7 << 20)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(get_num_threads=lambda: 5, cuda=cuda))
    (tmp_path / "out").touch()
    record("make", Made([str(tmp_path / "out")]))
    assert provenance.read(tmp_path / "out")["threads"] == 5
    assert provenance.read(tmp_path / "out")["gpu_memory_mb"] == 7


def test_the_job_is_recorded_where_a_launcher_names_it(monkeypatch, tmp_path):
    (tmp_path / "out").touch()
    record("make", Made([str(tmp_path / "out")]))
    assert provenance.read(tmp_path / "out")["job"] is None
    monkeypatch.setenv(provenance.JOB_VARIABLE, '{"id": "17", "restarts": 1}')
    record("make", Made([str(tmp_path / "out")]))
    assert provenance.read(tmp_path / "out")["job"] == {"id": "17", "restarts": 1}


def test_an_artefact_made_under_these_settings_is_accepted_and_fresh(chain):
    for file in ("middle", "final"):
        provenance.require(file, DIGEST)
        assert fresh(file, DIGEST)


def test_an_artefact_made_under_other_settings_is_refused(chain):
    message = (
        f"middle: was made under other settings ({DIGEST}, the configuration says 0123456789ab); "
        "run its step again: snakemake -f middle"
    )
    with pytest.raises(MissingArtefact) as caught:
        provenance.require("middle", "0123456789ab")
    assert str(caught.value) == message
    assert not fresh("middle", "0123456789ab")


@pytest.mark.parametrize("edited", ["middle", "final/x"])
def test_an_artefact_that_was_edited_is_refused(chain, edited):
    Path(edited).write_text("edited")
    file = Path(edited).parts[0]
    with pytest.raises(MissingArtefact, match=f"^{file}: is not the file that its step wrote; .*snakemake -f {file}$"):
        provenance.require(file, DIGEST)
    assert not fresh(file, DIGEST)


def test_an_artefact_without_a_sidecar_is_refused(chain):
    provenance.sidecar("middle").unlink()
    with pytest.raises(
        MissingArtefact, match=r"^middle: has no provenance file middle\.prov\.json; run its step again$"
    ):
        provenance.require("middle", DIGEST)
    assert not fresh("middle", DIGEST)


def test_an_absent_artefact_is_refused(chain):
    Path("middle").unlink()
    with pytest.raises(MissingArtefact, match=r"^middle: no such file"):
        provenance.require("middle", DIGEST)
    assert not fresh("middle", DIGEST)


@pytest.mark.parametrize("content", ["{", "[]", '"text"', "{}", '{"settings": "a"}'])
def test_an_artefact_with_a_damaged_sidecar_is_not_fresh_and_says_so_in_one_line(chain, content):
    provenance.sidecar("middle").write_text(content)
    assert not fresh("middle", DIGEST)
    for ask in (lambda: provenance.require("middle", DIGEST), lambda: list(provenance.verify("middle"))):
        with pytest.raises(MissingArtefact, match=r"^middle\.prov\.json: "):
            ask()


def test_an_artefact_whose_input_changed_is_accepted_but_not_fresh(chain):
    Path("raw").write_text("newer")
    provenance.require("middle", DIGEST)
    assert not fresh("middle", DIGEST)


def test_an_artefact_whose_input_is_gone_is_accepted_but_not_fresh(chain):
    Path("raw").unlink()
    provenance.require("middle", DIGEST)
    assert not fresh("middle", DIGEST)


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


def test_verify_warns_once_per_step_that_other_code_has_run(chain, monkeypatch):
    monkeypatch.setattr(provenance, "_git_state", lambda: {"commit": "a" * 40, "dirty": False})
    record("first", Made(["middle"], ["raw"]))
    monkeypatch.setattr(provenance, "_git_state", lambda: {"commit": "b" * 40, "dirty": True})
    record("second", Made(["final"], ["middle"]))
    assert [line for line in provenance.verify("final") if line.startswith("warning")] == [
        "warning: step first ran with the code of aaaaaaa; here is bbbbbbb with edits: results may differ"
    ]
    monkeypatch.setattr(provenance, "_git_state", lambda: {"commit": None, "dirty": None})
    assert not [line for line in provenance.verify("final") if line.startswith("warning")]


def test_a_sidecar_says_under_which_numerics_it_was_made(tmp_path):
    file = tmp_path / "x"
    file.write_text("x")
    record("make", Made([str(file)]))
    found = provenance.read(file)["numerics"]
    assert found["device"] == "cpu"
    assert found["cpu"]
    record("make", Made([str(file)], numerics={"cpu": "elsewhere"}))
    assert provenance.read(file)["numerics"] == {"cpu": "elsewhere"}


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


CURVE = f"{paths.segment('b', 'sit', 0, 0)}/curve.csv"


@pytest.fixture
def segment(chain) -> str:
    """A folder made from `middle`; a table was made from one of its files."""
    folder = paths.segment("b", "sit", 0, 0)
    Path(folder).mkdir(parents=True)
    Path(CURVE).write_text("step\n")
    Path(folder, "weights").write_text("w")
    record("train", Made([folder], ["middle"]))
    Path("table").write_text("table")
    record("tabulate", Made(["table"], [CURVE]))
    return folder


@pytest.mark.parametrize("start", ["table", CURVE])
def test_a_file_of_a_recorded_folder_is_followed_through_the_folder(segment, start):
    lines = [
        "table: tabulate v2, 1 inputs",
        f"{CURVE}: part of {segment}",
        f"{segment}: train v2, 1 inputs",
        "middle: first v2, 1 inputs",
        "raw: source",
    ]
    assert list(provenance.verify(start)) == (lines if start == "table" else lines[1:])


def test_a_folder_whose_files_changed_vouches_for_none_of_them(segment):
    Path(segment, "weights").write_text("other")
    with pytest.raises(MissingArtefact, match=f"^{segment}: not the file that step train wrote"):
        list(provenance.verify("table"))


def test_a_file_that_a_recorded_folder_does_not_hold_is_named(segment):
    with pytest.raises(MissingArtefact, match=f"^{segment}/absent: no such file"):
        list(provenance.verify(f"{segment}/absent"))


@pytest.fixture
def cached(chain) -> list[str]:
    """The committed cache of a benchmark; a table was made from it."""
    files = paths.cache_files("b")
    for file in files:
        io.write_text(file, file)
    io.write_json(paths.cache_record("b"), {"benchmark": "b", "sha256": {file: io.sha256(file) for file in files}})
    Path("table").write_text("table")
    record("tabulate", Made(["table"], files))
    return files


def test_files_of_a_committed_cache_are_checked_against_its_record(cached):
    assert sorted(provenance.verify("table")) == sorted(
        [*(f"{file}: committed cache" for file in cached), "table: tabulate v2, 3 inputs"]
    )
    assert list(provenance.verify(cached[0])) == [f"{cached[0]}: committed cache"]


def test_a_cache_file_that_was_edited_is_named_even_if_a_table_was_made_from_it_since(cached):
    Path(cached[1]).write_text("edited")
    record("tabulate", Made(["table"], cached))
    with pytest.raises(MissingArtefact, match=f"^{cached[1]}: not the file that was exported"):
        list(provenance.verify("table"))


def test_a_file_beside_a_cache_that_its_record_does_not_name_is_an_error(cached):
    extra = f"{paths.cache('b')}/extra"
    Path(extra).touch()
    record("tabulate", Made(["table"], [extra]))
    with pytest.raises(MissingArtefact, match=f"^{extra}: has no provenance file"):
        list(provenance.verify("table"))


def test_a_cache_without_its_record_is_an_error(cached):
    Path(paths.cache_record("b")).unlink()
    with pytest.raises(MissingArtefact, match=r"has no provenance file"):
        list(provenance.verify("table"))


def test_a_recipe_is_a_source_and_another_result_without_a_sidecar_is_not(chain):
    recipe, other = paths.recipe("b", "sit", 0), f"{paths.run('b', 'sit', 0)}/other.json"
    for file in (recipe, other):
        io.write_text(file, "{}")
    record("first", Made(["middle"], [recipe]))
    assert list(provenance.verify("middle"))[1:] == [f"{recipe}: source"]
    record("first", Made(["middle"], [other]))
    with pytest.raises(MissingArtefact, match=rf"^{other}: has no provenance file other\.json\.prov\.json"):
        list(provenance.verify("middle"))


@pytest.mark.parametrize(
    ("tracked", "state"),
    [(True, {"commit": "abc", "dirty": True}), (False, {"commit": None, "dirty": None})],
)
def test_the_commit_is_recorded_only_where_the_sources_are_tracked(monkeypatch, tracked, state):
    commands = []

    def run(command: list[str], **_: object) -> SimpleNamespace:
        commands.append(command)
        answers = {"ls-files": "provenance.py", "rev-parse": "abc", "status": " M provenance.py"}
        verb = next(word for word in command if word in answers)
        return SimpleNamespace(stdout=f"{answers[verb]}\n", returncode=int(verb == "ls-files" and not tracked))

    monkeypatch.setattr(provenance.subprocess, "run", run)
    assert GIT_STATE() == state
    assert all(command[:2] == ["git", "--no-optional-locks"] for command in commands)


@pytest.mark.parametrize("look", [provenance.read, lambda path: list(provenance.verify(path))])
def test_a_file_without_a_sidecar_is_named_with_the_sidecar_it_lacks(chain, look):
    with pytest.raises(MissingArtefact, match=r"raw: has no provenance file raw\.prov\.json"):
        look("raw")


def test_a_sidecar_stands_beside_its_file_or_folder():
    assert provenance.sidecar("a/b.csv") == Path("a/b.csv.prov.json")
    assert provenance.sidecar("a/shards") == Path("a/shards.prov.json")


def test_an_artefact_is_not_fresh_for_another_command(chain):
    assert not provenance.fresh("middle", DIGEST, ["reedbench", "step", "other"])


@pytest.mark.parametrize("lost", ["two", "two.prov.json"])
def test_an_artefact_is_not_fresh_where_a_sibling_or_its_sidecar_is_gone(tmp_path, monkeypatch, lost):
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        Path(name).write_text(name)
    record("make", Made(["one", "two"]))
    digest = provenance.read("one")["settings"]
    assert fresh("one", digest)
    Path(lost).unlink()
    assert not fresh("one", digest)
