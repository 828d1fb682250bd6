"""pretrain: train an encoder in-suite -> results/encoders/<dataset>/<encoder>/weights.safetensors and card.json."""

from argparse import Namespace

import torch

from reedbench.core import io, paths
from reedbench.core.errors import ConfigError
from reedbench.core.provenance import Made
from reedbench.domains import rows
from reedbench.schema.suite import Suite
from reedbench.steps.material import gather
from reedbench.steps.work import operations_of_training, timed


def pretrain(suite: Suite, arguments: Namespace) -> Made:
    """Train on the training split; the test split serves the quality figures of the card.

    Raises:
        ConfigError: there are no test rows, and the encoder needs some.
    """
    dataset, name = arguments.dataset, arguments.encoder
    encoder = suite.encoder(dataset, name)
    torch.set_num_threads(encoder.threads)
    stream = f"pretrain/{dataset}/{name}"
    train, inputs = gather(suite, dataset, name, rows.TRAIN, studied=True)
    test, _ = gather(suite, dataset, name, rows.TEST, studied=True)
    if encoder.needs_test and not len(test.rows):
        raise ConfigError(
            f"encoder {name}: {encoder.uses} tells in its card how it does on test rows, and {dataset} has none: give "
            "the dataset a test split, or take an encoder with published weights"
        )
    with timed() as work:
        made = encoder.pretrain(train, test, stream)
    out = paths.encoder(dataset, name)
    io.write_tensors(paths.weights(out), made.weights)
    io.write_json(
        paths.card(out), {"encoder": name, "settings": encoder.plain(), "version": encoder.version, **made.card}
    )
    flops = operations_of_training(encoder, train, test, stream)
    inputs += [str(file) for file in encoder.files()]
    return Made([paths.weights(out), paths.card(out)], inputs, device_seconds=work.seconds, flops=flops)
