import { execFile } from 'node:child_process';
import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import type { Session } from '@openai/agents';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateKey } from '../../src/keys/generate-key.ts';
import { keyring } from '../../src/keys/keyring.ts';
import { memoryDekStore } from '../../src/keys/memory-dek-store.ts';
import { audit } from '../../src/layers/audit.ts';
import { authorize } from '../../src/layers/authorize.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { expire } from '../../src/layers/expire.ts';
import { hold } from '../../src/operations/holds.ts';
import { eraseSession, retention, type RetentionOptions } from '../../src/operations/retention.ts';
import {
  auditFile,
  auditLines,
  complianceReport,
  renderReport,
  type ComplianceReport,
} from '../../src/report/index.ts';
import { DEK_STORE } from '../../src/session-contract.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { fakeClock } from '../../src/testing/fake-clock.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { coded, failure } from '../crypto/failure.ts';
import { temporaryFolder } from '../stores/folder.ts';
import { reviewStore, SECRET, type ReviewStore } from './review-store.ts';

const file = temporaryFolder();
const DAY = 86_400_000;

const message = (content: string) => ({ type: 'message' as const, role: 'user' as const, content });
const codes = ({ findings }: ComplianceReport): string[] => findings.map(({ code }) => code);
const due = ({ itemsByDue }: ComplianceReport): number => itemsByDue.reduce((sum, each) => sum + each.due, 0);

