import { Agent, OpenAIResponsesModel, run, type AgentInputItem } from '@openai/agents';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { createPool } from 'mysql2/promise';
import { Pool } from 'pg';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { branches, sessionUsage, turns, usageByTurn } from '../../src/history/index.ts';
import {
  cache,
  encrypt,
  expire,
  generateKey,
  keyring,
  redact,
  wrapStore,
  type Keyring,
} from '../../src/index.ts';
import { eraseSession } from '../../src/operations/retention.ts';
import { readPythonStore, type PythonMigrationReport } from '../../src/operations/python-store.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import type { Store } from '../../src/stores/store.ts';
import { coded, failure } from '../crypto/failure.ts';
import { temporaryFolder } from '../stores/folder.ts';
import { announce, uniqueName } from '../stores/servers.ts';

const file = temporaryFolder();
const SCRIPT = new URL('../../tools/python-sessions.py', import.meta.url).pathname;
const PYTHON = '/usr/bin/python3';
const KEY = 'correct horse battery staple';

const hasPython = (() => {
  try {
    execFileSync(PYTHON, ['-c', 'import cryptography'], { stdio: 'ignore' });
    return true;
  } catch {
    const message =
      'SKIPPED: databases of the Python SDK: /usr/bin/python3 with python3-cryptography is not here.';
    if (process.env['CI'] !== undefined) throw new Error(message);
    console.warn(message);
    return false;
  }
})();

const made = new Map<string, string>();

/** A database as the class writes it; each kind is made once. */
function written(kind: 'sqlite' | 'advanced' | 'alchemy', ...more: string[]): string {
  const name = JSON.stringify([kind, ...more]);
  const from = made.get(name) ?? file(`${uniqueName(kind)}.db`);
  if (!made.has(name)) execFileSync(PYTHON, [SCRIPT, kind, from, ...more]);
  made.set(name, from);
  const copy = file(`${uniqueName(kind)}.db`);
  copyFileSync(from, copy);
  return copy;
}

/** Python does not switch foreign keys on. */
function edited(path: string): DatabaseSync {
  return new DatabaseSync(path, { enableForeignKeyConstraints: false });
}

function statements(kind: 'postgres' | 'mysql', ...more: string[]): string[] {
  return execFileSync(PYTHON, [SCRIPT, kind, '-', ...more], { encoding: 'utf8' })
    .trimEnd()
    .split('\n');
}

let jwk: Awaited<ReturnType<typeof generateKey>>;
let keys: Keyring;
beforeAll(async () => {
  jwk = await generateKey();
  keys = keyring({ current: jwk });
});

const DAY = 86_400_000;
/** Every layer that changes what is stored. */
const full = (
  store: Store,
  more: { readonly clock?: () => number; readonly after?: `${number}d` } = {},
): Store =>
  wrapStore(store, [
    redact({ entities: ['EMAIL_ADDRESS'] }),
    expire({ after: more.after ?? '3650d', ...(more.clock && { clock: more.clock }) }),
    cache({ maxItems: 1_000 }),
    encrypt({ keys }),
  ]);

async function listOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

function target(): Store {
  const store = openSqlite(':memory:');
  onTestFinished(() => store.close());
  return store;
}

const message = (role: string, content: unknown): AgentInputItem =>
  ({ type: 'message', role, content }) as AgentInputItem;
const answer = (text: string): AgentInputItem =>
  ({
    id: `msg_${text.replaceAll(' ', '_')}`,
    ...message('assistant', [{ type: 'output_text', text }]),
    status: 'completed',
  }) as AgentInputItem;
const call = (number: number, name: string, input: string): AgentInputItem => ({
  id: `fc_${number}`,
  type: 'function_call',
  callId: `call_${number}`,
  name,
  arguments: input,
  status: 'completed',
});

