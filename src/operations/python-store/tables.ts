import { StrongroomError } from '../../errors.ts';
import { WHERE, type Database, type Row } from './database.ts';

/** One row of the messages, in one branch. */
export interface MessageRow {
  readonly id: number;
  readonly text: string;
  /** Unix milliseconds; absent when Python did not record it. */
  readonly createdAt?: number;
  readonly branch: string;
  /** The number of its turn, as `AdvancedSQLiteSession` counts. */
  readonly turn?: number;
  /** When it came into the branch, in Unix milliseconds. */
  readonly joinedAt?: number;
}

/** One row of the table `turn_usage`. */
export interface UsageRow {
  readonly id: number;
  readonly branch: string;
  readonly turn: number;
  readonly requests: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly totalTokens: number;
  readonly inputTokensDetails: unknown;
  readonly outputTokensDetails: unknown;
}

/** The rows of one session. */
export interface SessionRows {
  /** By branch, `main` first, then in the order in which they were made; each in the order of its items. */
  readonly branches: ReadonlyMap<string, readonly MessageRow[]>;
  readonly usage: readonly UsageRow[];
  /** Messages that no branch shows: of deleted branches, and of writes that Python could not complete. */
  readonly orphans: number;
}

/** The tables of Python's sessions. */
export interface Tables {
  ids(): Promise<readonly string[]>;
  session(id: string): Promise<SessionRows>;
  /** All rows of the table of messages. */
  count(): Promise<number>;
}

const MAIN = 'main';

/**
 * Reads the tables as the classes of the OpenAI Agents SDK for Python make them: `SQLiteSession` and
 * `SQLAlchemySession` have one of sessions and one of messages, `AdvancedSQLiteSession` also `message_structure` and
 * `turn_usage`.
 */