describe('the report of a year of use', () => {
  let review: ReviewStore;
  let report: ComplianceReport;
  let database: DatabaseSync;

  beforeAll(async () => {
    review = await reviewStore(file('.'));
    const { sessions, rule, keys, receipts, receiptKey, log } = review;
    report = await complianceReport(sessions, {
      name: 'production',
      rule,
      keys,
      receipts,
      receiptKeys: [receiptKey],
      auditLog: auditLines(log),
      actor: 'auditor',
      purpose: 'yearly review',
    });
    database = new DatabaseSync(review.database, { readOnly: true });
    // A branch shares the records of its beginning: they are items of both histories.
    database.exec(`CREATE TEMP VIEW histories AS SELECT * FROM strongroom_items UNION ALL
      SELECT i.key, s.session, i.seq, i.head, i.dek, i.written_at, i.expires_at, i.born_at, i.wrapped, i.body, i.origin
      FROM strongroom_shares s JOIN strongroom_items i ON i.session = s.base AND i.seq <= s.high`);
  });
  afterAll(async () => {
    database.close();
    await review.sessions.close();
  });

  /** The one number that a query returns. */
  const sql = (query: string, ...values: (string | number)[]): number =>
    Object.values(database.prepare(query).get(...values) as object)[0] as number;

  test('counts what the tables hold', () => {
    const { totals, records, kinds } = report;
    expect(totals).toMatchObject({
      conversations: sql(
        `SELECT count(DISTINCT s.key) FROM strongroom_sessions s JOIN histories i ON i.session = s.key WHERE s.root IS NULL`,
      ),
      sessions: sql('SELECT count(DISTINCT session) FROM histories'),
      items: sql('SELECT count(*) FROM histories'),
      bytes: sql(
        'SELECT sum(octet_length(body) + ifnull(octet_length(head), 0) + ifnull(octet_length(wrapped), 0)) FROM histories',
      ),
      subjects: sql(
        `SELECT count(DISTINCT subject) FROM strongroom_sessions s WHERE EXISTS (SELECT 1 FROM histories WHERE session = s.key)`,
      ),
      oldestAt: sql('SELECT min(written_at) FROM histories'),
      newestAt: sql('SELECT max(written_at) FROM histories'),
    });
    expect(records.sealed).toBe(sql('SELECT count(*) FROM histories WHERE dek IS NOT NULL'));
    expect(records.unsealed).toBe(0);
    expect(kinds.reduce((sum, { items }) => sum + items, 0)).toBe(totals.items);
  });

  test('has each item in one class of its age, as the columns of the database give it', () => {
    for (const { from = 0, to = Number.MAX_SAFE_INTEGER, kept, due: late, held } of report.itemsByAge) {
      const count = sql(
        `SELECT count(*) FROM (SELECT ?1 - iif(born_at < 8640000000000000, born_at, written_at) AS age FROM histories)
         WHERE age >= ?2 AND age < ?3`,
        report.at,
        from,
        to,
      );
      expect(kept + late + held).toBe(count);
    }
    expect(report.itemsByAge.map(({ from }) => from)).toContain(60 * DAY);
  });

  test('finds due what a run of the rule would delete, and held what a hold keeps', async () => {
    const { expired, deleted, held } = await retention(review.sessions, review.rule).run({ dryRun: true });
    expect(expired.items).toBeGreaterThan(0);
    const doomed = deleted.flatMap((id) => [id]);
    const dueItems = sql(
      `SELECT count(*) FROM histories i JOIN strongroom_sessions s ON s.key = i.session
       WHERE s.id IN (${doomed.map(() => '?').join(',')}) OR
         (coalesce(i.born_at, i.written_at) <= ${report.at - 60 * DAY} AND s.id NOT IN (SELECT session FROM strongroom_holds WHERE released_at IS NULL))`,
      ...doomed,
    );
    expect(due(report)).toBe(dueItems);
    expect(report.dueSessions.filter((session) => session.held).map(({ id }) => id)).toEqual(held);
    expect(codes(report)).toContain('overdue');
  });

  test('has the data keys of each key, and the records under them', () => {
    for (const { kid, dataKeys, sessions, records, oldestAt } of report.keys.keys) {
      expect(dataKeys).toBe(
        sql(
          'SELECT count(*) FROM strongroom_deks WHERE kid = ? AND wrapped IS NOT NULL AND destroyed_at IS NULL',
          kid,
        ),
      );
      expect(sessions).toBe(
        sql(
          'SELECT count(DISTINCT session) FROM strongroom_deks WHERE kid = ? AND destroyed_at IS NULL',
          kid,
        ),
      );
      expect(records).toBe(
        sql('SELECT count(*) FROM histories i JOIN strongroom_deks d ON d.key = i.dek WHERE d.kid = ?', kid),
      );
      expect(oldestAt ?? 0).toBe(
        sql(
          'SELECT ifnull(min(created_at), 0) FROM strongroom_deks WHERE kid = ? AND destroyed_at IS NULL',
          kid,
        ),
      );
    }
    expect(report.keys.keys.map(({ kid, state, opens }) => [kid, state, opens])).toEqual([
      ['2026-summer', 'current', true],
      ['2026-spring', 'previous', true],
    ]);
    const inTable = sql('SELECT count(*) FROM strongroom_deks WHERE destroyed_at IS NULL');
    expect(report.keys.ages.reduce((sum, { dataKeys }) => sum + dataKeys, 0)).toBe(inTable);
  });

  test('lists holds with what they keep, and receipts that it verified', () => {
    expect(
      report.holds.map(({ id, sessionId, items, releasedBy }) => ({ id, sessionId, items, releasedBy })),
    ).toEqual([
      {
        id: 'case-7',
        sessionId: 'chat-38',
        items: sql(
          `SELECT count(*) FROM histories i JOIN strongroom_sessions s ON s.key = i.session WHERE s.id = 'chat-38'`,
        ),
        releasedBy: undefined,
      },
      expect.objectContaining({ id: 'case-9', items: 0, releasedBy: 'counsel' }),
    ]);
    expect(report.erasures).toMatchObject([
      { name: 'R-1041.jws', signature: 'verified', subject: 'person-13', by: 'privacy desk', foundAgain: 0 },
      { name: 'R-1077.jws', signature: 'verified', subject: 'person-2', foundAgain: 0 },
    ]);
  });

  test('counts calls and redactions as the lines of the audit log have them', async () => {
    await review.flush();
    const lines = readFileSync(review.log, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.filter(({ actor }) => actor === 'auditor')).toMatchObject([
      { operation: 'checkKeys' },
      { operation: 'checkKeys' },
      { operation: 'report', purpose: 'yearly review', outcome: 'success' },
    ]);
    // All calls that had ended before the log was read.
    const before = lines.slice(
      0,
      lines.findIndex(({ actor }) => actor === 'auditor'),
    );
    const counted = (outcome: string): number => before.filter((line) => line['outcome'] === outcome).length;
    const { log } = report;
    expect(log?.calls).toMatchObject({ success: counted('success'), failure: counted('failure') });
    expect(log?.calls.byActor.find(({ name }) => name === 'mallory')).toMatchObject({
      success: 0,
      failure: 3,
    });
    expect(log?.calls.byError).toEqual([{ error: 'ERR_ACCESS_DENIED', calls: 3 }]);
    const cards = lines
      .filter(({ type }) => type === 'redaction')
      .reduce((sum, { counts }) => sum + ((counts as Record<string, number>)['CREDIT_CARD'] ?? 0), 0);
    expect(cards).toBeGreaterThan(0);
    expect(log?.redactions.byEntity.find(({ entity }) => entity === 'CREDIT_CARD')?.count).toBe(cards);
    const overTime = log?.redactions.overTime.periods.reduce(
      (sum, { counts }) => sum + (counts['CREDIT_CARD'] ?? 0),
      0,
    );
    expect(overTime).toBe(cards);
  });

  test('has nothing of the content, neither as JSON nor as a page, and the page escapes ids', () => {
    const page = renderReport(report);
    for (const text of [JSON.stringify(report), page]) {
      expect(text).not.toContain(SECRET);
      expect(text).not.toContain('guest0@example.org');
    }
    expect(page).toContain('Case 7: &lt;b&gt;claim&lt;/b&gt; of a customer');
    expect(page).not.toMatch(/<script|<img|<b>|javascript:/);
    expect(page).not.toMatch(/(?:src|href)="(?!#|data:,")/);
  });
});

