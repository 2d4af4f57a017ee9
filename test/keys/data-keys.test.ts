import type { JWK } from 'jose';
import nodeCrypto from 'node:crypto';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { bindingContext } from '../../src/crypto/derive.ts';
import { hedgedWith } from '../../src/crypto/hedged.ts';
import { createDataKeys } from '../../src/keys/data-keys.ts';
import { StrongroomError } from '../../src/errors.ts';
import type { DekRecord, DekStore } from '../../src/keys/dek-store.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { memoryDekStore } from '../../src/keys/memory-dek-store.ts';
import { keyring, type Keyring } from '../../src/keys/keyring.ts';
import { rewrap } from '../../src/operations/rewrap.ts';
import { coded, failure } from '../crypto/failure.ts';
import type { GuardingDekStore } from '../../src/session-contract.ts';
import type { DataKeyLimits, DataKeyScope } from '../../src/keys/data-keys/types.ts';

let kek: JWK;
beforeAll(async () => {
  kek = { ...(await generateKey()), kid: 'kek' };
});

const limits: DataKeyLimits = {
  maxAge: 1_000,
  maxMessages: 10,
  maxBytes: 100,
  cacheFor: 50,
  maxCached: 10,
  maxPerRead: 10,
};

function scopeOf(given: Partial<DataKeyScope> & { stores: readonly DekStore[] }): DataKeyScope {
  const { sessionId = 's' } = given;
  return {
    ring: keyring({ current: kek }),
    sessionId,
    context: bindingContext(sessionId),
    inline: false,
    now: 1_000,
    of: () => {
      throw new Error('these tests share no records');
    },
    ...given,
  };
}

/** The keyring, and every data key that it unwrapped. */
function watched(ring: Keyring): { ring: Keyring; opened: Uint8Array[] } {
  const opened: Uint8Array[] = [];
  return {
    opened,
    ring: {
      ...ring,
      current: ring.current,
      writeOnly: ring.writeOnly,
      async unwrap(wrapped, binding) {
        const key = await ring.unwrap(wrapped, binding);
        opened.push(key.dek);
        return key;
      },
    },
  };
}

const WIPED = 'A data key was used after it was zeroed. Report this as a bug of strongroom.';

