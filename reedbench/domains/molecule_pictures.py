"""Molecules as pictures: drawn flat by RDKit, and as balls and sticks; and packed into bytes, to be drawn later."""

import io as streams
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from reedbench.domains import molecule_graphs
from reedbench.domains.molecule import NONE, SYMBOLS, Molecule, bonds_of

SIDE: Final = 240  # pixels of one molecule
FINER: Final = 3  # times that balls and sticks are drawn larger, then reduced
MARGIN: Final = 0.5  # Angstrom around a molecule
SMALLEST: Final = 1.7  # Angstrom from the centre to the edge of a picture
STICK: Final = 0.13  # Angstrom, half the width
DEPTH: Final = 0.35  # how much farther balls fade
WHITE, WRONG = 255, (213, 94, 0)  # a frame in Okabe and Ito's vermilion: RDKit does not sanitise it
FRAME: Final = 4  # pixels
LETTER: Final = 22  # pixels, of words
FEW: Final = 9  # atoms in a graph up to which its lines are as thick as they get
MOST_NEIGHBOURS: Final = 8  # of an atom in a graph that is drawn ...
MOST_BONDS: Final = 2  # ... and bonds for each atom
PLACES: Final = 12  # bytes of three float32
# Balls by element: radius in Angstrom and colour (those of Jmol, hydrogen darker than white paper).
BALLS: Final = {
    1: (0.24, (200, 200, 200)), 5: (0.36, (255, 181, 181)), 6: (0.36, (96, 96, 96)), 7: (0.36, (48, 80, 248)),
    8: (0.36, (255, 13, 13)), 9: (0.34, (80, 200, 80)), 14: (0.44, (240, 200, 160)), 15: (0.42, (255, 128, 0)),
    16: (0.42, (220, 190, 40)), 17: (0.40, (31, 200, 31)), 35: (0.44, (166, 41, 41)), 53: (0.48, (148, 0, 148)),
}  # fmt: skip
OTHER: Final = (0.42, (180, 80, 160))


def packed(molecules: Sequence[Molecule]) -> np.ndarray:
    """(n, atoms, 14 + atoms) uint8: places, element, charge + 128 and a row of bond orders of every atom; 0 beyond."""
    longest = max(map(len, molecules))
    found = np.zeros((len(molecules), longest, PLACES + 2 + longest), np.uint8)
    for one, row in zip(molecules, found, strict=True):
        n = len(one)
        row[:n, :PLACES] = np.ascontiguousarray(one.coordinates, "<f4").view(np.uint8).reshape(n, PLACES)
        row[:n, PLACES], row[:n, PLACES + 1] = one.elements, one.charges.astype(np.int16) + 128
        row[:n, PLACES + 2 : PLACES + 2 + n] = one.orders()
    return found


def unpacked(preview: np.ndarray) -> list[Molecule]:
    """What `packed` packed; an atom is there where its charge is said."""
    found = []
    for row in preview:
        n = int((row[:, PLACES + 1] > 0).sum())
        places = np.ascontiguousarray(row[:n, :PLACES]).view("<f4").reshape(n, 3)
        charges = (row[:n, PLACES + 1].astype(np.int16) - 128).astype(np.int8)
        orders = row[:n, PLACES + 2 : PLACES + 2 + n]
        found.append(Molecule(places.astype(np.float32), row[:n, PLACES], charges, bonds_of(orders)))
    return found


def montage(molecules: Sequence[Molecule]) -> np.ndarray:
    """(2 side, n side, 3) uint8: every molecule flat, and below as balls and sticks; framed where it is not valid."""
    columns = []
    for one in molecules:
        pair = np.concatenate([flat(one), still(one)])
        columns.append(pair if molecule_graphs.graph(one) is not None else _framed(pair))
    return np.concatenate(columns, axis=1)


def flat(molecule: Molecule) -> np.ndarray:
    """(side, side, 3) uint8: the graph as RDKit draws it, hydrogens on carbon left out where it is valid.

    Graphs that no molecule has are said in words: RDKit may take seconds for them, or fail.
    """
    from PIL import Image
    from rdkit.Chem import AllChem
    from rdkit.Chem.Draw import rdMolDraw2D

    chem = molecule_graphs.rdkit()
    neighbours = np.bincount(molecule.bonds[:, :2].ravel(), minlength=1)
    if neighbours.max() > MOST_NEIGHBOURS or len(molecule.bonds) > MOST_BONDS * len(molecule):
        return _said(molecule)
    found = molecule_graphs.graph(molecule)
    if found is None:
        found = _unsanitised(molecule)
    else:
        _without_more_hydrogens(found)
        found = chem.RemoveHs(found)
    try:
        AllChem.Compute2DCoords(found)
        drawer = rdMolDraw2D.MolDraw2DCairo(SIDE, SIDE)
        options = drawer.drawOptions()
        options.prepareMolsBeforeDrawing = False
        finer = min(1.0, (FEW / found.GetNumAtoms()) ** 0.5)  # as bonds become shorter where there are many
        options.fixedBondLength = 62
        options.minFontSize, options.bondLineWidth = round(26 * finer), max(1, round(4 * finer))
        drawer.DrawMolecule(found)
    except RuntimeError:  # all of RDKit's errors of this kind are
        return _said(molecule)
    drawer.FinishDrawing()
    return np.asarray(Image.open(streams.BytesIO(drawer.GetDrawingText())).convert("RGB"))


