"""Masking diffusion of tokens: corruption, and the parts of its loss; t = 0 is all masked, t = 1 is clean.

Source: REED, arXiv:2507.08980, protein/fmif/model_utils.py:179-193 @0a4527e (loss), after MultiFlow, arXiv:2402.04997,
multiflow/data/interpolant.py @6278899 (times, corruption).
"""

from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from reedbench.nn.residues import MASK

TimeWeight = Literal["constant", "schedule"]
SCHEDULE_SCALE: Final = 4.605  # -log 0.01, as rounded by the reference


def times(u: Tensor, least: float = 0.01) -> Tensor:
    """Uniform draws u (b,) in [0, 1) -> times (b,) that are uniform between `least` and `1 - least`."""
    return u * (1 - 2 * least) + least


def corrupted(tokens: Tensor, t: Tensor, u: Tensor, weight: Tensor) -> Tensor:
    """Noisy tokens: at time t every residue is masked with probability 1 - t, on its own.

    Args:
        tokens: clean tokens (b, L) int64.
        t: times (b,).
        u: uniform draws (b, L) in [0, 1); a residue is masked where u < 1 - t, so more of them are at smaller t.
        weight: (b, L); where it is 0 (unresolved residues, padding) the token is masked at any time.

    Returns:
        (b, L) int64.
    """
    return tokens.masked_fill((u < 1 - t[:, None]) | (weight == 0), MASK)


def cross_entropy(logits: Tensor, tokens: Tensor, smoothing: float = 0.1) -> Tensor:
    """Cross-entropy per residue with smoothed labels, in float32 or higher.

    Labels are (onehot + smoothing / V) / (1 + smoothing): the label itself keeps more than the 1 - smoothing of the
    usual rule. The V classes count the mask token, although it is never a label.

    Args:
        logits: (b, L, V), normalised or not.
        tokens: labels (b, L) int64; any token will do where the loss is not counted.
        smoothing: 0 is plain -log p.

    Returns:
        (b, L).
    """
    dtype = torch.promote_types(logits.dtype, torch.float32)
    log_p = F.log_softmax(logits.to(dtype), dim=-1)
    label = log_p.gather(-1, tokens[..., None])[..., 0]
    return -(label + smoothing * log_p.mean(-1)) / (1 + smoothing)


def time_weight(t: Tensor, kind: TimeWeight) -> Tensor:
    """Weight of the loss of each chain (b,): 1 at all times t (b,), or by `schedule` 1 / (4.605 (1 - t)).

    The reference gives its weights one axis too many, so that every chain's loss gets the times of all chains: an
    error that is not reproduced (model_utils.py:191).
    """
    return torch.ones_like(t) if kind == "constant" else 1 / (SCHEDULE_SCALE * (1 - t))
