"""Published references of images, as the ADM evaluator reads them: npz files of images and of moments."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from reedbench.core import archives, io
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.domains.rows import Rows
from reedbench.encoders import Published

# Names of mean and covariance in guided-diffusion's evaluations/evaluator.py, by what they are moments of.
MOMENTS: Mapping[str, tuple[str, str]] = {"features": ("mu", "sigma"), "spatial": ("mu_s", "sigma_s")}
HOW = "a reference is an npz with images `arr_0` (uint8 NHWC), and perhaps moments mu, sigma, mu_s, sigma_s"


def read(file: Path) -> Published:
    """Images and moments; images of a large file stay in it, unless they are compressed.

    Raises:
        MissingArtefact: there is no such file.
        ConfigError: it is something else.
    """
    if not file.is_file():
        raise MissingArtefact(f"{file}: no such file; {HOW}")
    try:
        arrays = _arrays(file)
    except MissingArtefact as error:
        raise ConfigError(f"{file}: is no npz file of plain arrays; {HOW}") from error
    images = arrays.get("arr_0")
    if images is None or images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        found = "no arr_0" if images is None else f"arr_0 of {images.dtype} {images.shape}"
        raise ConfigError(f"{file}: has {found}; {HOW}")
    moments = {}
    for name, (mean, covariance) in MOMENTS.items():
        if (mean in arrays) != (covariance in arrays):
            raise ConfigError(f"{file}: has only one of {mean} and {covariance}; {HOW}")
        if mean in arrays:
            moments[name] = _checked(file, mean, arrays[mean]), _checked(file, covariance, arrays[covariance])
    count = len(images)
    rows = Rows([str(i) for i in range(count)], ["reference"] * count, {"images": images.transpose(0, 3, 1, 2)})
    return Published(file, rows, moments)


def _arrays(file: Path) -> Mapping[str, np.ndarray]:
    try:
        return archives.read(file)
    except MissingArtefact:  # of compressed arrays there are no maps
        return io.read_npz(file)


def _checked(file: Path, name: str, array: np.ndarray) -> np.ndarray:
    """As float64."""
    found = np.asarray(array, np.float64)
    if not np.isfinite(found).all():
        raise ConfigError(f"{file}: {name} is not finite; {HOW}")
    return found
