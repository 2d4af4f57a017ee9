import type { Session } from '@openai/agents';
import { derivedId } from '../derived-id.ts';
import { StrongroomError } from '../errors.ts';
import { ledgerIdOf } from '../history/usage/ledger.ts';
import type { CallOrigin } from '../layer.ts';
import { atOnce, checkOptions, invalidOption } from '../options.ts';
import { checkCall, originOf } from '../protocol/call-origin.ts';
import { MAINTENANCE } from '../session-contract.ts';
import type { Store } from '../stores/store.ts';
import { asCall } from './as-call.ts';
import { erasedAt } from './erasure/tombstones.ts';
import { adoptBranch, adoptUsage, isOurs, openBranch } from './python-store/adopt.ts';
import { openDatabase, WHERE, type PythonDatabase } from './python-store/database.ts';
import { readSession, type ReadOptions, type StoredPythonSession } from './python-store/read.ts';
import { readTables, type Tables } from './python-store/tables.ts';

export type { PythonDatabase, PythonMysqlPool, PythonPostgresPool } from './python-store/database.ts';
export type { PythonBranch, PythonTurnUsage, StoredPythonSession } from './python-store/read.ts';
export type { Store } from '../stores/store.ts';
export { StrongroomError } from '../errors.ts';

/** Options of {@link readPythonStore}. */
export interface ReadPythonStoreOptions {
  /** The `encryption_key` of Python's `EncryptedSession`, if the items are encrypted. */
  readonly encryptionKey?: string;
  /** The `session_id` that `EncryptedSession` had, by that of the session below it. Default: the same. */
  readonly encryptedAs?: (id: string) => string;
  /**
   * With `encryptionKey`: whether rows that Python stored without encryption are accepted. Unsafe: a writer of that
   * database can insert such rows. Look at them first. Default `false`.
   */
  readonly plaintext?: boolean;
  /** `sessions_table` of Python's session. Default `'agent_sessions'`. */
  readonly sessionsTable?: string;
  /** `messages_table`. Default `'agent_messages'`. */
  readonly messagesTable?: string;
  /**
   * Rows that are no JSON or no item: Python skips them without an error. `'throw'` (default): `ERR_MALFORMED` with the row's
   * id. `'skip'`: they are counted. Rows that a key does not open throw in either case.
   */
  readonly unreadable?: 'throw' | 'skip';
}

/** Options of {@link PythonStore.migrate}. */
export interface MigratePythonOptions extends CallOrigin {
  /** The id in the target. Default: the same. Two ids must not become one. */
  readonly id?: (id: string) => string;
  /** The subject of the session in the target. Default: none. */
  readonly subject?: (id: string) => string | undefined;
  /** Which sessions are migrated. Default: all. */
  readonly only?: (id: string) => boolean;
  /** Reads and counts everything, and writes nothing. Default `false`. */
  readonly dryRun?: boolean;
  /** Called after each session. */
  readonly onProgress?: (progress: PythonMigrationProgress) => void;
  /** Ends the migration between two sessions: it rejects with the signal's reason, and can be run again. */
  readonly signal?: AbortSignal;
}

/** The progress of a migration. */
export interface PythonMigrationProgress {
  /** The session that was just migrated and verified, as Python names it. */
  readonly id: string;
  /** How many sessions are done, this one included. */
  readonly done: number;
  /** How many there are. */
  readonly total: number;
}

/** The result of {@link PythonStore.migrate}. */
export interface PythonMigrationReport {
  /** Sessions that the target has now, those of earlier runs included. */
  readonly sessions: number;
  /** Sessions without messages: nothing is written for them. */
  readonly empty: number;
  /** Branches of these sessions, `main` not counted. */
  readonly branches: number;
  /** Items that this run wrote and read back, each branch counted. */
  readonly items: number;
  /** Items that an earlier run wrote. */
  readonly before: number;
  /** Turns of which this run recorded the usage. */
  readonly usage: number;
  /** Rows of messages that were read. */
  readonly rows: number;
  /** Of these: rows that no branch shows, which were not copied. */
  readonly orphans: number;
  /** Of these: rows that could not be read, with `unreadable: 'skip'`. */
  readonly unreadable: number;
  /** Rows without a counterpart in the JavaScript SDK, by type: stored as items of the type `unknown`. */
  readonly kept: Readonly<Record<string, number>>;
  /**
   * What was erased in the target after it was written in Python, and is not copied: sessions, as Python names them; of other sessions
   * what was erased alone, by its id in the target: a branch with its usage, the ledger of usage, the names of the branches. Rows of
   * usage have no time: after an erasure of the ledger none is copied.
   */
  readonly erased: readonly string[];
  /**
   * Sessions of which the target has other items than this migration would write. Nothing was added to them. Python wrote to them after
   * an earlier run, or they are not from there.
   */
  readonly conflicts: readonly string[];
}

