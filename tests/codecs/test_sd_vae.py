"""Latents of an autoencoder: moments in half precision, a draw per step, and samples brought back."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

import tiny_vae

from reedbench.codecs.sd_vae import SDVAE
from reedbench.core import seeds
from reedbench.core.errors import ConfigError, Diverged, MissingArtefact
from reedbench.domains.rows import Rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_vae.save(tmp_path_factory.mktemp("vae") / "tiny", images=3)


@pytest.fixture
def codec(folder):
    return SDVAE(weights=str(folder), channels=2, factor=2)


@pytest.fixture(scope="module")
def network(folder):
    from diffusers import AutoencoderKL

    return AutoencoderKL.from_pretrained(folder, local_files_only=True).eval()


def arrays(n: int = 70) -> dict[str, np.ndarray]:
    images = np.random.default_rng(0).integers(0, 256, (n, 3, 8, 8), dtype=np.uint8)
    return {"images": images, "labels": np.arange(n) % 10}


def test_what_is_kept_are_mean_and_standard_deviation_without_a_scale(codec, network):
    kept = codec.compressed(arrays(4))
    assert kept.keys() == {"moments", "labels"}
    assert (kept["moments"].shape, kept["moments"].dtype) == ((4, 4, 4, 4), np.float16)
    with torch.no_grad():
        posterior = network.encode(torch.from_numpy(arrays(4)["images"] / 127.5 - 1).float()).latent_dist
    np.testing.assert_allclose(kept["moments"][:, :2], posterior.mean, atol=2e-3)
    np.testing.assert_allclose(kept["moments"][:, 2:], posterior.std, rtol=2e-3)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_row_is_encoded_and_decoded_to_the_same_bytes_in_any_company(codec, size):
    data = arrays()
    whole = codec.compressed(data)["moments"]
    latents = codec.encode(data["images"])
    images = codec.decode(latents)
    for begin in range(0, 70, size):
        some = slice(begin, begin + size)
        part = codec.compressed({name: array[some] for name, array in data.items()})["moments"]
        np.testing.assert_array_equal(part, whole[some])
        np.testing.assert_array_equal(codec.decode(latents[some]), images[some])


def test_every_step_draws_from_the_posterior_by_the_streams_of_its_rows(codec):
    batch = codec.batch(codec.compressed(arrays(5)))
    assert (batch["moments"].dtype, batch["labels"].tolist()) == (torch.float32, [0, 1, 2, 3, 4])

    def streams(step):
        return lambda name: seeds.rows(range(5), name, "data", 0, step)

    mean, std = batch["moments"].chunk(2, 1)
    drawn = codec.drawn(batch, streams(0))
    assert drawn.keys() == {"x_1", "labels"}
    noise = torch.from_numpy(streams(0)("posterior").normal(2, 4, 4))
    torch.testing.assert_close(drawn["x_1"], (mean + std * noise) * 0.18215)
    assert not torch.equal(drawn["x_1"], codec.drawn(batch, streams(1))["x_1"])


def test_of_images_a_batch_has_the_scaled_means(codec, network):
    x = codec.batch(arrays(3))["x_1"]
    with torch.no_grad():
        mean = network.encode(torch.from_numpy(arrays(3)["images"] / 127.5 - 1).float()).latent_dist.mean
    torch.testing.assert_close(x, mean * 0.18215, atol=1e-6, rtol=1e-5)


def test_samples_are_decoded_by_the_decoder_and_truncated(folder, network, tmp_path):
    other = tiny_vae.save(tmp_path / "other", images=3, seed=1)
    asked = Rows(["0", "1"], ["asked"] * 2, {"labels": np.arange(2)})
    latents = torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    codec = SDVAE(weights=str(other), decoder=str(folder), channels=2, factor=2)
    found = codec.samples({"x_1": latents}, asked).arrays["images"]
    with torch.no_grad():
        signed = network.decode(latents / 0.18215).sample.double().numpy()
    np.testing.assert_array_equal(found, np.floor(np.clip((signed + 1) * 127.5, 0, 255)).astype(np.uint8))


def test_the_precision_is_its_own_whatever_surrounds_it(codec, monkeypatch):
    data = arrays(3)
    wanted = codec.compressed(data)["moments"]
    with torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_array_equal(codec.compressed(data)["moments"], wanted)
    half = codec.model_copy(update={"precision": "bf16"})
    monkeypatch.setattr("reedbench.core.numerics.cpu_has_bf16", lambda: True)
    assert not np.array_equal(half.compressed(data)["moments"], wanted)
    monkeypatch.setattr("reedbench.core.numerics.cpu_has_bf16", lambda: False)
    np.testing.assert_array_equal(half.compressed(data)["moments"], wanted)
    assert half.filed() == f"{codec.filed()}-bf16" == "tiny-bf16"


def test_what_changes_latents_training_and_samples():
    codec = SDVAE(weights="a", decoder="b", rounding="round", scale=0.5)
    assert codec.latents() == {"uses": "sd-vae", "version": 1, "weights": "a"}
    assert codec.recipe() == {"uses": "sd-vae", "version": 1, "weights": "a", "scale": 0.5}
    assert SDVAE().filed() == "sd-vae-ft-mse"


def test_a_moment_beyond_half_precision_is_an_error(codec, monkeypatch):
    monkeypatch.setattr(SDVAE, "_moments", lambda self, data: np.full((1, 4, 4, 4), 1e6, np.float32))
    with np.errstate(over="ignore"), pytest.raises(ConfigError, match="beyond what half precision holds"):
        codec.compressed(arrays(1))


def test_sides_that_cannot_be_divided_are_refused():
    with pytest.raises(ConfigError, match="36x36 cannot be encoded: sides must be multiples of 8"):
        SDVAE().latent_shape((3, 36, 36))
    assert SDVAE().latent_shape((3, 256, 512)) == (4, 32, 64)


def test_weights_that_lack_one_are_refused(folder, tmp_path):
    from safetensors.torch import load_file, save_file

    for name, keep in (("lacks", lambda n: n != "decoder.conv_in.weight"), ("has more", lambda n: True)):
        other = tiny_vae.save(tmp_path / name, images=3)
        file = other / "diffusion_pytorch_model.safetensors"
        weights = {n: tensor for n, tensor in load_file(file).items() if keep(n)}
        save_file(weights | ({} if name == "lacks" else {"extra.weight": torch.zeros(2)}), file)
        word = "missing: decoder.conv_in.weight" if name == "lacks" else "unexpected: extra.weight"
        with pytest.raises(ConfigError, match=rf"not those of its config.json \({word}\)"):
            SDVAE(weights=str(other), channels=2, factor=2).encode(arrays(1)["images"])


def test_what_is_no_number_is_not_decoded_to_pixels(codec):
    latents = codec.encode(arrays(2)["images"])
    latents[1] = np.nan
    with pytest.raises(Diverged, match="decodes to values that are no numbers"):
        codec.decode(latents)


def test_wrong_folders_are_one_line(folder, tmp_path):
    with pytest.raises(MissingArtefact, match=r"no folder of diffusers \(it has no config.json\)"):
        SDVAE(weights=f"{tmp_path}/").encode(arrays(1)["images"])
    with pytest.raises(
        ConfigError, match="latents of 2 channels and a factor of 2; the codec says channels: 4, factor: 8"
    ):
        SDVAE(weights=str(folder)).encode(arrays(1)["images"])
    broken = tiny_vae.save(tmp_path / "broken")
    (broken / "diffusion_pytorch_model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ConfigError, match="no autoencoder of diffusers that codec sd-vae reads") as caught:
        SDVAE(weights=str(broken), channels=2, factor=2).encode(arrays(1)["images"])
    assert "\n" not in str(caught.value)
    settings = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**settings, "latent_channels": 3}))
    with pytest.raises(ConfigError, match="no autoencoder of diffusers"):
        SDVAE(weights=str(broken), channels=3, factor=2).encode(arrays(1)["images"])