describe('opened data keys', () => {
  it('are never served to another keyring, or for another DEK store', async () => {
    const keys = createDataKeys(limits);
    const stores = [memoryDekStore()];
    const scope = scopeOf({ stores });
    const { did } = await keys.sealing(scope, 'XC20P');
    expect(await keys.opening(scope, 'XC20P', did, undefined)).toMatchObject({ did });
    const stranger = keyring({ current: { ...(await generateKey()), kid: 'other' } });
    expect(await failure(() => keys.opening({ ...scope, ring: stranger }, 'XC20P', did, undefined))).toEqual(
      coded('ERR_KEY_UNKNOWN', /"kek"/),
    );
    const empty = { ...scope, stores: [memoryDekStore()] };
    expect(await failure(() => keys.opening(empty, 'XC20P', did, undefined))).toEqual(
      coded(
        'ERR_KEY_UNKNOWN',
        new RegExp(
          `^The DEK store holds no data key ${did.slice(0, 8)}… of session "s", and no tombstone for it\\. Use`,
        ),
      ),
    );
    expect(await failure(() => keys.opening({ ...scope, stores: [] }, 'XC20P', did, undefined))).toEqual(
      coded('ERR_KEY_UNAVAILABLE', /written with, or use a store that has one\.$/),
    );
    expect(await failure(() => keys.opening(scope, 'XAES-256-GCM', did, undefined))).toEqual(
      coded('ERR_COMMITMENT', /a different session or context/),
    );
  });

  it('are wiped when they are evicted, but not while they are in use', async () => {
    const keys = createDataKeys({ ...limits, maxCached: 1 });
    const stores = [memoryDekStore()];
    const one = await keys.sealing(scopeOf({ stores, sessionId: '1' }), 'XC20P');
    const two = await keys.sealing(scopeOf({ stores, sessionId: '2' }), 'XC20P');
    expect(() => one.derived.aead).not.toThrow();
    keys.release(one);
    expect(() => one.derived.aead).toThrow(WIPED);
    keys.release(two);
    expect(() => two.derived.aead).not.toThrow();
    await keys.sealing(scopeOf({ stores, sessionId: '3' }), 'XC20P');
    expect(() => two.derived.aead).toThrow(WIPED);
  });

  it('and new ones are wiped by the last of their users, not by the first', async () => {
    const keys = createDataKeys({ ...limits, maxCached: 1 });
    const stores = [memoryDekStore()];
    const ring = keyring({ current: kek });
    const scope = scopeOf({ stores, ring });
    const key = await keys.fresh(scope, 'XC20P');
    const again = await keys.opening(scope, 'XC20P', key.did, undefined);
    expect(again).toBe(key);
    await keys.fresh(scopeOf({ stores, ring, sessionId: 't' }), 'XC20P');
    keys.release(key);
    expect(() => key.derived.aead).not.toThrow();
    keys.release(again);
    expect(() => key.derived.aead).toThrow(WIPED);
  });

  it('were wrapped, and are unwrapped, for their context', async () => {
    const real = keyring({ current: kek });
    const bindings: unknown[] = [];
    const ring: Keyring = {
      ...real,
      current: real.current,
      writeOnly: false,
      wrap(dek, binding, options) {
        bindings.push(binding);
        return real.wrap(dek, binding, options);
      },
      unwrap(wrapped, binding) {
        bindings.push(binding);
        return real.unwrap(wrapped, binding);
      },
    };
    const scope = scopeOf({ stores: [memoryDekStore()], ring });
    const { did } = await createDataKeys(limits).sealing(scope, 'XC20P');
    await createDataKeys(limits).opening(scope, 'XC20P', did, undefined);
    const binding = { contextHash: Buffer.from(scope.context.hash).toString('base64url') };
    expect(bindings).toEqual([binding, binding]);
  });

  it('leave no bytes of the data key in memory, for a right key and a wrong one', async () => {
    const stores = [memoryDekStore()];
    const { did } = await createDataKeys(limits).sealing(scopeOf({ stores }), 'XC20P');
    const { ring, opened } = watched(keyring({ current: kek }));
    const keys = createDataKeys(limits);
    await keys.opening(scopeOf({ stores, ring }), 'XC20P', did, undefined);
    const swapped: DekStore = { ...(stores[0] as DekStore), get: async () => stores[0]?.get('s', did) };
    const other = scopeOf({ stores: [swapped], ring });
    expect(await failure(() => keys.opening(other, 'XC20P', 'x', undefined))).toEqual(
      coded('ERR_COMMITMENT', /was replaced/),
    );
    expect(opened).toEqual([new Uint8Array(32), new Uint8Array(32)]);
  });

  it('have 32 bytes', async () => {
    const stores = [memoryDekStore()];
    const { did } = await createDataKeys(limits).sealing(scopeOf({ stores }), 'XC20P');
    const real = keyring({ current: kek });
    const ring: Keyring = {
      ...real,
      current: real.current,
      writeOnly: false,
      unwrap: async () => ({ dek: new Uint8Array(31), kid: 'kek', openOnly: false }),
    };
    const keys = createDataKeys(limits);
    expect(await failure(() => keys.opening(scopeOf({ stores, ring }), 'XC20P', did, undefined))).toEqual(
      coded('ERR_COMMITMENT', /a different session or context/),
    );
  });

  it('are loaded again after `cacheFor`, and when the clock was set back', async () => {
    const stores = [memoryDekStore()];
    const { did } = await createDataKeys(limits).sealing(scopeOf({ stores }), 'XC20P');
    const { ring, opened } = watched(keyring({ current: kek }));
    const keys = createDataKeys(limits);
    const counts: number[] = [];
    for (const now of [1_000, 1_049, 1_050, 1_099, 1_098, 1_049, 1_048]) {
      keys.release(await keys.opening(scopeOf({ stores, ring, now }), 'XC20P', did, undefined));
      counts.push(opened.length);
    }
    expect(counts).toEqual([1, 1, 2, 2, 2, 3, 4]);
  });

  it('are forgotten by session, or one of them', async () => {
    const stores = [memoryDekStore()];
    const { ring, opened } = watched(keyring({ current: kek }));
    const keys = createDataKeys(limits);
    const scope = scopeOf({ stores, ring });
    const first = await keys.fresh(scope, 'XC20P');
    const second = await keys.fresh(scope, 'XC20P');
    const other = scopeOf({ stores, ring, sessionId: 't' });
    const elsewhere = await keys.fresh(other, 'XC20P');
    const open = async (): Promise<number> => {
      const before = opened.length;
      for (const key of [first, second]) await keys.opening(scope, 'XC20P', key.did, undefined);
      await keys.opening(other, 'XC20P', elsewhere.did, undefined);
      return opened.length - before;
    };
    expect(await open()).toBe(0);
    keys.forget('s', first.did);
    expect(await open()).toBe(1);
    keys.forget('s');
    expect(await open()).toBe(2);
    keys.forget('u');
    expect(await open()).toBe(0);
  });
});

