"""Published files, by the names of their authors, of transformers and of timm, give what the model of transformers
gives, which is an implementation of its own."""

from argparse import Namespace
from dataclasses import replace

import pytest
import torch
from torch import Tensor

timm = pytest.importorskip("timm")
transformers = pytest.importorskip("transformers")

from reedbench.core import checkpoint  # noqa: E402
from reedbench.nn.vision_models import MODELS, Model  # noqa: E402
from reedbench.nn.vision_transformers import PublishedTransformer, filled  # noqa: E402

GRID, WIDTH, DEPTH, HEADS = 3, 32, 2, 2
IMAGES = torch.randint(0, 256, (2, 3, 40, 40), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
SHARED = {"hidden_size": WIDTH, "num_hidden_layers": DEPTH, "num_attention_heads": HEADS, "layer_norm_eps": 1e-6}
# A model of ours, its class in transformers, and what its configuration says beside the sizes.
KINDS = {
    "dinov2-vit-b": ("Dinov2", {}),
    "dinov2-vit-g": ("Dinov2", {"use_swiglu_ffn": True}),
    "dinov2reg-vit-b": ("Dinov2WithRegisters", {}),
    "dinov1-vit-b": ("ViT", {"intermediate_size": 128}),
    "mocov3-vit-b": ("ViT", {"intermediate_size": 128}),
    "mae-vit-l": ("ViT", {"intermediate_size": 128}),
    "jepa-vit-h": ("IJepa", {"intermediate_size": 128}),
}


def tiny(name: str) -> Model:
    return replace(MODELS[name], width=WIDTH, depth=DEPTH, heads=HEADS)


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    """Every parameter away from what it is drawn as: ones and zeros would hide a swap."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory):
    """By name: the model of transformers, and what its file holds, as transformers publishes it."""
    made = {}

    def get(name: str) -> tuple[torch.nn.Module, dict[str, Tensor]]:
        if name not in made:
            kind, own = KINDS[name]
            patch = MODELS[name].family.patch
            config = getattr(transformers, f"{kind}Config")(**SHARED, **own, patch_size=patch, image_size=GRID * patch)
            model = randomised(getattr(transformers, f"{kind}Model")(config))
            folder = tmp_path_factory.mktemp(name)
            model.save_pretrained(folder)
            made[name] = model, checkpoint.tensors(folder / "model.safetensors", "")
        return made[name]

    return get


def expected(name: str, model: torch.nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Patch tokens and vector of transformers, for images that are prepared."""
    with torch.no_grad():
        out = model(pixel_values=images, output_hidden_states=True)
        family = MODELS[name].family
        normalised = out.last_hidden_state
        tokens = (normalised if family.normalised else out.hidden_states[-1])[:, family.prefix :]
    return tokens, normalised[:, 0] if family.class_token else normalised.mean(1)


def of_authors(there: dict[str, Tensor]) -> dict[str, Tensor]:
    """What a file of transformers holds, by the names that DINO's code took from timm."""
    out = {"pos_embed": there["embeddings.position_embeddings"]}
    for own, theirs in (("patch_embed.proj", "embeddings.patch_embeddings.projection"), ("norm", "layernorm")):
        out |= {f"{own}.{kind}": there[f"{theirs}.{kind}"] for kind in ("weight", "bias")}
    for own in ("cls_token", "register_tokens", "mask_token"):
        if f"embeddings.{own}" in there:
            out[own] = there[f"embeddings.{own}"]
    inside = {
        "attention.output.dense": "attn.proj", "norm1": "norm1", "norm2": "norm2", "layernorm_before": "norm1",
        "layernorm_after": "norm2", "intermediate.dense": "mlp.fc1", "output.dense": "mlp.fc2", "mlp.fc1": "mlp.fc1",
        "mlp.fc2": "mlp.fc2", "mlp.weights_in": "mlp.w12", "mlp.weights_out": "mlp.w3",
    }  # fmt: skip
    for block in range(DEPTH):
        for kind in ("weight", "bias"):
            of = f"encoder.layer.{block}"
            three = [there[f"{of}.attention.attention.{part}.{kind}"] for part in ("query", "key", "value")]
            out[f"blocks.{block}.attn.qkv.{kind}"] = torch.cat(three)
            for theirs, own in inside.items():
                if f"{of}.{theirs}.{kind}" in there:
                    out[f"blocks.{block}.{own}.{kind}"] = there[f"{of}.{theirs}.{kind}"]
        for scale in (1, 2):
            if (gamma := there.get(f"encoder.layer.{block}.layer_scale{scale}.lambda1")) is not None:
                out[f"blocks.{block}.ls{scale}.gamma"] = gamma
    return out


def published(name: str, own: dict[str, Tensor]) -> list[dict]:
    """What the authors' files hold."""
    other = {key: tensor + 1 for key, tensor in own.items()}
    head = torch.zeros(3, 3)
    if name.startswith("mocov3"):
        state = {f"module.base_encoder.{key}": tensor for key, tensor in own.items()}
        state |= {f"module.momentum_encoder.{key}": tensor for key, tensor in other.items()}
        state |= {"module.base_encoder.head.0.weight": head, "module.predictor.0.weight": head}
        return [{"epoch": 300, "arch": "vit_base", "state_dict": state, "optimizer": {"state": {}}}]
    if name.startswith("mae"):
        return [{"model": own}, {"model": own | {"mask_token": head, "decoder_blocks.0.norm1.weight": head[0]}}]
    if name.startswith("jepa"):
        wrapped, target = ({f"module.{key}": x for key, x in state.items()} for state in (own, other))
        return [{"encoder": wrapped, "target_encoder": target, "predictor": {}, "epoch": 300, "loss": 0.1}]
    if name.startswith("dinov1"):
        teacher = {f"backbone.{key}": tensor for key, tensor in own.items()} | {"head.mlp.0.weight": head}
        student = {f"module.backbone.{key}": tensor for key, tensor in other.items()}
        return [own, {"student": student, "teacher": teacher, "epoch": 100, "args": Namespace(arch="vit_base")}]
    return [own]


def agrees(name: str, network: PublishedTransformer, model: torch.nn.Module) -> None:
    tokens, vector = expected(name, model, network.prepared(IMAGES))
    assert tokens.std() > 0.1
    torch.testing.assert_close(network.tokens(IMAGES), tokens, atol=2e-5, rtol=2e-5)
    torch.testing.assert_close(network.vector(IMAGES), vector, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("name", KINDS)
def test_the_file_of_transformers_gives_what_transformers_gives(name, saved):
    model, there = saved(name)
    agrees(name, filled(tiny(name), there, GRID), model)


@pytest.mark.parametrize("name", KINDS)
def test_the_authors_file_gives_the_same(name, saved, tmp_path):
    model, there = saved(name)
    for number, state in enumerate(published(name, of_authors(there))):
        torch.save(state, tmp_path / f"{number}.pth")
        read = checkpoint.tensors(tmp_path / f"{number}.pth", "", [Namespace])
        agrees(name, filled(tiny(name), read, GRID), model)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("dinov2-vit-b", "vit_base_patch14_dinov2"),
        ("dinov2-vit-g", "vit_giant_patch14_dinov2"),
        ("dinov2reg-vit-b", "vit_base_patch14_reg4_dinov2"),
    ],
)
def test_the_file_of_timm_gives_the_same(name, theirs, saved):
    model, there = saved(name)
    sizes = {"img_size": 14 * GRID, "embed_dim": WIDTH, "depth": DEPTH, "num_heads": HEADS, "num_classes": 0}
    if name == "dinov2-vit-g":
        sizes["mlp_ratio"] = 5.5
    network = timm.create_model(theirs, pretrained=False, **sizes)
    state = timm.models.vision_transformer.checkpoint_filter_fn(of_authors(there), network)
    network.load_state_dict(state)
    agrees(name, filled(tiny(name), network.state_dict(), GRID), model)


