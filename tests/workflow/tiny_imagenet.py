"""A working directory with the shipped benchmark `imagenet` at a tiny size: real images, random weights as published.

Sections that name files, sizes and counts are replaced; methods, encoders and metrics stay those of the shipped file.
"""

from pathlib import Path
from typing import Any

import inception_file
import numpy as np
import qwen_folder
import tiny_vae
import vit_file
import yaml
from PIL import Image

from reedbench.core import io

SHIPPED = Path(__file__).parents[2] / "config" / "benchmarks" / "imagenet.yaml"
SAMPLES = 24
WORDS = {"size_mb": 1, "licence": "MIT", "citation": "nobody", "purpose": "tests"}


def write(folder: Path, images: Path, resources: dict[str, dict[str, Any]] | None = None) -> None:
    """Write weights, their pins, and the benchmark; `resources` are by step, of which none has any otherwise."""
    _weights(folder, images)
    with SHIPPED.open() as file:
        benchmark = yaml.safe_load(file)
    shrunk = {
        "dataset": {**benchmark["dataset"], "path": str(images), "validation": str(images)},
        "backbone": {"uses": "sit", "size": "S", "patch": 8},
        "train": {"batch": 16, "segment": 20, "save_every": 20},
        "bookkeeping": {"log_every": 5, "state_every": 5},
        "evaluate": [20],
        "only_at": {},
        "samplers": {"sde": {**benchmark["samplers"]["sde"], "steps": 3}},
        "sampling": {"count": SAMPLES, "streams": 1, "batch": 12},
        "resources": resources or {},
    }
    tiny = {"grid": 4, **vit_file.SIZE, "precision": "fp32", "sample": 40}
    benchmark["encoders"]["dinov2-b"] |= tiny
    benchmark["extractors"]["inception"] |= {"size": 75, "reference": "made/reference.npz"}
    for section in ("captioners", "encoders"):
        for one in benchmark[section].values():
            if one["uses"] == "qwen-vl":
                one |= {"precision": "fp32", "weights": one["weights"].replace("weights/", "made/")}
                one |= {"layer": 2} if section == "encoders" else {"tokens": 4}
    benchmark["codec"] |= {"weights": "made/sd-vae-ft-mse", "decoder": "made/sd-vae-ft-ema"}
    for method in benchmark["methods"].values():
        for alignment in method.get("alignments", ()):
            alignment |= {"projector_width": 32, "depth": alignment["depth"] // 2}  # of 12 blocks, not 28
        if method.get("denoise", {}).get("length"):
            method["denoise"]["length"] = 5
    (folder / "config" / "benchmarks").mkdir(parents=True)
    (folder / "config" / "benchmarks" / "imagenet.yaml").write_text(yaml.safe_dump({**benchmark, **shrunk}))
    (folder / "config" / "config.yaml").write_text("benchmarks: config/benchmarks\nlauncher: inline\n")


def _weights(folder: Path, images: Path) -> None:
    """Folders and files in the published formats, and those of them that are pinned."""
    made = folder / "made"
    for name, seed in (("sd-vae-ft-mse", 0), ("sd-vae-ft-ema", 1)):
        tiny_vae.save(made / name, images=3, channels=4, blocks=4, seed=seed)
    for name in ("Qwen2-VL-2B-Instruct", "Qwen2-VL-7B-Instruct"):
        qwen_folder.write(made / name)
    vit_file.write(made / "dinov2.safetensors")
    (made / "inception.pth").write_bytes(inception_file.made().read_bytes())
    pictures = [Image.open(file).convert("RGB").resize((256, 256)) for file in sorted(images.rglob("*.JPEG"))[:40]]
    np.savez(made / "reference.npz", arr_0=np.stack([np.asarray(one) for one in pictures]))
    pins = {"dinov2-vit-b": "dinov2.safetensors", "inception-2015": "inception.pth"}
    entries = {
        name: {"path": str(made), "files": {file: io.sha256(made / file)}, **WORDS} for name, file in pins.items()
    }
    (folder / "config").mkdir(parents=True, exist_ok=True)
    (folder / "config" / "weights.yaml").write_text(yaml.safe_dump({"weights": entries}))
