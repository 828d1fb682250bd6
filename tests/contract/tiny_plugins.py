"""Tiny plugins for the contract tests: the least arguments of each, and ways to run over all of a kind."""

import atexit
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import clip_folder
import inception_file
import pytest
import qwen_folder
import sentence_folder
import tiny_vae
import vit_file
from pydantic import ValidationError

from reedbench.core import plugins
from reedbench.metrics import FeatureMetric


@cache
def folder_of(write: Callable[[Path], Path]) -> str:
    """A folder, or file, with a tiny model; it goes with the process."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    return str(write(Path(folder.name) / "model"))


def vit(place: Path) -> Path:
    """A file of a tiny one."""
    return vit_file.write(place.with_suffix(".safetensors"))


def of_features() -> list[str]:
    """Metrics that compare features."""
    return [name for name, metric in plugins.discover("metrics").items() if issubclass(metric, FeatureMetric)]


def has_steps(name: str) -> bool:
    """Whether a sampler has a number of steps: adaptive ones have none."""
    return "steps" in plugins.discover("samplers")[name].model_fields


# Constructor arguments that make a plugin tiny, or that it cannot do without.
MINIMAL: dict[tuple[str, str], dict[str, Any]] = {
    ("codecs", "pixels"): {"rounding": "round"},
    ("codecs", "sd-vae"): {"weights": lambda: folder_of(tiny_vae.save), "channels": 2, "factor": 2},
    ("datasets", "backbones"): {"chains": 6, "test_chains": 2},
    ("datasets", "chains-jsonl"): {"file": "x.jsonl"},
    ("datasets", "molecules-npz"): {"file": "x.npz"},
    ("datasets", "pdb-folder"): {"folder": "x"},
    ("datasets", "proteinmpnn-set"): {"folder": "x"},
    ("datasets", "sdf"): {"file": "x.sdf"},
    ("datasets", "smallmol"): {"max_heavy": 3, "test_share": 0.2},
    ("encoders", "invariant-patches"): {"dim": 8, "steps": 2, "batch": 16},
    ("encoders", "invariant-attention"): {"dim": 8, "heads": 2, "depth": 1, "steps": 2, "batch": 16},
    ("encoders", "small-classifier"): {"dim": 4, "steps": 3, "batch": 16},
    ("encoders", "conv-classifier"): {"dim": 4, "steps": 3, "batch": 16},
    ("encoders", "caption-and-image"): {"captioner": "measured", "image": "patches", "dim": 4},
    ("encoders", "whitened"): {"dim": 4},
    ("encoders", "pooled"): {"tokens": "patches"},
    ("encoders", "pca"): {"tokens": "patches", "components": 4},
    ("encoders", "af3-export"): {"folder": "x"},
    ("encoders", "mpnn-structure"): {"weights": "x.pt"},
    ("encoders", "inception"): {"weights": lambda: str(inception_file.made()), "size": 75},
    ("encoders", "text"): {"captioner": "measured", "weights": lambda: folder_of(sentence_folder.write)},
    ("encoders", "clip-text"): {"captioner": "measured", "weights": lambda: folder_of(clip_folder.write)},
    ("encoders", "qwen-vl"): {
        "captioner": "measured",
        "weights": lambda: folder_of(qwen_folder.write),
        "layer": 2,
        "precision": "fp32",
    },
    ("captioners", "qwen-vl"): {"weights": lambda: folder_of(qwen_folder.write), "tokens": 4, "precision": "fp32"},
    ("encoders", "vit"): {**vit_file.SIZE, "grid": 2, "weights": lambda: folder_of(vit)},
    ("encoders", "masked-residues"): {"dim": 8, "heads": 2, "steps": 2, "batch": 8},
    ("encoders", "unimol"): {"layers": 1, "width": 8, "hidden": 8, "heads": 2, "kernels": 4, "steps": 2, "batch": 8},
    ("backbones", "sit"): {"width": 8, "depth": 2, "heads": 2},
    ("backbones", "protein-mpnn"): {"width": 8, "encoder_layers": 1, "decoder_layers": 2, "neighbours": 4},
    ("backbones", "semla"): {
        "width": 8,
        "layers": 2,
        "sets": 4,
        "heads": 2,
        "message": 4,
        "edge": 4,
        "size_embedding": 2,
        "max_atoms": 32,
    },
    ("backbones", "egnn"): {"width": 8, "layers": 2},
    ("objectives", "aligned"): {
        "label": "REPA",
        "alignments": [{"encoder": "patches", "depth": 1, "projector_width": 8}],
    },
    ("objectives", "entangled"): {
        "alignments": [{"encoder": "patches", "depth": 1, "projector_width": 8}],
    },
    ("objectives", "redi"): {"components": 6},
    ("objectives", "structural"): {"group": 4, "psi_dim": 8},
    ("objectives", "guide"): {"teacher": {"method": "sit", "step": 1}},
    ("objectives", "guided-distillation"): {"teacher": {"method": "sit", "step": 1}},
    ("objectives", "progressive-distillation"): {"teacher": {"method": "guided", "step": 1}},
    ("objectives", "self-play"): {"teacher": {"method": "sit", "step": 1}, "pool": {"sampler": "ode"}, "beta": 10.0},
    ("objectives", "masked-diffusion"): {
        "label": "REPA",
        "alignments": [{"encoder": "residues", "site": "node", "depth": 1}],
    },
    ("objectives", "reward"): {
        "judge": "text",
        "transitions": 2,
        "rollout": 4,
        "init": "teacher",
        "teacher": {"method": "sit", "step": 1},
    },
    **{
        ("objectives", f"molecule-{name}"): {"label": "REPA", "alignments": [{"encoder": "vector", "depth": 1}]}
        for name in ("flow", "diffusion")
    },
    ("objectives", "clustered"): {"clusters": 4, "stage": 2, "group": 4},
    ("metrics", "masked-perplexity"): {"at": 0.5},
    ("folders", "command"): {"command": "fold {fasta} {out}"},
    ("folders", "predicted"): {"folder": "x"},
    **{("metrics", name): {"extractor": "eye"} for name in of_features()},
    **{("metrics", name): {"folder": "esm"} for name in ("confident", "designable", "plddt", "sc-rmsd", "sc-tm")},
    **{("samplers", name): {"steps": 20} for name in plugins.discover("samplers") if has_steps(name)},
}


def under_test(kind: str) -> dict[str, Any]:
    """The plugins of a kind that the contract is about: with `--plugins` those from outside the package alone."""
    found = plugins.discover(kind)
    return {name: one for name, one in found.items() if one.code is not None or plugins.VARIABLE not in os.environ}


def each(kind: str, *leave_out: str, domain: str | None = "image"):
    """Parametrise over the names of the plugins of a kind, and of a domain unless it is None."""
    found = {name: getattr(plugin, "domain", None) for name, plugin in under_test(kind).items()}
    names = [name for name, own in found.items() if domain in (None, own) or own is None]
    return pytest.mark.parametrize("name", [name for name in names if name not in leave_out])


def _features_under_test() -> list[str]:
    return [name for name in under_test("metrics") if name in of_features()]


each_of_features = pytest.mark.parametrize("name", _features_under_test())


def make(kind: str, name: str, **more: Any) -> Any:
    """A tiny instance of a plugin: required fields take their first example, unless MINIMAL has better ones."""
    plugin = plugins.discover(kind)[name]
    required = {field: info for field, info in plugin.model_fields.items() if info.is_required()}
    examples = {field: info.examples[0] for field, info in required.items() if info.examples}
    words: dict[str, Any] = {"label": name} if "label" in required else {}
    if getattr(plugin, "asks_teacher", False) and "teacher" in plugin.model_fields:
        words["teacher"] = {"method": "sit", "step": 1}
    try:
        minimal = {key: own() if callable(own) else own for key, own in MINIMAL.get((kind, name), {}).items()}
        return plugin(**{"uses": name, **words, **examples, **minimal, **more})
    except ValidationError as error:
        pytest.fail(f"give the required fields of {kind} plugin '{name}' examples (Field(examples=[...])): {error}")