def test_the_file_of_mae_in_transformers_has_a_decoder_beside_it(tmp_path):
    config = transformers.ViTMAEConfig(
        **SHARED, intermediate_size=128, patch_size=16, image_size=16 * GRID, mask_ratio=0.0, decoder_hidden_size=8,
        decoder_intermediate_size=8, decoder_num_attention_heads=2, decoder_num_hidden_layers=1,
    )  # fmt: skip
    model = randomised(transformers.ViTMAEForPreTraining(config))
    model.save_pretrained(tmp_path)
    there = checkpoint.tensors(tmp_path / "model.safetensors", "")
    assert {name.partition(".")[0] for name in there} == {"vit", "decoder"}
    network = filled(tiny("mae-vit-l"), there, GRID)
    order = torch.arange(GRID**2).expand(2, -1).float()  # which patches are masked first: none is
    with torch.no_grad():
        out = model.vit(network.prepared(IMAGES), noise=order).last_hidden_state
    torch.testing.assert_close(network.norm(network.tokens(IMAGES)), out[:, 1:], atol=2e-5, rtol=2e-5)
    torch.testing.assert_close(network.vector(IMAGES), out[:, 0], atol=2e-5, rtol=2e-5)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory):
    """The model of transformers, text tower and all, and its file."""
    sizes = {key: size for key, size in SHARED.items() if key != "layer_norm_eps"} | {"intermediate_size": 128}
    config = transformers.CLIPConfig(
        text_config={**sizes, "vocab_size": 9, "max_position_embeddings": 5},
        vision_config={**sizes, "patch_size": 14, "image_size": 14 * GRID},
        projection_dim=8,
    )
    model = randomised(transformers.CLIPModel(config))
    folder = tmp_path_factory.mktemp("clip")
    model.save_pretrained(folder)
    return model.vision_model, checkpoint.tensors(folder / "model.safetensors", "")


