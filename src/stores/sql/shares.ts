import { isBranch } from '../../derived-id.ts';
import type { Share } from '../driver.ts';
import { notEmptyError } from '../failure.ts';
import { MARKS, newMark } from '../marks.ts';
import { MOST_PARTS } from '../shared-parts.ts';
import {
  kept,
  list,
  text,
  type KeptStatement,
  type SqlClient,
  type SqlRow,
  type SqlValue,
  type Statement,
} from './client.ts';
import type { SqlDialect } from './dialect.ts';

/** Up to which number of which session the history of a branch begins with the items of that (decision 85). */
interface Beginning {
  readonly base: number;
  readonly high: number;
}

/** A session whose history begins with items of another one, at any distance. */
export interface Heir {
  readonly number: number;
  readonly id: string;
}

/**
 * What branches share. A transaction that refers to items of a session has the lock on the row of that session when the
 * reference is made, and one that removes items has it, too: so no removal misses a reference. A branch that is locked before
 * its base can meet a change of the base that waits for it; the server ends one of them, and it is made again.
 */
export interface SqlShares {
  /** The last item of a history: its number, and the number of the session that has it. */
  last(client: SqlClient, session: number): Promise<Beginning | undefined>;
  /** A branch begins with items of a session, whose history ends with this item, or with all of them. */
  begin(client: SqlClient, id: string, session: number, share: Share, last: Beginning): Promise<void>;
  /**
   * Before items of a session with numbers from `from` on are removed: the branches that share some of them get
   * these as their own, and share less. What the session shares itself, they share with its base, when it may lose
   * that.
   */
  leave(client: SqlClient, session: number, from?: number): Promise<void>;
  /** The same, and before items of a branch with these numbers are removed which it shares itself. */
  remove(client: SqlClient, id: string, session: number, first: number, last: number): Promise<void>;
  /** The history of a session without its beginning becomes its own items. */
  takeOver(client: SqlClient, session: number): Promise<void>;
  forget(client: SqlClient, session: number): Promise<void>;
  heirsOf(client: SqlClient, sessions: readonly number[]): Promise<readonly Heir[]>;
  /** After a purge of items that they share. */
  purged(client: SqlClient, heirs: readonly Heir[]): Promise<void>;
}

type StatementName =
  | 'findLast'
  | 'findShared'
  | 'findBeginning'
  | 'findHeirs'
  | 'findTooMany'
  | 'lockOne'
  | 'insertShare'
  | 'deleteShare'
  | 'shortenShare'
  | 'raiseNext'
  | 'bound'
  | 'giveOwn'
  | 'giveAll';

/** No number of an item is higher. */
const HIGHEST = Number.MAX_SAFE_INTEGER;

/** The parts of a history, for a statement: `seed` selects the numbers of sessions. */
export function partsOf(dialect: SqlDialect, seed: string): string {
  return `parts (top, number, high, place) AS (
    SELECT number, number, ${HIGHEST}, 0 FROM ${seed}
    UNION ALL SELECT p.top, h.base, least(h.high, p.high), p.place + 1
    FROM parts p JOIN ${dialect.table('shares')} h ON h.session = p.number WHERE p.place < ${MOST_PARTS}
  )`;
}

/** A row when there are more parts than strongroom makes, such as those of a circle. */
export const TOO_MANY_PARTS: string = `SELECT 1 FROM parts WHERE place = ${MOST_PARTS}`;

function statementsOf(dialect: SqlDialect): Readonly<Record<StatementName, KeptStatement>> {
  const sessions = dialect.table('sessions');
  const items = dialect.table('items');
  const shares = dialect.table('shares');
  const parts = `WITH RECURSIVE ${partsOf(dialect, `${sessions} WHERE number = ?`)}`;
  const columns = 'seq, head, dek, written_at, expires_at, born_at, wrapped, item, body';
  const ofItem = columns.replaceAll(/\w+/g, 'i.$&');

  return {
    findLast: kept(`${parts} SELECT i.session, i.seq FROM parts p
    JOIN ${items} i ON i.session = p.number AND i.seq <= p.high ORDER BY i.seq DESC LIMIT 1`),
    findShared: kept(`${parts} SELECT 1 FROM parts p
    JOIN ${items} i ON i.session = p.number AND i.seq <= p.high WHERE p.place > 0 LIMIT 1`),
    findTooMany: kept(`${parts} ${TOO_MANY_PARTS}`),
    findBeginning: kept(`SELECT base, high FROM ${shares} WHERE session = ?`),
    findHeirs: kept(`SELECT session, high FROM ${shares} WHERE base = ? AND high >= ? AND session <> base`),
    lockOne: kept(`SELECT number FROM ${sessions} WHERE number = ? FOR UPDATE`),
    insertShare: kept(`INSERT INTO ${shares} (session, base, high) VALUES (?, ?, ?)`),
    deleteShare: kept(`DELETE FROM ${shares} WHERE session = ?`),
    shortenShare: kept(`UPDATE ${shares} SET high = ? WHERE session = ?`),
    raiseNext: kept(
      `UPDATE ${sessions} SET next_seq = greatest(next_seq, ?), generation = (generation + ?) % ${MARKS} WHERE number = ?`,
    ),
    bound: kept(
      `UPDATE ${sessions} SET
       first_expiry_at = (SELECT min(expires_at) FROM ${items} WHERE session = number),
       first_birth_at = (SELECT min(coalesce(born_at, written_at)) FROM ${items} WHERE session = number)
     WHERE number = ?`,
    ),
    giveOwn: kept(
      `INSERT INTO ${items} (session, ${columns}, origin)
     SELECT h.session, ${ofItem}, coalesce(i.origin, s.id) FROM ${shares} h
     JOIN ${sessions} s ON s.number = h.base JOIN ${items} i ON i.session = h.base AND i.seq BETWEEN ? AND h.high
     WHERE h.session = ?`,
    ),
    giveAll: kept(
      `INSERT INTO ${items} (session, ${columns}, origin)
     ${parts} SELECT p.top, ${ofItem}, coalesce(i.origin, s.id) FROM parts p
     JOIN ${sessions} s ON s.number = p.number JOIN ${items} i ON i.session = p.number AND i.seq <= p.high
     WHERE p.place > 0`,
    ),
  };
}

