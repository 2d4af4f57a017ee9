import type { AgentInputItem } from '@openai/agents';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { carrierOf, formatEnvelope, formatHeader } from '../../src/protocol/envelope.ts';
import { historyDigest, openRedis } from '../../src/stores/redis.ts';
import type { RedisArgument } from '../../src/stores/redis/client.ts';
import { decodeElements } from '../../src/stores/redis/element.ts';
import { createIndexed } from '../../src/stores/redis/indexed.ts';
import { APPEND, CHANGE } from '../../src/stores/redis/scripts.ts';
import { rounds } from '../support/soak.ts';
import { deleteRedisKeys } from './cleaning.ts';
import { interposed, isScript } from './interposed.ts';
import { announce, uniqueName } from './servers.ts';
import { DEK_STORE } from '../../src/session-contract.ts';

function message(content: string): AgentInputItem {
  return { type: 'message', role: 'user', content };
}

describe('The remembered state of a list', () => {
  const entries = { birth: 100, expiry: 500, subject: 'ada', dids: ['k1', 'k2'], latest: 500 };

  test('applies to records with no earlier times, of the same subject, under the same data keys', () => {
    const indexed = createIndexed();
    expect(indexed.covers('a', entries)).toBeUndefined();
    indexed.note('a', 'l7', entries);
    expect(indexed.covers('a', entries)).toBe('l7');
    expect(indexed.covers('a', { ...entries, birth: 101, expiry: Infinity, dids: ['k2'] })).toBe('l7');
    expect(indexed.covers('a', { ...entries, birth: 99 })).toBeUndefined();
    expect(indexed.covers('a', { ...entries, expiry: 499 })).toBeUndefined();
    expect(indexed.covers('a', { ...entries, subject: 'bob' })).toBeUndefined();
    expect(indexed.covers('a', { ...entries, dids: ['k1', 'k3'] })).toBeUndefined();
  });

  test('is dropped when the list has another name, or none', () => {
    const indexed = createIndexed();
    indexed.note('a', 'l1', entries);
    indexed.name('a', 'l1');
    expect(indexed.covers('a', entries)).toBe('l1');
    indexed.name('a', 'l2');
    expect([indexed.list('a'), indexed.covers('a', entries)]).toEqual(['l2', undefined]);
    indexed.name('a', '');
    expect(indexed.list('a')).toBeUndefined();
  });

  test('is renewed after a minute, and bounded', () => {
    let now = 0;
    const indexed = createIndexed(2, 60_000, () => now);
    indexed.note('a', 'l1', entries);
    now = 59_999;
    expect(indexed.covers('a', entries)).toBe('l1');
    now = 60_000;
    expect([indexed.list('a'), indexed.covers('a', entries)]).toEqual(['l1', undefined]);
    indexed.note('a', 'l1', entries);
    indexed.note('b', 'l2', entries);
    indexed.note('a', 'l3', entries);
    indexed.note('c', 'l4', entries);
    expect(['a', 'b', 'c'].map((id) => indexed.covers(id, entries))).toEqual(['l3', undefined, 'l4']);
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

  /** A store of its own knowledge over the same connection, at a time of its own. */
  function open() {
    const clock = { now: 1_000 };
    const sent: RedisArgument[][] = [];
    const between = interposed((command) => {
      sent.push(command);
      return binary.sendCommand(command);
    });
    const store = openRedis({ client: between }, { prefix, clock: () => clock.now });
    return {
      store,
      clock,
      sent,
      /** What another process does just before the first command of this one that matches. */
      before: between.before,
    };
  }

  const birth = (id: string) => client.zScore(`${prefix}:births`, id);
  const listed = async (store: ReturnType<typeof open>['store']): Promise<string[]> => {
    const ids: string[] = [];
    for await (const { id } of store.sessions()) ids.push(id);
    return ids;
  };

  test('an append is one command once the indexes have its entries', async () => {
    const { store, sent } = open();
    const session = store.session('one command');
    await session.addItems([message('first')]);
    sent.length = 0;
    await session.addItems([message('second'), message('third')]);
    expect(await session.getItems()).toHaveLength(3);
    expect(sent.map(([name]) => name)).toEqual(['RPUSHX', 'LRANGE']);
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

  test('a session that got items during its deletion is found', async () => {
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

  test('a score is no higher than the next item when a purge finds the oldest one removed already', async () => {
    const [a, b] = [open(), open()];
    a.clock.now = 3_000;
    await a.store.session('popped before').addItems([message('newest')]);
    a.clock.now = 1_000;
    await a.store.session('popped before').addItems([message('oldest')]);
    await a.store.session('popped before').popItem();
    b.clock.now = 5_000;
    await b.store.purgeExpired({ after: 4_000 });
    expect(await birth('popped before')).toBe(3_000);
    a.clock.now = 2_000;
    await a.store.session('popped before').addItems([message('between them')]);
    expect(await birth('popped before')).toBe(2_000);
  });

  test('a session that was emptied and purged is found again, by the oldest item that two others append', async () => {
    const [a, b, c] = [open(), open(), open()];
    await a.store.session('emptied').addItems([message('old')]);
    await a.store.session('emptied').popItem();
    b.clock.now = 5_000;
    await b.store.purgeExpired({ after: 1_000 });
    expect(await birth('emptied')).toBeNull();
    c.clock.now = 3_000;
    await c.store.session('emptied').addItems([message('newer')]);
    a.clock.now = 2_000;
    await a.store.session('emptied').addItems([message('older')]);
    expect(await listed(b.store)).toContain('emptied');
    expect(await birth('emptied')).toBe(2_000);
    expect(await b.store.session('emptied').getItems()).toEqual([message('newer'), message('older')]);
  });

  test('an empty session keeps items that are appended while another process purges it', async () => {
    const [a, b] = [open(), open()];
    await a.store.session('refilled').addItems([message('old')]);
    await a.store.session('refilled').popItem();
    b.clock.now = 5_000;
    a.before(isScript(CHANGE), () => b.store.purgeExpired({ after: 1_000 }));
    a.clock.now = 2_000;
    await a.store.session('refilled').replaceHistoryWithCompaction([message('new')]);
    expect(await b.store.session('refilled').getItems()).toEqual([message('new')]);
    expect(await birth('refilled')).toBe(2_000);
    expect(await listed(b.store)).toContain('refilled');
  });

  test('a data key that another process destroyed is refused in a process that just used it', async () => {
    const [a, b] = [open(), open()];
    const session = a.store.session('shredded');
    const sealed = carrierOf(
      formatEnvelope(formatHeader({ s: 'XC20P', d: 'E'.repeat(43), t: 1_000 }), Buffer.alloc(48, 1)),
    );
    const deks = b.store.session('shredded')[DEK_STORE];
    await deks.put({ sessionId: 'shredded', did: 'E'.repeat(43), kid: 'k', wrapped: 'w', createdAt: 1 });
    await session.addItems([sealed]);
    a.sent.length = 0;
    await session.addItems([sealed]);
    expect(a.sent.map(([name]) => name)).toEqual(['RPUSHX']);
    await deks.destroy('shredded');
    const refused = {
      code: 'ERR_SHREDDED',
      message: expect.stringContaining('Nothing was stored') as string,
    };
    await expect(session.addItems([message('with it'), sealed])).rejects.toMatchObject(refused);
    expect(await session.getItems()).toEqual([sealed, sealed]);
    await session.popItem();
    await session.popItem();
    await expect(session.addItems([sealed])).rejects.toMatchObject(refused);
    expect(await session.getItems()).toEqual([]);
  });

  test('a data key is checked at its first use in a process, and for records that were only kept', async () => {
    const [a, b] = [open(), open()];
    const sealed = (did: string): AgentInputItem =>
      carrierOf(
        formatEnvelope(formatHeader({ s: 'XC20P', d: did.repeat(43), t: 1_000 }), Buffer.alloc(48, 1)),
      );
    const deks = b.store.session('first use')[DEK_STORE];
    for (const did of ['E', 'I']) {
      await deks.put({ sessionId: 'first use', did: did.repeat(43), kid: 'k', wrapped: 'w', createdAt: 1 });
    }
    await b.store.session('first use').addItems([sealed('E'), message('plain')]);
    await deks.destroy('first use');
    const session = a.store.session('first use');
    const transaction = {
      type: 'replace_suffix' as const,
      expectedSuffix: [sealed('E'), message('plain')],
      replacement: [message('new'), sealed('E')],
    };
    await session.applyHistoryTransaction({ operationId: 'o', transaction });
    const refused = {
      code: 'ERR_SHREDDED',
      message: expect.stringContaining('Nothing was stored') as string,
    };
    await expect(session.addItems([sealed('E')])).rejects.toMatchObject(refused);
    await session.addItems([message('more')]);
    await expect(session.addItems([sealed('I')])).rejects.toMatchObject(refused);
    expect(await session.getItems()).toEqual([message('new'), sealed('E'), message('more')]);
  });

  test('a history is read after its list got another name, or none, in another process', async () => {
    const [a, b] = [open(), open()];
    const session = a.store.session('renamed');
    await session.addItems([message('old')]);
    b.clock.now = 3_000;
    await b.store.session('renamed').addItems([message('new')]);
    b.clock.now = 5_000;
    expect(await session.getItems()).toHaveLength(2);
    await b.store.purgeExpired({ after: 4_000 });
    expect(await session.getItems()).toEqual([message('new')]);
    expect(await session.getItems(1)).toEqual([message('new')]);
    await b.store.deleteSession('renamed');
    expect(await session.getItems()).toEqual([]);
    await b.store.session('renamed').addItems([message('again')]);
    expect(await session.getItems()).toEqual([message('again')]);
  });

  test('a change is repeated when a purge renamed the list, or that of its archive', async () => {
    const [a, b] = [open(), open()];
    const purge = async (): Promise<void> => {
      b.clock.now = 5_000;
      await b.store.purgeExpired({ after: 4_000 });
    };
    for (const id of ['archived', 'archive']) {
      a.clock.now = 1_000;
      await a.store.session(id).addItems([message('old')]);
      a.clock.now = 3_000;
      await a.store.session(id).addItems([message('new'), message('newest')]);
    }
    a.before(isScript(CHANGE), purge);
    expect(await a.store.session('archived').popItem()).toEqual(message('newest'));
    const { sent } = a;
    sent.length = 0;
    await a.store.session('archived').replacePrefix({
      count: 1,
      digest: historyDigest([message('new')]),
      replacement: [message('summary')],
      operationId: 'o',
      archiveTo: 'archive',
    });
    expect(sent.filter(isScript(CHANGE))).toHaveLength(2);
    expect(await a.store.session('archived').getItems()).toEqual([message('summary')]);
    expect(await a.store.session('archive').getItems()).toEqual(['new', 'newest', 'new'].map(message));
  });

  test('a session with a remembered list still refuses another owner, also after it was deleted and created again', async () => {
    const [a, b] = [open(), open()];
    const mine = a.store.session('owned', { subject: 'ada' });
    await mine.addItems([message('one')]);
    await mine.addItems([message('two')]);
    await b.store.deleteSession('owned');
    const theirs = b.store.session('owned', { subject: 'bob' });
    await theirs.addItems([message('three')]);
    await expect(mine.addItems([message('four')])).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      message: expect.stringContaining('belongs to another subject') as string,
    });
    expect(await theirs.getItems()).toEqual([message('three')]);
    const found = [];
    for await (const { id } of a.store.sessions({ subject: 'ada' })) found.push(id);
    expect(found).not.toContain('owned');
  });

  test('a change is repeated after an append in between, or after a new session of the same length', async () => {
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

  test('changes that do not depend on appends are not delayed by them, and an operation is still done once', async () => {
    const [a, b] = [open(), open()];
    const [mine, theirs] = [a.store.session('busy'), b.store.session('busy')];
    await mine.addItems([message('one'), message('two')]);
    const between = (act: () => Promise<unknown>): void => {
      a.sent.length = 0;
      a.before(isScript(CHANGE), act);
    };
    const transaction = { type: 'append_items' as const, items: [message('appended')] };
    between(() => theirs.addItems([message('three')]));
    await mine.applyHistoryTransaction({ operationId: 'o', transaction });
    expect(a.sent.filter(isScript(CHANGE))).toHaveLength(1);
    between(() => theirs.addItems([message('four')]));
    const digest = historyDigest([message('one'), message('two')]);
    await mine.replacePrefix({ count: 2, digest, replacement: [message('summary')], operationId: 'p' });
    expect(a.sent.filter(isScript(CHANGE))).toHaveLength(1);
    between(() => theirs.applyHistoryTransaction({ operationId: 'q', transaction }));
    await mine.applyHistoryTransaction({ operationId: 'q', transaction });
    expect(await mine.getItems()).toEqual(['summary', 'three', 'appended', 'four', 'appended'].map(message));
    between(() => theirs.addItems([message('five')]));
    await mine.clearSession();
    expect(a.sent.filter(isScript(CHANGE))).toHaveLength(1);
    expect(await mine.getItems()).toEqual([]);
  });

  test('a change that failed a few times slows other writers down', async () => {
    const [a, b] = [open(), open()];
    await a.store.session('hurried').addItems([message('one')]);
    await b.store.session('hurried').addItems([message('two')]);
    const pushes: number[] = [];
    const hurry = (left: number): void => {
      if (left === 0) return;
      a.before(isScript(CHANGE), async () => {
        b.sent.length = 0;
        await b.store.session('hurried').addItems([message(`hurry ${left}`)]);
        pushes.push(b.sent.length);
        hurry(left - 1);
      });
    };
    hurry(4);
    expect(await a.store.session('hurried').popItem()).toEqual(message('hurry 1'));
    const [before, last] = [pushes.slice(0, 3), pushes.at(-1)];
    expect(before).toEqual([1, 1, 1]);
    expect(last).toBeGreaterThan(3);
  });

  test('an operation that appended nothing is recognized by one of the same id', async () => {
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

  test('after any concurrent changes, stored sessions are listed with a score no higher than their oldest item', async () => {
    const START = 1_000_000;
    const pick = (count: number): number => Math.floor(Math.random() * count);
    const processes = Array.from({ length: 6 }, open);
    for (let round = 0; round < rounds(30, 5_000); round++) {
      const ids = [uniqueName('many'), uniqueName('many')];
      await Promise.all(
        processes.map(async ({ store, clock }) => {
          for (let call = 0; call < 25; call++) {
            const id = ids[pick(2)] as string;
            const session = store.session(id);
            clock.now = START + pick(1_000);
            const choice = pick(100);
            if (choice < 65) await session.addItems([message('one')]);
            else if (choice < 80) await session.popItem();
            else if (choice < 84) await store.deleteSession(id);
            else if (choice < 88) await session.clearSession();
            else if (choice < 92) await session.replaceHistoryWithCompaction([message('summary')]);
            else {
              clock.now = START + 1_000;
              await store.purgeExpired({ after: 900 - pick(500) });
            }
          }
        }),
      );
      for (const id of ids) {
        const list = (await client.hGet(`${prefix}:{${id}}:meta`, 'list')) ?? '';
        const records = decodeElements(
          (await binary.sendCommand([
            'LRANGE',
            `${prefix}:{${id}}:items:${list}`,
            '0',
            '-1',
          ])) as unknown as Buffer[],
        );
        // No list of another name is left behind.
        const keys = await client.keys(`${prefix}:{${id}}:items:*`);
        expect(keys).toEqual(records.length === 0 ? [] : [`${prefix}:{${id}}:items:${list}`]);
        const oldest = Math.min(...records.map(({ bornAt, writtenAt }) => bornAt ?? writtenAt));
        const score = await birth(id);
        expect(records.length === 0 || (score !== null && score <= oldest)).toBe(true);
        expect(records.length === 0 || (await client.zScore(`${prefix}:ids`, id)) === 0).toBe(true);
        await processes[0]?.store.deleteSession(id);
      }
    }
  });
});
