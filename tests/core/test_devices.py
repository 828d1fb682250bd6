"""Peaks of devices, by the names that drivers give them."""

import pytest

from reedbench.core import devices


@pytest.mark.parametrize(
    ("name", "tera"),
    [
        ("NVIDIA H200", 989), ("NVIDIA H100 80GB HBM3", 989), ("NVIDIA H100 PCIe", 756), ("NVIDIA H100 NVL", 835),
        ("NVIDIA A100-SXM4-80GB", 312), ("NVIDIA A100 80GB PCIe", 312), ("NVIDIA L40S", 362), ("h200", 989),
    ],
)  # fmt: skip
def test_a_device_is_known_by_the_name_of_its_driver(name, tera):
    assert devices.peak(name) == tera * 1e12


@pytest.mark.parametrize("name", ["cpu", "NVIDIA A10G", "NVIDIA A100-SXM4-80GB MIG 1g.10gb", "AMD EPYC", "Tesla T4"])
def test_what_is_not_in_the_table_or_only_a_slice_is_unknown(name):
    assert devices.peak(name) is None


def test_every_key_names_itself():
    assert [devices.known(name) for name in devices.PEAKS] == list(devices.PEAKS)
