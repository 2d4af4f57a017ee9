import { setTimeout as delay } from 'node:timers/promises';
import type { AgentInputItem } from '@openai/agents';
import { createClient, type RedisClientType } from 'redis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { encrypt, expire, generateKey, keyring, wrapStore } from '../../src/index.ts';
import { archiveHistory, branches, undoTurn } from '../../src/history/index.ts';
import { hold, release } from '../../src/operations/index.ts';
import { openRedis } from '../../src/stores/redis.ts';
import { user } from '../history/support/random-history.ts';
import { deleteRedisKeys } from './cleaning.ts';
import { announce, uniqueName } from './servers.ts';

const { url, absent } = await announce('Redis', 'expiry of keys in Redis');
const keys = keyring({ current: await generateKey() });
const DAY = 86_400_000;

describe.skipIf(absent)('keys of a session in Redis', () => {
  const prefix = uniqueName('expiry');
  const bare = openRedis(url, { prefix });
  const client = createClient({ url }) as RedisClientType;
  let offset = 0;
  const clock = (): number => Date.now() + offset;
  const store = wrapStore(bare, [expire({ after: '30d', clock }), encrypt({ keys })]);
  beforeAll(() => client.connect());
  afterAll(async () => {
    await store.close();
    await client.close();
    await deleteRedisKeys(url, prefix);
  });

  /** When each key of the session ends, in Unix milliseconds; -1 never. */
  async function ends(id: string): Promise<Map<string, number>> {
    const found = await client.keys(`${prefix}:{${encodeURIComponent(id)}}:*`);
    const times = await Promise.all(found.map(async (key) => client.pExpireTime(key)));
    return new Map(
      found.map((key, index) => [
        key.slice(key.indexOf('}:') + 2).split(':')[0] as string,
        times[index] as number,
      ]),
    );
  }

  /** The one end that all keys have. */
  async function end(id: string): Promise<number> {
    const times = new Set((await ends(id)).values());
    expect(times.size).toBe(1);
    return [...times][0] as number;
  }

  /** The latest expiry of the records of a session. */
  async function latest(id: string): Promise<number> {
    const headers = (await bare.session(id, { derived: true }).getItems()).map((item) => {
      const [, header = ''] = /sr1\.([\w-]+)/.exec(JSON.stringify(item)) ?? [];
      return JSON.parse(Buffer.from(header, 'base64url').toString()) as { e: number };
    });
    return Math.max(...headers.map(({ e }) => e));
  }

  it('end when the last record does, and are moved on by each append', async () => {
    const id = uniqueName('moved');
    const session = store.session(id);
    await session.addItems([user('first')]);
    const first = await end(id);
    expect(first).toBe(await latest(id));
    expect([...(await ends(id)).keys()].sort()).toEqual(['deks', 'items', 'meta']);
    for (let count = 0; count < 3; count++) {
      await delay(2);
      await session.addItems([user('next')]);
      expect(await end(id)).toBe(await latest(id));
    }
    expect(await end(id)).toBeGreaterThan(first);
    await store.session(id).applyHistoryTransaction({
      operationId: 'op',
      transaction: { type: 'append_items', items: [user('transaction')] },
    });
    expect(await end(id)).toBe(await latest(id));
    expect((await ends(id)).has('ops')).toBe(true);
  });

  it('do not end while a record has no expiry, and end again when it is gone', async () => {
    const id = uniqueName('mixed');
    await store.session(id).addItems([user('expires')]);
    const plain = wrapStore(bare, [encrypt({ keys })]).session(id);
    await plain.addItems([user('stays')]);
    expect(await end(id)).toBe(-1);
    await store.session(id).addItems([user('expires')]);
    expect(await end(id)).toBe(-1);
    await plain.popItem();
    expect(await end(id)).toBe(-1);
    await plain.popItem();
    expect(await end(id)).toBe(await latest(id));
    await store.session(id).addItems([user('later')]);
    expect(await end(id)).toBe(await latest(id));
  });

  it('end earlier when the latest records are undone', async () => {
    const id = uniqueName('undone');
    const session = store.session(id);
    await session.addItems([user('first')]);
    const first = await end(id);
    offset = 10 * DAY;
    await session.addItems([user('ten days later')]);
    expect(await end(id)).toBeGreaterThan(first + 9 * DAY);
    await undoTurn(session);
    offset = 0;
    expect(await end(id)).toBe(first);
  });

  it('of a branch end with what it shares, and data keys with what a branch has taken over', async () => {
    const id = uniqueName('shared');
    const session = store.session(id);
    await session.addItems([user('first')]);
    const first = await end(id);
    offset = 10 * DAY;
    await session.addItems([user('ten days later')]);
    const branch = await branches(store, id).create('b');
    const branchId = await branch.getSessionId();
    const later = await end(id);
    expect(later).toBeGreaterThan(first + 9 * DAY);
    expect(await end(branchId)).toBe(later);
    await undoTurn(session);
    // The branch has the later record now, and its data key is one of the conversation.
    expect(Object.fromEntries(await ends(id))).toMatchObject({ items: first, meta: first, deks: later });
    expect(await end(branchId)).toBe(later);
    expect(await branch.getItems()).toEqual([user('first'), user('ten days later')]);
    offset = 0;
    await session.addItems([user('again')]);
    expect((await ends(id)).get('deks')).toBe(later);
    await session.clearSession();
    expect((await ends(id)).get('deks')).toBe(later);
    offset = 10 * DAY;
    expect(await branch.getItems()).toEqual([user('first'), user('ten days later')]);
    offset = 0;
  });

  it('of a conversation end without its branch that is under a hold, which has records of its own', async () => {
    const id = uniqueName('held-branch');
    const short = wrapStore(bare, [expire({ after: 1_000 }), encrypt({ keys })]);
    await short.session(id).addItems([user('short')]);
    const tree = branches(short, id);
    const [free, held] = [await tree.create('free'), await tree.create('held')];
    const heldId = await held.getSessionId();
    const until = await end(id);
    const placed = await hold(held, { reason: 'a claim' });
    await delay(until - Date.now() + 20);
    // The data key stays for the branch.
    expect(await ends(id)).toEqual(new Map([['deks', -1]]));
    expect(await ends(await free.getSessionId())).toEqual(new Map());
    expect(await end(heldId)).toBe(-1);
    const still = wrapStore(bare, [encrypt({ keys })]).session(heldId, { derived: true });
    expect(await still.getItems()).toEqual([user('short')]);
    await release(store, placed.id);
    expect(await end(heldId)).toBeGreaterThan(0);
  });

  it('are gone without a purge when all is expired, and the session begins anew', async () => {
    const id = uniqueName('gone');
    const short = wrapStore(bare, [expire({ after: 1_000 }), encrypt({ keys })]);
    const session = short.session(id, { subject: 'person' });
    await session.addItems([user('short')]);
    const until = await end(id);
    await delay(until - Date.now() - 300);
    expect((await ends(id)).size).toBe(3);
    await delay(until - Date.now() + 20);
    expect(await ends(id)).toEqual(new Map());
    expect(await session.getItems()).toEqual([]);
    await session.addItems([user('again')]);
    expect(await session.getItems()).toEqual([user('again')]);
  });

  it('of a root leave the subject to what belongs to it', async () => {
    const [id, subject] = [uniqueName('root'), uniqueName('person')];
    const short = wrapStore(bare, [expire({ after: 300 }), encrypt({ keys })]);
    await short.session(id, { subject }).addItems([user('short')]);
    await store.session(`~branch~b~${id}`, { derived: true }).addItems([user('long')]);
    await delay(350);
    expect(await ends(id)).toEqual(new Map());
    const found = [];
    for await (const each of store.sessions({ subject, derived: 'all' })) found.push(each.id);
    expect(found).toEqual([`~branch~b~${id}`]);
  });

  it('do not end under a hold, nor do those of what belongs to the session', async () => {
    const id = uniqueName('held');
    const branch = `~branch~b~${id}`;
    const later = `~branch~later~${id}`;
    const session = store.session(id);
    await session.addItems([user('held')]);
    await store.session(branch, { derived: true }).addItems([user('held too')]);
    const placed = await hold(store, { sessionId: id, reason: 'case 7' });
    await session.addItems([user('while held')]);
    await store.session(branch, { derived: true }).addItems([user('while held')]);
    await store.session(later, { derived: true }).addItems([user('made while held')]);
    await store.session(later, { derived: true }).addItems([user('and more')]);
    for (const each of [id, branch, later]) expect(await end(each)).toBe(-1);
    await release(store, placed.id);
    for (const each of [id, branch, later]) expect(await end(each)).toBe(await latest(each));
  });

  it('end at the idle time after the last write', async () => {
    const own = uniqueName('idle');
    const idle = openRedis(url, { prefix: own, idle: '1h' });
    const session = idle.session('chat');
    const left = async (): Promise<number[]> =>
      Promise.all((await client.keys(`${own}:{chat}:*`)).map(async (key) => client.pTTL(key)));
    for (let count = 0; count < 2; count++) {
      await session.addItems([user('no expiry')]);
      for (const each of await left()) expect(each).toBeGreaterThan(3_590_000);
      for (const key of await client.keys(`${own}:{chat}:*`)) await client.pExpire(key, 60_000);
    }
    const placed = await hold(idle, { sessionId: 'chat', reason: 'case 7' });
    expect(await left()).toContain(-1);
    await session.addItems([user('held')]);
    expect(new Set(await left())).toEqual(new Set([-1]));
    await release(idle, placed.id);
    for (const each of await left()) expect(each).toBeGreaterThan(3_590_000);
    await idle.close();
    await deleteRedisKeys(url, own);
  });

  describe('of the notes on branches', () => {
    const notesOf = (id: string): string => `~branches~~${id}`;
    afterEach(() => {
      offset = 0;
    });

    it('end with the conversation or the branch that ends last, and are moved on by appends to either', async () => {
      const id = uniqueName('notes');
      const session = store.session(id);
      await session.addItems([user('first')]);
      const branch = await branches(store, id).create('b');
      const branchId = await branch.getSessionId();
      expect([...(await ends(notesOf(id))).keys()].sort()).toEqual(['items', 'meta']);
      expect(await end(notesOf(id))).toBe(await latest(id));
      for (const [days, writer, writerId] of [
        [10, session, id],
        [20, branch, branchId],
        [30, session, id],
      ] as const) {
        offset = days * DAY;
        await writer.addItems([user('moved on')]);
        expect(await end(notesOf(id))).toBe(await latest(writerId));
      }
      offset = 15 * DAY;
      await branch.addItems([user('ends before the others')]);
      expect(await end(notesOf(id))).toBe(await end(id));
      offset = 30 * DAY;
      await undoTurn(session);
      expect(await end(notesOf(id))).toBe(await end(branchId));
      await branches(store, id).switch('b');
      expect(await end(notesOf(id))).toBe(await end(branchId));
    });

    it('end earlier when the branch that ends last is deleted', async () => {
      for (const remove of [
        async (id: string) => branches(store, id).delete('b'),
        async (_: string, branchId: string) => store.deleteSession(branchId, { derived: true }),
      ]) {
        const id = uniqueName('deleted');
        await store.session(id).addItems([user('first')]);
        const branch = await branches(store, id).create('b');
        offset = 10 * DAY;
        await branch.addItems([user('later')]);
        expect(await end(notesOf(id))).toBeGreaterThan((await end(id)) + 9 * DAY);
        await remove(id, await branch.getSessionId());
        offset = 0;
        expect(await end(notesOf(id))).toBe(await end(id));
      }
    });

    it('do not end while a record of a branch has no expiry', async () => {
      const id = uniqueName('endless');
      await store.session(id).addItems([user('first')]);
      const branchId = await (await branches(store, id).create('b')).getSessionId();
      const plain = wrapStore(bare, [encrypt({ keys })]).session(branchId, { derived: true });
      await plain.addItems([user('stays')]);
      expect(await end(notesOf(id))).toBe(-1);
      await plain.popItem();
      expect(await end(notesOf(id))).toBe(await end(id));
    });

    it('do not end under a hold on the conversation or on one branch, also when made under it', async () => {
      for (const heldIs of ['conversation', 'branch']) {
        const id = uniqueName(`notes-held-${heldIs}`);
        await store.session(id).addItems([user('first')]);
        const branch = await branches(store, id).create('b');
        const sessionId = heldIs === 'branch' ? await branch.getSessionId() : id;
        const one = await hold(store, { sessionId, reason: 'case 7' });
        const two = await hold(store, { sessionId, reason: 'case 8' });
        expect(await end(notesOf(id))).toBe(-1);
        await store.session(id).addItems([user('while held')]);
        await branches(store, id).create('later');
        await branches(store, id).switch('later');
        expect(await end(notesOf(id))).toBe(-1);
        await release(store, one.id);
        expect(await end(notesOf(id))).toBe(-1);
        await release(store, two.id);
        expect(await end(notesOf(id))).toBe(await latest(id));
      }
      const id = uniqueName('notes-made-held');
      await store.session(id).addItems([user('first')]);
      const placed = await hold(store, { sessionId: id, reason: 'case 7' });
      await branches(store, id).create('b');
      expect(await end(notesOf(id))).toBe(-1);
      await release(store, placed.id);
      expect(await end(notesOf(id))).toBe(await latest(id));
    });

    it('are gone with the last branch, not before, and no key of the conversation is left', async () => {
      const id = uniqueName('notes-gone');
      const short = wrapStore(bare, [expire({ after: 500 }), encrypt({ keys })]);
      const longer = wrapStore(bare, [expire({ after: 1_500 }), encrypt({ keys })]);
      await short.session(id).addItems([user('short')]);
      const branchId = await (await branches(short, id).create('b')).getSessionId();
      await branches(short, id).switch('b');
      const until = await end(id);
      await longer.session(branchId, { derived: true }).addItems([user('longer')]);
      await delay(until - Date.now() + 20);
      expect((await ends(id)).has('items')).toBe(false);
      expect((await branches(longer, id).list()).map(({ name, current }) => [name, current])).toContainEqual([
        'b',
        true,
      ]);
      await delay((await end(branchId)) - Date.now() + 20);
      for (const each of [id, branchId, notesOf(id)]) expect(await ends(each)).toEqual(new Map());
      await short.session(id).addItems([user('again')]);
      expect((await branches(short, id).list()).find(({ current }) => current)?.name).toBe('main');
    });

    it('under an idle time end after the last write to the conversation, not to the notes', async () => {
      const own = uniqueName('idle-notes');
      const idle = openRedis(url, { prefix: own, idle: '1h' });
      await idle.session('chat').addItems([user('first')]);
      const branch = await branches(idle, 'chat').create('b');
      const keysOfNotes = await client.keys(`${own}:{~branches~~chat}:*`);
      expect(keysOfNotes).toHaveLength(2);
      for (const key of await client.keys(`${own}:{*chat}:*`)) await client.pExpire(key, 60_000);
      await branch.addItems([user('later')]);
      for (const key of keysOfNotes) expect(await client.pTTL(key)).toBeGreaterThan(3_590_000);
      await idle.close();
      await deleteRedisKeys(url, own);
    });
  });

  it('of an archive end when what was moved there does', async () => {
    const id = uniqueName('archived');
    const session = store.session(id);
    await session.addItems([user('one'), user('two')] as AgentInputItem[]);
    const to = store.session(`~archive~~${id}`, { derived: true });
    await archiveHistory(session, { before: 1, to });
    expect(await end(`~archive~~${id}`)).toBe(await latest(`~archive~~${id}`));
    expect(await end(id)).toBe(await latest(id));
  });
});