describe('the rule', () => {
  async function reported(
    rule: RetentionOptions,
    fill: (store: Store<Session>, clock: ReturnType<typeof fakeClock>) => Promise<void>,
  ) {
    const clock = fakeClock();
    await using store = openSqlite(':memory:', { clock });
    await fill(store, clock);
    const dryRun = await retention(store, rule).run({ dryRun: true });
    return { report: await complianceReport(store, { rule }), dryRun };
  }

  test('counts a session with its derived sessions, items above keepLast, and holds as a run does', async () => {
    const { report, dryRun } = await reported({ maxIdle: '30d', keepLast: 2 }, async (store, clock) => {
      await store.session('silent').addItems([message('1'), message('2')]);
      await store.session('~branch~b~silent', { derived: true }).addItems([message('1')]);
      await store.session('held').addItems([message('1'), message('2'), message('3')]);
      await hold(store, { sessionId: 'held', reason: 'case' });
      clock.advance('31d');
      await store
        .session('long')
        .addItems([message('1'), message('2'), message('3'), message('4'), message('5')]);
    });
    expect(dryRun).toMatchObject({
      deleted: ['silent'],
      derived: { branch: 1 },
      trimmed: { items: 3 },
      held: ['held'],
    });
    expect(due(report)).toBe(3);
    expect(report.trimmable).toBe(dryRun.trimmed.items);
    expect(report.itemsByDue.reduce((sum, { held }) => sum + held, 0)).toBe(3);
    expect(codes(report)).toEqual(expect.arrayContaining(['trimmable', 'held']));
  });

  test('counts what is left of a conversation that is gone, and keeps all of one with a hold in it, as a run does', async () => {
    const { report, dryRun } = await reported({ maxAge: '30d' }, async (store, clock) => {
      const write = async (...ids: string[]): Promise<void> => {
        for (const id of ids) await store.session(id, { derived: true }).addItems([message('1')]);
      };
      await write('~vault~~gone', '~archive~~gone', '~keys~~used');
      await write('held', '~branch~a~held', '~branch~b~held', '~vault~~held');
      await write('~branch~a~left', '~branch~b~left');
      for (const root of ['held', 'left']) {
        await hold(store, { sessionId: `~branch~a~${root}`, reason: 'case' });
      }
      clock.advance('31d');
      await write('~archive~~used');
    });
    expect(dryRun).toMatchObject({
      deleted: ['~archive~~gone', '~vault~~gone'],
      held: ['held', '~branch~a~held', '~branch~a~left', '~branch~b~held', '~branch~b~left'],
    });
    expect(due(report)).toBe(2);
    expect(report.itemsByDue.reduce((sum, { held }) => sum + held, 0)).toBe(6);
  });

  test('of stamps is kept from what is under a hold', async () => {
    const clock = fakeClock();
    await using bare = openSqlite(':memory:', { clock });
    const store = wrapStore(bare, [
      expire({ after: '10d', clock }),
      encrypt({ keys: keyring({ current: await generateKey() }) }),
    ]);
    for (const id of ['free', 'held']) await store.session(id).addItems([message('1')]);
    await hold(store, { sessionId: 'held', reason: 'case' });
    clock.advance('11d');
    const { itemsByDue, overdue } = await complianceReport(store);
    expect(itemsByDue.filter((each) => each.due + each.held > 0)).toEqual([
      { from: -DAY, to: 0, kept: 0, due: 1, held: 1 },
    ]);
    expect(overdue).toBe(0);
  });

  test('is overdue after a day, and not before', async () => {
    const fill = async (
      store: Store<Session>,
      clock: ReturnType<typeof fakeClock>,
      after: number,
    ): Promise<void> => {
      await store.session('a').addItems([message('1')]);
      clock.advance(after);
    };
    const early = await reported({ expired: '30d' }, (store, clock) => fill(store, clock, 31 * DAY));
    expect(early.report.overdue).toBe(0);
    expect(codes(early.report)).toContain('due');
    const late = await reported({ expired: '30d' }, (store, clock) => fill(store, clock, 31 * DAY + 1));
    expect(late.report.overdue).toBe(1);
    expect(late.report.itemsByAge.find(({ from }) => from === 30 * DAY)).toMatchObject({
      to: 90 * DAY,
      due: 1,
    });
  });

  test('that is none is that of the stamps; items without one are reported', async () => {
    const clock = fakeClock();
    await using store = openSqlite(':memory:', { clock });
    await store.session('a').addItems([message('1')]);
    const report = await complianceReport(store);
    expect(report.rule).toEqual({ expired: true });
    expect(report).toMatchObject({ itemsWithoutEnd: 1, overdue: 0 });
    expect(codes(report)).toEqual(expect.arrayContaining(['unsealed', 'no-end', 'no-log', 'no-subject']));
  });

  test('with an unknown member is refused', async () => {
    await using store = openSqlite(':memory:');
    expect(await failure(() => complianceReport(store, { rule: { maxAgee: '1d' } as never }))).toEqual(
      coded('ERR_INVALID_OPTION', /unknown option "maxAgee"/),
    );
    expect(await failure(() => complianceReport({} as never))).toEqual(
      coded('ERR_UNSUPPORTED', /^report needs a store of strongroom/),
    );
    expect(await failure(() => complianceReport(store, { receipts: ['x'] as never }))).toEqual(
      coded('ERR_INVALID_OPTION', /receipts/),
    );
  });
});

