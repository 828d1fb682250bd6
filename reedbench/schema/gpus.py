"""Which steps that benchmarks share can use a GPU, and how many of them they get.

An encoder that itself computes with numpy, on what another one makes, needs the GPU of that other one.
"""

from reedbench.schema.runs import first_on
from reedbench.schema.suite import Suite


def represents(suite: Suite, dataset: str, name: str) -> bool:
    """Whether an encoder or extractor represents on a GPU: itself, or one whose representations it reads."""
    return suite.encoder(dataset, name).on_gpu or _reads_one(suite, dataset, name)


def studies(suite: Suite, dataset: str, name: str) -> bool:
    """Whether it is trained, or measured, on a GPU: itself, or on what one that it reads makes there."""
    return suite.encoder(dataset, name).studies_on_gpu or _reads_one(suite, dataset, name)


def _reads_one(suite: Suite, dataset: str, name: str) -> bool:
    return any(suite.encoder(dataset, other).on_gpu for other in suite.read_by(dataset, name).values())


def of_represent(suite: Suite, dataset: str, name: str) -> int:
    """GPUs with which an encoder represents: what the step asks for, and none where it can use none."""
    return first_on(suite, dataset).resources("represent").gpus if represents(suite, dataset, name) else 0


def of_pretrain(suite: Suite, dataset: str, name: str) -> int:
    """GPUs with which an encoder is trained, or measured: what the step asks for, and none where it can use none."""
    return first_on(suite, dataset).resources("pretrain").gpus if studies(suite, dataset, name) else 0


def of_caption(suite: Suite, dataset: str, name: str) -> int:
    """GPUs with which a captioner writes: what the step asks for, and none where it can use none."""
    return first_on(suite, dataset).resources("caption").gpus if suite.captioner(dataset, name).on_gpu else 0
