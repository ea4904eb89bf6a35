"""The bench of XML signatures, for attacks on them too."""

from tests.unit.formats.xades.conftest import xades_bench

__all__ = ["xades_bench"]