export function sqlShares(dialect: SqlDialect): SqlShares {
  const {
    findLast,
    findShared,
    findBeginning,
    findHeirs,
    findTooMany,
    lockOne,
    insertShare,
    deleteShare,
    shortenShare,
    raiseNext,
    bound,
    giveOwn,
    giveAll,
  } = statementsOf(dialect);
  const sessions = dialect.table('sessions');
  const shares = dialect.table('shares');

  const rowsOf = async (
    client: SqlClient,
    statement: Statement,
    values: readonly SqlValue[],
  ): Promise<readonly SqlRow[]> => (await client.query(statement, values)).rows;

  async function beginningOf(client: SqlClient, session: number): Promise<Beginning | undefined> {
    const [row] = await rowsOf(client, findBeginning, [session]);
    return row && { base: Number(row['base']), high: Number(row['high']) };
  }

  async function last(client: SqlClient, session: number): Promise<Beginning | undefined> {
    const [row] = await rowsOf(client, findLast, [session]);
    return row && { base: Number(row['session']), high: Number(row['seq']) };
  }

  async function forget(client: SqlClient, session: number): Promise<void> {
    await client.query(deleteShare, [session]);
  }

  /** A beginning without items is none. */
  async function settle(client: SqlClient, session: number): Promise<void> {
    if ((await rowsOf(client, findShared, [session])).length === 0) await forget(client, session);
  }

  /** Without the items of its beginning from this number on. */
  async function shorten(client: SqlClient, session: number, from: number): Promise<void> {
    await client.query(shortenShare, [from - 1, session]);
    await settle(client, session);
  }

  async function takeOver(client: SqlClient, session: number): Promise<void> {
    await client.query(giveAll, [session]);
    await forget(client, session);
    await client.query(bound, [session]);
  }

  async function leave(client: SqlClient, session: number, from = -HIGHEST): Promise<void> {
    const seen = await rowsOf(client, findHeirs, [session, from]);
    if (seen.length === 0) return;
    const numbers = seen.map((row) => Number(row['session'])).toSorted((one, other) => one - other);
    for (const number of numbers) await client.query(lockOne, [number]);
    const own = await beginningOf(client, session);
    const isKept = from > (own?.high ?? -HIGHEST);
    if (!isKept && own !== undefined) await client.query(lockOne, [own.base]);
    // They may have changed during the wait for their locks.
    for (const row of await rowsOf(client, findHeirs, [session, from])) {
      const heir = Number(row['session']);
      await client.query(giveOwn, [from, heir]);
      if (isKept) await shorten(client, heir, from);
      else await forget(client, heir);
      if (!isKept && own !== undefined) {
        await client.query(insertShare, [heir, own.base, Math.min(own.high, Number(row['high']))]);
      }
      await client.query(bound, [heir]);
    }
  }

  return {
    last,
    takeOver,
    forget,
    leave,

    async begin(client, id, session, { sessionId }, { base, high }) {
      if (base !== session) await client.query(lockOne, [base]);
      const mark = newMark();
      const { session: branch } = await dialect.reserve(client, { id: sessionId, mark: 0 });
      const isTaken = (await beginningOf(client, branch)) !== undefined;
      if (isTaken || (await last(client, branch)) !== undefined) throw notEmptyError(id, sessionId);
      await client.query(insertShare, [branch, base, high]);
      await client.query(raiseNext, [high + 1, mark, branch]);
      if ((await rowsOf(client, findTooMany, [branch])).length > 0) await takeOver(client, branch);
    },

    async remove(client, id, session, first, until) {
      await leave(client, session, first);
      const beginning = isBranch(id) ? await beginningOf(client, session) : undefined;
      if (beginning === undefined || first > beginning.high) return;
      // The end of a history is removed by looking less far; any other part leaves rows that have to be moved or kept.
      if (until === (await last(client, session))?.high) await shorten(client, session, first);
      else await takeOver(client, session);
    },

    async heirsOf(client, of) {
      const rows = await rowsOf(
        client,
        `WITH RECURSIVE heirs (number) AS (
           SELECT session FROM ${shares} WHERE base IN (${list(of.length)})
           UNION SELECT h.session FROM heirs e JOIN ${shares} h ON h.base = e.number
         ) SELECT s.number, s.id FROM heirs e JOIN ${sessions} s ON s.number = e.number ORDER BY s.number`,
        of,
      );
      return rows.map((row) => ({ number: Number(row['number']), id: text(row['id']) }));
    },

    async purged(client, heirs) {
      if (heirs.length === 0) return;
      const numbers = heirs.map(({ number }) => number);
      await client.query(
        `UPDATE ${sessions} SET generation = (generation + ?) % ${MARKS} WHERE number IN (${list(numbers.length)})`,
        [newMark(), ...numbers],
      );
      for (const number of numbers) await settle(client, number);
    },
  };
}
