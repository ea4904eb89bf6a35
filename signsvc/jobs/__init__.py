"""Work that is done later: a worker process takes items of the ledger and has floor 5 do them.

The ledger (`signsvc.store.jobs`) is the truth; the queue carries no more than "there is something to do".
"""
