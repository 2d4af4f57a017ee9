import { Buffer } from 'node:buffer';
import { utf8 } from '../crypto/encoding.ts';
import { hedged } from '../crypto/hedged.ts';
import { StrongroomError } from '../errors.ts';
import type { KeyProvider } from '../keys/provider.ts';
import type { MaybePromise } from '../layer.ts';
import { invalidOption } from '../options.ts';
import { checkKmsOptions, type KmsOptions } from './attempts.ts';
import { kmsProvider, type Verdict } from './kms-provider.ts';

export type { KmsOptions } from './attempts.ts';

/** What is used of a `PKCS11` object of pkcs11js. */
export interface Pkcs11Module {
  C_GetSlotList(tokenPresent?: boolean): Buffer[];
  C_GetTokenInfo(slot: Buffer): { label: string };
  C_OpenSession(slot: Buffer, flags: number): Buffer;
  C_CloseSession(session: Buffer): void;
  C_Login(session: Buffer, userType: number, pin?: string): void;
  C_FindObjectsInit(session: Buffer, template: { type: number; value?: number | boolean | string }[]): void;
  C_FindObjects(session: Buffer, maxObjectCount: number): Buffer[];
  C_FindObjectsFinal(session: Buffer): void;
  C_GetAttributeValue(session: Buffer, object: Buffer, template: { type: number }[]): Pkcs11Attribute[];
  C_EncryptInit(session: Buffer, mechanism: Pkcs11Mechanism, key: Buffer): void;
  C_EncryptAsync(session: Buffer, inData: Buffer, outData: Buffer): Promise<Buffer>;
  C_DecryptInit(session: Buffer, mechanism: Pkcs11Mechanism, key: Buffer): void;
  C_DecryptAsync(session: Buffer, inData: Buffer, outData: Buffer): Promise<Buffer>;
}

/** An attribute of an object, as {@link Pkcs11Module} gives it. */
export interface Pkcs11Attribute {
  type: number;
  value: Buffer;
}

/** A mechanism with its parameter, as {@link Pkcs11Module} takes it. */
export interface Pkcs11Mechanism {
  mechanism: number;
  parameter: { type: number; iv: Buffer; aad: Buffer; ivBits: number; tagBits: number };
}

/** Options of {@link pkcs11}. */
export interface Pkcs11Options extends KmsOptions {
  /** A `PKCS11` object of pkcs11js, with its module loaded and `C_Initialize` called. */
  readonly pkcs11: Pkcs11Module;
  /** Label of the token. A slot number is not taken: it can change when a token is added. */
  readonly token: string;
  /** Label (`CKA_LABEL`) of a secret AES key of 256 bits that cannot be extracted. */
  readonly keyLabel: string;
  /** The user PIN, or a function that gives it when a session is opened. */
  readonly pin: string | (() => MaybePromise<string>);
}

// PKCS #11 version 2.40, header files; the last is a number of pkcs11js.
const CKF_SERIAL_SESSION = 0x4;
const CKU_USER = 1;
const CKM_AES_GCM = 0x1087;
const CKO_SECRET_KEY = 4;
const CKK_AES = 0x1f;
const CKA_CLASS = 0x0;
const CKA_LABEL = 0x3;
const CKA_KEY_TYPE = 0x100;
const CKA_SENSITIVE = 0x103;
const CKA_VALUE_LEN = 0x161;
const CKA_EXTRACTABLE = 0x162;
const GCM_PARAMETER = 3;

const IV_BYTES = 12;
const TAG_BYTES = 16;
const CONTENT_KEY_BYTES = 32;

