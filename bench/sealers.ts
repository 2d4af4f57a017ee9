import { spawnSync } from 'node:child_process';
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, randomFillSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { xchacha20poly1305 as nobleXchacha } from '@noble/ciphers/chacha.js';
import { CompactEncrypt, compactDecrypt } from 'jose';
import { bindingContext, deriveKeys } from '../src/crypto/derive.ts';
import { utf8 } from '../src/crypto/encoding.ts';
import { SUITE_NAMES } from '../src/crypto/suite.ts';
import { prose } from './items.ts';

type MaybePromise<T> = T | Promise<T>;

/** Something that seals a text under one key, and opens it. */
export interface Sealer {
  readonly name: string;
  seal(plaintext: Uint8Array): MaybePromise<unknown>;
  open(sealed: never): MaybePromise<unknown>;
}

/** As long as the header and the context of an ordinary entry. */
const ASSOCIATED_DATA = utf8(prose(1, 160));
const HEADER = 'A'.repeat(110);

/** An optimized direct use of `node:crypto`: a `KeyObject` and pooled nonces. */
function nativeAesGcm(): Sealer {
  const key = createSecretKey(randomBytes(32));
  const pool = Buffer.alloc(12 * 512);
  let used = pool.length;
  return {
    name: 'node:crypto aes-256-gcm',
    seal(plaintext) {
      if (used === pool.length) {
        randomFillSync(pool);
        used = 0;
      }
      const nonce = pool.subarray(used, (used += 12));
      const cipher = createCipheriv('aes-256-gcm', key, nonce);
      cipher.setAAD(ASSOCIATED_DATA);
      return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    },
    open(sealed: Uint8Array) {
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12));
      decipher.setAAD(ASSOCIATED_DATA);
      decipher.setAuthTag(sealed.subarray(-16));
      return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
    },
  };
}

function ours(): Sealer[] {
  return SUITE_NAMES.map((name): Sealer => {
    const keys = deriveKeys(randomBytes(32), name, bindingContext('session-1'));
    return {
      name: `strongroom ${name}`,
      seal: (plaintext) => keys.aead.seal(keys.nonce(HEADER, plaintext), plaintext, ASSOCIATED_DATA),
      open: (sealed: Uint8Array) => keys.aead.open(sealed, ASSOCIATED_DATA),
    };
  });
}

function noble(): Sealer {
  const key = randomBytes(32);
  return {
    name: '@noble/ciphers xchacha20poly1305',
    seal(plaintext) {
      const nonce = randomBytes(24);
      return Buffer.concat([nonce, nobleXchacha(key, nonce, ASSOCIATED_DATA).encrypt(plaintext)]);
    },
    open: (sealed: Uint8Array) =>
      nobleXchacha(key, sealed.subarray(0, 24), ASSOCIATED_DATA).decrypt(sealed.subarray(24)),
  };
}

function jose(): Sealer {
  const key = randomBytes(32);
  return {
    name: 'jose, dir and A256GCM',
    seal: async (plaintext) =>
      new CompactEncrypt(plaintext).setProtectedHeader({ alg: 'dir', enc: 'A256GCM' }).encrypt(key),
    open: async (sealed: string) => compactDecrypt(sealed, key),
  };
}

const PEERS = resolve(import.meta.dirname, 'peers');

/** Installed at the first use, in a separate folder: the project does not depend on them. */
function loadPeer(name: string): unknown {
  if (!existsSync(join(PEERS, 'node_modules'))) {
    const { status, stderr } = spawnSync('npm', ['ci', '--prefix', PEERS], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`npm ci --prefix bench/peers failed.\n${stderr}`);
  }
  return createRequire(join(PEERS, 'package.json'))(name);
}

interface Cloak {
  readonly generateKey: () => string;
  readonly parseKeySync: (key: string) => object;
  readonly encryptStringSync: (text: string, key: object) => string;
  readonly decryptStringSync: (text: string, key: object) => string;
}

function cloak(): Sealer {
  const { generateKey, parseKeySync, encryptStringSync, decryptStringSync } = loadPeer(
    '@47ng/cloak',
  ) as Cloak;
  const key = parseKeySync(generateKey());
  return {
    name: '@47ng/cloak',
    seal: (plaintext) => encryptStringSync(Buffer.from(plaintext).toString(), key),
    open: (sealed: string) => decryptStringSync(sealed, key),
  };
}

interface Iron {
  readonly defaults: object;
  readonly seal: (value: unknown, password: string, options: object) => Promise<string>;
  readonly unseal: (sealed: string, password: string, options: object) => Promise<unknown>;
}

function iron(): Sealer {
  const { seal, unseal, defaults } = loadPeer('iron-webcrypto') as Iron;
  const password = randomBytes(32).toString('hex');
  return {
    name: 'iron-webcrypto',
    seal: async (plaintext) => seal(Buffer.from(plaintext).toString(), password, defaults),
    open: async (sealed: string) => unseal(sealed, password, defaults),
  };
}

interface AwsEncryption {
  readonly CommitmentPolicy: Readonly<Record<string, string>>;
  readonly AlgorithmSuiteIdentifier: Readonly<Record<string, number>>;
  readonly RawAesKeyringNode: new (options: object) => object;
  readonly RawAesWrappingSuiteIdentifier: Readonly<Record<string, number>>;
  readonly buildClient: (policy: string | undefined) => {
    readonly encrypt: (
      keyring: object,
      text: Uint8Array,
      options: object,
    ) => Promise<{ readonly result: Uint8Array }>;
    readonly decrypt: (keyring: object, sealed: Uint8Array) => Promise<{ readonly plaintext: Uint8Array }>;
  };
}

/** Its suite without a signature: the fastest one with key commitment, which ours have. */
function aws(): Sealer {
  const aws = loadPeer('@aws-crypto/client-node') as AwsEncryption;
  const { encrypt, decrypt } = aws.buildClient(aws.CommitmentPolicy['REQUIRE_ENCRYPT_REQUIRE_DECRYPT']);
  const keyring = new aws.RawAesKeyringNode({
    keyName: 'key',
    keyNamespace: 'bench',
    unencryptedMasterKey: new Uint8Array(randomBytes(32)),
    wrappingSuite: aws.RawAesWrappingSuiteIdentifier['AES256_GCM_IV12_TAG16_NO_PADDING'],
  });
  const suiteId = aws.AlgorithmSuiteIdentifier['ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY'];
  return {
    name: 'AWS Encryption SDK, raw AES',
    seal: async (plaintext) =>
      (await encrypt(keyring, plaintext, { suiteId, encryptionContext: { session: 'session-1' } })).result,
    open: async (sealed: Uint8Array) => (await decrypt(keyring, sealed)).plaintext,
  };
}

export function sealers(): Sealer[] {
  return [nativeAesGcm(), ...ours(), noble(), jose(), cloak(), iron(), aws()];
}