export async function readTables(
  database: Database,
  { sessionsTable, messagesTable }: { readonly sessionsTable: string; readonly messagesTable: string },
): Promise<Tables> {
  const { dialect } = database;
  const quoted = (name: string): string => (dialect === 'mysql' ? `\`${name}\`` : `"${name}"`);
  const messages = quoted(messagesTable);
  for (const [option, name] of [
    ['sessionsTable', sessionsTable],
    ['messagesTable', messagesTable],
  ] as const) {
    if (await hasTable(database, name)) continue;
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${WHERE}: the database has no table ${JSON.stringify(name)}. Check the database, or pass the name as ${option}.`,
    );
  }
  const isAdvanced = dialect === 'sqlite' && (await hasTable(database, 'message_structure'));
  const hasUsage = isAdvanced && (await hasTable(database, 'turn_usage'));
  const order = (await isOrderedByTime(database, messagesTable)) ? 'm.created_at, m.id' : 'm.id';
  const time = TIME[dialect];

  /** `undefined` for a session that `AdvancedSQLiteSession` did not write. */
  async function structured(id: string): Promise<readonly MessageRow[] | undefined> {
    if (!isAdvanced) return undefined;
    const any = 'SELECT 1 FROM message_structure WHERE session_id = ? LIMIT 1';
    if ((await database.all(any, [id])).length === 0) return undefined;
    const rows = await database.all(
      `SELECT m.id AS id, m.message_data AS text, ${time('m.created_at')} AS created_at, s.branch_id AS branch,
        s.user_turn_number AS turn, ${time('s.created_at')} AS joined_at
      FROM message_structure s JOIN ${messages} m ON m.id = s.message_id AND m.session_id = s.session_id
      WHERE s.session_id = ? ORDER BY s.sequence_number, s.id`,
      [id],
    );
    return rows.map((row) => ({
      ...messageOf(row),
      branch: String(row['branch']),
      ...numberAs('turn', row['turn']),
      ...numberAs('joinedAt', row['joined_at']),
    }));
  }

  async function usageOf(id: string): Promise<readonly UsageRow[]> {
    if (!hasUsage) return [];
    const rows = await database.all(
      `SELECT id, branch_id, user_turn_number, requests, input_tokens, output_tokens, total_tokens,
        input_tokens_details, output_tokens_details
      FROM turn_usage WHERE session_id = ? ORDER BY id`,
      [id],
    );
    return rows.map((row) => ({
      id: Number(row['id']),
      branch: String(row['branch_id']),
      turn: Number(row['user_turn_number']),
      requests: Number(row['requests'] ?? 0),
      inputTokens: Number(row['input_tokens'] ?? 0),
      outputTokens: Number(row['output_tokens'] ?? 0),
      totalTokens: Number(row['total_tokens'] ?? 0),
      inputTokensDetails: jsonOf(row['input_tokens_details']),
      outputTokensDetails: jsonOf(row['output_tokens_details']),
    }));
  }

  return {
    async ids() {
      const rows = await database.all(
        `SELECT session_id AS id FROM ${quoted(sessionsTable)} UNION SELECT session_id AS id FROM ${messages} ORDER BY id`,
      );
      return rows.map((row) => String(row['id']));
    },
    async session(id) {
      const rows = await database.all(
        `SELECT m.id AS id, m.message_data AS text, ${time('m.created_at')} AS created_at
        FROM ${messages} m WHERE m.session_id = ? ORDER BY ${order}`,
        [id],
      );
      const placed = await structured(id);
      const usage = await usageOf(id);
      // Other classes write to the same tables without placing their messages in a branch.
      if (placed === undefined) {
        return { branches: new Map([[MAIN, rows.map(messageOf)]]), usage, orphans: 0 };
      }
      const branches = new Map<string, MessageRow[]>([[MAIN, []]]);
      for (const row of placed) {
        const rowsOfBranch = branches.get(row.branch);
        if (rowsOfBranch === undefined) branches.set(row.branch, [row]);
        else rowsOfBranch.push(row);
      }
      const shown = new Set(placed.map((row) => row.id));
      return { branches, usage, orphans: rows.filter((row) => !shown.has(Number(row['id']))).length };
    },
    async count() {
      const [row] = await database.all(`SELECT COUNT(*) AS count FROM ${messages}`);
      return Number(row?.['count']);
    },
  };
}

/** Unix milliseconds. SQLite stores UTC; PostgreSQL the local time of its session, which is taken as UTC. */
const TIME: Readonly<Record<Database['dialect'], (column: string) => string>> = {
  sqlite: (column) => `CAST(strftime('%s', ${column}) AS INTEGER) * 1000`,
  postgres: (column) => `CAST(floor(extract(epoch FROM ${column}) * 1000) AS double precision)`,
  mysql: (column) => `FLOOR(UNIX_TIMESTAMP(${column}) * 1000)`,
};

function messageOf(row: Row): MessageRow {
  return {
    id: Number(row['id']),
    text: String(row['text']),
    ...numberAs('createdAt', row['created_at']),
    branch: MAIN,
  };
}

function numberAs<K extends string>(name: K, value: unknown): Partial<Record<K, number>> {
  const number = value === null || value === undefined ? Number.NaN : Number(value);
  return (Number.isFinite(number) ? { [name]: number } : {}) as Partial<Record<K, number>>;
}

/** Details of usage are for reports: what is not JSON counts as none. */
function jsonOf(text: unknown): unknown {
  if (typeof text !== 'string') return text;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function hasTable({ dialect, all }: Database, name: string): Promise<boolean> {
  const where = {
    sqlite: `FROM sqlite_master WHERE type IN ('table', 'view') AND lower(name) = lower(?)`,
    postgres:
      'FROM information_schema.tables WHERE table_schema = ANY (current_schemas(false)) AND table_name = ?',
    mysql: 'FROM information_schema.tables WHERE table_schema = database() AND table_name = ?',
  }[dialect];
  return (await all(`SELECT 1 ${where}`, [name])).length > 0;
}

/** `SQLAlchemySession` orders by time and id, `SQLiteSession` by id: they differ when a clock was set back. */
async function isOrderedByTime({ dialect, all }: Database, messagesTable: string): Promise<boolean> {
  if (dialect !== 'sqlite') return true;
  const index = `idx_${messagesTable}_session_time`;
  return (await all(`SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ?`, [index])).length > 0;
}
