"""Bounded reading and writing of ASN.1 DER: the one TLV reader that every binary format of the house uses."""

from signsvc.asn1.der import DerError, Tlv, children, decode_integer, decode_oid, decode_time, read, read_all
from signsvc.asn1.encode import encode, encode_integer, encode_oid

__all__ = [
    "DerError",
    "Tlv",
    "children",
    "decode_integer",
    "decode_oid",
    "decode_time",
    "encode",
    "encode_integer",
    "encode_oid",
    "read",
    "read_all",
]
