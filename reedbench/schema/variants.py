"""What a benchmark cannot ask of data without labels, or of those with rows that only the reference has."""

from collections.abc import Iterator
from typing import Any

from reedbench.schema.loading import Key

Finding = tuple[Key, str]


def on_variants(b: Any) -> Iterator[Finding]:
    """All findings."""
    if b.dataset.leaves_out:
        for i, metric in enumerate(b.metrics):
            if metric.of_training:
                yield (
                    ("metrics", i),
                    f"{metric.family} compares with the rows of training, and the reference of this dataset also has "
                    "those that imbalance left out; take it out",
                )
    if b.dataset.hides_labels:
        yield from _without_labels(b)
    else:
        for name, method in b.methods.items():
            if method.conditions == "own":
                yield (
                    ("methods", name),
                    f"{method.uses} finds conditions of its own, and stands beside methods that see no labels: take a "
                    "dataset with labelled: false",
                )


def _without_labels(b: Any) -> Iterator[Finding]:
    told = "the dataset hides its labels (labelled: false)"
    for i, metric in enumerate(b.metrics):
        if metric.needs_classifier:
            yield ("metrics", i), f"{metric.family} asks for classes, and {told}; take it out"
        elif getattr(metric, "classes", "all") != "all":
            yield ("metrics", i, "classes"), f"no sample is asked for a class: {told}; take it out"
    if b.sampling.labels != "balanced":
        yield ("sampling", "labels"), f"no sample is asked for a class: {told}; take it out"
    for name, captioner in b.captioners.items():
        if captioner.tells_classes:
            yield ("captioners", name), f"{captioner.uses} tells classes, and {told}; take it out"
    for name, encoder in b.encoders.items():
        if encoder.learns_classes:
            yield ("encoders", name), f"{encoder.uses} learns from labels, and {told}; only extractors may: take it out"
    given = {name: method for name, method in b.methods.items() if method.conditions == "labels"}
    for name, method in given.items():
        field = type(method).model_fields.get("label_dropout")
        if field is not None and method.label_dropout != field.default:
            yield ("methods", name, "label_dropout"), f"there is nothing to drop: {told}; take it out"
    for name, sampler in b.samplers.items():
        drawn = [m for m, method in given.items() if name in (method.samplers or b.samplers)]
        paired = [m for m in drawn if b.methods[m].guided_by == "pair"]
        if paired and getattr(sampler, "guidance", 1.0) > 1:
            yield (
                ("samplers", name, "guidance"),
                f"method '{paired[0]}' has no condition to be guided by: {told}; name the samplers that may draw from "
                "it in the method's `samplers`",
            )
