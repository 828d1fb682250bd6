"""Classes of atoms and bonds as networks of molecules take them; the elements themselves are the codec's."""

from typing import Final

PAD, MASK, FIRST = range(3)  # tokens of atoms: none, a hidden one, the first element
BONDS: Final = 5  # classes: none, single, double, triple, aromatic
MASK_BOND: Final = 5  # class of a hidden bond, where there is one