describe('a destroyed data key', () => {
  it('stays destroyed even if another store, or the envelope, still has a copy', async () => {
    const [one, other] = [memoryDekStore(), memoryDekStore({ clock: () => 5_000 })];
    const scope = scopeOf({ stores: [one, other] });
    const { did } = await createDataKeys(limits).sealing(scope, 'XC20P');
    const copy = (await one.get('s', did)) as DekRecord;
    await other.put(copy);
    await other.destroy('s');
    for (const inline of [undefined, copy.wrapped]) {
      expect(await failure(() => createDataKeys(limits).opening(scope, 'XC20P', did, inline))).toEqual(
        coded(
          'ERR_SHREDDED',
          /^The data key of session "s" was destroyed on purpose at 1970-01-01T00:00:05\.000Z; the records that it sealed can never/,
        ),
      );
    }
  });

  it.each(['destroyed', 'lost'])('or %s is replaced by a new one that seals', async (how) => {
    const store = memoryDekStore();
    const stores = [store];
    const keys = createDataKeys(limits);
    const { did } = await keys.sealing(scopeOf({ stores, ring: keyring({ current: kek }) }), 'XC20P');
    const ring = keyring({ current: kek });
    const mine = await keys.sealing(scopeOf({ stores, ring }), 'XC20P');
    expect(mine.did).not.toBe(did);
    if (how === 'destroyed') await store.destroy('s');
    else store.get = async () => undefined;
    const cached = await keys.sealing(scopeOf({ stores, ring, now: 1_049 }), 'XC20P');
    expect(cached.did).toBe(mine.did);
    const after = await keys.sealing(scopeOf({ stores, ring, now: 1_050 }), 'XC20P');
    expect(after.did).not.toBe(mine.did);
  });
});

describe('a key-encryption key that was disabled or destroyed', () => {
  it.each(['disable', 'destroy'] as const)('by %s opens nothing more, not even from memory', async (end) => {
    const other = { ...kek, kid: 'other' };
    const stores = [memoryDekStore()];
    const ring = keyring({ current: kek, previous: [other] });
    const scope = scopeOf({ stores, ring });
    const keys = createDataKeys(limits);
    const { did } = await keys.sealing(scope, 'XC20P');
    ring.promote('other');
    ring[end]('kek');
    const refused = coded('ERR_KEY_DISABLED', /"kek" is (disabled|destroyed) in the keyring/);
    expect(await failure(() => keys.opening(scope, 'XC20P', did, undefined))).toEqual(refused);
  });

  it('does not matter once the data key is wrapped by another key, also for a process that has it in memory', async () => {
    const other = { ...(await generateKey()), kid: 'other' };
    const store = memoryDekStore();
    const ring = keyring({ current: kek, previous: [other] });
    const scope = scopeOf({ stores: [store], ring });
    const keys = createDataKeys(limits);
    const { did } = await keys.sealing(scope, 'XC20P');
    ring.promote('other');
    await rewrap(store, { keys: ring });
    ring.destroy('kek');
    expect(await keys.opening(scope, 'XC20P', did, undefined)).toMatchObject({ did, kid: 'other' });
  });
});

