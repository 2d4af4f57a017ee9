import type { AgentInputItem } from '@openai/agents';
import { xchacha20poly1305 as nobleXchacha } from '@noble/ciphers/chacha.js';
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, randomFillSync } from 'node:crypto';
import { utf8 } from '../src/crypto/encoding.ts';
import { bindingContext, deriveKeys } from '../src/crypto/derive.ts';
import { SUITE_NAMES } from '../src/crypto/suite.ts';
import { encrypt, generateKey, keyring, type Entry, type SessionCall } from '../src/index.ts';
import { conversation, prose } from './items.ts';
import { compare, type Candidate, type Result } from './rounds.ts';

/** As long as the header and the context of an ordinary entry. */
const ASSOCIATED_DATA = utf8(prose(1, 160));
const HEADER = 'A'.repeat(110);

interface Sealer {
  readonly name: string;
  seal(plaintext: Uint8Array): Uint8Array;
  open(sealed: Uint8Array): Uint8Array | undefined;
}

/** What a program gets that calls `node:crypto` itself, knowing its tricks: a `KeyObject` and pooled nonces. */
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
    open(sealed) {
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12));
      decipher.setAAD(ASSOCIATED_DATA);
      decipher.setAuthTag(sealed.subarray(-16));
      return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
    },
  };
}

function sealers(): Sealer[] {
  const ours = SUITE_NAMES.map((name): Sealer => {
    const keys = deriveKeys(randomBytes(32), name, bindingContext('session-1'));
    return {
      name: `strongroom ${name}`,
      seal: (plaintext) => keys.aead.seal(keys.nonce(HEADER, plaintext), plaintext, ASSOCIATED_DATA),
      open: (sealed) => keys.aead.open(sealed, ASSOCIATED_DATA),
    };
  });
  const nobleKey = randomBytes(32);
  const noble: Sealer = {
    name: '@noble/ciphers xchacha20poly1305',
    seal(plaintext) {
      const nonce = randomBytes(24);
      return Buffer.concat([nonce, nobleXchacha(nobleKey, nonce, ASSOCIATED_DATA).encrypt(plaintext)]);
    },
    open: (sealed) =>
      nobleXchacha(nobleKey, sealed.subarray(0, 24), ASSOCIATED_DATA).decrypt(sealed.subarray(24)),
  };
  return [nativeAesGcm(), ...ours, noble];
}

/** Sealing and opening one text of `bytes` bytes. */
export async function measureSeal(
  bytes: number,
  rounds: number,
): Promise<{ readonly seal: Result[]; readonly open: Result[] }> {
  const all = sealers();
  const plaintext = utf8(prose(bytes, bytes));
  const runs = Math.max(20, Math.round(2_000_000 / (bytes + 2_000)));
  const candidates = (work: (sealer: Sealer) => () => unknown): Candidate[] =>
    all.map((sealer) => ({ name: sealer.name, prepare: () => work(sealer) }));
  const seal = await compare(
    candidates((sealer) => () => sealer.seal(plaintext)),
    { rounds, runs },
  );
  const open = await compare(
    candidates((sealer) => {
      const sealed = sealer.seal(plaintext);
      return () => sealer.open(sealed);
    }),
    { rounds, runs },
  );
  return { seal, open };
}

/** From item to carrier and back, 50 items of 1 KB in a call, against JSON alone. */
export async function measureEnvelope(
  rounds: number,
): Promise<{ readonly write: Result[]; readonly read: Result[] }> {
  const keys = keyring({ current: await generateKey() });
  const items = conversation(50);
  const entries = items.map((item): Entry => ({ item, header: {} }));
  const texts = items.map((item) => JSON.stringify(item));
  const call: SessionCall = {
    kind: 'addItems',
    sessionId: 'session-1',
    inner: { getSessionId: async () => 'session-1' } as unknown as SessionCall['inner'],
    layers: [],
    routesByRunContext: false,
    sealed: true,
    now: Date.now,
    lookBack: async () => undefined,
    skipped: () => undefined,
    result: {},
  };
  const layer = encrypt({ keys });
  const sealed = ((await layer.write?.(entries, call)) ?? []).map(({ item }): Entry => ({
    item,
    header: {},
    stored: item,
  }));
  const write = await compare(
    [
      { name: 'JSON.stringify', prepare: () => () => items.map((item) => JSON.stringify(item)) },
      { name: 'encrypt(): item to carrier', prepare: () => async () => layer.write?.(entries, call) },
    ],
    { rounds, runs: 20 },
  );
  const read = await compare(
    [
      {
        name: 'JSON.parse',
        prepare: () => () => texts.map((text) => JSON.parse(text) as AgentInputItem),
      },
      { name: 'encrypt(): carrier to item', prepare: () => async () => layer.read?.(sealed, call) },
    ],
    { rounds, runs: 20 },
  );
  return { write, read };
}
