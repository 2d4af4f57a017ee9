import type { Buffer } from 'node:buffer';
import { StrongroomError } from '../../errors.ts';
import type { MaybePromise } from '../../layer.ts';
import type { Pkcs11Module } from './module.ts';
import { nameOf } from './verdict.ts';

// PKCS #11 version 2.40, header files.
const CKF_SERIAL_SESSION = 0x4;
const CKU_USER = 1;
const CKO_SECRET_KEY = 4;
const CKK_AES = 0x1f;
const CKA_CLASS = 0x0;
const CKA_LABEL = 0x3;
const CKA_KEY_TYPE = 0x100;
const CKA_SENSITIVE = 0x103;
const CKA_VALUE_LEN = 0x161;
const CKA_EXTRACTABLE = 0x162;

/** A session of the token, logged in, and its key. */
export interface TokenSession {
  readonly session: Buffer;
  readonly key: Buffer;
}

/** Which key of which token, and how to log in. */
export interface TokenOptions {
  readonly pkcs11: Pkcs11Module;
  readonly token: string;
  readonly keyLabel: string;
  readonly pin: string | (() => MaybePromise<string>);
}

/** Opens and closes sessions of a token. */
export interface Token {
  open(): Promise<TokenSession>;
  close(session: Buffer): void;
}

export function createToken({ pkcs11: cryptoki, token, keyLabel, pin }: TokenOptions): Token {
  let refusedPin = false;

  async function open(): Promise<TokenSession> {
    if (refusedPin) {
      throw new StrongroomError(
        'ERR_INVALID_OPTION',
        'the token refused this PIN before. The PIN is not tried again, because the token would lock it. Correct the PIN.',
      );
    }
    const slots = cryptoki
      .C_GetSlotList(true)
      .filter((candidate) => cryptoki.C_GetTokenInfo(candidate).label.trim() === token);
    const [slot] = slots;
    if (slot === undefined) {
      throw new StrongroomError(
        'ERR_KEY_UNAVAILABLE',
        'no token has this label. Connect the token, or correct the option token.',
      );
    }
    if (slots.length > 1) {
      throw new StrongroomError(
        'ERR_INVALID_OPTION',
        'several tokens have this label. Give each token a label of its own.',
      );
    }
    const secret = typeof pin === 'function' ? await pin() : pin;
    const session = cryptoki.C_OpenSession(slot, CKF_SERIAL_SESSION);
    try {
      logIn(session, secret);
      return { session, key: findKey(cryptoki, session, keyLabel) };
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

  function close(session: Buffer): void {
    try {
      cryptoki.C_CloseSession(session);
    } catch {
      // The session may be closed already; the original error has been reported.
    }
  }

  return { open, close };
}

function findKey(cryptoki: Pkcs11Module, session: Buffer, keyLabel: string): Buffer {
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
      'the token holds no secret key with this label: the key was destroyed, or keyLabel is wrong.',
    );
  }
  if (found.length > 1) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      'several keys of the token have this label. Give each key a label of its own.',
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
      'it must be an AES key of 256 bits, sensitive and not extractable. Create such a key.',
    );
  }
  return key;
}