/**
 * An AES key in an HSM as key-encryption key, through PKCS #11: AES-GCM with the hash of session and context as
 * additional data. Calls go one after another through one session of the token. The default `kid` is
 * `<token>/<keyLabel>`.
 *
 * A wrong PIN is tried once: after that the adapter refuses to log in again, because a token locks itself after a few
 * attempts. Calls that open a session (log in, find the key) block the event loop while they last; encryption and
 * decryption do not.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`
 * @example
 * ```ts
 * import { encrypt, keyring } from 'strongroom';
 * import { pkcs11, type Pkcs11Module } from 'strongroom/kms/pkcs11';
 *
 * // const module = new PKCS11(); module.load('/usr/lib/softhsm/libsofthsm2.so'); module.C_Initialize();
 * export function layer(module: Pkcs11Module, pin: string) {
 *   const current = pkcs11({ pkcs11: module, token: 'strongroom', keyLabel: 'conversations', pin });
 *   return encrypt({ keys: keyring({ current }) });
 * }
 * ```
 */
export function pkcs11(options: Pkcs11Options): KeyProvider {
  const limits = checkKmsOptions('pkcs11', options, ['pkcs11', 'token', 'keyLabel', 'pin']);
  const { pkcs11: cryptoki, token, keyLabel, pin } = options;
  if (typeof (cryptoki as Pkcs11Module | undefined)?.C_EncryptAsync !== 'function') {
    invalidOption('pkcs11', 'pkcs11', 'a PKCS11 object of pkcs11js', cryptoki);
  }
  for (const [name, value] of Object.entries({ token, keyLabel })) {
    if (typeof value !== 'string' || value === '') invalidOption('pkcs11', name, 'a label', value);
  }
  if (typeof pin !== 'function' && (typeof pin !== 'string' || pin === '')) {
    invalidOption('pkcs11', 'pin', 'a text or a function', pin);
  }

  let opened: TokenSession | undefined;
  let refusedPin = false;
  let last: Promise<unknown> = Promise.resolve();

  async function open(): Promise<TokenSession> {
    if (refusedPin) {
      throw new StrongroomError(
        'ERR_INVALID_OPTION',
        'the token refused the PIN before, and is not asked again, because it would lock itself. Correct the PIN.',
      );
    }
    const slots = cryptoki
      .C_GetSlotList(true)
      .filter((candidate) => cryptoki.C_GetTokenInfo(candidate).label.trim() === token);
    const [slot] = slots;
    if (slot === undefined) {
      throw new StrongroomError(
        'ERR_KEY_UNAVAILABLE',
        'no token with this label is there. Connect it, or correct token.',
      );
    }
    if (slots.length > 1) {
      throw new StrongroomError('ERR_INVALID_OPTION', 'several tokens have this label. Rename one of them.');
    }
    const secret = typeof pin === 'function' ? await pin() : pin;
    const session = cryptoki.C_OpenSession(slot, CKF_SERIAL_SESSION);
    try {
      logIn(session, secret);
      return { session, key: findKey(session) };
    } catch (error) {
      close(session);
      throw error;
    }
  }

  function logIn(session: Buffer, secret: string): void {
    try {
      cryptoki.C_Login(session, CKU_USER, secret);
    } catch (error) {
      const name = nameOf(error);
      // The login belongs to the process: another session of it has logged in.
      if (name === 'CKR_USER_ALREADY_LOGGED_IN') return;
      refusedPin = name.startsWith('CKR_PIN_');
      throw error;
    }
  }

  function findKey(session: Buffer): Buffer {
    cryptoki.C_FindObjectsInit(session, [
      { type: CKA_CLASS, value: CKO_SECRET_KEY },
      { type: CKA_LABEL, value: keyLabel },
    ]);
    let found: Buffer[];
    try {
      found = cryptoki.C_FindObjects(session, 2);
    } finally {
      cryptoki.C_FindObjectsFinal(session);
    }
    const [key] = found;
    if (key === undefined) {
      throw new StrongroomError(
        'ERR_KEY_DISABLED',
        'the token holds no secret key with this label: it was destroyed, or keyLabel is another one.',
      );
    }
    if (found.length > 1) {
      throw new StrongroomError(
        'ERR_INVALID_OPTION',
        'several keys of the token have this label, and which one is meant cannot be known. Rename one of them.',
      );
    }
    const [type, size, sensitive, extractable] = cryptoki
      .C_GetAttributeValue(
        session,
        key,
        [CKA_KEY_TYPE, CKA_VALUE_LEN, CKA_SENSITIVE, CKA_EXTRACTABLE].map((attribute) => ({
          type: attribute,
        })),
      )
      .map(({ value }) => value[0]);
    if (type !== CKK_AES || size !== 32 || sensitive !== 1 || extractable !== 0) {
      throw new StrongroomError(
        'ERR_INVALID_OPTION',
        'it must be an AES key of 256 bits, sensitive and not extractable. Make another one.',
      );
    }
    return key;
  }

  function close(session: Buffer): void {
    try {
      cryptoki.C_CloseSession(session);
    } catch {
      // It may be gone already; what matters has been reported.
    }
  }

  /** A session has one operation at a time. */
  function inTurn<T>(signal: AbortSignal, action: (current: TokenSession) => Promise<T>): Promise<T> {
    const run = async (): Promise<T> => {
      const current = opened ?? (await open());
      // After a time-out the session may be busy, and closing it would wait: it is left alone, and the next call
      // gets a new one.
      opened = undefined;
      try {
        const result = await action(current);
        if (!signal.aborted) opened = current;
        return result;
      } catch (error) {
        if (!signal.aborted) close(current.session);
        throw error;
      }
    };
    const result = last.then(() => {
      signal.throwIfAborted();
      return Promise.race([run(), aborted(signal)]);
    });
    last = result.catch(() => undefined);
    return result;
  }

  async function seal(
    { session, key }: TokenSession,
    plaintext: Uint8Array,
    contextHash: string,
  ): Promise<Buffer> {
    // Random bytes alone would do, but the key of the token lives long: two clones of a process must not use an IV twice.
    const iv = Buffer.from(hedged('sr1/pkcs11-iv', plaintext, contextHash).subarray(0, IV_BYTES));
    const copy = Buffer.from(plaintext);
    try {
      cryptoki.C_EncryptInit(session, mechanism(iv, contextHash), key);
      const room = Buffer.alloc(plaintext.length + TAG_BYTES);
      return Buffer.concat([iv, await cryptoki.C_EncryptAsync(session, copy, room)]);
    } finally {
      copy.fill(0);
    }
  }

  async function unseal(
    { session, key }: TokenSession,
    sealed: Uint8Array,
    contextHash: string,
  ): Promise<Buffer> {
    const iv = Buffer.from(sealed.subarray(0, IV_BYTES));
    const body = Buffer.from(sealed.subarray(IV_BYTES));
    cryptoki.C_DecryptInit(session, mechanism(iv, contextHash), key);
    return cryptoki.C_DecryptAsync(session, body, Buffer.alloc(body.length));
  }

  /** Whether the token can open what it seals now. */
  async function works(): Promise<boolean> {
    try {
      const fresh = await open();
      try {
        const sealed = await seal(fresh, new Uint8Array(CONTENT_KEY_BYTES), '');
        return (await unseal(fresh, sealed, '')).length === CONTENT_KEY_BYTES;
      } finally {
        close(fresh.session);
      }
    } catch {
      return false;
    }
  }

  return kmsProvider(
    'pkcs11',
    options.kid ?? `${token}/${keyLabel}`,
    {
      id: 'pkcs11',
      name: 'The token',
      encrypt: (contentKey, contextHash, signal) =>
        inTurn(signal, (current) => seal(current, contentKey, contextHash)),
      decrypt: (ciphertext, contextHash, signal) =>
        inTurn(signal, async (current) => {
          if (ciphertext.length !== IV_BYTES + CONTENT_KEY_BYTES + TAG_BYTES) notAuthentic();
          try {
            return await unseal(current, ciphertext, contextHash);
          } catch (error) {
            // Version 2.40 has no code of its own for a wrong tag, and SoftHSM says the same of every failure. So a
            // token that opens something else has refused this ciphertext.
            const name = nameOf(error);
            if (WRONG_DATA.has(name) || (AMBIGUOUS.has(name) && (await works()))) notAuthentic(error);
            throw error;
          }
        }),
      judge,
    },
    limits,
  );
}

