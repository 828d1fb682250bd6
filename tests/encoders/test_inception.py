"""The Inception extractor: what it gives and in which order, from one forward; references that are files."""

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("torch_fidelity")

import inception_file
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from reedbench.core import archives
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.domains.rows import Rows
from reedbench.encoders import Encode, Material
from reedbench.encoders.inception import Inception
from reedbench.nn import inception as networks

SIDE = 3  # of Mixed_6d at 75 pixels; 17 at 299


def images(count: int = 4, channels: int = 3, side: int = 20) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, channels, side, side)).astype(np.uint8)


def material(pixels: np.ndarray) -> Material:
    count = len(pixels)
    return Material(Rows([str(i) for i in range(count)], ["train"] * count, {"images": pixels}))


def extractor(**settings) -> Inception:
    return Inception(**{"weights": str(inception_file.made()), "size": 75, **settings})


@pytest.fixture(scope="module")
def encode() -> Encode:
    return extractor().prepared({}, material(images()))


@pytest.fixture(scope="module")
def theirs() -> torch.nn.Module:
    """torch-fidelity's own, at 75 pixels."""
    found = FeatureExtractorInceptionV3(
        "theirs", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(inception_file.made())
    )
    found.INPUT_IMAGE_SIZE = 75
    return found


def test_pool_features_and_logits_are_those_of_torch_fidelity(encode, theirs):
    parts = extractor().parted(encode(material(images())))
    pool, logits = theirs(torch.from_numpy(images()))
    np.testing.assert_array_equal(parts["features"], pool.numpy())
    np.testing.assert_array_equal(parts["logits"], logits.numpy())
    assert pool.std() > 0.01
    assert theirs.fc.bias.abs().max() > 0.1
    torch.testing.assert_close(logits, pool @ theirs.fc.weight.T)


def test_spatial_features_are_seven_channels_of_one_layer_by_row_column_and_channel(encode, theirs):
    spatial = extractor().parted(encode(material(images())))["spatial"].reshape(4, SIDE, SIDE, 7)
    tapped: dict[str, torch.Tensor] = {}
    for block in ("Mixed_6c", "Mixed_6d", "Mixed_6e"):
        layer = theirs.get_submodule(f"{block}.branch1x1")
        layer.register_forward_hook(lambda _layer, _given, out, block=block: tapped.update({block: out}))
    theirs(torch.from_numpy(images()))
    wanted = tapped["Mixed_6d"].numpy()
    assert wanted.min() == 0  # after ReLU
    for channel in range(7):
        np.testing.assert_array_equal(spatial[..., channel], wanted[:, channel])
    flat = wanted[:, :7].reshape(4, -1)  # channels first, as torch has them
    assert np.abs(spatial.reshape(4, -1) - flat).max() > 0.01
    assert all(np.abs(tapped[b][:, 0].numpy() - spatial[..., 0]).max() > 0.01 for b in ("Mixed_6c", "Mixed_6e"))


def test_at_the_published_size_there_are_2048_2023_and_1008_numbers():
    assert Inception().shape({}, {}) == (2048 + 17 * 17 * 7 + 1008,)
    seen = networks.seen(networks.build(inception_file.state(), 299), torch.from_numpy(images(1)))
    assert [part.shape for part in seen] == [(1, 2048), (1, 2023), (1, 1008)]


def test_all_of_it_comes_from_one_forward(monkeypatch):
    asked = extractor(batch=3)
    ready, calls = asked.prepared({}, material(images())), []
    forward = FeatureExtractorInceptionV3.forward
    monkeypatch.setattr(FeatureExtractorInceptionV3, "forward", lambda net, x: calls.append(len(x)) or forward(net, x))
    ready(material(images()))
    assert calls == [3, 1]


def test_images_are_resized_as_tensorflow_1_does(encode, theirs):
    """Without half pixels: the first pixel of the target is that of the source."""
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x as resized

    ramp = torch.arange(25.0).reshape(1, 1, 1, 25).expand(1, 3, 25, 25)
    grown = resized(ramp, size=(75, 75), align_corners=False)[0, 0, 0]
    expected = torch.clamp(torch.arange(75) / 3, max=24)
    torch.testing.assert_close(grown, expected)
    halves = torch.nn.functional.interpolate(ramp, size=(75, 75), mode="bilinear", antialias=True)[0, 0, 0]
    assert (halves - expected).abs().max() > 0.3


