"""A second implementation of sr1, from SPEC.md alone: reads and writes envelopes with an inline data key.

One JSON request a line on standard input, one JSON answer a line. Needs Debian's python3-cryptography, which has no
HChaCha20 and no 24-byte nonces, so both are here.
"""
import base64, json, os, struct, sys
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert b64(data) == text, "not canonical base64url"
    return data


def pae(*pieces):
    pieces = [p.encode() if isinstance(p, str) else p for p in pieces]
    return struct.pack("<Q", len(pieces)) + b"".join(struct.pack("<Q", len(p)) + p for p in pieces)


def sha256(data):
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    return digest.finalize()


def derive(dek, purpose, suite, ctx):
    return HKDF(hashes.SHA256(), 32, None, pae(purpose, suite, sha256(ctx))).derive(dek)


def hchacha20(key, nonce):
    s = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))

    def quarter(a, b, c, d):
        for x, y, z, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            s[z] ^= s[x]
            s[z] = ((s[z] << bits) | (s[z] >> (32 - bits))) & 0xFFFFFFFF

    for _ in range(10):
        for column in range(4):
            quarter(column, column + 4, column + 8, column + 12)
        for a, b, c, d in ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(a, b, c, d)
    return struct.pack("<8I", *(s[0:4] + s[12:16]))


def xaes_subkey(key, nonce12):
    ecb = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    k1 = int.from_bytes(ecb.update(bytes(16)), "big") << 1
    k1 = (k1 ^ (0x87 if k1 >> 128 else 0)) & ((1 << 128) - 1)
    block = lambda i: bytes(x ^ y for x, y in zip(bytes([0, i, 0x58, 0]) + nonce12, k1.to_bytes(16, "big")))
    return ecb.update(block(1)) + ecb.update(block(2))


def aead(suite, key, nonce):
    if suite == "XC20P":
        return ChaCha20Poly1305(hchacha20(key, nonce[:16])), bytes(4) + nonce[16:]
    assert suite == "XAES-256-GCM", "unknown suite"
    return AESGCM(xaes_subkey(key, nonce[:12])), nonce[12:]


def unwrap(jwe, jwk):
    header, wrapped_key, iv, ciphertext, tag = jwe.split(".")
    fields = json.loads(unb64(header))
    assert fields == {"alg": "A256KW", "enc": "A256GCM", "typ": "sr1-dek", "kid": jwk["kid"]}, "wrong JWE header"
    cek = aes_key_unwrap(unb64(jwk["k"]), unb64(wrapped_key))
    return AESGCM(cek).decrypt(unb64(iv), unb64(ciphertext) + unb64(tag), header.encode())


def wrap(dek, jwk):
    header = b64(json.dumps({"alg": "A256KW", "enc": "A256GCM", "typ": "sr1-dek", "kid": jwk["kid"]}).replace(" ", "").encode())
    cek, iv = os.urandom(32), os.urandom(12)
    sealed = AESGCM(cek).encrypt(iv, dek, header.encode())
    return ".".join([header, b64(aes_key_wrap(unb64(jwk["k"]), cek)), b64(iv), b64(sealed[:-16]), b64(sealed[-16:])])


def context(request):
    pairs = sorted(request.get("context", {}).items(), key=lambda pair: pair[0].encode("utf-16-be"))
    return pae("sr1/ctx", request["sessionId"], *[piece for pair in pairs for piece in pair])


def open_envelope(request):
    version, header, body, jwe = request["envelope"].split(".", 3)
    assert version == "sr1", "unknown version"
    fields, ctx, sealed = json.loads(unb64(header)), context(request), unb64(body)
    dek = unwrap(jwe, request["kek"])
    assert b64(derive(dek, "sr1/id", fields["s"], ctx)) == fields["d"], "commitment"
    cipher, nonce = aead(fields["s"], derive(dek, "sr1/enc", fields["s"], ctx), sealed[:24])
    return {"header": fields, "json": cipher.decrypt(nonce, sealed[24:], pae("sr1/item", header, ctx)).decode()}


def seal_envelope(request):
    suite, ctx, dek = request["suite"], context(request), os.urandom(32)
    fields = {"s": suite, "d": b64(derive(dek, "sr1/id", suite, ctx)), "t": request["t"]}
    header, nonce = b64(json.dumps(fields, separators=(",", ":")).encode()), os.urandom(24)
    cipher, short = aead(suite, derive(dek, "sr1/enc", suite, ctx), nonce)
    sealed = cipher.encrypt(short, request["json"].encode(), pae("sr1/item", header, ctx))
    return {"envelope": ".".join(["sr1", header, b64(nonce + sealed), wrap(dek, request["kek"])])}


for line in sys.stdin:
    request = json.loads(line)
    try:
        print(json.dumps((open_envelope if request["do"] == "open" else seal_envelope)(request)), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
