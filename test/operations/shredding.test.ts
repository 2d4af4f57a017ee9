import { MemorySession } from '@openai/agents';
import type { JWK } from 'jose';
import { copyFileSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { generateKey } from '../../src/keys/generate-key.ts';
import {
  destroyKey,
  hold,
  memoryDekStore,
  purgeDataKeys,
  reencrypt,
  release,
  rewrap,
  sessionDekStore,
  shred,
  sqliteDekStore,
  type ShredReceipt,
} from '../../src/operations/index.ts';
import { keyring, type Keyring } from '../../src/keys/keyring.ts';
import { cache } from '../../src/layers/cache.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { wrapSession } from '../../src/wrap-session.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { coded, failure } from '../crypto/failure.ts';
import { userMessage } from '../layers/hand-made-call.ts';

const folder = mkdtempSync(join(tmpdir(), 'strongroom-shred-'));
afterAll(() => rm(folder, { recursive: true }));

let key: JWK;
let keys: Keyring;
beforeAll(async () => {
  key = { ...(await generateKey()), kid: 'kek' };
  keys = keyring({ current: key });
});

describe('shred', () => {
  it('makes earlier copies of the items unreadable, and keeps every other session readable', async () => {
    const dekStore = sqliteDekStore(join(folder, 'keys.db'));
    const store = openSqlite(join(folder, 'items.db'));
    const sessions = wrapStore(store, [encrypt({ keys, dekStore })]);
    await sessions.session('erase').addItems([userMessage('secret')]);
    await sessions.session('keep').addItems([userMessage('fine')]);
    await store.close();
    copyFileSync(join(folder, 'items.db'), join(folder, 'backup.db'));

    const live = wrapStore(openSqlite(join(folder, 'items.db')), [encrypt({ keys, dekStore })]);
    const receipt = await shred(live.session('erase'), { reason: 'request 1', by: 'dpo' });
    expect(receipt).toEqual({
      type: 'strongroom/shred',
      version: 1,
      sessionId: 'erase',
      at: expect.any(Number) as number,
      keys: [{ did: expect.stringMatching(/^[\w-]{43}$/) as string, kid: 'kek' }],
      derived: {},
      rowsCleared: true,
      reason: 'request 1',
      by: 'dpo',
    });
    await live.close();

    const strict = encrypt({ keys, dekStore, onUndecryptable: () => 'throw' });
    const backup = wrapStore(openSqlite(join(folder, 'backup.db')), [strict]);
    expect(await failure(() => backup.session('erase').getItems())).toEqual(
      coded('ERR_SHREDDED', /destroyed on purpose/),
    );
    expect(await backup.session('keep').getItems()).toEqual([userMessage('fine')]);
    await backup.close();
    await dekStore.close();
  });

  it('drops the opened keys and cached plaintext of this process', async () => {
    const dekStore = memoryDekStore();
    const inner = new MemorySession({ sessionId: 's' });
    const session = wrapSession(inner, [cache({ maxItems: 100 }), encrypt({ keys, dekStore })]);
    await session.addItems([userMessage('a')]);
    expect(await session.getItems()).toHaveLength(1);
    const copy = await inner.getItems();
    await shred(session);
    expect(await session.getItems()).toEqual([]);
    await inner.addItems(copy);
    expect(await session.getItems()).toEqual([]);
    await session.addItems([userMessage('new')]);
    expect(await session.getItems()).toEqual([userMessage('new')]);
  });

  it('is refused under a hold, and possible after its release', async () => {
    const dekStore = memoryDekStore();
    const session = wrapSession(new MemorySession({ sessionId: 's' }), [encrypt({ keys, dekStore })]);
    await session.addItems([userMessage('a')]);
    const { id } = await hold(session, { reason: 'case 7', by: 'counsel' });
    expect(await failure(() => shred(session))).toEqual(coded('ERR_HELD', /Release the hold first/));
    expect(await session.getItems()).toEqual([userMessage('a')]);
    expect(await release(session, id, { by: 'judge' })).toMatchObject({
      id,
      reason: 'case 7',
      placedBy: 'counsel',
      releasedBy: 'judge',
    });
    expect((await shred(session)).keys).toHaveLength(1);
  });

  it.each([
    ['beside the records', {}],
    ['elsewhere', { dekStore: memoryDekStore() }],
  ])('is refused under a hold on a branch that holds nothing yet (data keys %s)', async (_where, more) => {
    await using store = openSqlite(':memory:');
    const sessions = wrapStore(store, [encrypt({ keys, ...more })]);
    await sessions.session('s').addItems([userMessage('a')]);
    const branch = sessions.session('~branch~x~s', { derived: true });
    const { id } = await hold(branch, { reason: 'case 7' });
    expect(await failure(() => shred(sessions.session('s')))).toEqual(
      coded('ERR_HELD', /^Session "~branch~x~s" is under the hold .* Release the hold first\.$/),
    );
    expect(await sessions.session('s').getItems()).toEqual([userMessage('a')]);
    await release(branch, id);
    expect((await shred(sessions.session('s'))).keys).toHaveLength(1);
  });

  it('refuses inline keys, which are in every copy of the items', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    const session = wrapSession(inner, [encrypt({ keys })]);
    await session.addItems([userMessage('a')]);
    expect(await failure(() => shred(session))).toEqual(
      coded('ERR_UNSUPPORTED', /stored inline in its envelopes/),
    );
    expect(await inner.getItems()).toHaveLength(1);
  });

  it('refuses while older records still carry inline keys, and works after reencrypt', async () => {
    const inner = new MemorySession({ sessionId: 's' });
    await wrapSession(inner, [encrypt({ keys })]).addItems([userMessage('old')]);
    const dekStore = memoryDekStore();
    const session = wrapSession(inner, [encrypt({ keys, dekStore })]);
    await session.addItems([userMessage('new')]);
    expect(await failure(() => shred(session))).toEqual(coded('ERR_UNSUPPORTED', /Run reencrypt\(\)/));
    expect(await session.getItems()).toEqual([userMessage('old'), userMessage('new')]);
    await reencrypt(session, { grace: 0 });
    const copy = await inner.getItems();
    expect((await shred(session)).keys).toHaveLength(1);
    await inner.addItems(copy);
    expect(await session.getItems()).toEqual([]);
  });

  it('returns the receipt and passes it on even if the rows could not be removed', async () => {
    const dekStore = memoryDekStore();
    const inner = new MemorySession({ sessionId: 's' });
    const session = wrapSession(inner, [encrypt({ keys, dekStore })]);
    await session.addItems([userMessage('a')]);
    inner.clearSession = async () => Promise.reject(new Error('offline'));
    const onReceipt = vi.fn<(receipt: ShredReceipt) => void>();
    const receipt = await shred(session, { onReceipt });
    expect(receipt).toMatchObject({ rowsCleared: false, keys: [{ kid: 'kek' }] });
    expect(onReceipt).toHaveBeenCalledExactlyOnceWith(receipt);
    expect(await session.getItems()).toEqual([]);
  });

  it('checks its arguments', async () => {
    const session = wrapSession(new MemorySession(), [encrypt({ keys, dekStore: memoryDekStore() })]);
    expect(await failure(() => shred(session, { by: 1 as never }))).toEqual(
      coded('ERR_INVALID_OPTION', /by must be a text/),
    );
    expect(await failure(() => shred(new MemorySession()))).toEqual(
      coded('ERR_INVALID_OPTION', /encrypt\(\)/),
    );
  });
});

