"""Mistakes in what steps ask of machines; as in `mistakes`."""

from edits import both, put

# name: edit, key path, words of the message
CASES = {
    "a GPU for captioners that use none": (
        put("resources/caption", {"gpus": 1}),
        "resources.caption.gpus",
        ["only train and sample compute on a GPU"],
    ),
    "a GPU for encoders that use none": (
        put("resources/represent", {"gpus": 1}),
        "resources.represent.gpus",
        ["only train and sample compute on a GPU"],
    ),
    "a GPU for the training of encoders that use none": (
        put("resources/pretrain", {"gpus": 1}),
        "resources.pretrain.gpus",
        ["only train and sample compute on a GPU"],
    ),
    "a precision that the CPU does not have": (
        put("sampling/precision", "tf32"),
        "sampling.precision",
        ["tf32 is for GPUs", "resources.sample.gpus"],
    ),
    "a corrector beyond the data": (
        put("samplers/ode", {"uses": "euler-maruyama", "last": "none", "corrector": "heun"}),
        "samplers.ode",
        ["corrector: heun needs a last step without noise"],
    ),
    "a training precision that the CPU does not have": (
        put("train/precision", "tf32"),
        "train.precision",
        ["tf32 is for GPUs", "resources.train.gpus"],
    ),
    "a compiler for GPUs on a CPU": (
        put("train/compile", True),
        "train.compile",
        ["has no effect on a CPU", "resources.train.gpus"],
    ),
    "a GPU for metrics that compare few numbers": (
        put("resources/evaluate", {"gpus": 1}),
        "resources.evaluate.gpus",
        ["only train and sample compute on a GPU"],
    ),
    "several nodes for a step that uses one": (
        put("resources/pretrain", {"nodes": 2}),
        "resources.pretrain.nodes",
        ["only prepare, caption, compress, represent, train, sample, evaluate run on several processes"],
    ),
    "several processes for a step that is one": (
        put("resources/pretrain", {"tasks_per_node": 2}),
        "resources.pretrain.tasks_per_node",
        ["only prepare, caption, compress, represent, train, sample, evaluate run on several processes"],
    ),
    "more processes than GPUs": (
        put("resources/train", {"tasks_per_node": 4, "gpus": 2}),
        "resources.train.tasks_per_node",
        ["each process needs a GPU of its own", "gpus is 2"],
    ),
    "fewer rows than processes and micro-batches": (
        both(put("resources/train", {"nodes": 3, "tasks_per_node": 2}), put("train/accumulation", 2)),
        "train.batch",
        ["8 rows are too few for 6 processes", "at least 12"],
    ),
    "more neighbours than samples": (
        put("metrics/1", {"uses": "precision", "extractor": "pixels", "neighbours": 500}),
        "metrics.1",
        ["needs at least 502 samples"],
    ),
}
