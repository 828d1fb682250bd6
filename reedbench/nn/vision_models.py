"""Published vision transformers that REPA aligns to: sizes, what differs between families, and where the files are.

Source: REPA (arXiv:2410.06940) utils.py and train.py @67f7145 for preprocessing and for what its tokens are; sizes and
addresses as in the code and the README of each family. No torch here: configuration reads it.
"""

from dataclasses import dataclass
from typing import Final

FILES = "https://dl.fbaipublicfiles.com"
HUB = "https://huggingface.co"
NONCOMMERCIAL = "CC-BY-NC-4.0"


@dataclass(frozen=True)
class Family:
    """What the networks of a family share.

    Attributes:
        paper: its source.
        cites: keys of the bibliography.
        licence: of code and weights.
        patch: pixels of a side.
        normalised: whether its tokens are taken after the final layer norm.
        class_token: whether it has one.
        registers: tokens without a place and without a use outside the network.
        layer_scale: whether branches are scaled by a learnt vector.
        pre_norm: whether tokens are normalised before the first block; patches have no bias then.
        quick_gelu: whether its MLPs have x sigmoid(1.702 x) in place of GELU.
        epsilon: of all layer norms.
        mean: of the colours that it was trained with.
        std: of the same.
        resized_first: whether images are resized before colours are normalised.
        within: the key under which its authors' checkpoint holds the network, if it holds more.
    """

    paper: str
    cites: tuple[str, ...]
    licence: str
    patch: int
    normalised: bool = True
    class_token: bool = True
    registers: int = 0
    layer_scale: bool = False
    pre_norm: bool = False
    quick_gelu: bool = False
    epsilon: float = 1e-6
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # ImageNet's
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    resized_first: bool = False
    within: str = ""

    @property
    def prefix(self) -> int:
        """Tokens before those of the patches."""
        return int(self.class_token) + self.registers


@dataclass(frozen=True)
class Model:
    """A published network.

    Attributes:
        name: as REPA calls it.
        family: what it shares with others.
        width: of tokens.
        depth: blocks.
        heads: of attention.
        url: of the file of its authors, or of one that was made of it.
        gated: SwiGLU in place of a plain MLP.
    """

    name: str
    family: Family
    width: int
    depth: int
    heads: int
    url: str
    gated: bool = False

    @property
    def hidden(self) -> int:
        """Width inside the MLP: four times that of tokens; where gated two thirds of that, up to a multiple of 8."""
        return (self.width * 8 // 3 + 7) // 8 * 8 if self.gated else 4 * self.width

    @property
    def source(self) -> str:
        """A clause that says where its file is."""
        return f"{self.name} is {self.url} ({self.family.licence})"


DINOV2: Final = Family("Oquab et al. 2023, arXiv:2304.07193", ("oquab2023dinov2",), "Apache-2.0", 14, layer_scale=True)
REGISTERS: Final = Family(
    "Darcet et al. 2023, arXiv:2309.16588",
    ("darcet2024registers", "oquab2023dinov2"),
    "Apache-2.0",
    14,
    layer_scale=True,
    registers=4,
)
DINOV1: Final = Family("Caron et al. 2021, arXiv:2104.14294", ("caron2021dino",), "Apache-2.0", 16, within="teacher")
MOCOV3: Final = Family(
    "Chen et al. 2021, arXiv:2104.02057", ("chen2021mocov3",), NONCOMMERCIAL, 16, within="state_dict"
)
MAE: Final = Family(
    "He et al. 2021, arXiv:2111.06377", ("he2022mae",), NONCOMMERCIAL, 16, normalised=False, within="model"
)
CLIP: Final = Family(
    "Radford et al. 2021, arXiv:2103.00020", ("radford2021clip",), "MIT", 14, normalised=False, pre_norm=True,
    quick_gelu=True, epsilon=1e-5, mean=(0.48145466, 0.4578275, 0.40821073), std=(0.26862954, 0.26130258, 0.27577711),
    resized_first=True,
)  # fmt: skip
JEPA: Final = Family(
    "Assran et al. 2023, arXiv:2301.08243", ("assran2023ijepa",), NONCOMMERCIAL, 14, class_token=False, within="encoder"
)

_DINOV2 = [("s", 384, 12, 6), ("b", 768, 12, 12), ("l", 1024, 24, 16), ("g", 1536, 40, 24)]
_MOCOV3 = [
    ("s", 384, 12, 12, f"{FILES}/moco-v3/vit-s-300ep/vit-s-300ep.pth.tar"),
    ("b", 768, 12, 12, f"{FILES}/moco-v3/vit-b-300ep/vit-b-300ep.pth.tar"),
    ("l", 1024, 24, 16, "named at https://github.com/LTH14/rcg, as mocov3_vitl.pth"),
]
_MAE = [("b", 768, 12, 12, "base"), ("l", 1024, 24, 16, "large")]


def _dinov2(family: Family, kind: str, file: str) -> list[Model]:
    return [
        Model(
            f"{kind}-vit-{size}", family, width, depth, heads,
            f"{FILES}/dinov2/dinov2_vit{size}14/dinov2_vit{size}14_{file}.pth", gated=size == "g",
        )
        for size, width, depth, heads in _DINOV2
    ]  # fmt: skip


MODELS: Final = {
    model.name: model
    for model in (
        *_dinov2(DINOV2, "dinov2", "pretrain"),
        *_dinov2(REGISTERS, "dinov2reg", "reg4_pretrain"),
        Model("dinov1-vit-b", DINOV1, 768, 12, 12, f"{FILES}/dino/dino_vitbase16_pretrain/dino_vitbase16_pretrain.pth"),
        *(Model(f"mocov3-vit-{size}", MOCOV3, *own) for size, *own in _MOCOV3),
        *(
            Model(f"mae-vit-{size}", MAE, *own, f"{FILES}/mae/pretrain/mae_pretrain_vit_{word}.pth")
            for size, *own, word in _MAE
        ),
        Model("clip-vit-l", CLIP, 1024, 24, 16, f"model.safetensors of {HUB}/openai/clip-vit-large-patch14"),
        Model("jepa-vit-h", JEPA, 1280, 32, 16, f"{FILES}/ijepa/IN1K-vit.h.14-300e.pth.tar"),
    )
}
