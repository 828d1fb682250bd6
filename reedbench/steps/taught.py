"""A teacher as training needs it: the network that a loss looks up, and the weights that a student starts from."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from reedbench.core import divided
from reedbench.core.errors import ConfigError
from reedbench.nn.inherited import inherit
from reedbench.nn.learner import Learner
from reedbench.schema.cells import Checkpoint
from reedbench.schema.runs import Run
from reedbench.steps.sample import check_weights, network_of


def prepared(run: Run, learner: Learner, facts: dict[str, Any]) -> tuple[Any, list[str]]:
    """The teacher's network where the run's loss asks it, and the files that were read; the student has its weights
    where it starts from them.

    Raises:
        MissingArtefact: the teacher has not been trained, was trained under another recipe, or its files changed.
        ConfigError: its weights are not those of the student's network.
    """
    teacher = run.teacher
    if teacher is None:
        return None, []
    check_weights(teacher)
    if run.objective.init == "teacher":
        begin(learner, weights_of(teacher), run.objective, run.title)
    network = network_of(teacher, facts, "cpu") if run.objective.asks_teacher else None
    return network, [teacher.receipt, *map(str, divided.files(teacher.weights))]


def weights_of(teacher: Checkpoint) -> dict[str, Tensor]:
    """Published, averaged weights by their names."""
    return {name: torch.from_numpy(found) for name, found in divided.read(teacher.weights).items()}


def begin(learner: Learner, weights: Mapping[str, Tensor], objective: Any, title: str) -> None:
    """Give a student its teacher's weights, see `nn.inherited.inherit`.

    Raises:
        ConfigError: they are not those of the student's network.
    """
    try:
        inherit(learner, weights, objective.inherited)
    except ValueError as error:
        raise ConfigError(f"{title}: cannot start from its teacher: {error}") from error
