import { fromBase64url, toBase64url } from '../crypto/encoding.ts';
import { constantTimeEqual } from '../crypto/equal.ts';
import { hedged } from '../crypto/hedged.ts';
import { isStrongroomError, StrongroomError } from '../errors.ts';
import { isKid } from '../keys/jwk.ts';
import { loadJose } from '../load-jose.ts';
import type { KeyBinding, KeyProvider, WrappedKey } from '../keys/provider.ts';
import { DEK_ENCRYPTION, dekHeader, notOpened } from '../keys/wrapped-key.ts';
import { withAttempts, type AttemptLimits } from './attempts.ts';

/** What a failure of a key service means. */
export interface Verdict {
  /**
   * `ERR_KEY_UNAVAILABLE` for every unknown failure: a record that fails with it is never skipped, so a wrong guess
   * costs no data.
   */
  readonly code: 'ERR_KEY_UNAVAILABLE' | 'ERR_KEY_DISABLED' | 'ERR_AUTHENTICATION' | 'ERR_INVALID_OPTION';
  /** Whether the same call may succeed a little later. */
  readonly transient: boolean;
  /** What happened and what to do, as sentences without anything secret. */
  readonly reason: string;
}

/**
 * One key of a KMS, reduced to the functions that differ between services: it encrypts and decrypts 32 bytes. All
 * else is shared, so that a KMS without additional authenticated data (RSA keys of Azure) gets the same binding as
 * one with it.
 */
export interface KeyService {
  /** The kind of service that made a ciphertext; part of the wrapped key. */
  readonly id: string;
  /** For messages. */
  readonly name: string;
  /** Encrypts a content key; binds `contextHash` where the service can. */
  encrypt(contentKey: Uint8Array, contextHash: string, signal: AbortSignal): Promise<Uint8Array>;
  /** The reverse. The bytes are overwritten after use. */
  decrypt(ciphertext: Uint8Array, contextHash: string, signal: AbortSignal): Promise<Uint8Array>;
  /** Never throws. */
  judge(error: unknown): Verdict;
}

const CONTENT_KEY_BYTES = 32;
/**
 * More than the ciphertext of 32 bytes from any service: a forged header cannot make the service work on megabytes.
 */
const MAX_CIPHERTEXT = 8_192;
/**
 * Characters of the context hash in the header: for an early check; the id of the data key commits to the whole
 * hash.
 */
const CONTEXT_CHARACTERS = 22;

/**
 * A {@link KeyProvider} over a key service. The service wraps a random content key; that key encrypts the data key,
 * as `dir` JWE (RFC 7518 section 4.5) with the ciphertext of the service in its protected header: `"kms": { "p":
 * service, "cx": start of the context hash, "ct": ciphertext }`.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` for an invalid kid.
 */
