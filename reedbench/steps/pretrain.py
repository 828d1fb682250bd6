"""pretrain: train an encoder in-suite -> results/encoders/<dataset>/<encoder>/weights.safetensors and card.json."""

from argparse import Namespace

import torch

from reedbench.core import io, paths
from reedbench.core.errors import ConfigError
from reedbench.core.provenance import Made
from reedbench.domains import rows
from reedbench.schema.suite import Suite
from reedbench.steps.device import device_of_pretraining
from reedbench.steps.material import gather
from reedbench.steps.precision import precise
from reedbench.steps.work import operations_of_training, timed


def pretrain(suite: Suite, arguments: Namespace) -> Made:
    """Train on the training split; the test split serves the quality figures of the card.

    Raises:
        ConfigError: there are no test rows, and the encoder needs some.
    """
    dataset, name = arguments.dataset, arguments.encoder
    encoder, device = suite.encoder(dataset, name), device_of_pretraining(suite, dataset, name)
    torch.set_num_threads(encoder.threads)
    stream = f"pretrain/{dataset}/{name}"
    # Judges are those of the whole reference; what methods align to sees what they are trained on.
    study = rows.REFERENCE if suite.is_extractor(dataset, name) else rows.TRAIN
    train, inputs = gather(suite, dataset, name, study, device=device, studied=True)
    test, _ = gather(suite, dataset, name, rows.TEST, device=device, studied=True)
    if encoder.needs_test and not len(test.rows):
        raise ConfigError(
            f"encoder {name}: {encoder.uses} tells in its card how it does on test rows, and {dataset} has none: give "
            "the dataset a test split, or take an encoder with published weights"
        )
    with timed(device) as work, precise("fp32", device, encoder.uses):  # its own `precision` is that of its weights
        made = encoder.on(device if encoder.studies_on_gpu else "cpu").pretrain(train, test, stream)
    out = paths.encoder(dataset, name)
    io.write_tensors(paths.weights(out), made.weights)
    io.write_json(
        paths.card(out), {"encoder": name, "settings": encoder.plain(), "version": encoder.version, **made.card}
    )
    flops = encoder.pretraining_flops(rows.index(paths.data(dataset)), len(train.rows), len(test.rows))
    if flops is None:
        flops = operations_of_training(encoder, train, test, stream)
    inputs += [str(file) for file in encoder.files()]
    made_here = [paths.weights(out), paths.card(out)]
    return Made(made_here, inputs, device=device, device_seconds=work.seconds, flops=flops)
