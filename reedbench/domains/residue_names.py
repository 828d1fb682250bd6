"""Names of residues in structure files, and the letters that they stand for.

Parents of modified residues are those of the wwPDB's chemical component dictionary, as biotite ships it. Force fields
write protonation states under names that the dictionary gives to other molecules (HID is a drug there): here they are
what Amber, CHARMM and GROMACS mean.
"""

from functools import cache
from typing import Any, NamedTuple

from reedbench.nn.residues import ALPHABET, AMINO_ACIDS, UNKNOWN

X = ALPHABET[UNKNOWN]
CODES = "ALA CYS ASP GLU PHE GLY HIS ILE LYS LEU MET ASN PRO GLN ARG SER THR VAL TRP TYR".split()
STANDARD = dict(zip(CODES, AMINO_ACIDS, strict=True))
PROTONATED = {
    "HIS": "HID HIE HIP HSD HSE HSP HISA HISB HISD HISE HISH HIS1 HIS2 HISP",
    "CYS": "CYX CYM CYN CYSH CYS1 CYS2 CYSS",
    "ASP": "ASH ASPH ASPP",
    "GLU": "GLH GLUH GLUP",
    "LYS": "LYN LYP LSN LYSH",
    "ARG": "ARN ARGN",
    "TYR": "TYM TYRO",
}
FORCE_FIELDS = {name: STANDARD[code] for code, names in PROTONATED.items() for name in names.split()}
# Atoms that only the dictionary's molecule of the same name has: L-homoserine, and an amide of glutamine.
DICTIONARY_ATOM = {"HSE": "O3", "GLH": "N1"}
GENETIC = {"U": "C", "O": "K"}  # selenocysteine and pyrrolysine, which the alphabet lacks: nearest of the twenty
NO_PEPTIDE = ("PEPTIDE-LIKE", "TERMINUS")
ENDS = ("N", "C")  # Amber's first and last residue of a chain: NALA, CHIE


class Meaning(NamedTuple):
    """What a name of a residue stands for.

    Attributes:
        letter: one of the 20, or X.
        modified: the residue is none of the 20, protonated or not; `letter` is that of its parent.
    """

    letter: str
    modified: bool


def meaning(name: str, atoms: Any = ()) -> Meaning | None:
    """What a name stands for; None where it is no amino acid by its name.

    Args:
        name: as in the file, such as HIS, HIE, SEP.
        atoms: names of the atoms of the residue, which tell the few names apart that have two meanings.
    """
    if DICTIONARY_ATOM.get(name) in atoms:
        return _dictionary(name)
    return _meaning(name)


@cache
def _meaning(name: str) -> Meaning | None:
    if letter := STANDARD.get(name) or FORCE_FIELDS.get(name):
        return Meaning(letter, False)
    if len(name) == 4 and name[0] in ENDS and (letter := STANDARD.get(name[1:]) or FORCE_FIELDS.get(name[1:])):
        return Meaning(letter, False)
    return _dictionary(name)


@cache
def _dictionary(name: str) -> Meaning | None:
    row = _rows().get(name)
    if row is None:
        return None
    parent, letter, kind = row
    if "PEPTIDE" not in kind or any(word in kind for word in NO_PEPTIDE):
        return None
    if parent in STANDARD:
        return Meaning(STANDARD[parent], True)
    letter = GENETIC.get(letter, letter)
    return Meaning(letter if letter and letter in AMINO_ACIDS else X, True)  # several parents (CRO), or none (UNK)


@cache
def _rows() -> dict[str, tuple[str, str, str]]:
    """Parent, letter and kind of all components, by name."""
    from biotite.structure import info

    table = info.get_ccd()["chem_comp"]
    columns = ("id", "mon_nstd_parent_comp_id", "one_letter_code", "type")
    names, parents, letters, kinds = (table[column].as_array(str).tolist() for column in columns)
    kinds = [kind.upper() for kind in kinds]
    return {row[0]: row[1:] for row in zip(names, parents, letters, kinds, strict=True) if "PEPTIDE" in row[3]}
