"""The bench of containers, for attacks on them too."""

from tests.unit.formats.asic.conftest import asic_bench

__all__ = ["asic_bench"]
