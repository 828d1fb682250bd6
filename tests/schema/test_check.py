"""`reedbench check`: networks are built on the shapes of the data, files that nobody reads are named."""

import copy
import json
from pathlib import Path

import pytest

from reedbench.core import plugins
from reedbench.schema import benchmark as models

TINY = "benchmarks/tiny.yaml"


@pytest.fixture
def refused(files, reedbench, capsys):
    """Writes the files, checks them, and returns what is said; they must be refused."""

    def run(*arguments: str) -> str:
        files.write()
        assert reedbench("check", *arguments) == 2
        said = capsys.readouterr().err
        assert "Traceback" not in said
        return said

    return run


def test_a_patch_that_does_not_divide_the_image_is_found_before_any_data_are_there(files, refused):
    files.set("backbone/patch", 3)
    assert ": backbone: does not fit digits: size 8 is not a multiple of patch 3" in refused()


def test_tokens_that_do_not_pair_are_found_once_for_all_methods(files, refused):
    files.set("backbone/patch", 1)
    (line,) = refused().splitlines()
    assert ": methods.repa: " in line
    assert "16 tokens per datum, the backbone has 64" in line
    assert line.endswith("(also reed)")


def test_more_test_rows_than_the_data_have_are_refused(files, refused):
    files.set("dataset/test_rows", 1797)
    assert f"{TINY}:" in (said := refused())
    assert "dataset.test_rows: must be at most 1787, got 1797" in said


def test_a_pool_smaller_than_the_number_of_classes_is_refused(files, refused):
    spin = {"uses": "self-play", "label": "-", "pool": {"sampler": "ode"}, "teacher": {"method": "sit", "step": 10}}
    files.set("methods/spin", spin)
    files.set("sampling", {"count": 8, "streams": 4})
    files.set("metrics", [{"uses": "accuracy", "extractor": "clf"}])
    files.set("speedup/metric", "accuracy@clf")
    said = refused()
    assert ": methods.spin.pool: must hold samples of all 10 classes, and sampling.count of benchmark tiny is 8" in said


def test_three_channels_of_one_are_refused(files, refused):
    files.set("samplers/ode", {"uses": "euler", "guidance": 1.5, "channels": "first-three"})
    assert ": samplers.ode: channels: first-three are all of 1: take it out" in refused()


def test_a_sampler_that_cannot_draw_from_a_method_says_so_once(files, refused, monkeypatch):
    from reedbench.samplers.euler import Euler

    files.set("samplers/ode", {"uses": "euler"})
    monkeypatch.setattr(Euler, "unfit", lambda self, objective: f"{objective.uses} trains nothing like it")
    (line,) = refused().splitlines()
    assert ": samplers.ode: cannot draw from method 'sit': aligned trains nothing like it" in line


def test_shapes_of_prepared_data_count_where_the_dataset_declares_none(files, refused, monkeypatch):
    from reedbench.datasets.digits import Digits
    from reedbench.schema import fitting

    files.set("backbone/patch", 3)
    files.write()
    monkeypatch.setattr(Digits, "declared", lambda self: {})
    monkeypatch.setattr(fitting.provenance, "require", lambda path, key: None)
    index = Path("results/data/digits/index.json")
    index.parent.mkdir(parents=True)
    index.write_text(json.dumps({"shapes": {"images": [1, 16, 16]}, "splits": {"train": 9, "test": 9}, "classes": 10}))
    assert "size 16 is not a multiple of patch 3" in refused()


def test_what_nothing_tells_yet_is_not_judged(files, reedbench, monkeypatch):
    from reedbench.datasets.digits import Digits

    files.set("backbone/patch", 3)
    files.write()
    monkeypatch.setattr(Digits, "declared", lambda self: {})
    assert reedbench("check") == 0


@pytest.mark.parametrize(
    ("group", "edit", "words"),
    [
        (3, {}, "a batch of 8 rows cannot be cut into whole groups of 3"),
        (0, {"resources": {"train": {"tasks_per_node": 2}}}, "cannot be divided over 2 rank(s)"),
    ],
)
def test_a_loss_that_does_not_fit_the_batch_is_found(files, refused, monkeypatch, group, edit, words):
    from reedbench.nn.aligned import AlignedLearner

    build = AlignedLearner.__init__

    def grouped(self, *arguments, **named):
        build(self, *arguments, **named)
        self.group = group

    monkeypatch.setattr(AlignedLearner, "__init__", grouped)
    files.benchmarks["tiny"].update(edit)
    assert words in refused()


def test_a_loss_none_of_whose_terms_counts_is_found(files, refused):
    files.set("methods/sit/denoise", {"shape": "stop", "start": 3})
    assert ": methods.sit: from step 3 on no term of the method's loss counts" in refused()


