"""Files that torch saved: read without ever running what they contain."""

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reedbench.core.errors import ConfigError, MissingArtefact


def load(file: Path, how: str, allowed: Sequence[type] = (), *, mapped: bool = False, alone: str | None = None) -> Any:
    """What a .pt file holds, on the CPU; only tensors, plain values and the `allowed` types are read.

    Args:
        file: as torch.save wrote it.
        how: a clause that says how to get such a file.
        allowed: further types that may be in it.
        mapped: leave tensors on disk until they are used, where the file allows it.
        alone: a clause that says what to do with a file that asks for other types; `how` unless given.

    Raises:
        MissingArtefact: there is no such file.
        ConfigError: the file asks for another type, or is damaged.
    """
    import pickle
    import warnings

    import torch

    if not file.is_file():
        raise MissingArtefact(f"{file}: no such file; {how}")
    try:
        with torch.serialization.safe_globals(list(allowed)), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*TorchScript")  # said below, as an error
            mmap = mapped and zipfile.is_zipfile(file)  # files of torch before 1.6 cannot be mapped
            return torch.load(file, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        why = f"asks for `{asked[1]}`" if asked else "is no checkpoint of tensors"
        cure = (alone or how) if asked else how
        raise ConfigError(f"{file}: refused, it {why}; only tensors and plain values are read; {cure}") from error
    except Exception as error:  # damaged files raise whatever the reader stumbles on
        if "TorchScript" in str(error):
            raise ConfigError(f"{file}: refused, it is TorchScript, which is code; {how}") from error
        raise ConfigError(f"{file}: damaged or cut short ({type(error).__name__}); {how}") from error


def tensors(
    file: Path, how: str, allowed: Sequence[type] = (), *, mapped: bool = False, alone: str | None = None
) -> dict[str, Any]:
    """What a file of weights holds, on the CPU: .safetensors, or as torch saved it; the other arguments as for `load`.

    Raises:
        MissingArtefact: there is no such file.
        ConfigError: it is damaged, asks for code, or holds no dict.
    """
    if file.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        if not file.is_file():
            raise MissingArtefact(f"{file}: no such file; {how}")
        try:
            return load_file(file)
        except SafetensorError as error:
            raise ConfigError(f"{file}: damaged or cut short ({error}); {how}") from error
    found = load(file, how, allowed, mapped=mapped, alone=alone)
    if not isinstance(found, dict):
        raise ConfigError(f"{file}: holds a {type(found).__name__}, and no dict of tensors; {how}")
    return found
