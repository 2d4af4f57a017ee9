import { afterAll, describe, expect, test } from 'vitest';
import { branches } from '../../src/history/branches.ts';
import { generateKey } from '../../src/keys/generate-key.ts';
import { keyring } from '../../src/keys/keyring.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { expire } from '../../src/layers/expire.ts';
import { hold } from '../../src/operations/holds.ts';
import { eraseSession, retention } from '../../src/operations/retention.ts';
import { complianceReport } from '../../src/report/index.ts';
import { fakeClock } from '../../src/testing/fake-clock.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { everyStore } from '../stores/every-store.ts';

const DAY = 86_400_000;
const stores = await everyStore('the report on every store');

describe.each(stores)('the report of $name', ({ absent, open, clean }) => {
  afterAll(async () => absent || clean());

  test.skipIf(absent)('counts sessions, ages, keys and holds like that of every other store', async () => {
    await using bare = open();
    const clock = fakeClock(Date.now() - 40 * DAY);
    const keys = keyring({ current: { ...(await generateKey()), kid: 'k' } });
    const store = wrapStore(bare, [expire({ after: '365d', clock }), encrypt({ keys })]);
    const write = (id: string, count: number, subject?: string): Promise<void> =>
      store
        .session(id, subject === undefined ? {} : { subject })
        .addItems(Array.from({ length: count }, () => ({ role: 'user', content: 'x' })));
    await write('old', 3, 'p1');
    await write('held', 2, 'p1');
    await write('gone', 1);
    await hold(store, { sessionId: 'held', id: 'h', reason: 'case', by: 'counsel' });
    await eraseSession(store, 'gone');
    clock.set(Date.now());
    await write('young', 4, 'p2');
    await (await branches(store, 'young').create('b')).addItems([{ role: 'user', content: 'x' }]);

    const rule = { expired: '30d' } as const;
    const report = await complianceReport(store, { rule, keys });
    const { expired } = await retention(store, rule).run({ dryRun: true });
    expect(expired).toEqual({ items: 3, sessions: 1 });
    expect(report).toMatchObject({
      totals: { conversations: 3, subjects: 2, withoutSubject: 0 },
      overdue: 3,
      keys: {
        keys: [{ kid: 'k', state: 'current', opens: true, records: 14 }],
        missing: { records: 0 },
        destroyed: { records: 0 },
      },
      holds: [{ id: 'h', sessionId: 'held', sessions: 1, items: 2, placedBy: 'counsel' }],
      returned: [],
      records: { unsealed: 0 },
    });
    expect(report.kinds.find(({ kind }) => kind === 'branch')).toMatchObject({ sessions: 1, items: 5 });
    expect(report.itemsByAge.find(({ from }) => from === 30 * DAY)).toEqual({
      from: 30 * DAY,
      to: 90 * DAY,
      kept: 0,
      due: 3,
      held: 2,
    });
    expect(report.dueSessions.map(({ id, subject, items, held }) => ({ id, subject, items, held }))).toEqual(
      expect.arrayContaining([
        { id: 'old', subject: 'p1', items: 3, held: false },
        { id: 'held', subject: 'p1', items: 2, held: true },
      ]),
    );
    expect(report.dueSessions).toHaveLength(2);
  });
});
