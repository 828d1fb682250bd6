"""Denoiser networks, one architecture per file."""