describe('hold and release', () => {
  it('work over a DEK store, and check what they are given', async () => {
    const dekStore = memoryDekStore();
    const placed = await hold(dekStore, { sessionId: 's', reason: 'r', id: 'h' });
    expect(placed).toMatchObject({ id: 'h', sessionId: 's', reason: 'r' });
    expect(await failure(() => hold(dekStore, { sessionId: 's', reason: 'r', id: 'h' }))).toEqual(
      coded('ERR_CONFLICT', /"h" already/),
    );
    expect(await failure(() => hold(dekStore, { reason: 'r' }))).toEqual(
      coded('ERR_INVALID_OPTION', /sessionId/),
    );
    expect(await failure(() => hold(dekStore, { sessionId: 's', reason: '' }))).toEqual(
      coded('ERR_INVALID_OPTION', /reason/),
    );
    expect(await failure(() => release(dekStore, 'other'))).toEqual(coded('ERR_INVALID_OPTION', /no hold/));
    const noHolds = sessionDekStore((id) => new MemorySession({ sessionId: id }));
    expect(await failure(() => hold(noHolds, { sessionId: 's', reason: 'r' }))).toEqual(
      coded('ERR_UNSUPPORTED', /does not support holds/),
    );
    const inline = wrapSession(new MemorySession(), [encrypt({ keys })]);
    expect(await failure(() => hold(inline, { reason: 'r' }))).toEqual(
      coded('ERR_UNSUPPORTED', /does not support holds/),
    );
  });
});

describe('purgeDataKeys', () => {
  it('destroys the keys of expired days, except those of held sessions', async () => {
    let now = 0;
    const dekStore = memoryDekStore({ clock: () => now });
    const clock = { name: 'clock', clock: () => now };
    const layers = [clock, encrypt({ keys, dekStore, dataKeys: { cacheFor: 1 } })];
    const session = wrapSession(new MemorySession({ sessionId: 's' }), layers);
    const held = wrapSession(new MemorySession({ sessionId: 'held' }), layers);
    const day = 86_400_000;
    for (let index = 0; index < 4; index++) {
      now = index * day;
      await session.addItems([userMessage(`day ${index}`)]);
      await held.addItems([userMessage(`day ${index}`)]);
    }
    await hold(dekStore, { sessionId: 'held', reason: 'r' });
    const report = await purgeDataKeys(dekStore, { after: '2d', clock: () => now });
    expect(report.destroyed.map(({ sessionId, kid }) => [sessionId, kid])).toEqual([
      ['s', 'kek'],
      ['s', 'kek'],
    ]);
    expect(report.held).toEqual(['held']);
    expect(await session.getItems()).toEqual([userMessage('day 2'), userMessage('day 3')]);
    expect(await held.getItems()).toHaveLength(4);
  });
});

describe('destroyKey', () => {
  it('is refused while a data key needs the key, and done after a rewrap', async () => {
    const dekStore = memoryDekStore();
    const next = { ...(await generateKey()), kid: 'next' };
    const session = wrapSession(new MemorySession({ sessionId: 's' }), [encrypt({ keys, dekStore })]);
    await session.addItems([userMessage('a')]);
    const ring = keyring({ current: next, previous: [key] });
    expect(await failure(() => destroyKey(ring, 'kek', { dekStores: [dekStore] }))).toEqual(
      coded('ERR_CONFLICT', /1 data keys are still wrapped by the key "kek"/),
    );
    await rewrap(dekStore, { keys: ring });
    await destroyKey(ring, 'kek', { dekStores: [dekStore] });
    expect(ring.state('kek')).toBe('destroyed');
  });
});
