"""What a run was trained on, by content: settings name files of one's own by paths, and what lies there may change.

The first training of a run notes it in its store. A later one that would go on from there on other grounds is refused:
its weights would be of both.
"""

import hashlib
from pathlib import Path
from typing import Any

from reedbench.core import io, paths, provenance, stores
from reedbench.core.errors import ConfigError
from reedbench.schema.runs import Run

NAME = "grounds.json"


def check(run: Run) -> bool:
    """Note what the run is trained on, or compare it with what was noted; on one process alone. Says whether it noted.

    Raises:
        ConfigError: something else lies now where the run found its data, teacher, pool, or files of plugins.
    """
    file, now = run.store.folder / NAME, _grounds(run)
    if not file.exists():
        io.write_json(file, now)
        return True
    then: dict[str, Any] = io.read_object(file)
    if changed := sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name)):
        raise ConfigError(
            f"{run.title}: {changed[0]} has other content than when this run was trained, under the same settings; "
            f"give what is new a name of its own, or delete {run.store.folder} to train anew"
        )
    return False


def _grounds(run: Run) -> dict[str, str]:
    """Digests, by what they are of: rows of the dataset, and files from outside as the steps before read them."""
    benchmark, suite = run.benchmark, run.benchmark.suite
    table = io.read_table(paths.manifest(benchmark.data), ["id", "sha256"])
    digest = hashlib.sha256()
    for column in ("id", "sha256"):
        digest.update("\n".join(table[column].to_pylist()).encode())
    found = {f"dataset {benchmark.dataset}": digest.hexdigest()}
    read = [] if run.latents is None else [(benchmark.spec.codec, paths.index(run.latents))]
    for filed in run.encoders.values():
        encoder, folder = suite.encoder(benchmark.dataset, filed), paths.encoder(benchmark.dataset, filed)
        if filed in run.cached.values():
            read.append((encoder, paths.index(paths.representation(benchmark.dataset, filed))))
        elif encoder.pretrained:
            read.append((encoder, paths.weights(folder)))
        else:  # training itself reads them
            found |= {str(file): io.sha256(file) for file in encoder.files()}
    for plugin, made in read:
        inputs = provenance.read(made)["inputs"]
        found |= {str(file): inputs[str(file)] for file in plugin.files() if str(file) in inputs}
    if (teacher := run.teacher) is not None:
        found[f"teacher {teacher.title}"] = stores.receipt(teacher.receipt)["weights"][Path(teacher.weights).name]
    if (pool := run.pool) is not None:
        found["its pool"] = provenance.read(pool.samples)["sha256"]
    return found
