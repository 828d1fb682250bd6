"""How alike two representations of the same data are among nearest neighbours: CKNNA.

Huh et al. 2024, arXiv:2405.07987, appendix: centred kernel alignment restricted to pairs that are among the k nearest
of each other in both representations. REPA measures its hidden states so (arXiv:2410.06940, Fig. 2).
"""

from collections.abc import Iterator

import numpy as np

BLOCK = 1024  # rows whose similarities to all others are in memory together


def cknna(one: np.ndarray, other: np.ndarray, k: int, *, released: bool = False) -> float:
    """Alignment of rows (n, dim) and (n, other dim), which are brought to unit length; 1 for equal ones.

    With a(i, j) = 1 where j is among the k most similar rows to i in both, and K, L the inner products,
    A(K, L) = sum_ij a(i, j) (K_ij - mean_l K_il) (L_ij - mean_l L_il) and CKNNA = A(K, L) / sqrt(A(K, K) A(L, L)).

    Args:
        one: a representation.
        other: another one of the same data.
        k: number of neighbours, less than n.
        released: as the authors' code does (minyoungg/platonic-rep, metrics.py): A is the unbiased HSIC (Song et al.
            2012, Eq. 5) of aK and aL, whose formula takes a to be symmetric, which it is not.
    """
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (one, other))
    pairs = {"both": [], "one": [], "other": []}  # type: dict[str, list[tuple[np.ndarray, ...]]]
    for begin, first, second in _similarities(x, y):
        near = [_nearest(each, begin, k) for each in (first, second)]
        if not released:
            first, second = (each - each.mean(1, keepdims=True) for each in (first, second))
        for name, mask, left, right in (
            ("both", near[0] & near[1], first, second),
            ("one", near[0], first, first),
            ("other", near[1], second, second),
        ):
            i, j = np.nonzero(mask)
            pairs[name].append((i + begin, j, left[i, j], right[i, j]))
    aligned = _hsic if released else _products
    found = {name: aligned(*map(np.concatenate, zip(*parts, strict=True)), len(x)) for name, parts in pairs.items()}
    return float(found["both"] / np.sqrt(found["one"] * found["other"]))


def _similarities(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """First row of each block, and its similarities to all rows in both representations."""
    for begin in range(0, len(x), BLOCK):
        rows = slice(begin, begin + BLOCK)
        yield begin, x[rows] @ x.T, y[rows] @ y.T


def _nearest(similar: np.ndarray, begin: int, k: int) -> np.ndarray:
    """Where the k most similar other rows are, of rows from `begin` on."""
    own = np.arange(len(similar))
    ranked = similar.copy()
    ranked[own, own + begin] = -np.inf
    mask = np.zeros(similar.shape, bool)
    np.put_along_axis(mask, np.argpartition(-ranked, k - 1, axis=1)[:, :k], True, axis=1)
    return mask


def _products(i: np.ndarray, j: np.ndarray, left: np.ndarray, right: np.ndarray, n: int) -> float:
    return float(left @ right)


def _hsic(i: np.ndarray, j: np.ndarray, left: np.ndarray, right: np.ndarray, n: int) -> float:
    """Of two matrices (n, n) with entries at the same places, up to the factor 1 / (n (n - 3)), which cancels."""
    from scipy.sparse import csr_array

    a, b = (csr_array((values, (i, j)), shape=(n, n)) for values in (left, right))
    crossed = float(a.multiply(b.T).sum()) - 2 * float(a.sum(0) @ b.sum(1)) / (n - 2)
    return crossed + float(left.sum() * right.sum()) / ((n - 1) * (n - 2))