const FIRST: AgentInputItem[] = [
  message('user', 'What is 2+2? ü🔑'),
  {
    id: 'rs_1',
    type: 'reasoning',
    content: [{ type: 'input_text', text: 'hm' }],
    providerData: { encrypted_content: 'gAAA' },
  },
  call(1, 'add', '{"a": 2, "b": 2}'),
  {
    type: 'function_call_result',
    callId: 'call_1',
    name: 'add',
    status: 'completed',
    output: { type: 'text', text: '4' },
  },
  answer('It is 4.'),
];
const SECOND: AgentInputItem[] = [
  message('user', 'And the picture?'),
  call(2, 'draw', '{}'),
  {
    type: 'function_call_result',
    callId: 'call_2',
    name: 'draw',
    status: 'completed',
    output: [
      { type: 'input_text', text: 'here' },
      { type: 'input_image', image: 'https://example.com/a.png', detail: 'auto' },
    ],
  },
  {
    type: 'unknown',
    id: 'ws_1',
    providerData: {
      type: 'web_search_call',
      status: 'completed',
      action: { type: 'search', query: 'strong rooms', sources: null },
    },
  },
  answer('Here it is.'),
];
const NOTHING: PythonMigrationReport = {
  sessions: 0,
  empty: 0,
  branches: 0,
  items: 0,
  before: 0,
  usage: 0,
  rows: 0,
  orphans: 0,
  unreadable: 0,
  kept: {},
  erased: [],
  conflicts: [],
};

