"""Settings of what benchmarks share (datasets, captioners, encoders), and the key of any settings.

Settings are all that the result of a step depends on. Those of a benchmark, a run or a cell are said by these values of
`schema.runs`. The workflow's functions, the steps and `reedbench plan` ask both.
"""

from pathlib import Path
from typing import Any

from reedbench.core import io, paths, pins
from reedbench.core.errors import ConfigError
from reedbench.schema.suite import Suite
from reedbench.schema.versions import VERSIONS

Settings = dict[str, Any]


def dataset(suite: Suite, name: str) -> Settings:
    """Settings of `prepare`."""
    plugin = suite.dataset(name)
    return {"step": VERSIONS["prepare"], "id": plugin.id, "dataset": plugin.identity()}


def weight(suite: Suite, name: str) -> Settings:
    """Settings of `fetch`."""
    return {"step": VERSIONS["fetch"], "weights": suite.weight(name).content}


def identity(suite: Suite, plugin: Any) -> Settings:
    """Identity of a plugin, with the digests of the weights that it names in place of names."""
    return {**plugin.identity(), **_contents(suite, plugin)}


def codec(suite: Suite, plugin: Any) -> Settings:
    """What of a codec changes what a network is trained on."""
    weights = {field: one for field, one in _contents(suite, plugin).items() if field not in plugin.of_samples}
    compressed = {"step": VERSIONS["compress"]} if plugin.compresses else {}
    return {**plugin.recipe(), **weights, **compressed}


def latents(suite: Suite, data: str, name: str) -> Settings:
    """Settings of `compress`."""
    plugin = suite.codec(data, name)
    weights = {field: one for field, one in _contents(suite, plugin).items() if field in plugin.decides_latents}
    return {
        "step": VERSIONS["compress"],
        "codec": {**plugin.latents(), **weights},
        "data": dataset(suite, data),
    }


def _contents(suite: Suite, plugin: Any) -> Settings:
    """By field, what the weights that a plugin names are."""
    return {field: suite.weight(name).content for field, name in pins.named(plugin).items()}


def pinned(*plugins: Any) -> list[str]:
    """Cards of the pinned weights that plugins name: the files that say that these have been fetched."""
    return [paths.card(paths.pinned(name)) for name in pins.names(*plugins)]


def captioner(suite: Suite, data: str, name: str) -> Settings:
    """Settings of `caption`."""
    plugin = suite.captioner(data, name)
    return {
        "step": VERSIONS["caption"],
        "captioner": identity(suite, plugin),
        "data": dataset(suite, data),
    }


def encoder(suite: Suite, data: str, name: str) -> Settings:
    """Settings of `pretrain`, `represent` and `statistics`, with everything that the encoder itself reads."""
    plugin = suite.encoder(data, name)
    captions = plugin.reads_captions_of()
    return {
        "step": {verb: VERSIONS[verb] for verb in ("pretrain", "represent")},
        "name": name,
        "encoder": identity(suite, plugin),
        "data": dataset(suite, data),
        "captions": None if captions is None else captioner(suite, data, captions),
        "reads": [encoder(suite, data, other) for other in suite.read_by(data, name).values()],
    }


def key(recipe_or_settings: Settings) -> str:
    """Twelve digits that name a recipe or the settings of a step."""
    return io.digest_of(recipe_or_settings)


def put_recipe(path: str, recipe: Settings, *, allowed: bool = True) -> bool:
    """Write a recipe where its content differs (so that an unchanged one keeps its time); says whether it wrote.

    Raises:
        ConfigError: it differs, and writing is not allowed.
    """
    text, file = io.canonical_json(recipe), Path(path)
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return False
    if not allowed:
        raise ConfigError(
            f"{path}: is not the recipe of this run (edited by hand?): run snakemake again, it restores it"
        )
    io.write_text(file, text, in_place=True, shared=True)  # no output of a job: its input
    return True


def encoder_reads(suite: Suite, data: str, name: str) -> list[str]:
    """Files that an encoder reads beside the data: captions, pinned weights, and other encoders' weights."""
    plugin = suite.encoder(data, name)
    captions = plugin.reads_captions_of()
    files = [] if captions is None else [paths.captions(data, captions)]
    files += pinned(plugin)
    below = suite.read_by(data, name).values()
    return files + [file for other in below for file in encoder_weights(suite, data, other)]


def encoder_weights(suite: Suite, data: str, name: str) -> list[str]:
    """The encoder's own weights, where it is trained, and what it reads."""
    own = [paths.weights(paths.encoder(data, name))] if suite.encoder(data, name).pretrained else []
    return own + encoder_reads(suite, data, name)
