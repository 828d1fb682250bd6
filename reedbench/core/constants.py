"""Numbers of the field that several parts use, each with its source."""

from typing import Final

IMAGE_LEVELS: Final = 255  # uint8 grey levels; images enter networks as x / 127.5 - 1 (DiT, SiT, REPA)
SDE_LAST_STEP: Final = 0.04  # length in t of the final, deterministic SDE step: SiT, REPA and REED samplers
ALIGNMENT_WEIGHT: Final = 0.5  # --proj-coeff of REPA's and REED's training commands
PROJECTOR_WIDTH: Final = 2048  # hidden width of REPA's projector
LABEL_DROPOUT: Final = 0.1  # class_dropout_prob of DiT, SiT, REPA and REED
LOSS_DIVISOR: Final = 2000.0  # residues that ProteinMPNN's and REED's losses are divided by, whatever the batch
MEMORISED_RATIO: Final = 1 / 3  # nearest / second-nearest distance of a copied sample: Gu et al. 2023, arXiv:2310.02664
HALVES: Final = "training half vs half"  # what a floor is where its record does not say so

LAUNCHERS: Final = ("inline", "local", "slurm")  # modes of `reedbench launch`
GPUS_VARIABLE: Final = "REEDBENCH_GPUS"  # how a launcher tells a step the GPUs that a profile gave it
