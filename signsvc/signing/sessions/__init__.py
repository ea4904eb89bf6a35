"""Signing sessions: the signer keeps the key, the service keeps everything else.

A session is a closed list of documents.  The signer's side sends its certificate, gets for each document the
attributes to be signed, and sends back signature values; the service completes the files.  All of it is in the
database and in the files beside the blobs: any host can take the next step, before and after a restart.
"""
