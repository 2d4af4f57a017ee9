import { DatabaseSync } from 'node:sqlite';
import type { AgentInputItem, Session } from '@openai/agents';
import type { JWK } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { branches } from '../../src/history/index.ts';
import {
  cache,
  encrypt,
  expire,
  generateKey,
  keyring,
  wrapStore,
  type SessionLayer,
} from '../../src/index.ts';
import type { Keyring } from '../../src/keys/keyring.ts';
import { memoryDekStore, reencrypt, rewrap, shred } from '../../src/operations/index.ts';
import { eraseSession } from '../../src/operations/retention.ts';
import { transfer } from '../../src/operations/transfer.ts';
import { SHARE_RECORDS } from '../../src/session-contract.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { assistant, user } from '../history/support/random-history.ts';
import { temporaryFolder } from './folder.ts';

const path = temporaryFolder();
let files = 0;
let keys: Keyring;
beforeAll(async () => {
  keys = keyring({ current: await generateKey() });
});

/** Counts the entries that are opened below it. */
function counter(): { readonly layer: SessionLayer; readonly opened: () => number } {
  let count = 0;
  return {
    layer: {
      name: 'counter',
      reads: 'view',
      read: (entries) => {
        count += entries.length;
        return entries;
      },
    },
    opened: () => count,
  };
}

function rowsIn(file: string): number {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
    return tables.reduce(
      (sum, { name }) =>
        sum + Number(database.prepare(`SELECT count(*) AS n FROM "${String(name)}"`).get()?.['n']),
      0,
    );
  } finally {
    database.close();
  }
}

const long = Array.from({ length: 10_000 }, (_, index): AgentInputItem =>
  index % 2 === 0 ? user(`question ${index}`) : assistant(`answer ${index}`),
);

describe('a branch of a conversation of 10,000 items', () => {
  it('costs less than 50 rows, and opens no item when it begins with all of them', async () => {
    const file = path('long.db');
    const { layer, opened } = counter();
    await using store = openSqlite(file);
    const stack = wrapStore(store, [layer, expire({ after: '30d' }), encrypt({ keys })]);
    await stack.session('chat').addItems([...long]);
    const before = rowsIn(file);
    const branch = await branches(stack, 'chat').create('retry');
    expect(rowsIn(file) - before).toBeLessThan(50);
    expect(opened()).toBe(0);
    await branch.addItems([user('again')]);
    expect(await branch.getItems(3)).toEqual([...long.slice(-2), user('again')]);
    expect(await stack.session('chat').getItems(2)).toEqual(long.slice(-2));
  });

  it('copies no row when it begins with a part of them, either', async () => {
    const file = path('part.db');
    await using store = openSqlite(file);
    await store.session('chat').addItems([...long]);
    const before = rowsIn(file);
    const branch = await branches(store, 'chat').create('earlier', { turn: 4_000 });
    expect(rowsIn(file) - before).toBeLessThan(50);
    expect(await branch.getItems(2)).toEqual(long.slice(7_996, 7_998));
  });

  it('pays for an undo with no row, and for a change of its middle once', async () => {
    const file = path('middle.db');
    await using store = openSqlite(file);
    await store.session('chat').addItems([...long]);
    const branch = await branches(store, 'chat').create('retry');
    const before = rowsIn(file);
    await branch.popItem();
    expect(rowsIn(file)).toBe(before);
    expect(await store.session('chat').getItems(1)).toEqual(long.slice(-1));
    await store.session('chat').popItem();
    // The conversation removes a record that the branch does not have any more.
    expect(rowsIn(file)).toBe(before - 1);
    await store.session('chat').popItem();
    expect(rowsIn(file)).toBe(before - 3 + 9_999);
    expect(await branch.getItems()).toEqual(long.slice(0, 9_999));
  });
});

interface Family {
  readonly store: Store;
  readonly main: Session;
  readonly branch: Session;
  readonly twig: Session;
}

const parts = {
  main: [user('one'), assistant('first')],
  branch: [user('two')],
  twig: [user('three')],
};
const all = {
  main: parts.main,
  branch: [...parts.main, ...parts.branch],
  twig: [...parts.main, ...parts.branch, ...parts.twig],
};

async function family(file = path(`family-${++files}.db`), options: object = {}): Promise<Family> {
  const store = wrapStore(openSqlite(file), [cache({ maxItems: 100 }), encrypt({ keys, ...options })]);
  const main = store.session('chat');
  await main.addItems([...parts.main]);
  const tree = branches(store, 'chat');
  const branch = await tree.create('branch');
  await branch.addItems([...parts.branch]);
  const twig = await tree.create('twig', { from: 'branch' });
  await twig.addItems([...parts.twig]);
  return { store, main, branch, twig };
}

/** As another process reads it, with nothing in a cache. */
async function fresh(file: string, options: object = {}): Promise<Record<string, AgentInputItem[]>> {
  await using store = wrapStore(openSqlite(file), [encrypt({ keys, ...options })]);
  const tree = branches(store, 'chat');
  return {
    main: await store.session('chat').getItems(),
    branch: await tree.session('branch').getItems(),
    twig: await tree.session('twig').getItems(),
  };
}