describe('a wrapped key that does not open', () => {
  it('is not tried again for ten seconds, unless it was replaced', async () => {
    const store = memoryDekStore();
    const scope = scopeOf({ stores: [store], ring: keyring({ current: kek }) });
    const { did } = await createDataKeys(limits).sealing(scope, 'XC20P');
    const { wrapped } = (await store.get('s', did)) as DekRecord;
    const damaged = `${wrapped.slice(0, -22)}${'A'.repeat(22)}`;
    await store.replaceWrapped('s', did, wrapped, { wrapped: damaged, kid: 'kek' });
    const { ring } = scope;
    const unwrap = vi.spyOn(ring, 'unwrap');
    const keys = createDataKeys(limits);
    const open = async (now: number): Promise<unknown> =>
      failure(() => keys.opening({ ...scope, now }, 'XC20P', did, undefined));
    const refused = coded('ERR_AUTHENTICATION', /does not open with the key "kek"/);
    for (const now of [1_000, 1_000, 10_999]) expect(await open(now)).toEqual(refused);
    expect(unwrap).toHaveBeenCalledTimes(1);
    expect(await open(11_000)).toEqual(refused);
    expect(await open(10_999)).toEqual(refused);
    expect(unwrap).toHaveBeenCalledTimes(3);
    await store.replaceWrapped('s', did, damaged, { wrapped, kid: 'kek' });
    expect(await keys.opening({ ...scope, now: 10_999 }, 'XC20P', did, undefined)).toMatchObject({ did });
  });

  it('because of a temporary state is tried each time', async () => {
    const stores = [memoryDekStore()];
    const ring = keyring({ current: kek });
    const { did } = await createDataKeys(limits).sealing(scopeOf({ stores, ring }), 'XC20P');
    const keys = createDataKeys(limits);
    const scope = scopeOf({ stores, ring });
    for (const code of ['ERR_KEY_UNAVAILABLE', 'ERR_KEY_DISABLED', 'ERR_KEY_UNKNOWN'] as const) {
      const down = vi.spyOn(ring, 'unwrap').mockRejectedValue(new StrongroomError(code, 'no'));
      expect(await failure(() => keys.opening(scope, 'XC20P', did, undefined))).toEqual(coded(code, /^no$/));
      down.mockRestore();
    }
    expect(await keys.opening(scope, 'XC20P', did, undefined)).toMatchObject({ did });
  });
});

describe('a tombstone', () => {
  it.each([8.64e15 + 1, Number.NaN, Number.NEGATIVE_INFINITY, 'yesterday', null])(
    'of the time %s is damaged, and its key is destroyed all the same',
    async (destroyedAt) => {
      const store = memoryDekStore();
      const scope = scopeOf({ stores: [store] });
      const { did } = await createDataKeys(limits).sealing(scope, 'XC20P');
      store.get = async () => ({ sessionId: 's', did, destroyedAt: destroyedAt as number });
      expect(await failure(() => createDataKeys(limits).opening(scope, 'XC20P', did, undefined))).toEqual(
        coded('ERR_MALFORMED', /^The tombstone of a data key of session "s" has no time, so it was edited/),
      );
    },
  );
});

describe('a DEK store that fails', () => {
  it('stops sealing with ERR_STORE and its error as the cause, or with its own code', async () => {
    const broken = memoryDekStore();
    const keys = createDataKeys(limits);
    const ring = keyring({ current: kek });
    const scope = scopeOf({ stores: [broken], ring });
    await keys.sealing(scope, 'XC20P');
    const cause = new Error('disk');
    broken.get = () => Promise.reject(cause);
    const again = { ...scope, now: 1_050 };
    const error = await failure(() => keys.sealing(again, 'XC20P'));
    expect(error).toEqual(
      coded('ERR_STORE', /^The DEK store failed; see the cause\. Nothing was sealed or opened\.$/),
    );
    expect(error).toHaveProperty('cause', cause);
    broken.get = () => Promise.reject(new StrongroomError('ERR_CLOSED', 'it was closed'));
    expect(await failure(() => keys.sealing(again, 'XC20P'))).toEqual(coded('ERR_CLOSED', /^it was closed$/));
    broken.put = async () => false;
    expect(await failure(() => keys.fresh(scope, 'XC20P'))).toEqual(
      coded(
        'ERR_STORE',
        /^The DEK store reports that it already holds a data key that was just generated\. Nothing was stored under it/,
      ),
    );
  });
});

