import { cbc } from '@noble/ciphers/aes.js';
import type { AgentInputItem } from '@openai/agents';
import { fromBase64, fromBase64url, fromUtf8, toBase64url, utf8 } from '../crypto/encoding.ts';
import { constantTimeEqual } from '../crypto/equal.ts';
import { hkdfSha256, hmacSha256 } from '../crypto/mac.ts';
import { StrongroomError } from '../errors.ts';
import { checkOptions, invalidOption, isObject } from '../options.ts';
import { pythonItem } from './python-item.ts';

/** Options of {@link readPythonSession}. */
export interface ReadPythonSessionOptions {
  /** The `encryption_key` of Python's `EncryptedSession`. */
  readonly encryptionKey: string;
  /** The session id it was used with. */
  readonly sessionId: string;
  /** The items of the underlying Python session: the JSON objects, oldest first. */
  readonly items: readonly unknown[];
  /**
   * Whether objects that Python stored without encryption are accepted, as by Python itself. Unsafe for the same
   * reason as `unsafeAllowPlaintext`. @defaultValue false
   */
  readonly plaintext?: boolean;
}

/** The result of {@link readPythonSession}. */
export interface PythonSession {
  /** Items of the JavaScript SDK, in their order. */
  readonly items: readonly AgentInputItem[];
  /** Items that have no counterpart in the JavaScript SDK: their position and `type`. They are not in `items`. */
  readonly unmapped: readonly { readonly index: number; readonly type: string }[];
}

/**
 * Reads items that the `EncryptedSession` of the OpenAI Agents SDK for Python stored (Fernet under a key derived
 * with HKDF from the session id), and maps those that both SDKs have: messages, function calls and their results,
 * reasoning. Its time to live is not applied: it limits only what Python reads, and deletes nothing.
 *
 * @throws `ERR_NOT_SEALED` for plaintext; `ERR_MALFORMED`; `ERR_UNSUPPORTED` for another version;
 * `ERR_AUTHENTICATION` for another key or session, or changed data.
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { readPythonSession } from 'strongroom/keys';
 *
 * const rows: unknown[] = []; // SELECT message_data FROM agent_messages WHERE session_id = … ORDER BY id
 * const { items, unmapped } = readPythonSession({ encryptionKey: 'secret', sessionId: 'user-123', items: rows });
 * await new MemorySession().addItems([...items]);
 * ```
 */
export function readPythonSession(options: ReadPythonSessionOptions): PythonSession {
  const where = 'readPythonSession';
  checkOptions(where, options, ['encryptionKey', 'sessionId', 'items', 'plaintext']);
  const { encryptionKey, sessionId, items: stored, plaintext = false } = options;
  if (typeof encryptionKey !== 'string' || encryptionKey === '') {
    invalidOption(where, 'encryptionKey', 'a non-empty text', encryptionKey);
  }
  if (typeof sessionId !== 'string') invalidOption(where, 'sessionId', 'a text', sessionId);
  if (!Array.isArray(stored)) invalidOption(where, 'items', 'an array', stored);
  const key = pythonKey(encryptionKey, sessionId);
  const items: AgentInputItem[] = [];
  const unmapped: { index: number; type: string }[] = [];
  const names = new Map<string, string>();
  stored.forEach((value: unknown, index) => {
    const item = openPythonItem(value, key, `Item ${index + 1}`, plaintext);
    const mapped = pythonItem(item, names);
    const { type = 'message' } = item;
    if (mapped !== undefined) items.push(mapped);
    else unmapped.push({ index, type: typeof type === 'string' ? type : typeof type });
  });
  key.fill(0);
  return { items, unmapped };
}

/** The Fernet key of one session: the first half signs, the second encrypts. Overwrite it after use. */
export function pythonKey(encryptionKey: string, sessionId: string): Uint8Array {
  return hkdfSha256(masterKey(encryptionKey), utf8(sessionId), utf8('agents.session-store.hkdf.v1'), 32);
}

/** Python decodes a text that is 32 bytes in base64, and uses any other text as it is. */
function masterKey(text: string): Uint8Array {
  const decoded = /^[\w-]{43}=$/.test(text)
    ? fromBase64(text.replaceAll('-', '+').replaceAll('_', '/'))
    : undefined;
  return decoded ?? utf8(text);
}

/**
 * The item in one stored object.
 *
 * @param key `undefined`: an encrypted object is `ERR_KEY_UNKNOWN`.
 * @param label Names the object in errors.
 */
export function openPythonItem(
  value: unknown,
  key: Uint8Array | undefined,
  label: string,
  plaintext: boolean,
): Record<string, unknown> {
  if (!isObject(value)) malformed(label, 'it is not an object');
  const record = value as Record<string, unknown>;
  if (record['__enc__'] !== 1) {
    if (plaintext) return record;
    throw new StrongroomError(
      'ERR_NOT_SEALED',
      `${label} is plain text: an old row, or a row that was inserted without encryption. Inspect it, then set plaintext: true.`,
    );
  }
  if (record['v'] !== 1 || record['kid'] !== 'hkdf-v1') {
    throw new StrongroomError('ERR_UNSUPPORTED', `${label} has an unknown version. Update strongroom.`);
  }
  if (key === undefined) {
    throw new StrongroomError(
      'ERR_KEY_UNKNOWN',
      `${label} is encrypted. Pass the encryption_key of Python's EncryptedSession as encryptionKey.`,
    );
  }
  const token = record['payload'];
  const text =
    typeof token === 'string' ? openFernet(token, key, label) : malformed(label, 'it has no payload');
  let item: unknown;
  try {
    item = JSON.parse(text);
  } catch {
    malformed(label, 'it is not JSON');
  }
  if (!isObject(item)) malformed(label, 'its payload is not an object');
  return item as Record<string, unknown>;
}

/** Fernet: 0x80 ‖ time (8) ‖ IV (16) ‖ AES-128-CBC ‖ HMAC-SHA-256; the key is 16 bytes to sign, 16 to encrypt. */
function openFernet(token: string, key: Uint8Array, label: string): string {
  const bytes = fromBase64url(token.replace(/={0,2}$/, ''));
  if (bytes === undefined || bytes.length < 73 || bytes[0] !== 0x80)
    malformed(label, 'its payload is not a Fernet token');
  const signed = bytes.subarray(0, -32);
  const expected = toBase64url(hmacSha256(key.slice(0, 16))(signed));
  if (!constantTimeEqual(expected, toBase64url(bytes.subarray(-32)))) {
    throw new StrongroomError(
      'ERR_AUTHENTICATION',
      `${label} cannot be decrypted: the encryption key or the session id is wrong, or the item was changed. Check both first.`,
    );
  }
  try {
    return fromUtf8(cbc(key.slice(16), bytes.slice(9, 25)).decrypt(bytes.slice(25, -32)));
  } catch {
    return malformed(label, 'its token is authentic but damaged');
  }
}

function malformed(label: string, what: string): never {
  throw new StrongroomError(
    'ERR_MALFORMED',
    `${label} is not an item of the EncryptedSession of the Python SDK: ${what}. Restore it, or leave it out.`,
  );
}
