import { StrongroomError } from '../errors.ts';
import { NONCE_BYTES, type Aead } from './aead.ts';
import { isWellFormed, le64, pae, paeBefore, putLe64, toBase64url, writeAscii } from './encoding.ts';
import { DIGEST_BYTES, sha256 } from './hash.ts';
import { hedgedNonces, MAX_SEGMENT, type Unsealed } from './hedged-nonces.ts';
import { derivation, hmacSha256, type Mac } from './mac.ts';
import { suite, type SuiteName } from './suite.ts';

const NO_SALT = new Uint8Array(0);

/** The context that an entry is bound to in addition to its header. Never stored. */
export interface BindingContext {
  /** `PAE("sr1/ctx", sessionId, k1, v1, …)`, sorted by key in code units. */
  readonly bytes: Uint8Array;
  /** Its SHA-256, bound into every derived key. */
  readonly hash: Uint8Array;
  /** The hash in base64url. */
  readonly name: string;
}

/**
 * The binding context of a session.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` for text with an unpaired surrogate: UTF-8 cannot encode it,
 * and two different ids would become equal.
 */
export function bindingContext(
  sessionId: string,
  context: Readonly<Record<string, string>> = {},
): BindingContext {
  const pieces = ['sr1/ctx', sessionId];
  for (const key of Object.keys(context).sort()) pieces.push(key, context[key] as string);
  if (!pieces.every(isWellFormed)) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      'A session id or context entry contains an unpaired surrogate, which UTF-8 cannot encode. Use another id or entry.',
    );
  }
  const bytes = pae(...pieces);
  const hash = sha256(bytes);
  return { bytes, hash, name: toBase64url(hash) };
}

/** Everything that is derived from one data key in one context. */
export interface DerivedKeys {
  /** Id of the data key and commitment to it, base64url of 32 bytes. */
  readonly did: string;
  /** The suite under `kEnc`. */
  readonly aead: Aead;
  /** The AAD of an entry: `PAE("sr1/item", header segment, ctx)`, in a buffer that the next call of any key overwrites. */
  associatedData(headerSegment: string): Uint8Array;
  /** The nonces of entries without an operation that are sealed together: {@link hedgedNonces}. */
  nonces(entries: readonly Unsealed[]): readonly Uint8Array[];
  /** The nonce of one such entry. */
  nonce(headerSegment: string, plaintext: Uint8Array): Uint8Array;
  /** The operation tag `o` of the entry at this index of the operation. */
  operationTag(operationId: string, index: number): string;
  /** The nonce of that entry: a different header or plaintext gives a different one. */
  operationNonce(
    operationId: string,
    index: number,
    headerSegment: string,
    plaintext: Uint8Array,
  ): Uint8Array;
  /** Overwrites the keys. Using any of them afterwards throws: nothing may be sealed with a key of zeros. */
  wipe(): void;
}

const infos: Record<string, Uint8Array> = {};

/** `PAE(purpose, suite, context hash)` without the hash, which is its end. There are three for each suite. */
function infoBefore(purpose: string, suiteName: SuiteName): Uint8Array {
  return (infos[`${purpose} ${suiteName}`] ??= paeBefore(DIGEST_BYTES, purpose, suiteName));
}

/** The id of a data key under a suite and a context. */
export function dataKeyId(dek: Uint8Array, suiteName: SuiteName, contextHash: Uint8Array): string {
  const keys = derivation(dek, NO_SALT);
  const did = toBase64url(keys.expand(DIGEST_BYTES, infoBefore('sr1/id', suiteName), contextHash));
  keys.wipe();
  return did;
}

/**
 * Derives the id, the encryption key and the synthetic key of a data key (32 bytes, not kept). `loadSuite()` comes
 * first.
 */
export function deriveKeys(
  dek: Uint8Array,
  suiteName: SuiteName,
  context: Pick<BindingContext, 'bytes' | 'hash'>,
): DerivedKeys {
  const keys = derivation(dek, NO_SALT);
  const derive = (purpose: string): Uint8Array =>
    keys.expand(DIGEST_BYTES, infoBefore(purpose, suiteName), context.hash);
  const did = toBase64url(derive('sr1/id'));
  const encryptionKey = derive('sr1/enc');
  const syntheticKey = derive('sr1/syn');
  keys.wipe();
  let made: { readonly aead: Aead; readonly hmac: Mac } | undefined = {
    aead: suite(suiteName)(encryptionKey),
    hmac: hmacSha256(syntheticKey),
  };
  encryptionKey.fill(0);
  syntheticKey.fill(0);
  const unwiped = (): { readonly aead: Aead; readonly hmac: Mac } => {
    if (made !== undefined) return made;
    throw new Error('A data key was used after it was zeroed. Report this as a bug of strongroom.');
  };
  const synthetic = (...data: readonly Uint8Array[]): Uint8Array => unwiped().hmac(...data);
  return {
    did,
    get aead() {
      return unwiped().aead;
    },
    associatedData: (headerSegment) => associatedData(headerSegment, context.bytes),
    operationTag: (operationId, index) =>
      toBase64url(synthetic(pae('op', operationId, le64(index))).subarray(0, 16)),
    nonces: (entries) => hedgedNonces(unwiped().hmac, entries),
    nonce: (headerSegment, plaintext) =>
      hedgedNonces(unwiped().hmac, [{ headerSegment, plaintext }])[0] as Uint8Array,
    operationNonce: (operationId, index, headerSegment, plaintext) =>
      synthetic(
        paeBefore(plaintext.length, 'nonce', operationId, le64(index), headerSegment),
        plaintext,
      ).subarray(0, NONCE_BYTES),
    wipe() {
      made?.aead.wipe();
      made?.hmac.wipe();
      made = undefined;
    },
  };
}

const LABEL = pae('sr1/item', '', '').subarray(0, 8 + 8 + 'sr1/item'.length);
const SEGMENT_AT = LABEL.length + 8;

// One for all keys, which takes no memory for each of them: calls are synchronous and do not nest.
let buffer = new Uint8Array(0);
let view = buffer;
let lastSegment: string | undefined;
let lastContext: Uint8Array | undefined;

/** `PAE("sr1/item", header segment, context)`. */
function associatedData(headerSegment: string, context: Uint8Array): Uint8Array {
  // Entries that are written together have one header.
  if (headerSegment === lastSegment && context === lastContext) return view;
  if (headerSegment.length > MAX_SEGMENT) throw new RangeError('A header segment is too long.');
  const most = SEGMENT_AT + MAX_SEGMENT + 8 + context.length;
  if (most > buffer.length) {
    buffer = new Uint8Array(most);
    buffer.set(LABEL);
  }
  const length = writeAscii(headerSegment, buffer.subarray(SEGMENT_AT));
  const contextAt = SEGMENT_AT + length + 8;
  putLe64(buffer, LABEL.length, length);
  putLe64(buffer, contextAt - 8, context.length);
  buffer.set(context, contextAt);
  lastSegment = headerSegment;
  lastContext = context;
  view = buffer.subarray(0, contextAt + context.length);
  return view;
}
