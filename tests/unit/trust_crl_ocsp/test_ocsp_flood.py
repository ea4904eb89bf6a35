"""Many certificates that call themselves responders: none hides the true one, and they cost their number."""

from __future__ import annotations

import time

import test_pki
from signsvc.trust.ocsp import OcspResponse
from signsvc.types import Certificate


def test_a_flood_of_namesakes_costs_little_and_hides_nobody(pki: test_pki.Pki) -> None:
    issuer = Certificate.from_der(pki.cert("sub-g2-state"))
    true = Certificate.from_der(pki.cert("ocsp-sub-g2-state"))
    flood = [Certificate.from_der(true.der[:-2] + n.to_bytes(2, "big")) for n in range(400)]
    answer = pki.ocsp("person", "revoked", include=())
    responses = [OcspResponse.parse(answer[:-2] + n.to_bytes(2, "big")) for n in range(400)]
    began = time.process_time()
    assert all(response.responder([*flood, true], issuer) is None for response in responses)
    assert OcspResponse.parse(answer).responder([*flood, true], issuer) == true
    assert time.process_time() - began < 3
