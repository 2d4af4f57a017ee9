import { sha256 } from '@noble/hashes/sha2.js';
import type { JWK } from 'jose';
import { toBase64url, utf8 } from '../crypto/encoding.ts';
import { keyring, type Keyring } from '../keys/keyring.ts';

/** The key-encryption key that belongs to a label: the same in every run and process. Public, so for tests only. */
export function fixedKey(label: string): JWK {
  const k = toBase64url(sha256(utf8(`strongroom test key, known to everybody: ${label}`)));
  return { kty: 'oct', alg: 'A256KW', kid: `test-${label}`, k };
}

/**
 * A keyring whose keys are derived from their labels, so that two processes or two runs of a test share them. Its
 * keys are public: never use it for data that matters.
 *
 * @param current Label of the current key. @defaultValue 'a'
 * @param previous Labels of keys that only unwrap.
 *
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { encrypt, wrapSession } from 'strongroom';
 * import { fixedKeyring } from 'strongroom/testing';
 *
 * const session = wrapSession(new MemorySession(), [encrypt({ keys: fixedKeyring() })]);
 * ```
 */
export function fixedKeyring(current: string = 'a', ...previous: readonly string[]): Keyring {
  return keyring({ current: fixedKey(current), previous: previous.map(fixedKey) });
}
