"""A setting that another one makes ineffective is refused: else one experiment would have several keys."""

from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from reedbench.core import plugins
from reedbench.core.frozen import Frozen
from reedbench.objectives._schedule import Schedule
from reedbench.objectives.aligned import Aligned, Alignment
from reedbench.objectives.masked_diffusion import ResidueAlignment


def plugin(kind: str, name: str) -> type[Frozen]:
    return plugins.discover(kind)[name]


# name: class, settings of which the last has no effect, where it has none
CASES = {
    "depth of the structure": (ResidueAlignment, {"encoder": "e", "site": "structure", "depth": 2}, "at site: structu"),
    "width of a convolution": (
        Alignment,
        {"encoder": "e", "depth": 1, "projector": "conv", "projector_width": 7},
        "on projector: conv",
    ),
    "share of another norm": (Alignment, {"encoder": "e", "depth": 1, "norm_share": 0.6}, "on norm: none"),
    "times of no cutoff": (Alignment, {"encoder": "e", "depth": 1, "between": (0.1, 1)}, "on time_weight: constant"),
    "a mean of equal weights": (
        Alignment,
        {"encoder": "e", "depth": 1, "time_weighting": "reference"},
        "on time_weight: constant",
    ),
    "start of a constant": (Schedule, {"start": 5}, "on shape constant"),
    "length of a constant": (Schedule, {"length": 5}, "on shape constant"),
    "length of a stop": (Schedule, {"shape": "stop", "start": 5, "length": 5}, "on shape stop"),
    "a factor of nothing": (
        Aligned,
        {"label": "-", "align": {"shape": "linear-decay", "length": 5}},
        "without alignments",
    ),
    "a mean of one": (
        Aligned,
        {"label": "-", "alignments": [{"encoder": "e", "depth": 1}], "reduce": "mean"},
        "on fewer than two alignments",
    ),
    "temperature of a hinge": (
        plugin("objectives", "dispersive"),
        {"label": "-", "depth": 1, "variant": "hinge", "margin": 1.0, "temperature": 2.0},
        "on variant: hinge",
    ),
    "margin of no hinge": (
        plugin("objectives", "protein-dispersive"),
        {"label": "-", "depth": 1, "margin": 2.0},
        "on variant: l2",
    ),
    "squares of a cosine": (
        plugin("objectives", "protein-self-aligned"),
        {"label": "-", "student_depth": 1, "teacher_depth": 2, "beta": 0.1},
        "on distance: cosine",
    ),
    "rows without label": (
        plugin("objectives", "contrastive-flow"),
        {"label": "-", "label_dropout": 0.0, "null_rows": False},
        "on label_dropout: 0",
    ),
    "interval without guidance": (plugin("samplers", "heun"), {"interval": (0.3, 1)}, "at guidance: 1"),
    "channels without guidance": (plugin("samplers", "dopri5"), {"channels": "first-three"}, "at guidance: 1"),
    "length of no last step": (
        plugin("samplers", "euler-maruyama"),
        {"last": "none", "last_step": 0.1},
        "at last: none",
    ),
    "first time of ancestral": (plugin("samplers", "ancestral"), {"least_time": 0.02}, "on ancestral"),
    "edges of one layer": (
        plugin("backbones", "protein-mpnn"),
        {"decoder_layers": 1, "edge_update": False},
        "on decoder_layers: 1",
    ),
    "classes of a diffusion": (
        plugin("objectives", "imported-molecules"),
        {"label": "-", "weights": "w", "step": 1, "process": "diffusion", "classes": "mask"},
        "on process: diffusion",
    ),
    "width between two layers": (plugin("backbones", "semla"), {"layers": 2, "message_hidden": 7}, "on layers: 2"),
    "maps of residues": (plugin("encoders", "esm2"), {"maps": "contacts"}, "on output: residues"),
    "attention of residues": (plugin("encoders", "esm2"), {"layers": (1,)}, "on output: residues"),
    "hidden layer of pairs": (plugin("encoders", "esm2"), {"output": "pairs", "layer": 1}, "on output: pairs"),
    "passes of pairs": (plugin("encoders", "esm2"), {"output": "pairs", "tokens": 9}, "on output: pairs"),
    "attention of contacts": (
        plugin("encoders", "esm2"),
        {"output": "pairs", "maps": "contacts", "layers": (1,)},
        "on maps: contacts",
    ),
    "hidden layer of attention": (
        plugin("encoders", "masked-residues"),
        {"output": "pairs", "layer": 1},
        "on output: pairs",
    ),
    "batch of no chains": (plugin("encoders", "masked-residues"), {"steps": 0, "batch": 7}, "on steps: 0"),
    "rate of no chains": (plugin("encoders", "masked-residues"), {"steps": 0, "lr": 0.1}, "on steps: 0"),
    "batch of no images": (plugin("encoders", "invariant-patches"), {"steps": 0, "batch": 7}, "on steps: 0"),
    "rate of no images": (plugin("encoders", "invariant-patches"), {"steps": 0, "lr": 0.1}, "on steps: 0"),
    "batch of no attention": (plugin("encoders", "invariant-attention"), {"steps": 0, "batch": 7}, "on steps: 0"),
    "seeds of no training": (plugin("encoders", "pixel-vector"), {"per_seed": True}, "on pixel-vector"),
}


@pytest.mark.parametrize(("model", "given", "where"), CASES.values(), ids=CASES.keys())
def test_what_has_no_effect_is_refused_by_name(model, given, where):
    *_, idle = given
    with pytest.raises(ValidationError, match=f"{idle} has no effect {where}.*: (name another shape, or )?take it out"):
        model(**given)


@pytest.mark.parametrize(("model", "given", "where"), CASES.values(), ids=CASES.keys())
def test_its_default_may_stand_there(model, given, where):
    """So that what comes from a `base` can be set back, and what was written out can be read again."""
    *_, idle = given
    default = model.model_fields[idle].get_default()
    plain = {name: value for name, value in given.items() if name != idle}
    assert model(**plain, **{idle: default}).identity() == model(**plain).identity()


@pytest.mark.parametrize(("best", "streams", "refused"), [(True, 1, True), (True, 2, False), (False, 1, False)])
def test_the_best_of_one_sample_is_refused(best, streams, refused):
    metric = plugin("metrics", "designable")(folder="f", best=best)
    reason = metric.misfit(SimpleNamespace(streams=streams), {})
    assert (reason is not None and "best has no effect on one sample" in reason) == refused
