"""signsvc: digital signature and verification service for Vietnamese state agencies.

The rooms of the house, lowest floor first: ``errors``, ``messages``, ``types``, ``asn1``, ``algorithms``,
``settings`` (0); ``keys``, ``trust``, ``store``, ``net`` (1); ``formats`` (2); ``validation`` (3); ``reports`` (4);
``signing``, ``verification`` (5); ``cli``, ``web`` (6).  A room imports from floors below it only.
"""

__version__ = "0.1.0"