describe('keys', () => {
  test('that are missing, destroyed, inline or unknown to the keyring are told apart', async () => {
    const dekStore = memoryDekStore();
    const keys = keyring({ current: { ...(await generateKey()), kid: 'old' } });
    await using bare = openSqlite(':memory:');
    const elsewhere = wrapStore(bare, [encrypt({ keys, dekStore })]);
    await elsewhere.session('elsewhere').addItems([message('1'), message('2')]);
    await wrapStore(bare, [encrypt({ keys, dekStore: 'inline' })])
      .session('inline')
      .addItems([message('1')]);
    const shredded = elsewhere.session('shredded');
    await shredded.addItems([message('1'), message('2'), message('3')]);
    // As after the loss of the rows' deletion: the keys are gone and the rows are still there.
    await dekStore.destroy('shredded');
    // A key that is in two places, as during a move of the keys, is one key.
    for await (const record of dekStore.list({ sessionId: 'elsewhere' })) {
      await bare.session('elsewhere')[DEK_STORE].put(record);
    }
    const whole = await complianceReport(elsewhere, { keys });
    expect(whole.keys).toMatchObject({
      keys: [{ kid: 'old', dataKeys: 2, sessions: 2, records: 3, opens: true }],
      destroyed: { dataKeys: 1, records: 3 },
      missing: { dataKeys: 0, records: 0 },
    });
    await bare.session('elsewhere')[DEK_STORE].destroy('elsewhere');
    const other = await complianceReport(bare, { keys: keyring({ current: await generateKey() }) });
    // Without its layers the store does not know the other place.
    expect(other.keys).toMatchObject({
      missing: { dataKeys: 1, records: 3 },
      destroyed: { dataKeys: 1, records: 2 },
    });
    expect(other.keys.keys.find(({ kid }) => kid === 'old')).toMatchObject({
      state: 'unknown',
      opens: false,
      dataKeys: 1,
    });
    expect(codes(other).slice(0, 2)).toEqual(['key-missing', 'key-closed']);
  });
});