/** The sessions in a database of Python. */
export interface PythonStore {
  /** Reads one session after the other. The ids of all are read first. */
  sessions(): AsyncIterable<StoredPythonSession>;
  /** One session; without branches and rows when there is none of this id. */
  session(id: string): Promise<StoredPythonSession>;
  /**
   * Copies all sessions to a store of strongroom: items, branches, usage of turns, and the times of the items, as
   * far as a layer of the target stores times. Each branch is one transaction, written once however often the
   * migration is started, and read back.
   *
   * Stop Python's writers first. At the end the rows are counted: more or fewer than were read is `ERR_CONFLICT`.
   *
   * @throws {@link StrongroomError} `ERR_CONFLICT`; `ERR_UNSUPPORTED` for a store that is not one of strongroom;
   * `ERR_INVALID_OPTION` for an id or a name of a branch that the target cannot have (see `id`); the errors of
   * {@link readPythonStore} and of the store. Sessions that are done stay.
   */
  migrate(to: Store, options?: MigratePythonOptions): Promise<PythonMigrationReport>;
  /** Closes the connections that were opened here. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Reads a database that the OpenAI Agents SDK for Python wrote with `SQLiteSession`, `AdvancedSQLiteSession` (SQLite)
 * or `SQLAlchemySession` (SQLite, PostgreSQL, MySQL, MariaDB), also below `EncryptedSession`. Its time to live is not
 * applied: it limits only what Python reads. Nothing is written to that database.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`, also for tables that are not there. When rows are read: `ERR_STORE` with the database's error as
 * `cause`, `ERR_KEY_UNKNOWN` for an encrypted row without `encryptionKey`, `ERR_NOT_SEALED` for a plain row with it, `ERR_AUTHENTICATION` for
 * another key, `ERR_MALFORMED`, `ERR_UNSUPPORTED`.
 *
 * @example
 * ```ts
 * import { encrypt, expire, generateKey, keyring, wrapStore } from 'strongroom';
 * import { readPythonStore } from 'strongroom/python';
 * import { openSqlite } from 'strongroom/sqlite';
 *
 * const keys = keyring({ current: await generateKey() });
 * const sessions = wrapStore(openSqlite('conversations.db'), [expire({ after: '90d' }), encrypt({ keys })]);
 * await using python = readPythonStore({ sqlite: 'agents.db' });
 * console.log(await python.migrate(sessions));
 * ```
 */
export function readPythonStore(database: PythonDatabase, options: ReadPythonStoreOptions = {}): PythonStore {
  const { names, reading } = checked(options);
  const source = openDatabase(database);
  let opened: Promise<Tables> | undefined;
  const tables = async (): Promise<Tables> => {
    opened ??= readTables(source, names);
    try {
      return await opened;
    } catch (error) {
      opened = undefined;
      throw error;
    }
  };
  const session = async (id: string): Promise<StoredPythonSession> =>
    readSession(id, await (await tables()).session(id), reading);

  const store: PythonStore = {
    async *sessions() {
      for (const id of await (await tables()).ids()) yield session(id);
    },
    async session(id) {
      if (typeof id !== 'string') invalidOption(`${WHERE}.session`, 'id', 'a text', id);
      return session(id);
    },
    migrate: async (to, given = {}) =>
      asCall(to, 'migrate', given, async () => {
        checkMigration(to, given);
        return migrateAll(await tables(), session, to, given);
      }),
    close: () => source.close(),
    [Symbol.asyncDispose]: () => source.close(),
  };
  return store;
}

async function migrateAll(
  tables: Tables,
  read: (id: string) => Promise<StoredPythonSession>,
  to: Store,
  { onProgress, signal, only, dryRun = false, id: idOf = (id) => id, subject, ...rest }: MigratePythonOptions,
): Promise<PythonMigrationReport> {
  const all = await tables.ids();
  const ids = only === undefined ? all : all.filter((id) => atOnce(WHERE, 'only', only(id)));
  const targets = new Map<string, string>();
  for (const id of ids) {
    const target = atOnce(WHERE, 'id', idOf(id));
    const other = targets.get(target);
    if (other !== undefined) {
      throw new StrongroomError(
        'ERR_INVALID_OPTION',
        `${WHERE}: the sessions ${JSON.stringify(other)} and ${JSON.stringify(id)} would have the same id in the target. Correct the option id.`,
      );
    }
    targets.set(target, id);
  }
  const report = newReport();
  let done = 0;
  for (const [target, id] of targets) {
    signal?.throwIfAborted();
    const stored = await read(id);
    if (!dryRun)
      await adopt(to, stored, target, atOnce(WHERE, 'subject', subject?.(id)), originOf(rest), report);
    count(report, stored, dryRun);
    onProgress?.({ id, done: ++done, total: targets.size });
  }
  if (only === undefined && (await tables.count()) !== report.rows) {
    throw new StrongroomError(
      'ERR_CONFLICT',
      `${WHERE}: ${report.rows} rows were read and the database has another number of them: Python writes to it. Stop it, and run the migration again.`,
    );
  }
  return { ...report, kept: { ...report.kept } };
}

type Counts = { -readonly [Name in keyof PythonMigrationReport]: PythonMigrationReport[Name] } & {
  kept: Record<string, number>;
  erased: string[];
  conflicts: string[];
};

function newReport(): Counts {
  return {
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
}

function count(report: Counts, stored: StoredPythonSession, dryRun: boolean): void {
  report.rows += stored.rows;
  report.orphans += stored.orphans;
  report.unreadable += stored.unreadable;
  for (const [type, number] of Object.entries(stored.kept)) {
    report.kept[type] = (report.kept[type] ?? 0) + number;
  }
  if (isEmpty(stored)) report.empty += 1;
  else if (dryRun) report.sessions += 1;
}

function isEmpty({ branches }: StoredPythonSession): boolean {
  return branches.every(({ items }) => items.length === 0);
}

async function adopt(
  to: Store,
  stored: StoredPythonSession,
  target: string,
  subject: string | undefined,
  origin: CallOrigin,
  report: Counts,
): Promise<void> {
  if (isEmpty(stored)) return;
  const { createdAt = 0 } = stored;
  const isErased = async (id: string, since: number): Promise<boolean> => {
    const dekStore = to[MAINTENANCE]?.dekStore;
    const erased = dekStore === undefined ? undefined : await erasedAt(dekStore, id);
    return erased !== undefined && since <= erased;
  };
  if (await isErased(target, createdAt)) {
    report.erased.push(stored.id);
    return;
  }
  const besides = { notes: derivedId({ kind: 'branches', of: target }), usage: ledgerIdOf(target) };
  const isNoted = !(await isErased(besides.notes, createdAt));
  if (!isNoted) report.erased.push(besides.notes);
  const main = to.session(target, subject === undefined ? {} : { subject });
  const sessions = new Map<string, Session>([['main', main]]);
  for (const branch of stored.branches) {
    const id = branch.name === 'main' ? target : derivedId({ kind: 'branch', of: target, name: branch.name });
    if (id !== target && (await isErased(id, branch.created ?? createdAt))) {
      report.erased.push(id);
      continue;
    }
    const session = id === target ? main : await openBranch(to, target, branch, isNoted);
    sessions.set(branch.name, session);
    const outcome = await adoptBranch(session, branch, origin);
    if (outcome === 'conflict') {
      report.conflicts.push(stored.id);
      return;
    }
    report[outcome === 'written' ? 'items' : 'before'] += branch.items.length;
  }
  const names = new Set(stored.branches.map(({ name }) => name));
  // Of a branch that was erased, as of one that Python no longer has, there is no session.
  const usage = stored.usage.filter(({ branch }) => sessions.has(branch) || !names.has(branch));
  if (usage.length > 0 && (await isErased(besides.usage, createdAt))) report.erased.push(besides.usage);
  else report.usage += await adoptUsage((branch) => sessions.get(branch) ?? main, { ...stored, usage });
  report.sessions += 1;
  report.branches += sessions.size - 1;
}

function checkMigration(to: Store, options: MigratePythonOptions): void {
  const where = `${WHERE}.migrate`;
  checkCall(where, options, ['id', 'subject', 'only', 'dryRun', 'onProgress', 'signal']);
  for (const name of ['id', 'subject', 'only', 'onProgress'] as const) {
    const value: unknown = options[name];
    if (value !== undefined && typeof value !== 'function') invalidOption(where, name, 'a function', value);
  }
  const { dryRun } = options;
  if (dryRun !== undefined && typeof dryRun !== 'boolean')
    invalidOption(where, 'dryRun', 'true or false', dryRun);
  if (isOurs(to)) return;
  throw new StrongroomError(
    'ERR_UNSUPPORTED',
    `${where}: the target must be a store of strongroom, such as openSqlite() returns, wrapped or not.`,
  );
}

function checked(options: ReadPythonStoreOptions): {
  readonly names: { readonly sessionsTable: string; readonly messagesTable: string };
  readonly reading: ReadOptions;
} {
  checkOptions(WHERE, options, [
    'encryptionKey',
    'encryptedAs',
    'plaintext',
    'sessionsTable',
    'messagesTable',
    'unreadable',
  ]);
  const { encryptionKey, encryptedAs = (id) => id, plaintext = false, unreadable = 'throw' } = options;
  const { sessionsTable = 'agent_sessions', messagesTable = 'agent_messages' } = options;
  if (encryptionKey !== undefined && (typeof encryptionKey !== 'string' || encryptionKey === '')) {
    invalidOption(WHERE, 'encryptionKey', 'a non-empty text', encryptionKey);
  }
  if (typeof encryptedAs !== 'function') invalidOption(WHERE, 'encryptedAs', 'a function', encryptedAs);
  if (typeof plaintext !== 'boolean') invalidOption(WHERE, 'plaintext', 'true or false', plaintext);
  if (unreadable !== 'throw' && unreadable !== 'skip')
    invalidOption(WHERE, 'unreadable', "'throw' or 'skip'", unreadable);
  for (const [option, name] of Object.entries({ sessionsTable, messagesTable })) {
    if (typeof name !== 'string' || !/^[A-Za-z_][\w$]{0,62}$/.test(name))
      invalidOption(WHERE, option, 'a name of at most 63 letters, digits, _ and $', name);
  }
  return {
    names: { sessionsTable, messagesTable },
    reading: { encryptionKey, encryptedAs, plaintext, unreadable },
  };
}
