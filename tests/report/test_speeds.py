"""What `reedbench summary` says of training speed."""

import json

import numpy as np

from reedbench.report import speeds

GPUS = json.dumps([{"device": "NVIDIA H200", "ranks": 4, "torch": "2.11"}])


def test_a_method_has_its_rate_cost_use_and_devices(make_source):
    curves = make_source({("sit", 0): [1.0] * 4, ("sit", 1): [1.0] * 4, ("repa", 0): [1.0] * 4}).curves
    use = np.where(curves["method"] == "sit", 0.25, np.nan)
    curves = curves.assign(samples_per_second=512.0, mfu=use, numerics=GPUS)
    per_sample = curves["flops"].iloc[0] / curves["samples_seen"].iloc[0]
    start = f"512 samples/s, {per_sample:.2g} FLOPs per sample"
    assert speeds.lines(curves, {"sit": "SiT", "repa": "REPA"}) == [
        f"SiT: {start}, 25 % of the dense bf16 peak, on 4 x NVIDIA H200",
        f"REPA: {start}, on 4 x NVIDIA H200",
    ]


def test_older_curves_say_nothing(make_source):
    assert speeds.lines(make_source({("sit", 0): [1.0] * 4}).curves, {"sit": "SiT"}) == []
