"""Which device a step computes on: what the benchmark's resources say, never what happens to be visible."""

import os

import torch

from reedbench.core.constants import GPUS_VARIABLE
from reedbench.core.errors import ConfigError
from reedbench.schema import gpus, runs
from reedbench.schema.runs import Benchmark
from reedbench.schema.suite import Suite


def device_of(benchmark: Benchmark, verb: str) -> str:
    """`cpu` or `cuda`.

    Raises:
        ConfigError: GPUs are asked for and none is visible.
    """
    asked = os.environ.get(GPUS_VARIABLE, "")
    gpus = int(asked) if asked.isdecimal() else benchmark.resources(verb).gpus
    if gpus and not torch.cuda.is_available():
        raise ConfigError(
            f"{benchmark.name}: resources.{verb} asks for {gpus} GPU(s) and none is visible (set gpus: 0 for the CPU)"
        )
    return "cuda" if gpus else "cpu"


def device_of_encoder(suite: Suite, data: str, name: str) -> str:
    """Where an encoder of a dataset represents: as the step `represent`, if it can use a GPU, or one that it reads can.

    Raises:
        ConfigError: GPUs are asked for and none is visible.
    """
    if not gpus.represents(suite, data, name):
        return "cpu"
    return device_of(runs.first_on(suite, data), "represent")


def device_of_pretraining(suite: Suite, data: str, name: str) -> str:
    """Where an encoder of a dataset is trained, or measured: as the step `pretrain`, if that can use a GPU.

    Raises:
        ConfigError: GPUs are asked for and none is visible.
    """
    if not gpus.studies(suite, data, name):
        return "cpu"
    return device_of(runs.first_on(suite, data), "pretrain")


def device_of_captioner(suite: Suite, data: str, name: str) -> str:
    """Where a captioner of a dataset writes: as the step `caption`, if it can compute on a GPU at all.

    Raises:
        ConfigError: GPUs are asked for and none is visible.
    """
    return device_of(runs.first_on(suite, data), "caption") if suite.captioner(data, name).on_gpu else "cpu"
