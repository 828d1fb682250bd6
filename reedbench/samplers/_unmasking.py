"""What samplers of masked sequences share: steps, temperature, and the scores of the native sequence."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from reedbench.samplers import AbstractSampler, Streams

Time = Annotated[float, Field(gt=0, lt=1)]


class UnmaskingSampler(AbstractSampler):
    """Starts from a chain all of whose residues are masked, and scores its native sequence on the way."""

    domain: ClassVar[str] = "protein"
    guidance: ClassVar[float] = 1.0

    steps: int = Field(500, ge=2)
    """Times of the grid from least_time to 1; there is one step fewer."""
    temperature: float = Field(0.1, gt=0)
    """Log-probabilities are divided by it before a residue is drawn."""
    least_time: float = Field(0.01, gt=0, lt=1)
    """Where the grid begins; refused on `ancestral`, whose chances are the same wherever it does."""
    allow_unknown: bool = False
    """Let the sampler draw X, which no design can contain; the reference does."""
    scored_at: tuple[Time, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    """Times at which the native sequence is masked and scored once, for perplexities; midpoints of equal parts of
    [0, 1] give the likelihood bound too."""

    def nfe(self, objective: Any) -> int:
        """Steps; a chain is evaluated only when it has changed, and `evaluations` counts that."""
        return self.steps - 1

    def draw(self, network: Any, condition: Mapping[str, Any], streams: Streams, objective: Any) -> dict[str, Any]:
        """`tokens`, `argmax`, `evaluations`, and `times`, `nll`, `masked`; see `domains.protein.write_samples`."""
        import torch

        names = ("coordinates", "mask", "residue_index", "chain")
        encoded = network.encode(*(condition[name] for name in names))

        def predict(noisy: Any, rows: Any) -> Any:
            logits, _ = network.decode(encoded.take(rows), noisy)
            return torch.log_softmax(logits.float(), -1)

        native = condition["residue_index"] >= 0

        def uniforms(name: str) -> Callable[[int], Any]:
            """Uniform numbers per residue, each chain's at its own length: batches do not matter."""
            running, lengths, longest = streams(name), native.sum(1).tolist(), native.shape[1]
            return lambda n: torch.from_numpy(running.uniform(longest, n, lengths=lengths)).to(native.device)

        # Apart, so that what is scored does not change what is designed.
        scores = self._scores(predict, condition, uniforms("scores"))
        found = self.run(predict, condition["mask"], uniforms("design"))
        return {"tokens": found.tokens, "argmax": found.argmax, "evaluations": found.evaluations, **scores}

    @abstractmethod
    def run(self, predict: Any, weight: Any, uniforms: Callable[[int], Any]) -> Any:
        """The chains from all masked to designed (`nn.unmasking_samplers.Unmasked`).

        Args:
            predict: log-probabilities of some chains of the batch.
            weight: (b, L), 0 where nothing is designed.
            uniforms: (b, L, n) fresh uniform numbers, given n.
        """

    def _scores(self, predict: Any, condition: Mapping[str, Any], uniforms: Callable[[int], Any]) -> dict[str, Any]:
        """Sum of -log p of native residues that are masked at each time, and their number."""
        import torch

        from reedbench.nn.residues import UNKNOWN
        from reedbench.nn.unmasking import corrupted

        tokens, mask = condition["tokens"], condition["mask"]
        known, rows = mask * (tokens != UNKNOWN), torch.arange(len(tokens), device=tokens.device)
        sums, counts = [], []
        for time in self.scored_at:
            u = uniforms(1)[..., 0]
            t = torch.full((len(tokens),), time, device=tokens.device)
            hidden = known * (u < 1 - time)
            log_p = predict(corrupted(tokens, t, u, mask), rows).gather(-1, tokens[..., None])[..., 0]
            sums.append(-(log_p.double() * hidden).sum(1))
            counts.append(hidden.sum(1).long())
        times = torch.tensor(self.scored_at, dtype=torch.float64).expand(len(tokens), -1)
        return {"times": times, "nll": torch.stack(sums, 1), "masked": torch.stack(counts, 1)}