def _without_more_hydrogens(found: Any) -> None:
    """Let RDKit draw no hydrogens that are no atoms of a molecule."""
    for atom in found.GetAtoms():
        atom.SetNoImplicit(True)


def _unsanitised(molecule: Molecule) -> Any:
    """RDKit's molecule as it is, to be drawn; an atom whose element was not decided is called X."""
    found = molecule_graphs.graph(molecule, sanitise=False, dummies=True)
    _without_more_hydrogens(found)
    for atom in found.GetAtoms():
        if not atom.GetAtomicNum():
            atom.SetProp("atomLabel", SYMBOLS[0])
    found.UpdatePropertyCache(strict=False)
    molecule_graphs.rdkit().FastFindRings(found)
    return found


def _said(molecule: Molecule, what: str = "") -> np.ndarray:
    """(side, side, 3) uint8: words in place of a picture."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (SIDE, SIDE), (WHITE,) * 3)
    words = what or f"{len(molecule)} atoms,\n{len(molecule.bonds)} bonds"
    middle = (SIDE / 2, SIDE / 2)
    font = ImageFont.load_default(LETTER)
    ImageDraw.Draw(image).multiline_text(middle, words, (60,) * 3, font, anchor="mm", align="center")
    return np.asarray(image)


def still(molecule: Molecule) -> np.ndarray:
    """(side, side, 3) uint8: balls and sticks seen along the molecule's shortest axis; what is near covers the rest."""
    from PIL import Image, ImageDraw

    if not np.isfinite(molecule.coordinates).all():
        return _said(molecule, "no places")
    places = _laid_out(molecule.coordinates)
    reach = max(SMALLEST, float(np.abs(places[:, :2]).max()) + MARGIN)
    full = SIDE * FINER
    image = Image.new("RGB", (full, full), (WHITE,) * 3)
    pencil, scale = ImageDraw.Draw(image), full / 2 / reach
    deep = np.ptp(places[:, 2]) or 1.0
    faded = DEPTH * (places[:, 2].max() - places[:, 2]) / deep
    shapes: list[tuple[float, Any]] = []
    for i, j, order in molecule.bonds.tolist():
        middle = float(places[[i, j], 2].mean())
        shapes.append((middle, ("stick", i, j, order)))
    shapes += [(float(place[2]) + 1e-3, ("ball", i)) for i, place in enumerate(places)]
    for _, shape in sorted(shapes, key=lambda one: one[0]):
        if shape[0] == "stick":
            _, i, j, order = shape
            _stick(pencil, places[[i, j], :2] * (1, -1) * scale + full / 2, order, scale, float(faded[[i, j]].mean()))
        else:
            _ball(pencil, places[shape[1], :2] * (1, -1) * scale + full / 2, int(molecule.elements[shape[1]]), scale,
                  float(faded[shape[1]]))  # fmt: skip
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def _laid_out(coordinates: np.ndarray) -> np.ndarray:
    """Centred, longest axis across and shortest towards the reader; signs by the largest atom of each axis."""
    centred = coordinates.astype(np.float64) - coordinates.mean(0, dtype=np.float64)
    axes = np.linalg.svd(centred, full_matrices=False)[2] if len(centred) > 1 else np.eye(3)
    turned = centred @ np.concatenate([axes, np.zeros((3 - len(axes), 3))]).T
    signs = np.sign(turned[np.abs(turned).argmax(0), np.arange(3)])
    return turned * np.where(signs == 0, 1, signs)


def _pale(colour: tuple[int, int, int], share: float) -> tuple[int, ...]:
    return tuple(round(part + (WHITE - part) * share) for part in colour)


def _stick(pencil: Any, ends: np.ndarray, order: int, scale: float, faded: float) -> None:
    along = ends[1] - ends[0]
    aside = np.array([-along[1], along[0]]) / (np.hypot(*along) or 1.0)
    lines = {2: (-1, 1), 3: (-1.6, 0, 1.6)}.get(order, (0,) if order != NONE else ())
    width = STICK * scale * (2 if len(lines) == 1 else 1)
    for line in lines:
        moved = ends + aside * line * STICK * scale
        pencil.line([tuple(moved[0]), tuple(moved[1])], fill=_pale((120, 120, 120), faded), width=round(width))
    if order not in (1, 2, 3):  # aromatic: a second line in the ring's colour
        moved = ends + aside * 1.8 * STICK * scale
        pencil.line([tuple(moved[0]), tuple(moved[1])], fill=_pale((170, 140, 60), faded), width=round(width / 2))


def _ball(pencil: Any, at: np.ndarray, element: int, scale: float, faded: float) -> None:
    radius, colour = BALLS.get(element, OTHER)
    for share, lighter, aside in ((1.0, 0.0, 0.0), (0.82, 0.18, 0.08), (0.45, 0.45, 0.25), (0.2, 0.8, 0.34)):
        size, centre = radius * scale * share, at - radius * scale * aside
        box = [tuple(centre - size), tuple(centre + size)]
        pencil.ellipse(box, fill=_pale(colour, faded + (1 - faded) * lighter),
                       outline=_pale((60, 60, 60), faded) if share == 1.0 else None, width=2)  # fmt: skip


def _framed(picture: np.ndarray) -> np.ndarray:
    framed = picture.copy()
    framed[:FRAME] = framed[-FRAME:] = framed[:, :FRAME] = framed[:, -FRAME:] = WRONG
    return framed
