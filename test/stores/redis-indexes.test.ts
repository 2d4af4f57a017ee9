import type { AgentInputItem } from '@openai/agents';
import { createHash } from 'node:crypto';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openRedis } from '../../src/stores/redis.ts';
import type { RedisArgument } from '../../src/stores/redis/client.ts';
import { createIndexed } from '../../src/stores/redis/indexed.ts';
import { APPEND, CHANGE, EXTEND, type Script } from '../../src/stores/redis/scripts.ts';
import { deleteRedisKeys } from './cleaning.ts';
import { announce, uniqueName } from './servers.ts';

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

describe('What a process knows of the indexes', () => {
  const entries = { birth: 100, expiry: 500, subject: 'ada' };

  test('holds for records that are born and expire no earlier, of the same subject', () => {
    const indexed = createIndexed();
    expect(indexed.generation('a', entries)).toBeUndefined();
    indexed.note('a', '7', entries);
    expect(indexed.generation('a', entries)).toBe('7');
    expect(indexed.generation('a', { birth: 101, expiry: Infinity, subject: 'ada' })).toBe('7');
    expect(indexed.generation('a', { ...entries, birth: 99 })).toBeUndefined();
    expect(indexed.generation('a', { ...entries, expiry: 499 })).toBeUndefined();
    expect(indexed.generation('a', { ...entries, subject: 'bob' })).toBeUndefined();
    indexed.forget('a');
    expect(indexed.generation('a', entries)).toBeUndefined();
  });

  test('is written anew after a minute, and bounded', () => {
    let now = 0;
    const indexed = createIndexed(2, 60_000, () => now);
    indexed.note('a', '1', entries);
    now = 59_999;
    expect(indexed.generation('a', entries)).toBe('1');
    now = 60_000;
    expect(indexed.generation('a', entries)).toBeUndefined();
    indexed.note('a', '1', entries);
    indexed.note('b', '2', entries);
    indexed.note('a', '3', entries);
    indexed.note('c', '4', entries);
    expect(['a', 'b', 'c'].map((id) => indexed.generation(id, entries))).toEqual(['3', undefined, '4']);
  });
});

const { url, absent } = await announce('Redis', 'two processes on the indexes of openRedis');

