import type { Verdict } from '../kms-provider.ts';

/** The ciphertext is refused. */
export const WRONG_DATA: ReadonlySet<string> = new Set([
  'CKR_ENCRYPTED_DATA_INVALID',
  'CKR_ENCRYPTED_DATA_LEN_RANGE',
  'CKR_AEAD_DECRYPT_FAILED',
]);
/** The ciphertext may be refused, or the token fail. */
export const AMBIGUOUS: ReadonlySet<string> = new Set([
  'CKR_GENERAL_ERROR',
  'CKR_FUNCTION_FAILED',
  'CKR_DATA_INVALID',
  'CKR_ARGUMENTS_BAD',
]);
/** Failures that a new session or another attempt can fix. */
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
export function judge(error: unknown): Verdict {
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
      `it refuses the PIN (${name}). The PIN is not tried again. Correct the PIN.`,
    );
  }
  if (name === 'CKR_CRYPTOKI_NOT_INITIALIZED') {
    return verdict(
      'ERR_INVALID_OPTION',
      `the module is not initialized (${name}). Call C_Initialize before use, and C_Finalize last.`,
    );
  }
  if (WRONG_USE.has(name)) {
    return verdict(
      'ERR_INVALID_OPTION',
      `it does not support AES-GCM with this key (${name}). Use another token or key.`,
    );
  }
  return verdict('ERR_KEY_UNAVAILABLE', `an unknown error (${name}). See its cause.`);
}

function verdict(code: Verdict['code'], reason: string): Verdict {
  return { code, transient: false, reason };
}

/** The return value that the error names. */
export function nameOf(error: unknown): string {
  const { message } = (error ?? {}) as { message?: unknown };
  return (
    (typeof message === 'string' ? /\bCKR_\w{1,60}/.exec(message)?.[0] : undefined) ?? 'no PKCS #11 code'
  );
}
