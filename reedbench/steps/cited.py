"""What an artefact stands on, as its sidecar says it: the one place from which `reedbench cite` reads it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reedbench.core import provenance
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.schema import targets
from reedbench.schema.citations import Citations
from reedbench.schema.suite import load
from reedbench.steps import runner


def of_file(file: str, config: str) -> Citations:
    """By what was used, keys of the bibliography.

    A sidecar has them as `citations`: a mapping, or a list of keys. Of one that was written before there were any they
    come from its command, under the configuration as it is now.

    Raises:
        ConfigError: no rule makes such a file.
        MissingArtefact: it has not been made, or nothing says how.
    """
    if not Path(file).exists():
        if (fault := targets.fault(load(config), file)) is not None:
            raise ConfigError(f"{fault} ({targets.LIST})")
        raise MissingArtefact(f"{file} does not exist: make it (snakemake --cores 2 {file})")
    if not provenance.sidecar(file).exists():
        raise MissingArtefact(
            f"{file}: has no provenance file {provenance.sidecar(file).name}; name a table, a figure, or another file "
            "that a step has made"
        )
    record = provenance.read(file)
    if "citations" in record:
        return _said(file, record["citations"])
    command = record["command"]
    if command[:2] != ["reedbench", "step"]:
        raise MissingArtefact(f"{file}: its provenance does not say what it stands on; make it again")
    return runner.cited(command[2:], config)


def _said(file: str, citations: Any) -> Citations:
    """As a mapping, whatever form it has."""
    found = citations if isinstance(citations, Mapping) else {file: citations}
    if not all(isinstance(keys, list) and all(isinstance(key, str) for key in keys) for keys in found.values()):
        raise MissingArtefact(f"{file}: `citations` of its provenance are no keys; make it again")
    return dict(found)