export function kmsProvider(
  where: string,
  kid: unknown,
  service: KeyService,
  limits: AttemptLimits,
): KeyProvider {
  if (!isKid(kid)) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${where}: kid must be 1 to 128 printable ASCII characters. Set the option kid.`,
    );
  }
  const flights = new Map<string, Flight>();

  async function call<T>(task: string, action: (signal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await withAttempts(limits, (error) => judge(service, error).transient, action);
    } catch (cause) {
      const { code, reason } = judge(service, cause);
      throw new StrongroomError(
        code,
        `${service.name} did not ${task} a data key with the key ${JSON.stringify(kid)}: ${reason}`,
        { cause },
      );
    }
  }

  async function open(wrapped: WrappedKey, binding: KeyBinding): Promise<Uint8Array> {
    const { ciphertext, context } = readHeader(service, wrapped);
    if (!constantTimeEqual(context, binding.contextHash.slice(0, CONTEXT_CHARACTERS))) {
      throw new StrongroomError(
        'ERR_AUTHENTICATION',
        'A wrapped data key belongs to a different session or context: it was moved here, or encrypt() has ' +
          'a different context than at the time of writing. Compare the contexts; if they are the same, treat it as tampering.',
      );
    }
    const { compactDecrypt } = await loadJose();
    const contentKey = await call('unwrap', (signal) =>
      service.decrypt(ciphertext, binding.contextHash, signal),
    );
    try {
      if (contentKey.length !== CONTENT_KEY_BYTES) return notOpened(kid as string);
      const { plaintext } = await compactDecrypt(wrapped.text, contentKey, {
        keyManagementAlgorithms: ['dir'],
        contentEncryptionAlgorithms: [DEK_ENCRYPTION],
        maxDecompressedLength: 0,
      });
      return plaintext;
    } catch (cause) {
      return notOpened(kid as string, cause);
    } finally {
      contentKey.fill(0);
    }
  }

  return {
    kid,
    alg: 'dir',
    writeOnly: false,
    async wrap(dek, { contextHash }, options) {
      const { CompactEncrypt } = await loadJose();
      const contentKey = hedged('sr1/content-key', dek, contextHash);
      try {
        const ciphertext = await call('wrap', (signal) => service.encrypt(contentKey, contextHash, signal));
        const kms = {
          p: service.id,
          cx: contextHash.slice(0, CONTEXT_CHARACTERS),
          ct: toBase64url(ciphertext),
        };
        return await new CompactEncrypt(dek)
          .setProtectedHeader({ ...dekHeader('dir', kid, options), kms })
          .encrypt(contentKey);
      } finally {
        contentKey.fill(0);
      }
    },
    async unwrap(wrapped, binding) {
      const name = `${binding.contextHash} ${wrapped.text}`;
      let flight = flights.get(name);
      if (flight === undefined) {
        flight = { waiting: 0, dek: open(wrapped, binding) };
        flights.set(name, flight);
      }
      flight.waiting++;
      try {
        const dek = await flight.dek;
        // Each caller wipes its own copy.
        const copy = dek.slice();
        if (flight.waiting === 1) dek.fill(0);
        return copy;
      } finally {
        flight.waiting--;
        if (flights.get(name) === flight) flights.delete(name);
      }
    },
  };
}

/** Callers that ask for the same wrapped key at the same time share one call. */
interface Flight {
  waiting: number;
  readonly dek: Promise<Uint8Array>;
}

/** Codes of errors that an adapter throws itself, which are passed on. */
const OWN_CODES = ['ERR_INVALID_OPTION', 'ERR_AUTHENTICATION', 'ERR_KEY_DISABLED'] as const;

function judge(service: KeyService, error: unknown): Verdict {
  if (isStrongroomError(error)) {
    if (error.code === 'ERR_TIMEOUT') {
      return {
        code: 'ERR_KEY_UNAVAILABLE',
        transient: true,
        reason: `${error.message} Nothing was removed; repeat the call when it answers.`,
      };
    }
    const own = OWN_CODES.find((code) => code === error.code);
    return {
      code: own ?? 'ERR_KEY_UNAVAILABLE',
      transient: false,
      reason: error.message,
    };
  }
  return service.judge(error);
}

function readHeader(service: KeyService, wrapped: WrappedKey): { ciphertext: Uint8Array; context: string } {
  const { kms } = wrapped.header;
  const fields = typeof kms === 'object' && kms !== null ? (kms as Record<string, unknown>) : {};
  const { p, cx, ct, ...others } = fields;
  const ciphertext = typeof ct === 'string' && ct.length <= MAX_CIPHERTEXT ? fromBase64url(ct) : undefined;
  if (
    typeof p !== 'string' ||
    typeof cx !== 'string' ||
    ciphertext === undefined ||
    ciphertext.length === 0
  ) {
    throw new StrongroomError(
      'ERR_MALFORMED',
      'The header of a data key wrapped by a KMS lacks the fields of the KMS (kms: p, cx, ct). Restore the record from a backup.',
    );
  }
  if (p !== service.id || Object.keys(others).length > 0) {
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      `A wrapped data key was wrapped by a different key service than ${service.name}, which the keyring has for ` +
        'its kid, or by a newer version. Correct the keyring, or update strongroom.',
    );
  }
  return { ciphertext, context: cx };
}
