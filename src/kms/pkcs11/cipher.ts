import { Buffer } from 'node:buffer';
import { utf8 } from '../../crypto/encoding.ts';
import { hedged } from '../../crypto/hedged.ts';
import type { Pkcs11Mechanism, Pkcs11Module } from './module.ts';
import type { TokenSession } from './token.ts';

// Constants of the header files of PKCS #11 version 2.40; the last is one of pkcs11js.
const CKM_AES_GCM = 0x1087;
const GCM_PARAMETER = 3;

const IV_BYTES = 12;
const TAG_BYTES = 16;
/** Of the key that is wrapped. */
export const CONTENT_KEY_BYTES = 32;
/** Of a wrapped key. */
export const SEALED_BYTES: number = IV_BYTES + CONTENT_KEY_BYTES + TAG_BYTES;

export async function seal(
  cryptoki: Pkcs11Module,
  { session, key }: TokenSession,
  plaintext: Uint8Array,
  contextHash: string,
): Promise<Buffer> {
  // Not random bytes alone: the key of the token is long-lived, and two clones of a process must not use an IV
  // twice.
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

export async function unseal(
  cryptoki: Pkcs11Module,
  { session, key }: TokenSession,
  sealed: Uint8Array,
  contextHash: string,
): Promise<Buffer> {
  const iv = Buffer.from(sealed.subarray(0, IV_BYTES));
  const body = Buffer.from(sealed.subarray(IV_BYTES));
  cryptoki.C_DecryptInit(session, mechanism(iv, contextHash), key);
  return cryptoki.C_DecryptAsync(session, body, Buffer.alloc(body.length));
}

function mechanism(iv: Buffer, contextHash: string): Pkcs11Mechanism {
  const aad = Buffer.from(utf8(contextHash));
  return {
    mechanism: CKM_AES_GCM,
    parameter: { type: GCM_PARAMETER, iv, aad, ivBits: IV_BYTES * 8, tagBits: TAG_BYTES * 8 },
  };
}