describe('a record that two histories share', () => {
  it.each(['main', 'branch', 'twig'] as const)('is sealed anew for each when %s is', async (name) => {
    const file = path(`anew-${name}.db`);
    const made = await family(file);
    const report = await reencrypt(made[name], { grace: 0 });
    expect(report).toMatchObject({ sessions: 1, shredded: 0, held: [] });
    expect(await fresh(file)).toEqual(all);
    // No key that is left out opens anything: the rest of them seals the rest.
    expect(await reencrypt(made.store, { grace: 0 })).toMatchObject({ sessions: 3, shredded: 0 });
    expect(await fresh(file)).toEqual(all);
  });

  it('is reached once by a rewrap', async () => {
    const file = path('rewrap.db');
    const old = await generateKey();
    const keyringOf = (...previous: JWK[]): { keys: Keyring } => ({
      keys: keyring({ current: next, previous }),
    });
    const next = await generateKey();
    await family(file, { keys: keyring({ current: old }) });
    await using store = wrapStore(openSqlite(file), [encrypt(keyringOf(old))]);
    // One data key for each session that wrote something: the records are sealed under these, whoever has them.
    expect(await rewrap(store)).toMatchObject({ examined: 3, rewrapped: 3, failed: 0 });
    expect(await fresh(file, keyringOf())).toEqual(all);
  });

  describe.each([
    { where: 'in the store', options: (): object => ({}) },
    { where: 'elsewhere', options: (): object => ({ dekStore: memoryDekStore() }) },
  ])('with data keys $where', ({ options }) => {
    it('stays readable where it is shared when one of them is shredded, and is unreadable when all are', async () => {
      const file = path(`shred-${++files}.db`);
      const given = options();
      const { main, branch, twig } = await family(file, given);
      await shred(branch);
      expect(await fresh(file, given)).toEqual({ ...all, branch: [] });
      await twig.addItems([user('four')]);
      await shred(twig);
      expect(await fresh(file, given)).toEqual({ ...all, branch: [], twig: [] });
      const receipt = await shred(main);
      expect(receipt.rowsCleared).toBe(true);
      expect(await fresh(file, given)).toEqual({ main: [], branch: [], twig: [] });
    });

    it('stays readable when the branch that it came from is erased, and goes with the conversation', async () => {
      const file = path(`erase-${++files}.db`);
      const given = options();
      const { store, branch } = await family(file, given);
      await eraseSession(store, await branch.getSessionId(), { derived: true });
      expect(await fresh(file, given)).toEqual({ ...all, branch: [] });
      const report = await eraseSession(store, 'chat');
      expect(report.orphans).toEqual([]);
      expect(await fresh(file, given)).toEqual({ main: [], branch: [], twig: [] });
    });
  });

  it('opens in another store, also when the branch that it came from is gone', async () => {
    const { store } = await family();
    await branches(store, 'chat').delete('branch');
    const file = path('target.db');
    const source = path('source.db');
    const made = await family(source);
    await branches(made.store, 'chat').delete('branch');
    await using from = openSqlite(source);
    await using target = openSqlite(file);
    await transfer(from, target);
    expect(await fresh(file)).toEqual({ ...all, branch: [] });
    expect(await transfer(from, target)).toMatchObject({ items: 0 });
  });

  it('is not opened where the database moved it to, outside of its conversation', async () => {
    const file = path('moved.db');
    await family(file);
    await using store = wrapStore(openSqlite(file), [encrypt({ keys })]);
    await store.session('other').addItems([user('mine')]);
    await branches(store, 'other').create('branch');
    const database = new DatabaseSync(file);
    database.exec(`UPDATE strongroom_shares SET base = (SELECT key FROM strongroom_sessions WHERE id = 'chat')
      WHERE session = (SELECT key FROM strongroom_sessions WHERE id = '~branch~branch~other')`);
    database.close();
    await expect(branches(store, 'other').session('branch').getItems()).rejects.toMatchObject({
      code: 'ERR_AUTHENTICATION',
      message: expect.stringContaining('it was moved from another conversation'),
    });
  });

  it('does not become the beginning of a branch that has items', async () => {
    await using store = openSqlite(':memory:');
    const session = store.session('chat');
    await session.addItems([...parts.main]);
    const branch = store.session('~branch~b~chat', { derived: true });
    await branch.addItems([user('before')]);
    const share = { to: '~branch~b~chat', operationId: 'op' };
    await expect(session[SHARE_RECORDS]?.(share)).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      message: expect.stringContaining('has items already'),
      written: 'no',
    });
    expect(await branch.getItems()).toEqual([user('before')]);
    await branch.clearSession();
    await session[SHARE_RECORDS]?.(share);
    await session[SHARE_RECORDS]?.(share);
    expect(await branch.getItems()).toEqual(parts.main);
  });
});
