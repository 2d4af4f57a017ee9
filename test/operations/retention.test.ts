import { readFileSync } from 'node:fs';
import type { AgentInputItem } from '@openai/agents';
import { describe, expect, test, vi } from 'vitest';
import {
  eraseSubject,
  exportSubject,
  retention,
  type RetentionReport,
} from '../../src/operations/retention.ts';
import type { StoreSession } from '../../src/stores/session.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { fakeClock } from '../../src/testing/fake-clock.ts';
import { temporaryFolder } from '../stores/folder.ts';
import { canary } from '../stores/own-server.ts';
import { DEK_STORE, MAINTENANCE } from '../../src/session-contract.ts';

const file = temporaryFolder();

function messages(...texts: string[]): AgentInputItem[] {
  return texts.map((content) => ({ type: 'message', role: 'user', content }));
}

async function hold(store: Store<StoreSession>, id: string): Promise<void> {
  const { holds } = store.session(id)[DEK_STORE];
  await holds?.place({ id: `hold-${id}`, sessionId: id, reason: 'case', placedAt: 1 });
}

describe('retention', () => {
  test('deletes old and inactive sessions, cuts long ones, and reports sessions under a hold', async () => {
    const clock = fakeClock();
    await using store = openSqlite(':memory:', { clock });
    await store.session('old').addItems(messages('a'));
    await store.session('old and held').addItems(messages('a'));
    await hold(store, 'old and held');
    await store.session('silent').addItems(messages('a'));
    clock.advance('40d');
    await store.session('old').addItems(messages('still used'));
    await store.session('long').addItems(messages('1', '2', '3', '4', '5'));
    const rules = retention(store, { maxAge: '60d', maxIdle: '35d', keepLast: 3 });
    const expected: RetentionReport = {
      dryRun: true,
      skipped: false,
      expired: { items: 0, sessions: 0 },
      deleted: ['silent'],
      derived: {},
      trimmed: { items: 2, sessions: 1 },
      held: ['old and held'],
    };
    expect(await rules.run({ dryRun: true })).toEqual(expected);
    expect(await store.session('silent').getItems()).toHaveLength(1);
    expect(await rules.run()).toEqual({ ...expected, dryRun: false });
    expect(await store.session('long').getItems()).toEqual(messages('3', '4', '5'));
    expect(await store.session('silent').getItems()).toEqual([]);
    clock.advance('25d');
    expect((await rules.run()).deleted).toEqual(['old']);
    expect(await store.session('old and held').getItems()).toHaveLength(1);
  });

  test('warns when nothing has purged for longer than the shortest period', async () => {
    const clock = fakeClock();
    await using store = openSqlite(':memory:', { clock });
    const warned: string[] = [];
    const warn = vi
      .spyOn(process, 'emitWarning')
      .mockImplementation((message) => void warned.push(String(message)));
    try {
      const rules = retention(store, { expired: '30d', maxAge: '90d' });
      await store.session('a').addItems(messages('a'));
      await store.session('held').addItems(messages('a'));
      await hold(store, 'held');
      clock.advance('31d');
      await rules.run({ dryRun: true });
      await rules.run();
      await store.session('a').addItems(messages('b'));
      clock.advance('59d');
      await rules.run();
      expect(warned).toEqual([]);
      await store.session('b').addItems(messages('c'));
      clock.advance('61d');
      await rules.run();
      await rules.run();
      expect(warned).toEqual([
        'retention: nothing has purged this store for longer than the shortest period of the rules: 1 sessions have records that were to be deleted by then. Call start(), or run() more often.',
      ]);
    } finally {
      warn.mockRestore();
    }
  });

  test('does not warn of data keys, vaults and replaced items that are older than their conversation', async () => {
    const clock = fakeClock();
    await using store = openSqlite(':memory:', { clock });
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    try {
      for (const kind of ['keys', 'vault', 'branches']) {
        await store.session(`~${kind}~~a`, { derived: true }).addItems(messages('needed'));
      }
      for (const id of ['a', 'compacted']) await store.session(id).addItems(messages('1', '2', '3'));
      const rules = retention(store, { maxAge: '30d', keepLast: 2 });
      for (let day = 0; day < 100; day += 10) {
        clock.advance('10d');
        await store.session('a').addItems(messages('next'));
        await store.session('compacted').replaceHistoryWithCompaction(messages('summary'));
        await rules.run();
      }
      expect(await store.session('compacted').getItems()).toEqual(messages('summary'));
      expect(await store.session('a').getItems()).toHaveLength(2);
      expect(await store.session('~vault~~a', { derived: true }).getItems()).toHaveLength(1);
      expect(warn).not.toHaveBeenCalled();
    } finally {
      warn.mockRestore();
    }
  });

  test('purges expired records by policy, and counts them in a dry run', async () => {
    const clock = fakeClock();
    await using store = openSqlite(':memory:', { clock });
    await store.session('a').addItems(messages('1', '2'));
    clock.advance('31d');
    await store.session('a').addItems(messages('3'));
    const rules = retention(store, { expired: '30d' });
    expect((await rules.run({ dryRun: true })).expired).toEqual({ items: 2, sessions: 1 });
    expect((await rules.run()).expired).toEqual({ items: 2, sessions: 1 });
    expect(await store.session('a').getItems()).toEqual(messages('3'));
  });

  test('a dry run counts no item twice, and deletes no session that the purge empties', async () => {
    const clock = fakeClock();
    await using store = openSqlite(':memory:', { clock });
    await store.session('over').addItems(messages('1', '2'));
    await store.session('cut').addItems(messages('1', '2', '3'));
    clock.advance('31d');
    await store.session('cut').addItems(messages('4', '5', '6', '7'));
    const rules = retention(store, { expired: '30d', maxIdle: '30d', keepLast: 3 });
    const dry = await rules.run({ dryRun: true });
    expect(dry).toMatchObject({
      expired: { items: 5, sessions: 2 },
      deleted: [],
      trimmed: { items: 1, sessions: 1 },
    });
    expect(await rules.run()).toEqual({ ...dry, dryRun: false });
    expect(await store.session('cut').getItems()).toEqual(messages('5', '6', '7'));
  });

  test('runs in one process at a time, and stops on request', async () => {
    const path = file('lock.db');
    await using store = openSqlite(path);
    await using other = openSqlite(path);
    await store.session('a').addItems(messages('1'));
    await other[MAINTENANCE]?.leases.acquire('job retention', 'somebody else', 60_000);
    const rules = retention(store, { keepLast: 1 });
    expect((await rules.run()).skipped).toBe(true);
    await other[MAINTENANCE]?.leases.release('job retention', 'somebody else');
    expect((await rules.run()).skipped).toBe(false);
    const reason = new Error('enough');
    await expect(rules.run({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);

    const reports: RetentionReport[] = [];
    let resolve = (): void => undefined;
    const promise = new Promise<void>((settle) => (resolve = settle));
    const scheduled = retention(store, {
      expired: true,
      every: '1h',
      onReport: (report) => {
        reports.push(report);
        resolve();
      },
    });
    scheduled.start();
    scheduled.start();
    await promise;
    await scheduled.stop();
    await scheduled.stop();
    expect(reports).toHaveLength(1);
  });

  test('refuses empty rules, and stores without a lock', async () => {
    await using store = openSqlite(':memory:');
    expect(() => retention(store, {})).toThrow('give a rule: expired, maxAge, maxIdle or keepLast');
    expect(() => retention(store, { maxAge: 'soon' as never })).toThrow('maxAge must be');
    expect(() => retention(store, { keepLast: 0 })).toThrow('keepLast must be');
    expect(() => retention({ ...store, [MAINTENANCE]: undefined } as never, { keepLast: 1 })).toThrow(
      expect.objectContaining({ code: 'ERR_UNSUPPORTED' }) as Error,
    );
  });

  test('leaves no deleted data in the files, once the log is checkpointed', async () => {
    const path = file('canary.db');
    const clock = fakeClock();
    const store = openSqlite(path, { clock });
    const secret = canary();
    const long = `${secret} `.repeat(2_000);
    await store.session('gone').addItems(messages(secret, long));
    await store.session('cut').addItems(messages(secret, 'kept'));
    clock.advance('31d');
    await store.session('cut').addItems(messages('new'));
    const found = (): boolean =>
      [path, `${path}-wal`].some((name) => {
        try {
          return readFileSync(name).includes(secret);
        } catch {
          return false;
        }
      });
    expect(found()).toBe(true);
    await retention(store, { expired: '30d' }).run();
    await store.close();
    expect(found()).toBe(false);
    expect(readFileSync(path).length).toBeGreaterThan(0);
  });
});

describe('a subject and its sessions', () => {
  test('are exported in clear and erased, except sessions under a hold', async () => {
    await using store = openSqlite(':memory:');
    await store.session('a', { subject: 'p1' }).addItems(messages('of p1'));
    await store.session('b', { subject: 'p1' }).addItems(messages('also of p1'));
    await store.session('c', { subject: 'p2' }).addItems(messages('of p2'));
    const exported: unknown[] = [];
    for await (const session of exportSubject(store, 'p1')) exported.push(session);
    expect(exported).toEqual([
      { id: 'a', kind: 'conversation', root: 'a', items: messages('of p1') },
      { id: 'b', kind: 'conversation', root: 'b', items: messages('also of p1') },
    ]);
    await hold(store, 'b');
    expect(await eraseSubject(store, 'p1')).toMatchObject({ deleted: ['a'], held: ['b'], orphans: [] });
    expect(await store.session('c').getItems()).toHaveLength(1);
    await expect(eraseSubject(store, '')).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  });
});