describe.skipIf(!hasPython)('a database of the Python SDK', () => {
  describe.each([
    ['without encryption', undefined],
    ['below EncryptedSession', KEY],
  ])('%s', (_, key) => {
    const more = key === undefined ? [] : ['--key', key];
    const options = key === undefined ? {} : { encryptionKey: key };

    it.each([
      ['bare', (store: Store) => store],
      ['with every layer', (store: Store) => full(store)],
    ])('of SQLiteSession is adopted whole into a store that is %s, once', async (_stack, wrap) => {
      const sessions = wrap(target());
      await using python = readPythonStore({ sqlite: written('sqlite', ...more) }, options);
      const expected = { ...NOTHING, sessions: 2, empty: 1, rows: 20, kept: { web_search_call: 2 } };
      expect(await python.migrate(sessions, { dryRun: true })).toEqual(expected);
      expect(await listOf(sessions.sessions())).toEqual([]);
      expect(await python.migrate(sessions)).toEqual({ ...expected, items: 20 });
      expect(await python.migrate(sessions)).toEqual({ ...expected, before: 20 });
      expect((await listOf(sessions.sessions())).map(({ id }) => id)).toEqual(['user-0', 'user-1']);
      expect(await sessions.session('user-1').getItems()).toEqual([...FIRST, ...SECOND]);
    });

    it('of SQLAlchemySession in SQLite is read in its order, by time', async () => {
      const sessions = full(target());
      await using python = readPythonStore({ sqlite: written('alchemy', ...more) }, options);
      expect(await python.migrate(sessions)).toEqual({
        ...NOTHING,
        sessions: 3,
        rows: 22,
        items: 22,
        kept: { web_search_call: 2 },
      });
      expect(await sessions.session('Ä b').getItems()).toEqual([...FIRST, ...SECOND]);
      const clock = [message('user', 'first'), message('user', 'second')];
      expect(await sessions.session('clock').getItems()).toEqual(clock);
    });

    it('of SQLAlchemySession in PostgreSQL is adopted whole', async (context) => {
      const { url, absent } = await announce('PostgreSQL', 'Python sessions in PostgreSQL');
      context.skip(absent, 'PostgreSQL does not answer');
      const prefix = `${uniqueName('py')}_`;
      await using pool = Object.assign(new Pool({ connectionString: url, max: 2 }), {
        async [Symbol.asyncDispose](this: Pool) {
          await this.query(`DROP TABLE "${prefix}agent_messages", "${prefix}agent_sessions"`);
          await this.end();
        },
      });
      for (const sql of statements('postgres', '--prefix', prefix, ...more)) await pool.query(sql);
      expect(await adoptedFromServer({ postgres: url }, prefix)).toMatchObject(whole);
      expect(await adoptedFromServer({ postgres: pool }, prefix)).toMatchObject(whole);
    });

    it('of SQLAlchemySession in MariaDB is adopted whole', async (context) => {
      const { url, absent } = await announce('MariaDB', 'Python sessions in MariaDB');
      context.skip(absent, 'MariaDB does not answer');
      const prefix = `${uniqueName('py')}_`;
      await using pool = Object.assign(createPool({ uri: url, charset: 'utf8mb4', timezone: 'Z' }), {
        async [Symbol.asyncDispose](this: ReturnType<typeof createPool>) {
          await this.query(`DROP TABLE \`${prefix}agent_messages\`, \`${prefix}agent_sessions\``);
          await this.end();
        },
      });
      for (const sql of statements('mysql', '--prefix', prefix, ...more)) await pool.query(sql);
      expect(await adoptedFromServer({ mysql: url }, prefix)).toMatchObject(whole);
      expect(await adoptedFromServer({ mysql: pool as never }, prefix)).toMatchObject(whole);
    });

    const whole = { sessions: 3, rows: 22, items: 22, conflicts: [] };

    async function adoptedFromServer(
      database: Parameters<typeof readPythonStore>[0],
      prefix: string,
    ): Promise<PythonMigrationReport> {
      const sessions = full(target());
      await using python = readPythonStore(database, {
        ...options,
        sessionsTable: `${prefix}agent_sessions`,
        messagesTable: `${prefix}agent_messages`,
      });
      const report = await python.migrate(sessions);
      expect(await sessions.session('Ä b').getItems()).toEqual([...FIRST, ...SECOND]);
      expect(await sessions.session('clock').getItems()).toMatchObject([
        { content: 'first' },
        { content: 'second' },
      ]);
      expect((await python.session('user-0')).branches[0]?.times[0]).toEqual(expect.any(Number));
      expect((await python.session('nobody')).rows).toBe(0);
      return report;
    }
  });

  it('is opened with a Fernet key, too', async () => {
    const key = 'c3Ryb25ncm9vbXN0cm9uZ3Jvb21zdHJvbmdyb29tMTI=';
    await using python = readPythonStore(
      { sqlite: written('sqlite', '--key', key, '--sessions', '1') },
      { encryptionKey: key },
    );
    expect((await python.session('user-0')).branches[0]?.items).toEqual([...FIRST, ...SECOND]);
  });

  describe('of AdvancedSQLiteSession', () => {
    it('is adopted with branches, turns and usage, once', async () => {
      const sessions = full(target());
      await using python = readPythonStore({ sqlite: written('advanced') });
      const report = await python.migrate(sessions);
      expect(report).toEqual({
        ...NOTHING,
        sessions: 3,
        branches: 3,
        items: 10 + 7 + 7 + 2 + 4 + 5,
        usage: 5,
        rows: 27,
        orphans: 2,
        kept: { web_search_call: 1 },
      });
      const tree = branches(sessions, 'tree');
      expect(await tree.list()).toMatchObject([
        { name: 'main', current: true, items: 10, turns: 2 },
        { name: 'other way', items: 7, turns: 2, from: 'main', created: Date.parse('2026-01-01T00:03:00Z') },
        { name: 'third', items: 7, turns: 2, from: 'main' },
        { name: 'from nothing', items: 2, turns: 1, from: 'main' },
      ]);
      expect(await tree.session('main').getItems()).toEqual([...FIRST, ...SECOND]);
      expect(await tree.session('third').getItems()).toEqual([
        ...FIRST,
        message('user', 'A third way.'),
        answer('Yes.'),
      ]);
      expect(await sessionUsage(sessions.session('tree'))).toMatchObject({
        runs: 3,
        requests: 4,
        inputTokens: 350,
        outputTokens: 55,
        totalTokens: 405,
        cachedInputTokens: 64,
        reasoningTokens: 3,
        branches: { '': { totalTokens: 350 }, 'other way': { totalTokens: 55 } },
      });
      // Python counts the popped turn, too.
      expect((await turns(sessions.session('gaps'))).map(({ firstLine }) => firstLine)).toEqual([
        'One.',
        'Three.',
      ]);
      expect(await usageByTurn(sessions.session('gaps'))).toMatchObject([
        { turn: 1, totalTokens: 11 },
        { turn: 2, totalTokens: 33 },
      ]);
      expect(await usageByTurn(tree.session('other way'))).toMatchObject([{ turn: 2, totalTokens: 55 }]);
      expect(await python.migrate(sessions)).toEqual({ ...report, items: 0, before: report.items, usage: 0 });
      expect(await sessionUsage(sessions.session('tree'))).toMatchObject({ runs: 3, totalTokens: 405 });
    });

    it('goes on where a run was ended after a branch, and after the usage of a turn', async () => {
      const path = written('advanced');
      await using python = readPythonStore({ sqlite: path });
      const whole = full(target());
      await python.migrate(whole);
      const bare = target();
      const sessions = full(bare);
      // As often as there are writes: the store refuses one after the other.
      let allowed = 0;
      const interrupted = wrapStore(sessions, [
        {
          name: 'interrupt',
          async around(call, next) {
            if (call.kind === 'migrate' && call.sessionId !== '' && allowed-- <= 0)
              throw new Error('interrupted');
            if (call.kind === 'applyHistoryTransaction' && allowed-- <= 0) throw new Error('interrupted');
            return next();
          },
        },
      ]);
      let runs = 0;
      for (;;) {
        allowed = 1;
        runs += 1;
        const error: unknown = await python.migrate(interrupted).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        if (error === undefined) break;
        expect(error).toEqual(new Error('interrupted'));
      }
      expect(runs).toBe(6 + 5);
      for (const id of ['tree', 'gaps', 'plain']) {
        expect(await branches(sessions, id).list()).toEqual(await branches(whole, id).list());
        expect(await sessionUsage(sessions.session(id))).toEqual(await sessionUsage(whole.session(id)));
      }
      expect(await branches(sessions, 'tree').session('third').getItems()).toEqual(
        await branches(whole, 'tree').session('third').getItems(),
      );
    });
  });

  it('is migrated to its end after a kill, with nothing twice', async () => {
    const from = written('sqlite', '--sessions', '60');
    const to = file('killed.db');
    const child = spawn(
      process.execPath,
      [
        '--conditions=strongroom-source',
        '--disable-warning=ExperimentalWarning',
        new URL('python-store-process.ts', import.meta.url).pathname,
        from,
        to,
        JSON.stringify(jwk),
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    for await (const line of createInterface({ input: child.stdout })) if (line === '7') break;
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    await using store = openSqlite(to);
    const sessions = wrapStore(store, [expire({ after: '3650d' }), encrypt({ keys })]);
    const found = (await listOf(store.sessions())).length;
    // The first one is empty.
    expect(found).toBeGreaterThanOrEqual(6);
    expect(found).toBeLessThan(60);
    await using python = readPythonStore({ sqlite: from });
    const report = await python.migrate(sessions);
    expect(report).toMatchObject({ sessions: 60, rows: 600, conflicts: [] });
    expect(report.before).toBe(found * 10);
    expect(report.items).toBe(600 - found * 10);
    for (let number = 0; number < 60; number++) {
      expect(await sessions.session(`user-${number}`).getItems()).toEqual([...FIRST, ...SECOND]);
    }
  });

  it('keeps rows without a counterpart such that the SDK sends them to the model as Python did', async () => {
    const sessions = full(target());
    await using python = readPythonStore({ sqlite: written('sqlite') });
    await python.migrate(sessions);
    const requests: { readonly input: readonly unknown[] }[] = [];
    const create = async (body: (typeof requests)[number]): Promise<object> => {
      requests.push(body);
      const content = [{ type: 'output_text', text: 'Yes.', annotations: [] }];
      const output = [{ id: 'm', type: 'message', role: 'assistant', status: 'completed', content }];
      return { id: 'r', output, usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 } };
    };
    const model = new OpenAIResponsesModel({ responses: { create } } as never, 'gpt-test');
    const agent = new Agent({ name: 'Assistant', model });
    await run(agent, 'Continue.', { session: sessions.session('user-0') });
    expect(requests[0]?.input).toContainEqual({
      id: 'ws_1',
      type: 'web_search_call',
      status: 'completed',
      action: { type: 'search', query: 'strong rooms', sources: null },
    });
  });

  it('gives items their times, so that they expire and are purged as old as they are', async () => {
    const clock = (): number => Date.parse('2026-01-01T00:00:00Z') + 5 * DAY;
    const store = openSqlite(':memory:', { clock });
    onTestFinished(() => store.close());
    const sessions = full(store, { clock, after: '6d' });
    await using python = readPythonStore({ sqlite: written('sqlite') });
    expect(await python.migrate(sessions)).toMatchObject({ items: 20 });
    const later = (): number => Date.parse('2026-01-07T00:01:30Z');
    const afterwards = full(store, { clock: later, after: '6d' });
    expect(await afterwards.session('user-0').getItems()).toEqual(SECOND);
    const expired = full(target(), { clock: later, after: '1d' });
    expect(await python.migrate(expired)).toMatchObject({ items: 20, conflicts: [] });
    expect(await expired.session('user-0').getItems()).toEqual([]);
  });

  it('is redacted on the way in', async () => {
    const path = written('sqlite');
    const db = edited(path);
    db.prepare('INSERT INTO agent_messages (session_id, message_data) VALUES (?, ?)').run(
      'user-0',
      JSON.stringify({ role: 'user', content: 'Mail me: ada@example.com' }),
    );
    db.close();
    const sessions = full(target());
    await using python = readPythonStore({ sqlite: path });
    expect(await python.migrate(sessions)).toMatchObject({ items: 21 });
    const [last] = await sessions.session('user-0').getItems(1);
    expect(JSON.stringify(last)).not.toContain('ada@example.com');
  });

  it('adds nothing to a session that has other items, and reports it', async () => {
    const sessions = full(target());
    await sessions.session('user-1').addItems([message('user', 'I was here first.')]);
    await using python = readPythonStore({ sqlite: written('sqlite') });
    expect(await python.migrate(sessions)).toMatchObject({ sessions: 1, items: 10, conflicts: ['user-1'] });
    expect(await sessions.session('user-1').getItems()).toHaveLength(1);
  });

  it('reports a session that Python continued after it was migrated', async () => {
    const path = written('sqlite');
    const sessions = full(target());
    await using python = readPythonStore({ sqlite: path });
    await python.migrate(sessions);
    await sessions.session('user-1').addItems([message('user', 'Continued here.')]);
    const db = edited(path);
    db.exec(
      `INSERT INTO agent_messages (session_id, message_data) SELECT session_id, message_data FROM agent_messages WHERE id = 1`,
    );
    db.close();
    expect(await python.migrate(sessions)).toMatchObject({ sessions: 1, before: 10, conflicts: ['user-0'] });
    expect(await sessions.session('user-0').getItems()).toHaveLength(10);
    expect(await sessions.session('user-1').getItems()).toHaveLength(11);
  });

  it('refuses to end when rows came while it ran', async () => {
    const path = written('sqlite');
    const sessions = full(target());
    await using python = readPythonStore({ sqlite: path });
    const onProgress = (): void => {
      const db = edited(path);
      db.exec(
        `INSERT INTO agent_messages (session_id, message_data) VALUES ('new', '{"role":"user","content":"x"}')`,
      );
      db.close();
    };
    expect(await failure(() => python.migrate(sessions, { onProgress }))).toEqual(
      coded(
        'ERR_CONFLICT',
        /20 rows were read and the database has another number of them: Python writes to it/,
      ),
    );
  });

  it('does not bring back what was erased in the target', async () => {
    const sessions = full(target());
    await using python = readPythonStore({ sqlite: written('sqlite') });
    await python.migrate(sessions);
    await eraseSession(sessions, 'user-0', { actor: 'dpo', purpose: 'request' });
    expect(await python.migrate(sessions)).toMatchObject({ sessions: 1, items: 0, erased: ['user-0'] });
    expect(await sessions.session('user-0').getItems()).toEqual([]);
  });

  it.each([
    ['branch', 1],
    ['usage', 0],
    ['branches', 0],
  ])('does not bring back a %s that was erased alone, and copies the rest', async (kind, lost) => {
    const sessions = full(target());
    await using python = readPythonStore({ sqlite: written('advanced') });
    const first = await python.migrate(sessions);
    const before = await listOf(sessions.sessions({ derived: 'all' }));
    const id = before.find((session) => session.kind === kind)?.id ?? '';
    const root = before.find((session) => session.id === id)?.root ?? '';
    await eraseSession(sessions, id, { derived: true, actor: 'dpo', purpose: 'request' });
    const others = async (): Promise<string[]> =>
      (await listOf(sessions.sessions({ derived: 'all' }))).map((session) => session.id).toSorted();
    const left = await others();
    for (let run = 0; run < 2; run++) {
      const report = await python.migrate(sessions);
      expect(report).toMatchObject({ items: 0, usage: 0, erased: [id], conflicts: [] });
      expect(report).toMatchObject({ sessions: first.sessions, branches: first.branches - lost });
      expect(await others()).toEqual(left);
    }
    // Also in a new target of the same tombstones: what was not erased is copied.
    const main = await sessions.session(root).getItems();
    await sessions.deleteSession(root, { actor: 'dpo', purpose: 'test' });
    expect(await python.migrate(sessions)).toMatchObject({ erased: [id] });
    expect(await others()).toEqual(left);
    expect(await sessions.session(root).getItems()).toEqual(main);
  });

  it('takes other ids, subjects and a part of the sessions', async () => {
    const sessions = full(target());
    await using python = readPythonStore({ sqlite: written('sqlite') });
    const options = {
      only: (id: string) => id !== 'user-0',
      id: (id: string) => `tenant/${id}`,
      subject: (id: string) => `person of ${id}`,
    };
    expect(await python.migrate(sessions, options)).toMatchObject({ sessions: 1, empty: 1, items: 10 });
    expect(await listOf(sessions.sessions())).toMatchObject([
      { id: 'tenant/user-1', subject: 'person of user-1' },
    ]);
    expect(await failure(() => python.migrate(sessions, { id: () => 'one' }))).toEqual(
      coded('ERR_INVALID_OPTION', /would have the same id in the target\. Correct the option id\./),
    );
  });

  it('passes the layers of the target, which can refuse a session', async () => {
    const seen: string[] = [];
    const sessions = wrapStore(full(target()), [
      {
        name: 'watch',
        async around(call, next) {
          seen.push(`${call.kind} ${call.sessionId} ${call.actor}`);
          return next();
        },
      },
    ]);
    await using python = readPythonStore({ sqlite: written('sqlite') });
    await python.migrate(sessions, { actor: 'operator' });
    expect(seen.filter((each) => each.startsWith('migrate'))).toEqual([
      'migrate  operator',
      'migrate user-0 operator',
      'migrate user-1 operator',
    ]);
  });

  describe('with rows that cannot be read', () => {
    const damaged = (row: string, ...more: string[]): string => {
      const path = written('sqlite', ...more);
      const db = edited(path);
      db.prepare('UPDATE agent_messages SET message_data = ? WHERE id = 3').run(row);
      db.close();
      return path;
    };
    const migrated = async (
      path: string,
      options: Parameters<typeof readPythonStore>[1] = {},
    ): Promise<PythonMigrationReport> => {
      await using python = readPythonStore({ sqlite: path }, options);
      return python.migrate(full(target()));
    };

    it('refuses what is no JSON or no item, or skips and counts it', async () => {
      for (const row of ['{"role": ', '[1]', '7']) {
        expect(await failure(() => migrated(damaged(row)))).toEqual(
          coded('ERR_MALFORMED', /Row 3 of session "user-0" is not/),
        );
        expect(await migrated(damaged(row), { unreadable: 'skip' })).toMatchObject({
          sessions: 2,
          rows: 20,
          items: 19,
          unreadable: 1,
        });
      }
    });

    it.each(['throw', 'skip'] as const)(
      'refuses a wrong key and a missing one (unreadable: %s)',
      async (unreadable) => {
        const path = written('sqlite', '--key', KEY);
        expect(await failure(() => migrated(path, { unreadable, encryptionKey: 'another' }))).toEqual(
          coded('ERR_AUTHENTICATION', /Row 1 of session "user-0" cannot be decrypted/),
        );
        expect(await failure(() => migrated(path, { unreadable }))).toEqual(
          coded('ERR_KEY_UNKNOWN', /Row 1 of session "user-0" is encrypted\. Pass the encryption_key/),
        );
      },
    );

    it('refuses a plain row among encrypted ones, unless it is told to accept it', async () => {
      const path = damaged('{"role": "user", "content": "inserted"}', '--key', KEY);
      expect(await failure(() => migrated(path, { encryptionKey: KEY }))).toEqual(
        coded('ERR_NOT_SEALED', /Row 3 of session "user-0" is plain text/),
      );
      expect(await migrated(path, { encryptionKey: KEY, plaintext: true })).toMatchObject({ items: 20 });
    });

    it('opens rows that were encrypted under another session id', async () => {
      const path = written('sqlite', '--key', KEY);
      const db = edited(path);
      db.exec(
        `UPDATE agent_messages SET session_id = 'x-' || session_id; UPDATE agent_sessions SET session_id = 'x-' || session_id`,
      );
      db.close();
      const encryptedAs = (id: string): string => id.slice(2);
      expect(await migrated(path, { encryptionKey: KEY, encryptedAs })).toMatchObject({ items: 20 });
    });
  });

  it('refuses a database without the tables, and a target that is no store', async () => {
    const path = file('other.db');
    edited(path).exec('CREATE TABLE agent_sessions (session_id TEXT)');
    await using python = readPythonStore({ sqlite: path });
    expect(await failure(() => python.session('a'))).toEqual(
      coded(
        'ERR_INVALID_OPTION',
        /has no table "agent_messages"\. Check the database, or pass the name as messagesTable/,
      ),
    );
    await using other = readPythonStore({ sqlite: written('sqlite') });
    expect(await failure(() => other.migrate({} as never))).toEqual(
      coded('ERR_UNSUPPORTED', /the target must be a store of strongroom/),
    );
    expect(await failure(() => other.migrate(target(), { dryrun: true } as never))).toEqual(
      coded('ERR_INVALID_OPTION', /dryrun/),
    );
    await using absent = readPythonStore({ sqlite: file('absent.db') });
    expect(await failure(() => absent.session('a'))).toEqual(
      coded('ERR_STORE', /the database of Python's sessions could not be read\. See the cause/),
    );
  });
});

it('refuses options that it does not know or understand', () => {
  const open = (database: unknown, options?: unknown) => (): unknown =>
    readPythonStore(database as never, options as never);
  for (const [database, options, what] of [
    [{}, {}, /database must be \{ sqlite: path \}/],
    [{ sqlite: 'a', mysql: 'mysql://h/d' }, {}, /database must be/],
    [{ sqlite: '' }, {}, /sqlite must be the path of a file/],
    [
      { postgres: 'mysql://u:hunter2@h/d' },
      {},
      /postgres must be a postgres:\/\/ URL or a pool, got a string/,
    ],
    [{ oracle: 'a' }, {}, /database must be/],
    [{ sqlite: 'a' }, { key: 'k' }, /key/],
    [{ sqlite: 'a' }, { encryptionKey: '' }, /encryptionKey must be a non-empty text/],
    [{ sqlite: 'a' }, { messagesTable: 'a; b' }, /messagesTable must be a name/],
    [{ sqlite: 'a' }, { unreadable: 'keep' }, /unreadable must be 'throw' or 'skip'/],
    [{ sqlite: 'a' }, { plaintext: 1 }, /plaintext must be true or false/],
  ] as const) {
    expect(open(database, options)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }));
    expect(open(database, options)).toThrow(what);
    expect(open(database, options)).not.toThrow(/hunter2/);
  }
});
