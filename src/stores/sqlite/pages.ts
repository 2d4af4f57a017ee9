import type { SQLOutputValue } from 'node:sqlite';
import type { StoredRecord } from '../driver.ts';
import { withoutDid } from '../record.ts';
import type { Statements } from './statements.ts';

export const SESSION_KEY = '(SELECT key FROM strongroom_sessions WHERE id = ?)';
export const RECORD: string = 'head, body, wrapped, written_at, expires_at, born_at, dek';
/** Each statement sees one state, so every page includes the generation of the history. */
export const PAGE_ROW: string = `${RECORD}, seq, (SELECT generation FROM strongroom_sessions WHERE id = ?1)`;

/** Records of the first page: one statement reads most histories. */
export const FIRST_PAGE = 256;
/** The most records of a later page. */
const MOST_A_PAGE = 1_024;
/** The usual size of a page in bytes. */
const PAGE_BYTES = 1_048_576;
/**
 * How often a read in pages is started. After that, one statement reads all, so that frequent changes cannot starve
 * the read.
 */
export const ATTEMPTS = 4;

/** The number of records of this length that make a page of the usual size. */
export function nextSize(page: readonly Tuple[]): number {
  const bytes = page.reduce((sum, row) => sum + (row[1] as string | Uint8Array).length, 1);
  return Math.min(Math.max(Math.floor((PAGE_BYTES * page.length) / bytes), 1), MOST_A_PAGE);
}

export function generationOf({ get }: Statements, sessionId: string): unknown {
  return get('SELECT generation FROM strongroom_sessions WHERE id = ?', sessionId)?.['generation'];
}

/** A row of {@link RECORD}; those of shared histories have more columns. */
export type Tuple = readonly SQLOutputValue[];

/** How many ids of data keys are remembered. */
const MOST_DIDS = 1_000;

/** Converts rows to records. */
export interface ToRecords {
  readonly toRecords: (rows: readonly Tuple[], statements: Statements) => StoredRecord[];
  /**
   * A number that changes when another connection writes: the last known one, or with these statements the current
   * one.
   */
  readonly lastWrite: (statements?: Statements) => unknown;
}

/**
 * The ids of data keys are remembered by their numbers, because a join takes a third of a read, until another connection
 * changes the database: SQLite gives the number of a row that was deleted to another one.
 */
export function createToRecords(): ToRecords {
  const dids = new Map<number, string>();
  let version: unknown;

  function didOf(key: number, { get }: Statements): string | null {
    let did = dids.get(key);
    if (did === undefined) {
      const found = get('SELECT did FROM strongroom_deks WHERE key = ?', key);
      if (found === undefined) return null;
      did = found['did'] as string;
      if (dids.size === MOST_DIDS) dids.clear();
      dids.set(key, did);
    }
    return did;
  }

  function toRecord(row: Tuple, statements: Statements): StoredRecord {
    const did = row[6] === null ? null : didOf(row[6] as number, statements);
    const named = withoutDid(row[0] as string | null, did);
    const record: StoredRecord = {
      head: named.head,
      did: named.did,
      body: row[1] as string | Uint8Array,
      wrapped: row[2] as string | null,
      writtenAt: row[3] as number,
      expiresAt: row[4] as number | null,
      bornAt: row[5] as number | null,
    };
    return typeof row[9] === 'string' ? { ...record, origin: row[9] } : record;
  }

  function lastWrite(statements?: Statements): unknown {
    if (statements === undefined) return version;
    const now = statements.get('PRAGMA data_version')?.['data_version'];
    if (now !== version) dids.clear();
    version = now;
    return now;
  }

  return {
    lastWrite,
    toRecords(rows, statements) {
      if (rows.some((row) => row[6] !== null)) lastWrite(statements);
      return rows.map((row) => toRecord(row, statements));
    },
  };
}

export function seqOf(row: Tuple | undefined): number {
  return row?.[7] as number;
}
