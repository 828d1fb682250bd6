"""The ground floor: errors, paths, seeds, files, provenance, plugins. Imports in well under 0.3 s, without torch."""