def test_grey_images_are_shown_as_colours(encode):
    grey = images(channels=1)
    colours = np.repeat(grey, 3, axis=1)
    np.testing.assert_array_equal(encode(material(grey)), encode(material(colours)))
    with pytest.raises(ConfigError, match=r"^extractor inception takes images of 1 or 3 channels, and these have 2$"):
        encode(material(images(channels=2)))


def test_a_wrong_file_is_one_line(tmp_path: Path):
    wrong = {
        "absent.pth": None,
        "text.pth": b"no weights",
        "other.pth": {"layer.weight": torch.zeros(2)},
        "shape.pth": {**inception_file.state(), "fc.weight": torch.zeros(1000, 2048)},
        "values.pth": {**inception_file.state(), "fc.weight": 3},
    }
    for name, content in wrong.items():
        if isinstance(content, bytes):
            (tmp_path / name).write_bytes(content)
        elif content is not None:
            torch.save(content, tmp_path / name)
        kind = MissingArtefact if content is None else ConfigError
        with pytest.raises(kind, match=f"{name}.*weights-inception-2015-12-05-6726825d.pth") as error:
            extractor(weights=str(tmp_path / name)).prepared({}, material(images()))
        assert "\n" not in str(error.value)


# References


def moments(dim: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    spread = np.random.default_rng(seed).standard_normal((dim, dim)) / dim
    return np.arange(dim) / dim, spread @ spread.T


def reference(file: Path, **arrays: np.ndarray | None) -> Path:
    (mu, sigma), (mu_s, sigma_s) = moments(2048, 0), moments(7 * SIDE**2, 1)
    whole = {"arr_0": images().transpose(0, 2, 3, 1), "mu": mu, "sigma": sigma, "mu_s": mu_s, "sigma_s": sigma_s}
    np.savez(file, **{name: array for name, array in (whole | arrays).items() if array is not None})
    return file


def test_a_reference_has_images_and_moments(tmp_path, monkeypatch):
    file = reference(tmp_path / "reference.npz")
    found = extractor(reference=str(file)).published()
    np.testing.assert_array_equal(found.rows.arrays["images"], images())
    assert found.file == file
    assert {name: mean.shape for name, (mean, _) in found.moments.items()} == {"features": (2048,), "spatial": (63,)}
    np.testing.assert_array_equal(found.moments["spatial"][1], moments(63, 1)[1])
    monkeypatch.setattr(archives, "LARGE", 0)
    assert isinstance(extractor(reference=str(file)).published().rows.arrays["images"], np.memmap)
    np.savez_compressed(tmp_path / "compressed.npz", **np.load(file))
    compressed = extractor(reference=str(tmp_path / "compressed.npz")).published()
    np.testing.assert_array_equal(compressed.rows.arrays["images"], images())
    bare = extractor(reference=str(reference(file, mu=None, sigma=None, mu_s=None, sigma_s=None))).published()
    assert not bare.moments
    assert extractor().published() is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"arr_0": None}, "has no arr_0"),
        ({"arr_0": images()}, r"has arr_0 of uint8 \(4, 3, 20, 20\)"),
        ({"arr_0": images().transpose(0, 2, 3, 1) / 255}, "has arr_0 of float64"),
        ({"sigma": None}, "has only one of mu and sigma"),
        ({"mu_s": np.full(63, np.nan)}, "mu_s is not finite"),
        ({"mu_s": np.zeros(2023), "sigma_s": np.zeros((2023, 2023))}, "of 2023 numbers, and .* at 75 pixels gives 63"),
    ],
)
def test_a_faulty_reference_is_one_line(tmp_path, arrays, message):
    file = reference(tmp_path / "reference.npz", **arrays)
    with pytest.raises(ConfigError, match=f"reference.npz.*{message}") as error:
        extractor(reference=str(file)).published()
    assert "\n" not in str(error.value)


def test_a_reference_that_is_absent_or_no_npz_is_one_line(tmp_path):
    with pytest.raises(MissingArtefact, match=r"absent\.npz: no such file"):
        extractor(reference=str(tmp_path / "absent.npz")).published()
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ConfigError, match=r"text.npz: is no npz file of plain arrays"):
        extractor(reference=str(tmp_path / "text.npz")).published()
