"""Domains: how data of a modality look in memory and on disk."""