OF_SIT = {"label": "S", "teacher": {"method": "sit", "step": 10}}
GUIDE = {"uses": "guide", **OF_SIT}
HALVED = {"uses": "progressive-distillation", "student_steps": 2, "samplers": ["ode"]}
GROUPED = {"uses": "grouped", "groups": 2, "init": "teacher", **OF_SIT}
FROM_IT = {"label": "T", "teacher": {"method": "of-sit", "step": 10}}


@pytest.mark.parametrize(
    ("teacher", "student", "words"),
    [
        (GUIDE, {**HALVED, **FROM_IT}, "its network has no 'base."),
        (GROUPED, {"uses": "guide", **FROM_IT}, "its network has no 'groups.0."),
        (GROUPED, {**GROUPED, **FROM_IT}, "groups have no place for 'groups.0."),
    ],
)
def test_a_student_whose_network_has_no_place_for_its_teachers_weights_is_found(
    files, refused, teacher, student, words
):
    files.set("methods/of-sit", teacher)
    files.set("methods/of-it", student)
    assert f"methods.of-it: cannot start from its teacher of-sit: {words}" in refused()


def test_students_that_take_up_their_teachers_weights_are_found_fit(files, reedbench):
    files.set("methods/of-sit", {"uses": "guided-distillation", **OF_SIT})
    files.set("methods/of-it", {**HALVED, **FROM_IT})
    files.set("methods/guide", {"uses": "guide", **OF_SIT, "label": "G"})
    files.set("methods/groups", {**GROUPED, "label": "TDC"})
    files.write()
    assert reedbench("check") == 0


@pytest.mark.parametrize("look", [lambda t: t.tolist(), lambda t: t[0].item(), lambda t: t.numpy()])
def test_a_network_that_looks_at_its_numbers_while_it_is_built_is_not_judged(files, reedbench, monkeypatch, look):
    import torch

    from reedbench.backbones.sit import SiTBackbone

    files.write()
    monkeypatch.setattr(SiTBackbone, "build", lambda self, shape, facts: look(torch.arange(3)))
    assert reedbench("check") == 0


def test_networks_of_any_size_are_built_without_memory(files, reedbench):
    files.set("backbone", {"uses": "sit", "patch": 2, "width": 65536, "depth": 4, "heads": 4})  # 4 TB of weights
    files.write()
    assert reedbench("check") == 0


@pytest.mark.parametrize("name", ["other", "benchmarks/other.yaml", "./benchmarks/other.yaml"])
def test_what_is_named_is_checked_alone(files, reedbench, capsys, refused, name):
    files.benchmarks["other"] = copy.deepcopy(files.benchmarks["tiny"])
    files.set("train/batch", 0)
    files.write()
    assert reedbench("check", name) == 0
    assert capsys.readouterr().err == "other: ok (3 methods, 2 seeds)\n"
    assert "train.batch: must be at least 1, got 0" in refused("tiny")


def test_a_file_outside_of_the_folder_is_checked_against_those_inside(files, refused):
    files.write()
    outside = copy.deepcopy(files.benchmarks["tiny"])
    files.benchmarks = {"tiny": outside}
    text = Path(TINY).read_text().replace("steps: 5", "steps: 6")
    Path("new.yaml").write_text(text)
    said = refused("new.yaml")
    assert "new.yaml:" in said
    assert "extractors.clf: differs from the one of the same name in benchmark 'tiny'" in said


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tinny", "unknown benchmark 'tinny'; did you mean 'tiny'?"),
        ("benchmarks/tinny.yaml", "benchmarks/tinny.yaml: cannot be read"),
        ("benchmarks", "unknown benchmark 'benchmarks'"),
        ("benchmarks/tiny.json", "no benchmark file"),
    ],
)
def test_what_is_no_benchmark_is_said_to_be_none(refused, name, words):
    assert words in refused(name)


def test_a_benchmark_file_with_another_suffix_is_a_mistake(files, refused):
    files.write()
    Path("benchmarks/mine.yml").write_text("title: x\n")
    said = refused()
    assert said.startswith("reedbench: benchmarks/mine.yml: is not read")
    assert said.endswith("rename it to mine.yaml\n")


def test_other_files_that_are_not_read_are_noted(files, reedbench, capsys):
    files.write()
    Path("benchmarks/notes.txt").write_text("to do\n")
    Path("benchmarks/.hidden").write_text("\n")
    assert reedbench("check") == 0
    assert capsys.readouterr().err.splitlines() == [
        "note: benchmarks/notes.txt: is not read: benchmarks are files in benchmarks/ that end in .yaml",
        "tiny: ok (3 methods, 2 seeds)",
    ]


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A folder of plugins; what is discovered before and after is forgotten."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    monkeypatch.setenv(plugins.VARIABLE, str(folder))
    for cached in (plugins.discover, models.model):
        cached.cache_clear()
    yield folder
    for cached in (plugins.discover, models.model):
        cached.cache_clear()