function notAuthentic(cause?: unknown): never {
  throw new StrongroomError(
    'ERR_AUTHENTICATION',
    'it was changed, moved, or wrapped by another key. Restore the record from a backup.',
    { cause },
  );
}

interface TokenSession {
  readonly session: Buffer;
  readonly key: Buffer;
}

function mechanism(iv: Buffer, contextHash: string): Pkcs11Mechanism {
  const aad = Buffer.from(utf8(contextHash));
  return {
    mechanism: CKM_AES_GCM,
    parameter: { type: GCM_PARAMETER, iv, aad, ivBits: IV_BYTES * 8, tagBits: TAG_BYTES * 8 },
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

const WRONG_DATA = new Set([
  'CKR_ENCRYPTED_DATA_INVALID',
  'CKR_ENCRYPTED_DATA_LEN_RANGE',
  'CKR_AEAD_DECRYPT_FAILED',
]);
const AMBIGUOUS = new Set([
  'CKR_GENERAL_ERROR',
  'CKR_FUNCTION_FAILED',
  'CKR_DATA_INVALID',
  'CKR_ARGUMENTS_BAD',
]);
/** What can be gone with the next session or attempt. */
const PASSING = new Set([
  'CKR_GENERAL_ERROR',
  'CKR_FUNCTION_FAILED',
  'CKR_FUNCTION_CANCELED',
  'CKR_HOST_MEMORY',
  'CKR_DEVICE_ERROR',
  'CKR_DEVICE_MEMORY',
  'CKR_DEVICE_REMOVED',
  'CKR_TOKEN_NOT_PRESENT',
  'CKR_SESSION_CLOSED',
  'CKR_SESSION_COUNT',
  'CKR_SESSION_HANDLE_INVALID',
  'CKR_USER_NOT_LOGGED_IN',
  'CKR_OPERATION_ACTIVE',
  'CKR_OPERATION_NOT_INITIALIZED',
  'CKR_KEY_HANDLE_INVALID',
  'CKR_OBJECT_HANDLE_INVALID',
]);
const WRONG_USE = new Set([
  'CKR_MECHANISM_INVALID',
  'CKR_MECHANISM_PARAM_INVALID',
  'CKR_KEY_TYPE_INCONSISTENT',
]);

/** The return values of PKCS #11 version 2.40, section 5.1. */
function judge(error: unknown): Verdict {
  const name = nameOf(error);
  if (PASSING.has(name)) {
    return {
      code: 'ERR_KEY_UNAVAILABLE',
      transient: true,
      reason: `it fails (${name}). Nothing was removed; repeat the call when it works.`,
    };
  }
  if (name === 'CKR_KEY_FUNCTION_NOT_PERMITTED') {
    return verdict(
      'ERR_KEY_DISABLED',
      `the key may not be used for this (${name}). Set CKA_ENCRYPT and CKA_DECRYPT.`,
    );
  }
  if (name === 'CKR_PIN_LOCKED') {
    return verdict(
      'ERR_KEY_UNAVAILABLE',
      `its PIN is locked (${name}). Have the security officer set a new one.`,
    );
  }
  if (name.startsWith('CKR_PIN_')) {
    return verdict(
      'ERR_INVALID_OPTION',
      `it refuses the PIN (${name}), and is not asked again. Correct the PIN.`,
    );
  }
  if (name === 'CKR_CRYPTOKI_NOT_INITIALIZED') {
    return verdict('ERR_INVALID_OPTION', `C_Initialize has not been called, or C_Finalize has (${name}).`);
  }
  if (WRONG_USE.has(name)) {
    return verdict(
      'ERR_INVALID_OPTION',
      `it does no AES-GCM with this key (${name}). Use another token or key.`,
    );
  }
  return verdict('ERR_KEY_UNAVAILABLE', `an error that is not known (${name}). See its cause.`);
}

function verdict(code: Verdict['code'], reason: string): Verdict {
  return { code, transient: false, reason };
}

function nameOf(error: unknown): string {
  const { message } = (error ?? {}) as { message?: unknown };
  return (
    (typeof message === 'string' ? /\bCKR_\w{1,60}/.exec(message)?.[0] : undefined) ?? 'no PKCS #11 code'
  );
}
