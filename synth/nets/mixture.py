"""A mixture of normal distributions, each with a covariance of its own."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

RIDGE = 0.01  # added to the variances, of rows of about unit variance
ROWS = 4  # for each part at least, times the length of a row: a covariance of fewer would be that of single rows


class Mixture(nn.Module):
    """Of rows (N, Z); up to `parts` of them, fewer where there are few rows.

    shares: (K,), means: (K, Z), factors: (K, Z, Z), upper triangular, of the inverse covariances
    """

    shares: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, parts: int, width: int) -> None:
        super().__init__()
        self.register_buffer("shares", torch.ones(parts) / parts)
        self.register_buffer("means", torch.zeros((parts, width)))
        self.register_buffer("factors", torch.eye(width).expand(parts, -1, -1).clone())

    def fit(self, x: Tensor) -> None:
        """By expectation maximisation; one row alone changes nothing."""
        from sklearn.mixture import GaussianMixture

        if len(x) < 2:
            return
        parts = min(max(len(x) // (ROWS * x.shape[1]), 1), len(self.shares))
        mixture = GaussianMixture(parts, reg_covar=RIDGE, init_params="k-means++", random_state=0)
        mixture.fit(x.double().cpu().numpy())
        found = (mixture.weights_, mixture.means_, mixture.precisions_cholesky_)
        self.shares.zero_()
        for kept, values in zip((self.shares, self.means, self.factors), found, strict=True):
            kept[:parts] = torch.from_numpy(values).to(kept)

    def log_prob(self, x: Tensor) -> Tensor:
        """(B,) nats of rows (B, Z)."""
        apart = torch.einsum("bkz,kzy->bky", x[:, None] - self.means, self.factors)
        volume = self.factors.diagonal(dim1=1, dim2=2).log().sum(1)
        each = volume - 0.5 * (apart.square().sum(2) + x.shape[1] * math.log(2 * math.pi))
        return torch.logsumexp(each + self.shares.log(), 1)