def put(folder: Path, kind: str, text: str) -> None:
    """Write a plugin called mine.py."""
    (folder / kind).mkdir()
    (folder / kind / "mine.py").write_text(f"from typing import Any, ClassVar, Literal\n{text}")


def test_a_folder_of_plugins_that_is_no_kind_is_a_mistake(outside, refused):
    put(outside, "metric", "")
    assert "plugins/metric: is not read: it is no kind of plugin; did you mean 'metrics'?" in refused()


def test_a_plugin_beside_the_folders_of_kinds_is_a_mistake(outside, refused):
    (outside / "mine.py").write_text("")
    assert "plugins/mine.py: is not read: put it in the folder of its kind" in refused()


def test_a_file_that_begins_with_an_underscore_is_no_plugin(outside, files, reedbench):
    put(outside, "metrics", "")
    (outside / "metrics/mine.py").rename(outside / "metrics/_shared.py")
    files.write()
    assert reedbench("check") == 0


METRIC = """
from reedbench.metrics import AbstractMetric
class Mine(AbstractMetric):
    \"\"\"One.\"\"\"
    uses: Literal["mine"] = "mine"
    {direction}
    @property
    def under(self): return "x"
    {measured}
"""
DIRECTION, MEASURED = (
    'direction: ClassVar[Literal["lower", "higher"]] = "lower"',
    "def measured(self, evidence): return 1.0",
)
ENCODER = """
from reedbench.encoders import AbstractEncoder
class Mine(AbstractEncoder):
    \"\"\"One.\"\"\"
    domain: ClassVar[str] = "image"
    uses: Literal["mine"] = "mine"
    def represent(self, weights, material): return None
"""
SAMPLER = """
from reedbench.samplers import AbstractSampler
class Mine(AbstractSampler):
    \"\"\"One.\"\"\"
    domain: ClassVar[str] = "image"
    uses: Literal["mine"] = "mine"
    def nfe(self): return 1
    def draw(self, network, condition, streams, objective): return {}
"""


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("metrics", METRIC.format(direction=DIRECTION, measured=""),
         "lacks what every plugin of this kind must define: measured"),
        ("metrics", METRIC.format(direction="", measured=MEASURED),
         'does not say its direction (direction: ClassVar[str] = "lower")'),
        ("metrics", METRIC.format(direction='direction: ClassVar[str] = "highr"', measured=MEASURED),
         "says direction 'highr'; did you mean 'higher'? (allowed: lower, higher)"),
        ("encoders", ENCODER, 'does not say its kind (kind: ClassVar[str] = "tokens")'),
        ("samplers", SAMPLER, "does not say its guidance, a field or a constant"),
    ],
)  # fmt: skip
def test_a_plugin_that_lacks_something_is_one_line_with_its_file(outside, refused, kind, text, words):
    put(outside, kind, text)
    (line,) = refused().splitlines()
    assert line.startswith(f"reedbench: {outside}/{kind}/mine.py: {kind} plugin 'mine' ")
    assert words in line


VALIDATED = """
from pydantic import model_validator
from reedbench.metrics.accuracy import Accuracy
class Mine(Accuracy):
    \"\"\"One.\"\"\"
    uses: Literal["mine"] = "mine"
    @model_validator(mode="after")
    def _check(self):
        raise {error}
"""


@pytest.mark.parametrize(
    ("error", "words"),
    [("ValueError('odd')", "metrics.2: odd ("), ("TypeError('odd')", "a plugin failed: TypeError: odd (")],
)
def test_an_error_of_a_plugin_outside_of_the_package_keeps_its_file_and_line(outside, files, refused, error, words):
    put(outside, "metrics", VALIDATED.format(error=error))
    files.set("metrics/2/uses", "mine")
    (line,) = refused().splitlines()
    assert words in line
    assert line.endswith(f"({outside}/metrics/mine.py:10)")


def test_data_that_the_codec_does_not_take_are_the_codecs_fault(files, refused, monkeypatch):
    from reedbench.codecs.pixels import Pixels
    from reedbench.core.errors import ConfigError

    def lacks(self, facts):
        raise ConfigError("codec pixels: the data have Xe")

    monkeypatch.setattr(Pixels, "shape", lacks)
    (line,) = refused().splitlines()
    assert ": codec: does not fit digits: codec pixels: the data have Xe" in line


FROM_SIT = {"init": "teacher", "teacher": {"method": "sit", "step": 10}}


def test_a_judge_that_gives_no_probabilities_or_that_a_metric_uses_is_refused(files, refused):
    files.set("methods/rl", {"uses": "reward", "label": "RL", "judge": "patches", **FROM_SIT})
    assert ": methods.rl.judge: 'patches' gives tokens, and this alignment takes vector" in (said := refused())
    assert "methods.rl.judge: 'patches' gives no probabilities of classes, which reward samples" in said
    files.set("methods/rl/judge", "clf")
    assert ": methods.rl.judge: 'clf' is an extractor: a metric must not judge by its own target" in refused()