describe('erasures', () => {
  test('that a restored backup undid are found by receipt and by tombstone; a changed receipt is not believed', async () => {
    const clock = fakeClock(Date.now());
    const { generateKeyPair, exportJWK } = await import('jose');
    const pair = await generateKeyPair('ES256', { extractable: true });
    const other = await exportJWK((await generateKeyPair('ES256')).publicKey);
    const [receiptKey, publicKey] = [await exportJWK(pair.privateKey), await exportJWK(pair.publicKey)];
    const keys = keyring({ current: await generateKey() });
    const dekStore = memoryDekStore({ clock });
    const open = (path: string) => wrapStore(openSqlite(path, { clock }), [encrypt({ keys, dekStore })]);
    await using store = open(file('before.db'));
    await store.session('gone').addItems([message('1')]);
    await store.close();
    copyFileSync(file('before.db'), file('backup.db'));
    await using again = open(file('before.db'));
    clock.advance('1d');
    const { receipt = '' } = await eraseSession(again, 'gone', { receiptKey });
    await using restored = open(file('backup.db'));
    const changed = receipt.replace(/\.(.)/, (_, first: string) => `.${first === 'A' ? 'B' : 'A'}`);
    const given = [
      { name: 'a', receipt },
      { name: 'b', receipt: changed },
      { name: 'c', receipt: 'none' },
    ];
    const report = await complianceReport(restored, { receipts: given, receiptKeys: [other, publicKey] });
    expect(report.erasures).toEqual([
      expect.objectContaining({
        name: 'a',
        signature: 'verified',
        sessionId: 'gone',
        records: 1,
        keys: 1,
        foundAgain: 1,
      }),
      { name: 'b', signature: 'invalid' },
      { name: 'c', signature: 'invalid' },
    ]);
    expect(report.returned).toEqual([{ id: 'gone', erasedAt: clock() }]);
    expect(codes(report)).toEqual(expect.arrayContaining(['returned', 'found-again', 'receipt-invalid']));
    const unchecked = await complianceReport(again, { receipts: given });
    expect(unchecked.erasures.map(({ name, signature }) => [name, signature])).toEqual([
      ['a', 'unchecked'],
      ['b', 'invalid'],
      ['c', 'invalid'],
    ]);
    expect(unchecked.returned).toEqual([]);
  });
});