describe('a new data key', () => {
  it.each(['is wrapped', 'cannot be wrapped'])('leaves none of its bytes behind when it %s', async (how) => {
    const real = keyring({ current: kek });
    const given: Uint8Array[] = [];
    const ring: Keyring = {
      ...real,
      current: real.current,
      writeOnly: false,
      async wrap(dek, binding, options) {
        given.push(dek);
        if (how !== 'is wrapped') throw new StrongroomError('ERR_KEY_UNAVAILABLE', 'no KMS');
        return real.wrap(dek, binding, options);
      },
    };
    const run = Promise.resolve(createDataKeys(limits).sealing(scopeOf({ stores: [], ring }), 'XC20P'));
    const outcome = await run.then(
      ({ kid }) => kid,
      ({ code }: StrongroomError) => code,
    );
    expect(outcome).toBe(how === 'is wrapped' ? 'kek' : 'ERR_KEY_UNAVAILABLE');
    expect(given).toEqual([new Uint8Array(32)]);
  });

  it('is made without a promise where there is nothing to wait for', () => {
    const key = createDataKeys(limits).sealing(scopeOf({ stores: [] }), 'XC20P');
    expect(key).not.toBeInstanceOf(Promise);
    expect(key).toMatchObject({ kid: 'kek' });
  });

  it('is wrapped by a method that replaced that of the keyring', async () => {
    const ring = keyring({ current: kek });
    const wrap = vi.spyOn(ring, 'wrap');
    await createDataKeys(limits).sealing(scopeOf({ stores: [], ring }), 'XC20P');
    expect(wrap).toHaveBeenCalledTimes(1);
  });

  it('leaves none of its bytes behind when it cannot be wrapped at once', () => {
    const scope = scopeOf({ stores: [] });
    const drawn: Uint8Array[] = [];
    const generator = vi.spyOn(globalThis.crypto, 'getRandomValues').mockImplementation((array) => {
      drawn.push((array as unknown as Uint8Array).fill(7));
      return array;
    });
    const cipher = vi.spyOn(nodeCrypto, 'createCipheriv').mockImplementation(() => {
      throw new Error('no cipher');
    });
    try {
      expect(() => createDataKeys(limits).sealing(scope, 'XC20P')).toThrow('no cipher');
    } finally {
      generator.mockRestore();
      cipher.mockRestore();
    }
    expect(drawn.map((bytes) => [...bytes])).toEqual([Array.from({ length: 76 }, () => 0)]);
  });

  it('draws its random bytes and those of its wrapping in one call, and uses each of them once', async () => {
    const ring = keyring({ current: kek });
    const real = globalThis.crypto.getRandomValues.bind(globalThis.crypto);
    const drawn: Uint8Array[] = [];
    const generator = vi.spyOn(globalThis.crypto, 'getRandomValues').mockImplementation((array) => {
      real(array);
      drawn.push(Uint8Array.from(array as unknown as Uint8Array));
      return array;
    });
    const scope = scopeOf({ stores: [], ring });
    const { inline } = await createDataKeys(limits).sealing(scope, 'XC20P');
    generator.mockRestore();
    const [bytes] = drawn as [Uint8Array];
    expect(drawn).toHaveLength(1);
    const unwrapped = await ring.unwrap(inline as string, { contextHash: scope.context.name });
    expect([...unwrapped.dek]).toEqual([...bytes.subarray(0, 32)]);
    const [, wrapped, nonce] = (inline as string).split('.').map((part) => Buffer.from(part, 'base64url'));
    const contentKey = nodeCrypto
      .createDecipheriv('id-aes256-wrap', Buffer.from(kek.k as string, 'base64url'), Buffer.alloc(8, 0xa6))
      .update(wrapped as Uint8Array);
    expect([...contentKey]).toEqual([
      ...hedgedWith(bytes.slice(32, 64), 'sr1/content-key', unwrapped.dek, scope.context.name),
    ]);
    expect([...(nonce as Uint8Array)]).toEqual([...bytes.subarray(64)]);
  });

  it('is given to a provider in a buffer of its own', async () => {
    const real = keyring({ current: kek });
    let size: number | undefined;
    const ring: Keyring = {
      ...real,
      current: real.current,
      writeOnly: false,
      async wrap(dek, binding, options) {
        size = dek.buffer.byteLength;
        return real.wrap(dek, binding, options);
      },
    };
    await createDataKeys(limits).sealing(scopeOf({ stores: [], ring }), 'XC20P');
    expect(size).toBe(32);
  });

  it('is stored in the envelopes when the scope requires it, or has no store', async () => {
    const store = memoryDekStore();
    for (const given of [{ stores: [store], inline: true }, { stores: [] }]) {
      const key = await createDataKeys(limits).sealing(scopeOf(given), 'XC20P');
      expect(key.inline).toMatch(/^[\w-]+(\.[\w-]*){4}$/);
    }
    const stored = await createDataKeys(limits).sealing(scopeOf({ stores: [store] }), 'XC20P');
    expect(stored.inline).toBeUndefined();
    expect(await store.get('s', stored.did)).toMatchObject({ kid: 'kek', createdAt: 1_000 });
  });
});