describe.skipIf(absent)('Two processes on the indexes of openRedis', () => {
  const prefix = uniqueName('indexes');
  const client = createClient({ url });
  const binary = client.withTypeMapping({ 36: Buffer });
  beforeAll(async () => void (await client.connect()));
  afterAll(async () => {
    await client.close();
    await deleteRedisKeys(url, prefix);
  });

  const isScript = (script: Script) => {
    const digest = createHash('sha1').update(script.source).digest('hex');
    return ([, text]: readonly RedisArgument[]): boolean => text === digest || text === script.source;
  };

  /** A store of its own knowledge over the same connection, at a time of its own. */
  function open() {
    const clock = { now: 1_000 };
    const sent: RedisArgument[][] = [];
    let pending: { match: (command: RedisArgument[]) => boolean; act: () => Promise<unknown> } | undefined;
    const store = openRedis(
      {
        client: {
          async callBuffer(...command) {
            const interposed = pending?.match(command) === true ? pending : undefined;
            if (interposed !== undefined) {
              pending = undefined;
              await interposed.act();
            }
            sent.push(command);
            return await binary.sendCommand(command);
          },
        },
      },
      { prefix, clock: () => clock.now },
    );
    return {
      store,
      clock,
      sent,
      /** What another process does just before the first command of this one that matches. */
      before(match: (command: RedisArgument[]) => boolean, act: () => Promise<unknown>) {
        pending = { match, act };
      },
    };
  }

  const birth = (id: string) => client.zScore(`${prefix}:births`, id);
  const listed = async (store: ReturnType<typeof open>['store']): Promise<string[]> => {
    const ids: string[] = [];
    for await (const { id } of store.sessions()) ids.push(id);
    return ids;
  };

  test('an append is one command once the indexes have what it needs', async () => {
    const { store, sent } = open();
    const session = store.session('one command');
    await session.addItems([message('first')]);
    await session.addItems([message('loads the script')]);
    sent.length = 0;
    await session.addItems([message('second'), message('third')]);
    expect(sent.map(([name]) => name)).toEqual(['EVALSHA']);
    expect(sent.every(isScript(EXTEND))).toBe(true);
    expect(await session.getItems()).toHaveLength(4);
  });

  test('an earlier item lowers the score', async () => {
    const { store, clock } = open();
    await store.session('earlier').addItems([message('now')]);
    clock.now = 400;
    await store.session('earlier').addItems([message('by a clock that went back')]);
    expect(await birth('earlier')).toBe(400);
  });

  test('a session that another process deleted is found again after the next append', async () => {
    const [a, b] = [open(), open()];
    await a.store.session('deleted').addItems([message('old')]);
    await b.store.deleteSession('deleted');
    await a.store.session('deleted').addItems([message('new')]);
    expect(await listed(b.store)).toContain('deleted');
    expect(await birth('deleted')).toBe(1_000);
    expect(await b.store.session('deleted').getItems()).toEqual([message('new')]);
  });

  test('a session is found that was deleted between its entries and its items', async () => {
    const [a, b] = [open(), open()];
    await b.store.session('between').addItems([message('old')]);
    a.before(isScript(APPEND), () => b.store.deleteSession('between'));
    await a.store.session('between').addItems([message('new')]);
    expect(await listed(b.store)).toContain('between');
    expect(await birth('between')).toBe(1_000);
  });

  test('a session is found that got items while its deletion took the entries', async () => {
    const [a, b] = [open(), open()];
    await a.store.session('crossing').addItems([message('old')]);
    b.before(
      ([name]) => name === 'ZREM',
      () => a.store.session('crossing').addItems([message('new')]),
    );
    await b.store.deleteSession('crossing');
    await a.store.session('crossing').addItems([message('later')]);
    expect(await listed(b.store)).toContain('crossing');
    expect(await birth('crossing')).toBe(1_000);
    expect(await a.store.session('crossing').getItems()).toEqual([message('new'), message('later')]);
  });

  test('a score that the purge of another process raised is lowered by the next earlier item', async () => {
    const [a, b] = [open(), open()];
    await a.store.session('raised').addItems([message('oldest')]);
    a.clock.now = 3_000;
    await a.store.session('raised').addItems([message('newest')]);
    b.clock.now = 5_000;
    expect(await b.store.purgeExpired({ after: 4_000 })).toMatchObject({
      items: expect.anything() as number,
    });
    expect(await birth('raised')).toBe(3_000);
    a.clock.now = 2_000;
    await a.store.session('raised').addItems([message('between them')]);
    expect(await birth('raised')).toBe(2_000);
  });

  test('a score is no higher than the oldest item when a purge came between entries and items', async () => {
    const [a, b, c] = [open(), open(), open()];
    await b.store.session('rescored').addItems([message('oldest')]);
    b.clock.now = 3_000;
    await b.store.session('rescored').addItems([message('newest')]);
    a.clock.now = 2_000;
    c.clock.now = 5_000;
    a.before(isScript(APPEND), () => c.store.purgeExpired({ after: 4_000 }));
    await a.store.session('rescored').addItems([message('between them')]);
    expect(await a.store.session('rescored').getItems()).toEqual([
      message('newest'),
      message('between them'),
    ]);
    expect(await birth('rescored')).toBe(2_000);
  });

  test('the owner of a session is the one whom the last append names', async () => {
    const [a, b] = [open(), open()];
    const owners: (string | undefined)[] = [];
    for (const [{ store }, subject] of [
      [a, 'ada'],
      [b, 'bob'],
      [a, 'ada'],
    ] as const) {
      await store.session('owned', { subject }).addItems([message(subject)]);
      for await (const { id, subject } of store.sessions()) if (id === 'owned') owners.push(subject);
    }
    expect(owners).toEqual(['ada', 'bob', 'ada']);
  });

  test('a change is decided again when an append came between, or another session of the same length', async () => {
    const [a, b] = [open(), open()];
    await a.store.session('popped').addItems([message('one')]);
    a.before(isScript(CHANGE), () => b.store.session('popped').addItems([message('two')]));
    expect(await a.store.session('popped').popItem()).toEqual(message('two'));
    a.before(isScript(CHANGE), async () => {
      await b.store.deleteSession('popped');
      await b.store.session('popped').addItems([message('three')]);
    });
    expect(await a.store.session('popped').popItem()).toEqual(message('three'));
    expect(await a.store.session('popped').getItems()).toEqual([]);
  });

  test('an operation that appended nothing is seen by one of the same id', async () => {
    const [a, b] = [open(), open()];
    const apply = ({ store }: typeof a, items: AgentInputItem[]) =>
      store.session('logged').applyHistoryTransaction({
        operationId: 'operation',
        transaction: { type: 'append_items', items },
      });
    await a.store.session('logged').addItems([message('one')]);
    a.before(isScript(CHANGE), () => apply(b, []));
    await expect(apply(a, [message('two')])).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      message: expect.stringContaining('already applied with a different transaction') as string,
    });
    expect(await a.store.session('logged').getItems()).toEqual([message('one')]);
  });
});
