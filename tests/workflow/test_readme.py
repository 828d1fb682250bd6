"""What the README promises exists: links, commands, targets."""

import re
import shutil
from pathlib import Path

import pytest
from typer.main import get_command

from reedbench.cli import app

pytestmark = pytest.mark.xdist_group("workflow")

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"```\n(.*?)```", README, re.DOTALL)
COMMANDS = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines()]
SNAKEMAKE = [line.split() for line in COMMANDS if line.startswith("snakemake ")]
REEDBENCH = [line.split() for line in COMMANDS if line.startswith("reedbench ")]


DOCUMENTS = ("README.md", "config/README.md", "slurm/README.md", "CONTRIBUTING.md", "CHANGELOG.md")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_relative_links_lead_somewhere(document):
    text = (REPOSITORY / document).read_text()
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    assert not [link for link in links if not (REPOSITORY / document).parent.joinpath(link).exists()]


@pytest.mark.parametrize("words", SNAKEMAKE, ids=" ".join)
def test_a_snakemake_command_of_the_readme_can_be_planned_as_printed(words, fresh, tmp_path):
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    shutil.copytree(REPOSITORY / "results" / "cache", tmp_path / "results" / "cache")
    shutil.copytree(REPOSITORY / "slurm", tmp_path / "slurm")
    outcome = type(fresh)(tmp_path).plain("-n", *words[1:])
    assert outcome.code == 0, outcome.text
    assert outcome.jobs


@pytest.mark.parametrize("words", REEDBENCH, ids=" ".join)
def test_a_reedbench_command_of_the_readme_exists(words):
    assert words[1] in get_command(app).commands


def test_the_readme_shows_both_kinds_of_commands():
    assert len(SNAKEMAKE) >= 4
    assert len(REEDBENCH) >= 4