def agrees_with_clip(network: PublishedTransformer, vision: torch.nn.Module) -> None:
    with torch.no_grad():
        out = vision(pixel_values=network.prepared(IMAGES), output_hidden_states=True)
    torch.testing.assert_close(network.tokens(IMAGES), out.hidden_states[-1][:, 1:], atol=2e-5, rtol=2e-5)
    torch.testing.assert_close(network.vector(IMAGES), out.pooler_output, atol=2e-5, rtol=2e-5)


def test_clip_of_transformers_gives_its_last_hidden_state_and_its_vector(clip):
    vision, there = clip
    assert "text_model.embeddings.position_embedding.weight" in there
    older = there | {"vision_model.embeddings.position_ids": torch.arange(10)[None]}
    agrees_with_clip(filled(tiny("clip-vit-l"), older, GRID), vision)


def test_clip_by_openai_s_names_gives_the_same(clip):
    vision, there = clip
    v = {key.removeprefix("vision_model."): x for key, x in there.items() if key.startswith("vision_model.")}
    state = {
        "visual.class_embedding": v["embeddings.class_embedding"],
        "visual.positional_embedding": v["embeddings.position_embedding.weight"],
        "visual.conv1.weight": v["embeddings.patch_embedding.weight"],
        "visual.proj": torch.zeros(WIDTH, 8),
        "positional_embedding": torch.zeros(5, WIDTH),  # the text tower has no name of its own
        "transformer.resblocks.0.ln_1.weight": torch.zeros(WIDTH),
        "logit_scale": torch.tensor(1.0),
    }
    inside = {
        "self_attn.out_proj": "attn.out_proj", "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
    }  # fmt: skip
    for kind in ("weight", "bias"):
        state |= {f"visual.ln_{end}.{kind}": v[f"{word}.{kind}"] for end, word in
                  (("pre", "pre_layrnorm"), ("post", "post_layernorm"))}  # fmt: skip
        for i in range(DEPTH):
            of, own = f"encoder.layers.{i}", f"visual.transformer.resblocks.{i}"
            state[f"{own}.attn.in_proj_{kind}"] = torch.cat([v[f"{of}.self_attn.{p}_proj.{kind}"] for p in "qkv"])
            for theirs, name in inside.items():
                state[f"{own}.{name}.{kind}"] = v[f"{of}.{theirs}.{kind}"]
    agrees_with_clip(filled(tiny("clip-vit-l"), state, GRID), vision)
