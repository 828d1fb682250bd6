"""Mistakes that people make in benchmarks: an edit of a valid suite, and the words of the line that it gets."""

from edits import ALIGN, ONLINE, both, put, text


def guided(steps: list[int]):
    """The edit that adds a second sampler, which draws at these steps alone."""
    return both(put("samplers/sde", {"uses": "euler-maruyama", "steps": 2}), put("only_at", {"sde": steps}))


# name: edit, file, key path, words of the message
CASES = {
    "unknown key": (
        put("train/batsh", 3),
        "train.batsh",
        ["unknown key 'batsh'", "did you mean 'batch'?", "ema_decay"],
    ),
    "a decay of moments beyond 1": (
        put("train/optimiser", {"betas": [1.5, 0.9]}),
        "train.optimiser.betas.0",
        ["less than 1"],
    ),
    "a cutoff that is never on": (
        put(
            "methods/repa/alignments/0",
            {"encoder": "patches", "depth": 1, "time_weight": "cutoff", "between": [0.9, 0.1]},
        ),
        "methods.repa.alignments.0",
        ["0 <= low < high <= 1"],
    ),
    "a window without a cutoff": (
        put("methods/repa/alignments/0/between", [0.2, 0.8]),
        "methods.repa.alignments.0",
        ["between has no effect on time_weight: constant: take it out"],
    ),
    "a method named like real data": (
        put("methods/floor", {"uses": "aligned", "label": "Floor"}),
        "methods.floor",
        ["choose another name"],
    ),
    "unknown key at the top": (put("titel", "x"), "titel", ["unknown key 'titel'", "did you mean 'title'?"]),
    "unknown key of a plugin among several": (
        put("metrics/0/extracter", "clf"),
        "metrics.0.extracter",
        ["did you mean 'extractor'?", "allowed here: classes, extractor, uses"],
    ),
    "unknown key of the only plugin": (
        put("dataset/test_row", 360),
        "dataset.test_row",
        ["did you mean 'test_rows'?", "allowed here: imbalance, labelled, name, papers, test_rows, uses"],
    ),
    "unknown key of a list entry": (
        put("methods/repa/alignments/0/wieght", 0.5),
        "methods.repa.alignments.0.wieght",
        ["unknown key 'wieght'", "did you mean 'weight'?"],
    ),
    "unknown key of a named entry": (
        put("ablations/text/titel", "x"),
        "ablations.text.titel",
        ["did you mean 'title'?"],
    ),
    "unknown step in resources": (
        put("resources/trian", {"cpus": 1}),
        "resources.trian",
        ["'trian' is not allowed", "did you mean 'train'?", "sample"],
    ),
    "text for a whole number": (put("train/batch", "many"), "train.batch", ["must be a whole number, got 'many'"]),
    "fraction for a whole number": (put("train/batch", 8.5), "train.batch", ["must be a whole number, got 8.5"]),
    "nothing for a whole number": (put("train/batch", None), "train.batch", ["must be a whole number, got nothing"]),
    "text for a number": (put("train/optimiser/lr", "fast"), "train.optimiser.lr", ["must be a number, got 'fast'"]),
    "infinite number": (put("train/optimiser/lr", float("inf")), "train.optimiser.lr", ["must be a finite number"]),
    "number for a text": (put("title", 7), "title", ["must be text", "got 7"]),
    "text for true or false": (
        put("backbone/qk_norm", "maybe"),
        "backbone.qk_norm",
        ["must be true or false", "'maybe'"],
    ),
    "number for a list": (put("evaluate", 10), "evaluate", ["must be a list, got 10"]),
    "dataset that leaves its folder": (
        put("dataset/name", "../elsewhere"),
        "dataset.name",
        ["must be a name of lower-case letters", "got '../elsewhere'"],
    ),
    "list for a mapping": (put("train", [1]), "train", ["must be a mapping of keys to values, got [1]"]),
    "text for a plugin": (put("codec", "pixels"), "codec", ["must be a mapping of keys to values, got 'pixels'"]),
    "list for named entries": (put("samplers", []), "samplers", ["must be a mapping of keys to values, got []"]),
    "empty method": (put("methods/idle", None), "methods.idle", ["must be a mapping of keys to values, got nothing"]),
    "text in a list of numbers": (put("seeds/1", "one"), "seeds.1", ["must be a whole number, got 'one'"]),
    "empty list": (put("seeds", []), "seeds", ["must be a list of 1 or more entries, got []"]),
    "pair of one": (put("train/optimiser/betas", [0.9]), "train.optimiser.betas", ["must be a list of more entries"]),
    "pair of three": (
        put("samplers/ode/interval", [0, 0, 1]),
        "samplers.ode.interval",
        ["a list of 2 or fewer entries"],
    ),
    "number too small": (put("train/batch", 0), "train.batch", ["must be at least 1, got 0"]),
    "number not positive": (put("train/optimiser/lr", 0), "train.optimiser.lr", ["must be greater than 0, got 0"]),
    "number too large": (put("train/ema_decay", 1), "train.ema_decay", ["must be less than 1, got 1"]),
    "not a multiple": (put("encoders/patches/dim", 17), "encoders.patches.dim", ["must be a multiple of 2, got 17"]),
    "word not allowed": (
        put("train/precision", "bf61"),
        "train.precision",
        ["'bf61' is not allowed", "did you mean 'bf16'?", "(allowed: fp32, tf32, bf16)"],
    ),
    "name with capitals": (
        put("methods/SiT", {"uses": "aligned", "label": "x"}),
        "methods.SiT",
        ["lower-case letters"],
    ),
    "missing section": (put("train", ...), "train", ["is required and missing"]),
    "missing key": (put("train/segment", ...), "train.segment", ["is required and missing"]),
    "missing key of a plugin": (put("metrics/0/extractor", ...), "metrics.0.extractor", ["is required and missing"]),
    "missing key of a list entry": (
        put("methods/repa/alignments/0/encoder", ...),
        "methods.repa.alignments.0.encoder",
        ["is required and missing"],
    ),
    "unknown plugin among several": (
        put("metrics/0/uses", "fdd"),
        "metrics.0.uses",
        ["unknown plugin 'fdd'", "did you mean 'fd'?", "(allowed: accuracy, "],
    ),
    "unknown named plugin": (
        put("samplers/ode/uses", "eulr"),
        "samplers.ode.uses",
        ["unknown plugin 'eulr'", "did you mean 'euler'?", "euler-maruyama, heun"],
    ),
    "unknown plugin where there is one": (
        put("dataset/uses", "digit"),
        "dataset.uses",
        ["unknown plugin 'digit'", "did you mean 'digits'?"],
    ),
    "images without a side": (
        put("dataset", {"uses": "image-folder", "resolution": 0}),
        "dataset.resolution",
        ["must be at least 1, got 0"],
    ),
    "images in a format that loses detail": (
        put("dataset", {"uses": "image-folder", "storage": "jpeg"}),
        "dataset.storage",
        ["'jpeg' is not allowed", "webp, png, raw"],
    ),
    "the validation images under another name": (
        put("dataset", {"uses": "image-folder", "validaton": "imagenet/val"}),
        "dataset.validaton",
        ["did you mean 'validation'?", "flips, name, papers, path, resolution, storage, tolerate, uses, validation"],
    ),
    "unknown objective": (put("methods/sit/uses", "alinged"), "methods.sit.uses", ["did you mean 'aligned'?"]),
    "missing uses among several": (
        put("encoders/unused/uses", ...),
        "encoders.unused.uses",
        ["is required and missing", "(allowed: af3-export, caption-and-image, "],
    ),
    "missing uses where there is one": (
        put("backbone/uses", ...),
        "backbone.uses",
        ["is required and missing", "(allowed: egnn, protein-mpnn, semla, sit)"],
    ),
    "depth beyond the backbone": (
        put("methods/repa/alignments/0/depth", 3),
        "methods.repa.alignments.0.depth",
        ["3 is beyond the backbone, which has 2 blocks"],
    ),
    "unknown encoder": (
        put("methods/repa/alignments/0/encoder", "pathces"),
        "methods.repa.alignments.0.encoder",
        ["unknown encoder 'pathces'", "did you mean 'patches'?", "(allowed: caption, patches, unused)"],
    ),
    "alignment to an extractor": (
        put("methods/repa/alignments/0/encoder", "clf"),
        "methods.repa.alignments.0.encoder",
        ["'clf' is an extractor"],
    ),
    "two alignments of one encoder and depth": (
        put("methods/repa/alignments/1", ALIGN),
        "methods.repa",
        ["two alignments are called patches@1"],
    ),
    "one name for an encoder and an extractor": (
        put("extractors/unused", {"uses": "invariant-patches", "dim": 16, "steps": 0}),
        "extractors.unused",
        ["is also an encoder"],
    ),
    "extractor that reads captions": (
        put("extractors/talker", {"uses": "caption-and-image", "captioner": "measured", "image": "pixels"}),
        "extractors.talker",
        ["caption-and-image reads captions", "samples have none"],
    ),
    "unknown extractor": (
        put("metrics/1/extractor", "pixel"),
        "metrics.1.extractor",
        ["unknown extractor 'pixel'", "did you mean 'pixels'?", "(allowed: clf, pixels, spare)"],
    ),
    "metric that needs a classifier": (
        put("metrics/2/extractor", "pixels"),
        "metrics.2.extractor",
        ["accuracy needs an extractor that is a classifier, and pixels is none"],
    ),
    "metric listed twice": (put("metrics/1/extractor", "clf"), "metrics.1", ["fd@clf is listed twice"]),
    "too few samples": (
        both(put("sampling/count", 8), put("metrics/3", {"uses": "kd", "extractor": "clf"})),
        "metrics.3",
        ["kd@clf needs at least 10 samples", "sampling.count is 8"],
    ),
    "unknown captioner": (
        put("encoders/caption/captioner", "measurd"),
        "encoders.caption",
        ["unknown captioner 'measurd'", "did you mean 'measured'?"],
    ),
    "encoder that reads a missing encoder": (
        put("encoders/caption/image", "patch"),
        "encoders.caption",
        ["unknown encoder 'patch'", "did you mean 'patches'?"],
    ),
    "encoder that reads itself": (
        put("encoders/caption/image", "caption"),
        "encoders.caption",
        ["read a basic encoder"],
    ),
    "encoder that reads one that reads": (
        put("encoders/nested", {"uses": "caption-and-image", "captioner": "measured", "image": "caption"}),
        "encoders.nested",
        ["reads 'caption'", "read a basic encoder"],
    ),
    "online extractor": (
        put("extractors/spare", {**ONLINE, "output": "vector"}),
        "extractors.spare.mode",
        ["online is for encoders", "take it out"],
    ),
    "online encoder that only another encoder reads": (
        both(put("encoders/dino", ONLINE), put("encoders/caption/image", "dino")),
        "encoders.dino.mode",
        ["online is for encoders that a method aligns to", "only other encoders read 'dino'", "take it out"],
    ),
    "unknown base": (
        put("methods/reed/base", "repo"),
        "methods.reed.base",
        ["unknown base 'repo'", "did you mean 'repa'?", "(allowed: reed, repa, sit)"],
    ),
    "base that is no name": (put("methods/reed/base", ["repa"]), "methods.reed.base", ["must be the name of an entry"]),
    "base of nothing": (put("methods/reed/base", None), "methods.reed.base", ["must be the name of an entry"]),
    "base of itself": (put("methods/reed/base", "reed"), "methods.reed.base", ["in a circle: reed -> reed"]),
    "circular base": (
        put("methods/repa/base", "reed"),
        "methods.reed.base",
        ["goes round in a circle: repa -> reed -> repa"],
    ),
    "step off the grid": (put("evaluate/1", 12), "evaluate.1", ["step 12 is off the grid", "train.save_every (5)"]),
    "steps that do not increase": (put("evaluate", [20, 10]), "evaluate", ["must list increasing steps"]),
    "a sampler at steps of its own that there is not": (
        put("only_at", {"odd": [20]}),
        "only_at.odd",
        ["unknown sampler 'odd'", "ode"],
    ),
    "steps of the sampler that is shown": (put("only_at", {"ode": [20]}), "only_at.ode", ["draws at all steps"]),
    "steps of a sampler that are all": (guided([10, 20]), "only_at.sde", ["lists all steps of `evaluate`"]),
    "steps of a sampler that do not increase": (guided([20, 20]), "only_at.sde", ["must list increasing steps"]),
    "a step of a sampler that nobody evaluates": (guided([15, 20]), "only_at.sde", ["step 15 is not among those of"]),
    "a sampler that leaves the last step out": (guided([10]), "only_at.sde", ["must have the last step", "(20)"]),
    "a sampler that never draws": (guided([]), "only_at.sde", ["must have the last step", "(20)"]),
    "step given twice": (put("evaluate", [10, 10]), "evaluate", ["each once"]),
    "segment off the grid": (put("train/segment", 12), "train.segment", ["12 is not a multiple of train.save_every"]),
    "duplicate seeds": (put("seeds", [1, 1]), "seeds", ["must list each seed once"]),
    "negative seed": (put("seeds", [0, -1]), "seeds", ["must not be negative"]),
    "batch that accumulation does not divide": (
        put("train/accumulation", 3),
        "train.accumulation",
        ["must divide the batch (8)"],
    ),
    "unknown method in the table": (
        put("table/2", "reeed"),
        "table.2",
        ["unknown method 'reeed'", "did you mean 'reed'?", "(allowed: reed, repa, sit)"],
    ),
    "unknown method in an ablation": (
        put("ablations/text/methods/0", "rpea"),
        "ablations.text.methods.0",
        ["unknown method 'rpea'", "did you mean 'repa'?"],
    ),
    "method twice in the table": (put("table/3", "sit"), "table", ["lists a method twice"]),
    "method twice in an ablation": (put("ablations/text/methods/2", "repa"), "ablations.text.methods", ["twice"]),
    "duplicate label": (put("methods/reed/label", "REPA"), "methods.reed.label", ["'REPA' is also the label of repa"]),
    "streams of unequal size": (put("sampling/streams", 5), "sampling.streams", ["must divide sampling.count (64)"]),
    "unknown baseline": (
        put("speedup/baseline", "sitt"),
        "speedup.baseline",
        ["unknown method 'sitt'", "did you mean 'sit'?"],
    ),
    "baseline not in the table": (put("table", ["repa", "reed"]), "speedup.baseline", ["'sit' is not in table"]),
    "unknown speed-up metric": (
        put("speedup/metric", "fd@cls"),
        "speedup.metric",
        ["unknown metric 'fd@cls'", "did you mean 'fd@clf'?", "accuracy@clf"],
    ),
    "unknown column": (
        put("columns", ["fd@pixels", "fd@cls"]),
        "columns.1",
        ["unknown metric 'fd@cls'", "did you mean 'fd@clf'?", "accuracy@clf"],
    ),
    "column twice": (put("columns", ["fd@clf", "fd@clf"]), "columns.1", ["'fd@clf' is listed twice"]),
    "decay without a length": (
        put("methods/sit/align", {"shape": "cosine-decay"}),
        "methods.sit.align",
        ["cosine-decay needs a length of at least 1 step"],
    ),
    "ramp without a length": (
        put("methods/sit/denoise", {"shape": "linear-ramp"}),
        "methods.sit.denoise",
        ["linear-ramp needs a length of at least 1 step"],
    ),
    "length without a shape": (
        put("methods/sit/denoise", {"length": 5}),
        "methods.sit.denoise",
        ["length has no effect on shape constant"],
    ),
    "a step that no file name holds": (
        put("evaluate/1", 4 * 10**20),
        "evaluate.1",
        ["must be at most 9999999, got 4e+20"],
    ),
    "a segment that no run reaches": (put("train/segment", 10**7), "train.segment", ["must be at most 9999999"]),
    "a run of more jobs than anybody has": (
        both(put("train/segment", 5), put("evaluate/1", 9_000_000)),
        "train.segment",
        ["5 cuts a run of 9000000 steps into more than 10000 jobs"],
    ),
    "a batch beyond reason": (
        put("train/batch", 4.0e20),
        "train.batch",
        ["must be a whole number of at most 18 digits, got 4e+20"],
    ),
    "more samples than anybody draws": (put("sampling/count", 10**8), "sampling.count", ["must be at most 10000000"]),
    "a batch of more rows than any": (put("train/batch", 8 * 10**6), "train.batch", ["must be at most 1000000"]),
    "a seed beyond reason": (put("seeds/1", 4 * 10**20), "seeds.1", ["must be at most 2147483647, got 4e+20"]),
    "a label of two lines": (put("methods/reed/label", "RE\nED"), "methods.reed.label", ["one line of 1 to 60"]),
    "an empty label": (put("methods/reed/label", " "), "methods.reed.label", ["one line of 1 to 60"]),
    "an alias of what it stands in": (
        text("title: &a [x, *a]\n"),
        "title.1",
        ["alias (*) of something that it stands in"],
    ),
    "aliases that stand for billions": (
        text(
            "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
            + "".join(
                f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]\n"
                for below, name in zip("abcdefgh", "bcdefghi", strict=True)
            )
        ),
        "",
        ["more than 100000 entries"],
    ),
    "interval out of order": (
        put("samplers/ode/interval", [0.7, 0.3]),
        "samplers.ode",
        ["interval [0.7, 0.3] must satisfy 0 <= low <= high <= 1"],
    ),
    "size and width": (put("backbone/size", "S"), "backbone", ["give either size (S, B, L, XL) or all of width"]),
    "width that heads do not divide": (put("backbone/heads", 3), "backbone", ["width 16 must be a multiple of heads"]),
    "no samplers": (put("samplers", {}), "samplers", ["needs at least one sampler"]),
}
