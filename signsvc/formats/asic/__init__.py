"""ASiC containers (EN 319 162-1): reading, making and raising them.

`read` gives the view of a container with XAdES or CAdES signatures, or with timestamps alone.  `write` makes containers
with XAdES signatures and adds further ones, in two steps; `extend` raises those signatures.  Bytes in, bytes out.
"""

from signsvc.formats.asic.layout import MEDIA_TYPE_E, MEDIA_TYPE_S, Kind
from signsvc.formats.asic.read import read

__all__ = ["MEDIA_TYPE_E", "MEDIA_TYPE_S", "Kind", "read"]