describe('the data key that seals', () => {
  it.each(['in an envelope', 'in a DEK store'])('is never one that was found %s', async (where) => {
    const stores = where === 'in a DEK store' ? [memoryDekStore()] : [];
    const scope = scopeOf({ stores, ring: keyring({ current: kek }) });
    const made = await createDataKeys(limits).sealing(scope, 'XC20P');
    const keys = createDataKeys(limits);
    keys.release(await keys.opening(scope, 'XC20P', made.did, made.inline));
    const own = await keys.sealing(scope, 'XC20P');
    expect(own.did).not.toBe(made.did);
    keys.release(await keys.opening({ ...scope, now: 1_100 }, 'XC20P', made.did, made.inline));
    expect((await keys.sealing({ ...scope, now: 1_100 }, 'XC20P')).did).toBe(own.did);
  });

  it('stays the same when many more sessions alternate than opened keys are kept', async () => {
    const keys = createDataKeys({ ...limits, maxCached: 3 });
    const stores = [memoryDekStore()];
    const { ring, opened } = watched(keyring({ current: kek }));
    const turn = async (): Promise<string[]> => {
      const dids: string[] = [];
      for (let number = 0; number < 20; number++) {
        const key = await keys.sealing(scopeOf({ stores, ring, sessionId: `s${number}` }), 'XC20P');
        keys.sealed(key, 1, 1);
        keys.release(key);
        dids.push(key.did);
      }
      return dids;
    };
    const first = await turn();
    expect(await turn()).toEqual(first);
    expect(opened).toHaveLength(20);
    for (let more = 0; more < 8; more++) await turn();
    expect(await turn()).not.toContain(first[0]);
  });

  it('keeps its counts when it is loaded again', async () => {
    const keys = createDataKeys(limits);
    const scope = scopeOf({ stores: [memoryDekStore()] });
    const first = await keys.sealing(scope, 'XC20P');
    keys.sealed(first, 9, 0);
    const again = await keys.sealing({ ...scope, now: 1_050 }, 'XC20P');
    expect(again.did).toBe(first.did);
    keys.sealed(again, 1, 0);
    expect((await keys.sealing({ ...scope, now: 1_050 }, 'XC20P')).did).not.toBe(first.did);
  });

  it('is a new one only after it was dropped', async () => {
    const keys = createDataKeys(limits);
    const scope = scopeOf({ stores: [memoryDekStore()] });
    const first = await keys.sealing(scope, 'XC20P');
    keys.forget('t');
    keys.forget('s', 'another');
    expect((await keys.sealing(scope, 'XC20P')).did).toBe(first.did);
    keys.forget('s', first.did);
    const second = await keys.sealing(scope, 'XC20P');
    expect(second.did).not.toBe(first.did);
    keys.forget('s');
    expect((await keys.sealing(scope, 'XC20P')).did).not.toBe(second.did);
  });

  const secondOf = async (
    change: (keys: ReturnType<typeof createDataKeys>) => Partial<DataKeyScope>,
  ): Promise<boolean> => {
    const keys = createDataKeys(limits);
    const scope = scopeOf({ stores: [memoryDekStore()] });
    const first = await keys.sealing(scope, 'XC20P');
    keys.sealed(first, 9, 99);
    expect((await keys.sealing(scope, 'XC20P')).did).toBe(first.did);
    const second = await keys.sealing({ ...scope, ...change(keys) }, 'XC20P');
    return second.did === first.did;
  };

  it('is used until `maxAge`, and not with a clock before its creation', async () => {
    expect(await secondOf(() => ({ now: 1_999 }))).toBe(true);
    expect(await secondOf(() => ({ now: 2_000 }))).toBe(false);
    expect(await secondOf(() => ({ now: 999 }))).toBe(false);
  });

  it.each([
    ['messages', 1, 0],
    ['bytes', 0, 1],
  ])('ends with its %s', async (_, messages, bytes) => {
    const keys = createDataKeys(limits);
    const scope = scopeOf({ stores: [memoryDekStore()] });
    const first = await keys.sealing(scope, 'XC20P');
    keys.sealed(first, 9, 99);
    expect((await keys.sealing(scope, 'XC20P')).did).toBe(first.did);
    keys.sealed(first, messages, bytes);
    expect((await keys.sealing(scope, 'XC20P')).did).not.toBe(first.did);
  });

  it('is replaced when it was marked as open-only meanwhile', async () => {
    const store = memoryDekStore();
    const ring = keyring({ current: kek });
    const scope = scopeOf({ stores: [store], ring });
    const keys = createDataKeys(limits);
    const { did } = await keys.sealing(scope, 'XC20P');
    const binding = { contextHash: Buffer.from(scope.context.hash).toString('base64url') };
    for await (const { wrapped } of store.list()) {
      const { dek } = await ring.unwrap(wrapped, binding);
      await store.replaceWrapped('s', did, wrapped, await ring.wrap(dek, binding, { openOnly: true }));
    }
    expect((await keys.sealing({ ...scope, now: 1_049 }, 'XC20P')).did).toBe(did);
    expect((await keys.sealing({ ...scope, now: 1_050 }, 'XC20P')).did).not.toBe(did);
  });

  it.each(['gone', 'destroyed', 'changed'])(
    'is looked for in its store every half minute, where no append notices that it is %s',
    async (how) => {
      const store = memoryDekStore();
      const elsewhere = vi.spyOn(store, 'get');
      const keys = createDataKeys({ ...limits, maxAge: 1_000_000, cacheFor: 300_000 });
      const { ring, opened } = watched(keyring({ current: kek }));
      const seal = async (now: number, guarding?: GuardingDekStore): Promise<string> => {
        const key = await keys.sealing(scopeOf({ stores: [store], ring, now, guarding }), 'XC20P');
        keys.release(key);
        return key.did;
      };
      const did = await seal(1_000);
      expect(await seal(30_999)).toBe(did);
      expect(elsewhere).not.toHaveBeenCalled();
      expect(await seal(31_000)).toBe(did);
      expect(await seal(31_001)).toBe(did);
      expect(elsewhere).toHaveBeenCalledTimes(1);
      expect(opened).toEqual([]);
      const { wrapped } = (await store.get('s', did)) as DekRecord;
      if (how === 'destroyed') await store.destroy('s');
      else if (how === 'gone') elsewhere.mockResolvedValue(undefined);
      else await store.replaceWrapped('s', did, wrapped, { wrapped, kid: 'kek' });
      expect(await seal(70_000, store as GuardingDekStore)).toBe(did);
      expect((await seal(70_000)) === did).toBe(how === 'changed');
    },
  );

  it('is made once for concurrent calls', async () => {
    const keys = createDataKeys(limits);
    const scope = scopeOf({ stores: [memoryDekStore()] });
    const made = await Promise.all([1, 2, 3].map(async () => keys.sealing(scope, 'XC20P')));
    expect(new Set(made.map(({ did }) => did)).size).toBe(1);
  });
});
