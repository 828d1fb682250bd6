"""The second modality of REED: one vector per image, from its caption joined with its image feature.

REED embeds image and caption together by a vision-language model and takes the mean hidden state (arXiv:2507.08980).
Here the text part is TF-IDF with a truncated SVD, fitted on the training captions, and the image part is the mean token
of another encoder; both are brought to unit length, joined, and standardised.
"""

import time
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core import seeds
from reedbench.encoders import AbstractEncoder, Material, Pretrained


class CaptionAndImage(AbstractEncoder):
    """Caption embedding joined with the pooled image tokens."""

    domain: ClassVar[str] = "image"
    kind: ClassVar[Literal["tokens", "vector"]] = "vector"
    cites: ClassVar[tuple[str, ...]] = ("wang2025reed",)
    uses: Literal["caption-and-image"] = "caption-and-image"

    captioner: str
    """Name of the captioner whose texts are embedded."""
    image: str
    """Name of the encoder whose mean token (or vector) is the image feature."""
    dim: int = Field(24, ge=2)
    """Dimensions kept by the truncated SVD of the text part."""

    def reads_captions_of(self) -> str | None:
        """The captioner."""
        return self.captioner

    def reads_encoders(self) -> tuple[str, ...]:
        """The image encoder."""
        return (self.image,)

    def shape(self, facts: Mapping[str, Any], others: Mapping[str, tuple[int, ...]]) -> tuple[int, ...] | None:
        """Both parts side by side; the text part is narrower where the captions have fewer words."""
        return (self.dim + others[self.image][-1],) if self.image in others else None

    def pretrain(self, train: Material, test: Material, stream: str) -> Pretrained:
        """Fit the text part and the moments of both parts on the training split."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        began = time.process_time()
        tfidf = TfidfVectorizer()
        counts = tfidf.fit_transform(_texts(train))
        words = sorted(tfidf.vocabulary_, key=tfidf.vocabulary_.__getitem__)
        svd = TruncatedSVD(min(self.dim, len(words) - 1), random_state=seeds.of(stream, "svd") % 2**32).fit(counts)
        weights = {
            # The vocabulary as bytes: tensors are all that a weights file holds.
            "words": np.frombuffer("\n".join(words).encode(), np.uint8),
            "idf": np.asarray(tfidf.idf_, np.float32),
            "components": svd.components_.astype(np.float32),
        }
        text, pooled = self._parts(weights, train)
        for name, part in (("text", text), ("image", pooled)):
            weights |= {f"{name}_mean": part.mean(0), f"{name}_std": part.std(0) + 1e-6}
        joined = self._join(weights, text, pooled)
        weights |= {"mean": joined.mean(0), "std": joined.std(0) + 1e-6}
        card: dict[str, Any] = {
            "objective": "TF-IDF and truncated SVD of the captions, joined with the mean image token",
            "words": len(words),
            "explained_variance": round(float(svd.explained_variance_ratio_.sum()), 4),
            "example": _texts(train)[0],
            "cpu_seconds": round(time.process_time() - began, 1),
        }
        return Pretrained(weights, card)

    def represent(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray:
        """(n, text dim + image dim) float32, standardised over the training split."""
        joined = self._join(weights, *self._parts(weights, material))
        return ((joined - weights["mean"]) / weights["std"]).astype(np.float32)

    def _parts(self, weights: Mapping[str, np.ndarray], material: Material) -> tuple[np.ndarray, np.ndarray]:
        from sklearn.feature_extraction.text import CountVectorizer

        words = bytes(weights["words"]).decode().split("\n")
        counts = CountVectorizer(vocabulary=words).transform(_texts(material)).toarray() * weights["idf"]
        text = _unit(counts.astype(np.float32)) @ weights["components"].T
        representation = material.representations[self.image]
        return text, representation.mean(1) if representation.ndim == 3 else representation

    @staticmethod
    def _join(weights: Mapping[str, np.ndarray], text: np.ndarray, pooled: np.ndarray) -> np.ndarray:
        parts = zip(("text", "image"), (text, pooled), strict=True)
        return np.concatenate([_unit((x - weights[f"{n}_mean"]) / weights[f"{n}_std"]) for n, x in parts], axis=1)


def _texts(material: Material) -> list[str]:
    assert material.captions is not None, "the pretrain and represent steps gather captions for encoders that read them"
    return material.captions


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
