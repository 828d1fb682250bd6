"""reedbench: train, sample and score diffusion models with and without representation guidance."""

__version__ = "0.1.0"
