"""Mistakes in what methods are trained on and lean on: an edit of a valid suite, and the words of the line it gets."""

from edits import both, put

CAPTIONS = {"measured": {"uses": "measured-digits"}}

RL = {"uses": "reward", "label": "RL", "judge": "judge"}
HASTE = {"uses": "haste", "label": "HASTE", "attention": [{"encoder": "attention", "depth": 1, "layer": 1}]}
ATTENTION = put("encoders/attention", {"uses": "invariant-attention", "dim": 8, "heads": 2, "depth": 1, "steps": 2})


def blind(*edits):
    """Data without labels, and without what tells them; then the edits, which make the mistake."""
    hidden = put("dataset", {"uses": "digits", "name": "digits-blind", "labelled": False})
    told = [put(key, ...) for key in ("methods/reed", "ablations", "encoders/caption", "captioners")]
    return both(hidden, put("table", ["sit", "repa"]), *told, *edits)


# name: edit, key path, words of the message; as in `mistakes`
CASES = {
    "a variant without a name": (
        put("dataset/imbalance", 20),
        "dataset",
        ["imbalance makes other data of digits", "give them a name"],
    ),
    "a tail that leaves a class no row": (
        put("dataset", {"uses": "digits", "name": "digits-lt", "imbalance": 500}),
        "dataset",
        ["leaves the last class no row", "at most 143"],
    ),
    "an imbalance below 1": (
        put("dataset", {"uses": "digits", "name": "digits-lt", "imbalance": 0.1}),
        "dataset.imbalance",
        ["at least 1"],
    ),
    "accuracy without labels": (
        blind(),
        "metrics.2",
        ["accuracy@clf asks for classes", "labelled: false"],
    ),
    "a third of the classes without labels": (
        blind(put("metrics/2", {"uses": "fd", "extractor": "clf", "classes": "tail"})),
        "metrics.2.classes",
        ["no sample is asked for a class"],
    ),
    "captions that tell hidden labels": (
        blind(put("metrics/2", ...), put("captioners", CAPTIONS)),
        "captioners.measured",
        ["measured-digits tells classes"],
    ),
    "an encoder that learns from hidden labels": (
        blind(put("metrics/2", ...), put("encoders/taught", {"uses": "small-classifier", "dim": 8, "steps": 5})),
        "encoders.taught",
        ["small-classifier learns from labels", "labelled: false"],
    ),
    "a scale of guidance without classes": (
        blind(put("metrics/2", ...), put("methods/gft", {"uses": "gft", "label": "GFT"})),
        "methods.gft",
        ["gft tells classes apart, and the data have fewer than two"],
    ),
    "guidance distilled without classes": (
        blind(
            put("metrics/2", ...),
            put(
                "methods/d",
                {"uses": "guided-distillation", "label": "D", "teacher": {"method": "sit", "step": 10}},
            ),
        ),
        "methods.d",
        ["guided-distillation tells classes apart, and the data have fewer than two"],
    ),
    "negatives of another class without classes": (
        blind(
            put("metrics/2", ...),
            put(
                "methods/c",
                {"uses": "contrastive-flow", "label": "C", "group": 4, "negatives": "other-class"},
            ),
        ),
        "methods.c",
        ["contrastive-flow tells classes apart"],
    ),
    "built-in guidance that leads away from nothing": (
        put("methods/mg", {"uses": "model-guidance", "label": "MG", "start": 2, "label_dropout": 0}),
        "methods.mg",
        ["label_dropout: 0 leaves the null label untrained", "model-guidance lean on it"],
    ),
    "a range of guidance that leads away from nothing": (
        put("methods/mg", {"uses": "model-guidance-scaled", "label": "MG", "start": 2, "label_dropout": 0}),
        "methods.mg",
        ["label_dropout: 0 leaves the null label untrained"],
    ),
    "a mixture with a branch that is never trained": (
        put("methods/gft", {"uses": "gft", "label": "GFT", "label_dropout": 0}),
        "methods.gft",
        ["label_dropout: 0 leaves the null label untrained"],
    ),
    "a policy that the compiler rounds otherwise": (
        both(
            put("encoders/judge", {"uses": "small-classifier", "dim": 8, "steps": 5}),
            put("methods/rl", {**RL, "init": "teacher", "teacher": {"method": "sit", "step": 10}}),
            put("train/compile", True),
            put("train/precision", "bf16"),
            put("resources/train", {"gpus": 1}),
        ),
        "methods.rl",
        ["train.compile rounds one of them otherwise in bf16", "take train.compile: false"],
    ),
    "a release that a run does not come to": (
        put("methods/rare", {"uses": "rare", "label": "RARE", "encoder": "patches", "depth": 1}),
        "methods.rare",
        ["latest: 250000 is no step of a run of 20", "scale it"],
    ),
    "a stop that stops nothing": (
        both(ATTENTION, put("methods/haste", HASTE)),
        "methods.haste",
        ["align: nothing stops", "{shape: stop, start: <step>}"],
    ),
    "a stop that a run does not come to": (
        both(ATTENTION, put("methods/haste", {**HASTE, "align": {"shape": "stop", "start": 20}})),
        "methods.haste",
        ["align: start 20 is no step of a run of 20"],
    ),
    "guidance without a condition": (
        blind(put("metrics/2", ...), put("samplers/cfg", {"uses": "euler", "steps": 2, "guidance": 2})),
        "samplers.cfg.guidance",
        ["has no condition to be guided by"],
    ),
    "random labels of data that have none": (
        blind(put("metrics/2", ...), put("sampling/labels", "random")),
        "sampling.labels",
        ["no sample is asked for a class"],
    ),
    "a share of hidden labels that is dropped": (
        blind(put("metrics/2", ...), put("methods/sit/label_dropout", 0.2)),
        "methods.sit.label_dropout",
        ["there is nothing to drop"],
    ),
    "clusters of data with labels": (
        put("methods/sit", {"uses": "clustered", "label": "SGDF", "clusters": 4, "stage": 5}),
        "methods.sit",
        ["finds conditions of its own", "labelled: false"],
    ),
    "more clusters than rows of a batch": (
        blind(
            put("metrics/2", ...),
            put("methods/sgdf", {"uses": "clustered", "label": "SGDF", "clusters": 9, "stage": 5}),
        ),
        "methods.sgdf",
        ["9 clusters cannot be shared by a batch of 8 rows"],
    ),
    "more clusters than rows of a group": (
        blind(
            put("metrics/2", ...),
            put("methods/sgdf", {"uses": "clustered", "label": "SGDF", "clusters": 9, "stage": 5, "group": 8}),
        ),
        "methods.sgdf",
        ["9 clusters cannot be shared by a group of 8 rows"],
    ),
    "a third under an extractor that knows no classes": (
        put("metrics/1", {"uses": "fd", "extractor": "pixels", "classes": "tail"}),
        "metrics.1.classes",
        ["tail needs an extractor that is a classifier"],
    ),
    "copying of a long tail": (
        both(
            put("dataset", {"uses": "digits", "name": "digits-lt", "imbalance": 20}),
            put("metrics/1", {"uses": "copying", "extractor": "pixels"}),
        ),
        "metrics.1",
        ["copying@pixels compares with the rows of training"],
    ),
}
