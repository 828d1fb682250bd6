"""The method author's guide: its examples are whole, pass the contract and train; its table is the generated one."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_runs
import torch
import yaml

from reedbench.core import plugins
from reedbench.report import cards
from reedbench.schema import suite

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
GUIDE = (ROOT / "docs/methods.md").read_text()
FILES = dict(re.findall(r"```(?:python|bibtex)\n[#%] mine/(\S+)\n(.*?)```", GUIDE, re.DOTALL))
ENTRIES = re.findall(r"```yaml\n# under (methods|samplers):\n(.*?)```", GUIDE, re.DOTALL)
TAUGHT = "objectives/baked.py"
TEACHER = {"method": "sit", "step": 5}


@pytest.fixture(scope="module")
def mine(tmp_path_factory) -> Path:
    """The files that the guide prints as a folder of plugins."""
    return written(tmp_path_factory.mktemp("guide") / "mine", *FILES)


def written(folder: Path, *files: str) -> Path:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(FILES[file])
    return folder


def run(folder: Path, *arguments: str, where: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A command of Python's with these plugins."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {plugins.VARIABLE: str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True)


@pytest.fixture
def loaded(tmp_path) -> Any:
    """The class of a file that the guide prints."""

    def load(file: str) -> Any:
        return plugins._plugin_of(plugins._import_file(written(tmp_path, file) / file, "objectives"))

    return load


@pytest.fixture(scope="module")
def make(tmp_path_factory) -> tiny_runs.Make:
    """A trainer on random images."""
    folder = tmp_path_factory.mktemp("data")
    tiny_runs.write_data(folder)
    return lambda method, **settings: tiny_runs.trainer(folder, method, **settings)


def entries(section: str) -> dict[str, Any]:
    """Entries of a section of a benchmark file that the guide prints."""
    return {k: v for place, text in ENTRIES if place == section for k, v in yaml.safe_load(text).items()}


def test_the_guide_prints_three_objectives_and_an_entry_of_each():
    assert set(FILES) == {f"objectives/{name}.py" for name in ("alike", "steady", "baked")} | {"bibliography.bib"}
    assert list(entries("methods")) == ["alike", "steady", "baked"]


def test_a_loss_on_hidden_states_takes_twenty_lines():
    body = FILES["objectives/alike.py"].split("class Alike")[1]
    code = [line for line in body.splitlines() if line.strip() and '"""' not in line]
    assert len(code) <= 20


@pytest.mark.long
def test_the_examples_pass_the_contract(mine):
    command = ["pytest", str(HERE), "--plugins", str(mine), "-n", "0", "-p", "no:cacheprovider"]
    done = run(mine, *command)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_the_entries_are_valid_in_digits_and_the_cards_are_printed(mine, tmp_path):
    folder = tmp_path / "config/benchmarks"
    folder.mkdir(parents=True)
    (tmp_path / "config/config.yaml").write_text("benchmarks: config/benchmarks\nweights: weights.yaml\n")
    (tmp_path / "weights.yaml").write_text((ROOT / "config/weights.yaml").read_text())
    digits = yaml.safe_load((ROOT / "config/benchmarks/digits.yaml").read_text())
    for section in ("methods", "samplers"):
        digits[section] |= entries(section)
    digits["table"] += list(entries("methods"))
    (folder / "digits.yaml").write_text(yaml.safe_dump(digits, sort_keys=False))
    done = run(mine, "reedbench", "check", where=tmp_path)
    assert done.returncode == 0, done.stderr
    card = run(mine, "reedbench", "method", "digits/alike", where=tmp_path).stdout
    assert card.startswith("Alike (digits/alike)\n")
    assert "    depth: 2  # Block whose tokens are compared, 1-based." in card
    assert "@misc{author2030alike," in card
    assert "tier             unstated: " in run(mine, "reedbench", "method", "steady", where=tmp_path).stdout


@pytest.mark.parametrize("file", ["objectives/alike.py", "objectives/steady.py"])
def test_an_example_trains_and_costs_what_its_card_says(loaded, make, file):
    trainer = make(loaded(file)(label="-"))
    plain = make(tiny_runs.SIT).flops(0)
    found = [{name: value.item() for name, value in trainer.update(step).items()} for step in range(6)]
    assert all(torch.tensor(list(values.values())).isfinite().all() for values in found)
    if file == "objectives/alike.py":
        assert -1 <= found[-1]["alike"] <= 1
        assert trainer.flops(0) == plain
    else:
        assert ["steady" in values for values in found] == [False, False, True, True, True, True]
        assert found[-1]["steady"] > 0
        assert trainer.flops(0) == plain
        # Of the backward pass, that through the first layer is not taken: a little less than 3F.
        assert trainer.flops(2) / plain == pytest.approx(4 / 3, rel=0.1)


def test_the_example_with_a_teacher_is_drawn_to_its_guided_velocity(loaded, make):
    """`others.teacher` is the trainer's own argument here; the key `teacher` gives it weights of another run."""
    baked = loaded(TAUGHT)(label="-", teacher=TEACHER)
    teacher = make(tiny_runs.SIT, seed=3, shaken=True).network.backbone
    trainer = make(baked, teacher=teacher)
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    found = [trainer.update(step)["baked"].item() for step in range(60)]
    assert sum(found[-5:]) < 0.9 * sum(found[:5])
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    assert trainer.flops(0) / make(tiny_runs.SIT).flops(0) == pytest.approx(5 / 3, rel=0.1)
    share = trainer._share_of(0)
    with torch.no_grad():
        guided = trainer.learner.looked_up(share.batch, 0, trainer.others)["guided"]
        x, t, y = trainer.learner.flow.inputs(share.batch)
        without, _ = teacher(x, t, torch.full_like(y, tiny_runs.CLASSES))
        with_label, _ = teacher(x, t, y)
    torch.testing.assert_close(guided, without + 1.5 * (with_label - without))


def test_the_example_with_a_teacher_has_its_guidance_built_in(loaded):
    from reedbench.samplers.euler import Euler

    baked = loaded(TAUGHT)(label="-", teacher=TEACHER)
    right, wrong = Euler(steps=10, guidance=1.5), Euler(steps=10)
    assert right.unfit(baked) is None
    assert right.nfe(baked) == 10
    assert "guidance 1.5 built in" in str(wrong.unfit(baked))


def test_the_table_of_methods_is_the_generated_one(monkeypatch):
    monkeypatch.chdir(ROOT)
    lines = cards.overview(suite.load())
    assert cards.with_overview(GUIDE, lines) == GUIDE, "run `reedbench method --all --write` and commit docs/methods.md"
