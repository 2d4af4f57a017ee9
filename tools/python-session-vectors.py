"""Writes test/vectors/python-encrypted-session.json: what the OpenAI Agents SDK for Python stores in an EncryptedSession.

Made with python3-cryptography from the description of that class: HKDF-SHA256 over the key with the session id as
salt, then Fernet over the item's JSON. Run it again only to add cases.
"""

import base64
import json
import os
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ITEMS = [
    {"role": "user", "content": "What is 2+2? \u00fc"},
    {"role": "user", "type": "message", "content": [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"},
        {"type": "input_file", "file_id": "file-1", "filename": "a.pdf"}]},
    {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "xyz"},
    {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "add", "arguments": "{}", "status": "completed"},
    {"type": "function_call_output", "call_id": "call_1", "output": "4"},
    {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [
        {"type": "output_text", "text": "4", "annotations": [], "logprobs": []}]},
    {"id": "ws_1", "type": "web_search_call", "status": "completed"},
    {"role": "developer", "content": "be brief"},
]
EXPECTED = [
    {"type": "message", "role": "user", "content": "What is 2+2? \u00fc"},
    {"type": "message", "role": "user", "content": [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image": "https://example.com/a.png", "detail": "auto"},
        {"type": "input_file", "file": {"id": "file-1"}, "filename": "a.pdf"}]},
    {"id": "rs_1", "type": "reasoning", "content": [{"type": "input_text", "text": "hm"}],
     "providerData": {"encrypted_content": "xyz"}},
    {"id": "fc_1", "type": "function_call", "callId": "call_1", "name": "add", "arguments": "{}", "status": "completed"},
    {"type": "function_call_result", "callId": "call_1", "name": "add", "status": "completed",
     "output": {"type": "text", "text": "4"}},
    {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
     "content": [{"type": "output_text", "text": "4"}]},
    {"type": "message", "role": "system", "content": "be brief"},
]


def master(text):
    try:
        decoded = base64.urlsafe_b64decode(text)
        if len(decoded) == 32:
            return decoded
    except Exception:
        pass
    return text.encode()


def session(key, session_id):
    kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=session_id.encode(), info=b"agents.session-store.hkdf.v1")
    fernet = Fernet(base64.urlsafe_b64encode(kdf.derive(master(key))))
    rows = [{"__enc__": 1, "v": 1, "kid": "hkdf-v1", "payload": fernet.encrypt(
        json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode()).decode()} for item in ITEMS]
    return {"encryptionKey": key, "sessionId": session_id, "items": rows}


path = os.path.join(os.path.dirname(__file__), "..", "test", "vectors", "python-encrypted-session.json")
with open(path, "w") as file:
    json.dump({"sessions": {"a passphrase": session("correct horse battery staple", "user-\u00fc"),
                            "a Fernet key": session(Fernet.generate_key().decode(), "user-1")},
               "expected": EXPECTED}, file, indent=1, ensure_ascii=False)
