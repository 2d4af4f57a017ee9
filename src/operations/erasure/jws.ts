import type { JWK } from 'jose';
import { fromUtf8, utf8 } from '../../crypto/encoding.ts';
import { StrongroomError } from '../../errors.ts';
import { loadJose } from '../../load-jose.ts';
import { invalidOption } from '../../options.ts';

/**
 * A key for receipts as a JWK (RFC 7517): private for signing, public for verifying. Its `alg` sets the algorithm,
 * else its type.
 */
export type ReceiptKey = Readonly<JWK>;

/** Algorithms for keys without `alg` (RFC 7518 section 3.1, RFC 8037, RFC 9864). */
const ALGORITHMS: Readonly<Record<string, string>> = {
  'P-256': 'ES256',
  'P-384': 'ES384',
  'P-521': 'ES512',
  Ed25519: 'EdDSA',
  RSA: 'PS256',
};

const TYPE = 'strongroom-erasure+json';

/** @throws {@link StrongroomError} `ERR_INVALID_OPTION` for an invalid key, or a public one. */
export function checkReceiptKey(where: string, key: unknown): asserts key is ReceiptKey {
  const { kty, d } = (typeof key === 'object' && key !== null ? key : {}) as JWK;
  if (typeof kty !== 'string' || typeof d !== 'string' || algorithmOf(key as JWK) === undefined) {
    // The key must not be in the message.
    invalidOption(where, 'receiptKey', 'a private JWK (EC, OKP or RSA)', undefined);
  }
}

function algorithmOf({ alg, crv, kty }: JWK): string | undefined {
  return alg ?? ALGORITHMS[crv ?? ''] ?? ALGORITHMS[kty ?? ''];
}

/**
 * Before anything is erased: signs with the key and checks that with its public half.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` for a key that cannot sign.
 */
export async function tryReceiptKey(where: string, key: ReceiptKey): Promise<void> {
  const receipt = await signReceipt(where, {}, key);
  try {
    await openReceipt(where, receipt, key);
  } catch (cause) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${where}: the public half of the receiptKey does not verify what its private half signs. Nothing was erased. Give a ` +
        'private JWK of one key.',
      { cause },
    );
  }
}

/** Signs the payload with one member a line, so that people can read it. */
export async function signReceipt(where: string, payload: object, key: ReceiptKey): Promise<string> {
  const { CompactSign, importJWK } = await loadJose();
  const alg = algorithmOf(key) as string;
  try {
    const text = utf8(JSON.stringify(payload, undefined, 1));
    const { kid } = key;
    const header = { alg, typ: TYPE, ...(kid !== undefined && { kid }) };
    return await new CompactSign(text).setProtectedHeader(header).sign(await importJWK({ ...key }, alg));
  } catch (cause) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${where}: the receiptKey cannot sign by ${alg}. Give a private JWK for signatures with an alg that fits it.`,
      { cause },
    );
  }
}

/** The payload of a receipt that the key signed. @throws {@link StrongroomError} `ERR_AUTHENTICATION`, `ERR_INVALID_OPTION`. */
export async function openReceipt(where: string, receipt: string, key: ReceiptKey): Promise<unknown> {
  if (typeof receipt !== 'string') invalidOption(where, 'receipt', 'a JWS in its compact form', receipt);
  const alg = typeof key === 'object' && key !== null ? algorithmOf(key) : undefined;
  if (alg === undefined) return invalidOption(where, 'key', 'a public JWK (EC, OKP or RSA)', undefined);
  const { compactVerify, importJWK } = await loadJose();
  // The public half, also of a private key.
  const { d: _d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, key_ops: _ops, ...half } = key;
  let checking: Awaited<ReturnType<typeof importJWK>>;
  try {
    checking = await importJWK(half, alg);
  } catch {
    return invalidOption(where, 'key', 'a public JWK (EC, OKP or RSA)', undefined);
  }
  try {
    // The algorithm is that of the key, not that of the receipt.
    const { payload, protectedHeader } = await compactVerify(receipt, checking, { algorithms: [alg] });
    if (protectedHeader.typ !== TYPE) throw new Error('another type');
    return JSON.parse(fromUtf8(payload));
  } catch (cause) {
    throw new StrongroomError(
      'ERR_AUTHENTICATION',
      `${where}: this is no receipt that the key signed: it was changed, or another key signed it, or it is something else.`,
      { cause },
    );
  }
}
