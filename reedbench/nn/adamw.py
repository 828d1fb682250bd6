"""AdamW as torch computes it, without the classes of `torch.optim`: the first of these that is made loads torch's
compiler, which takes a short job longer than all of its steps' updates.

Source: Loshchilov and Hutter 2019, arXiv:1711.05101; the update is torch's function of the same name.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.optim.adamw import adamw

STEP, MEAN, SQUARE = "step", "exp_avg", "exp_avg_sq"  # as torch names them


class AdamW:
    """Moves parameters against their gradients; those that have none are passed over.

    Attributes:
        lr: learning rate of the next step.
        factors: of it, of parameters that have another one.
        state: by parameter, the tensors that torch's AdamW keeps.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        *,
        lr: float,
        weight_decay: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        fused: bool | None = None,
        factors: Mapping[Tensor, float] | None = None,
    ) -> None:
        self.parameters, self.factors = list(parameters), dict(factors or {})
        self.lr, self.weight_decay, self.betas, self.eps, self.fused = lr, weight_decay, betas, eps, fused
        self.state: dict[Tensor, dict[str, Tensor]] = {parameter: {} for parameter in self.parameters}

    @torch.no_grad()
    def step(self) -> None:
        """One update."""
        moved = [parameter for parameter in self.parameters if parameter.grad is not None]
        for factor in dict.fromkeys(self.factors.get(parameter, 1.0) for parameter in moved):
            self._step([one for one in moved if self.factors.get(one, 1.0) == factor], self.lr * factor)

    def _step(self, moved: list[Tensor], lr: float) -> None:
        states = [self.state[parameter] or self._begun(parameter) for parameter in moved]
        adamw(
            moved,
            [parameter.grad for parameter in moved],
            [state[MEAN] for state in states],
            [state[SQUARE] for state in states],
            [],
            [state[STEP] for state in states],
            fused=self.fused,
            amsgrad=False,
            maximize=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=lr,
            weight_decay=self.weight_decay,
            eps=self.eps,
        )

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def _begun(self, parameter: Tensor) -> dict[str, Tensor]:
        """The state of a parameter that has not been moved yet; fused kernels count steps on the device."""
        step = torch.zeros((), dtype=torch.float32, device=parameter.device if self.fused else "cpu")
        self.state[parameter] = {STEP: step, MEAN: torch.zeros_like(parameter), SQUARE: torch.zeros_like(parameter)}
        return self.state[parameter]