describe('the audit log', () => {
  test('is appended by several writers, a line an event, readable for its owner only', async () => {
    const path = file('shared.jsonl');
    const [one, other] = [auditFile(path), auditFile(path)];
    const event = {
      time: 0,
      sessionId: 's',
      operation: 'getItems',
      outcome: 'success',
      durationMs: 1,
    } as const;
    await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        (index % 2 === 0 ? one : other).write({ ...event, time: index }),
      ),
    );
    const lines: unknown[] = [];
    for await (const line of auditLines(path)) lines.push(JSON.parse(line));
    expect(lines).toHaveLength(50);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await failure(() => auditFile(file('none/log')).write(event))).toMatchObject({ code: 'ENOENT' });
    expect(await failure(() => auditFile(''))).toEqual(coded('ERR_INVALID_OPTION', /path/));
  });

  const event = { sessionId: 's', operation: 'getItems', outcome: 'success', durationMs: 1 } as const;
  const timesIn = async (path: string): Promise<unknown[]> => {
    const times: unknown[] = [];
    for await (const line of auditLines(path)) {
      try {
        times.push((JSON.parse(line) as { time?: unknown }).time);
      } catch {
        times.push('half');
      }
    }
    return times;
  };

  test.each([
    ['by a process that ended', '{"time":1,"session'],
    ['in the middle of a character', Buffer.from([...Buffer.from('{"time":1,"actor":"'), 0xe2, 0x82])],
    ['without its line break only', JSON.stringify({ ...event, time: 1 })],
  ])('begins a new line after one that was written in part, %s', async (_name, half) => {
    const path = file('half.jsonl');
    const whole = `${JSON.stringify({ ...event, time: 0 })}\n`;
    writeFileSync(path, Buffer.concat([Buffer.from(whole), Buffer.from(half)]));
    await auditFile(path).write({ ...event, time: 2 });
    await auditFile(path).write({ ...event, time: 3 });
    const isWhole = typeof half === 'string' && half.endsWith('}');
    expect(await timesIn(path)).toEqual([0, isWhole ? 1 : 'half', 2, 3]);
  });

  test('begins a new line after a write that the file system refused in the middle', async () => {
    const path = file('refused.jsonl');
    // A file of more than 4 KiB is refused, as on a full disk.
    const code = `
      import { auditFile } from ${JSON.stringify(new URL('../../src/report/audit-file.ts', import.meta.url).href)};
      const log = auditFile(${JSON.stringify(path)});
      const event = ${JSON.stringify(event)};
      const failed = [];
      for (let time = 0; time < 100; time++)
        await log.write({ ...event, time }).catch(({ code }) => failed.push([time, code]));
      console.log(JSON.stringify(failed));
    `;
    const { stdout } = await promisify(execFile)('sh', [
      '-c',
      'ulimit -f 8; exec "$@"',
      'sh',
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      '--input-type=module',
      '-e',
      code,
    ]);
    const failed = JSON.parse(stdout) as [number, string][];
    expect(failed.length).toBeGreaterThan(0);
    expect(new Set(failed.map(([, reason]) => reason))).toEqual(new Set(['EFBIG']));
    await auditFile(path).write({ ...event, time: 100 });
    const written = Array.from({ length: 100 }, (_, time) => time).filter(
      (time) => !failed.some(([lost]) => lost === time),
    );
    const times = await timesIn(path);
    expect(times.filter((time) => time !== 'half')).toEqual([...written, 100]);
    expect(times).toContain('half');
  });

  test('takes events into what is no file, such as a device', async () => {
    await auditFile('/dev/null').write({ ...event, time: 1 });
    expect(await timesIn('/dev/null')).toEqual([]);
  });

  test('is read line by line as it was written: no character of a JSON text ends a line', async () => {
    const path = file('separators.jsonl');
    const actor = 'a\u2028b\u2029c\u0085d';
    const event = {
      time: 1,
      sessionId: 's',
      operation: 'getItems',
      outcome: 'success',
      durationMs: 1,
    } as const;
    await auditFile(path).write({ ...event, actor });
    writeFileSync(path, `${JSON.stringify({ ...event, actor: 'last' })}\r\n`, { flag: 'a' });
    await using store = openSqlite(':memory:');
    const { log } = await complianceReport(store, { auditLog: auditLines(path) });
    expect(log).toMatchObject({ lines: 2, unreadable: 0 });
    expect(log?.calls.byActor.map(({ name }) => name)).toEqual([actor, 'last']);
  });

  test('with other lines is counted without them, and hostile times and names stay bounded', async () => {
    const path = file('hostile.jsonl');
    const line = { operation: 'getItems', outcome: 'success' };
    const lines = [
      'no json',
      '[]',
      'null',
      '{"time":1}',
      JSON.stringify({ ...line, time: 9e15 }),
      JSON.stringify({ type: 'redaction', time: 1, counts: { A: -1 } }),
      ...Array.from({ length: 3_000 }, (_, index) =>
        JSON.stringify({ ...line, time: DAY * 365 * index, actor: `actor-${index}` }),
      ),
      JSON.stringify({ ...line, time: -8.64e15, actor: '__proto__' }),
    ];
    writeFileSync(path, `${lines.join('\n')}\n\n`);
    await using store = openSqlite(':memory:');
    const { log, findings } = await complianceReport(store, { auditLog: auditLines(path) });
    expect(log).toMatchObject({ lines: 3_007, unreadable: 7 });
    expect(log?.calls.byActor.length).toBeLessThanOrEqual(1_001);
    expect(log?.calls.overTime).toMatchObject({ unit: 'month' });
    expect(log?.calls.overTime.periods).toHaveLength(31);
    expect(findings.find(({ code }) => code === 'log-lines')?.text).toBe(
      '7 lines of the audit log are not understood and not counted.',
    );
  });
});

test('a report is a call that authorize() can refuse, and ends when its signal does', async () => {
  const events: unknown[] = [];
  await using bare = openSqlite(':memory:');
  await bare.session('a').addItems([message('1')]);
  const store = wrapStore(bare, [
    audit({ sink: (event) => void events.push(event) }),
    authorize({ check: ({ actor }) => actor === 'auditor' }),
  ]);
  expect(await failure(() => complianceReport(store))).toEqual(coded('ERR_ACCESS_DENIED', /report/));
  const { layers } = await complianceReport(store, { actor: 'auditor' });
  expect(layers).toEqual(['audit', 'authorize']);
  expect(events).toMatchObject([
    { operation: 'report', outcome: 'failure' },
    { operation: 'report', outcome: 'success', actor: 'auditor' },
  ]);
  expect(await failure(() => complianceReport(bare, { actor: 'x' }))).toEqual(
    coded('ERR_INVALID_OPTION', /no layers/),
  );
  const ended = new Error('ended');
  expect(await failure(() => complianceReport(bare, { signal: AbortSignal.abort(ended) }))).toBe(ended);
});
