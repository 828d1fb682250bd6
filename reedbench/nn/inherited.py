"""The weights of a teacher, put into the network of its student."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from reedbench.nn.learner import Learner

HEADS = "projectors."  # of a student alone, or of a teacher alone


@torch.no_grad()
def inherit(learner: Learner, weights: Mapping[str, Tensor], inherited: Callable[[str], str]) -> None:
    """What the teacher lacks stays as it is, and heads that the student lacks go; nothing else is left over.

    Args:
        learner: whose network gets them; it may be without memory, and then nothing is done but to look.
        weights: by their published names.
        inherited: the name in the student's network of what is sampled of a weight of the teacher.

    Raises:
        ValueError: the student's network has no such weight, or one of another shape.
    """
    if (taking := getattr(learner.network.backbone, "take", None)) is not None:  # a network made of several of them
        taking({name: found for name, found in weights.items() if not name.startswith(HEADS)})
        return
    own = learner.network.state_dict()  # shares memory with the network
    for name, found in weights.items():
        inside = learner.backbone + inherited(name)
        place = inside if inside in own else name
        if place not in own and name.startswith(HEADS):
            continue
        if place not in own or own[place].shape != found.shape:
            what = f"'{name}' of shape {tuple(found.shape)}"
            has = f", but one of shape {tuple(own[place].shape)}" if place in own else ""
            raise ValueError(f"its network has no {what}{has}")
        own[place].copy_(found)
