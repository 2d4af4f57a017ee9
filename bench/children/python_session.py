"""Times what an EncryptedSession of the OpenAI Agents SDK for Python does: HKDF-SHA256 over the key with the session id as salt, then
Fernet over the JSON of each item, in a list in memory. Reads lines "WORK RUNS", answers with microseconds of one run: the fastest of
five slices, as bench/rounds.ts does. The first line is the JSON of the items.
"""

import base64
import json
import sys
import time
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SLICES = 5
items = json.loads(sys.stdin.readline())
master = b"0123456789abcdef0123456789abcdef"


def fernet_of(session_id):
    kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=session_id.encode(), info=b"agents.session-store.hkdf.v1")
    return Fernet(base64.urlsafe_b64encode(kdf.derive(master)))


cipher = fernet_of("session-1")


def seal(item):
    text = json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode()
    return {"__enc__": 1, "v": 1, "kid": "hkdf-v1", "payload": cipher.encrypt(text).decode()}


def unseal(row):
    return json.loads(cipher.decrypt(row["payload"].encode()))


rows = [seal(item) for item in items]
added = []


def add_items():
    added.extend([seal(item) for item in items[:4]])
    if len(added) > 10_000:
        added.clear()


WORKS = {
    "addItems(4)": add_items,
    "getItems(10)": lambda: [unseal(row) for row in rows[-10:]],
    "getItems() of 1,000": lambda: [unseal(row) for row in rows],
}

for line in sys.stdin:
    name, runs = line.rstrip("\n").rsplit(" ", 1)
    work = WORKS[name]
    slice_runs = -(-int(runs) // SLICES)
    fastest = float("inf")
    for _ in range(SLICES):
        start = time.perf_counter()
        for _ in range(slice_runs):
            work()
        fastest = min(fastest, (time.perf_counter() - start) * 1e6 / slice_runs)
    print(fastest, flush=True)
