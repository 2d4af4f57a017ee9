import { digestOf } from '../../protocol/digest.ts';
import { itemKey } from '../../protocol/item.ts';
import { mayShare } from '../../protocol/record-origin.ts';
import type { StoredRecord } from '../../stores/driver.ts';
import { decodeRecord } from '../../stores/record.ts';

/** The first records of a branch are those of another session. */
export interface Beginning {
  /** The other session: the conversation, or another branch of it. */
  readonly base: string;
  readonly count: number;
}

/** What the sessions of one conversation have in common, found by their records. */
export interface Beginnings {
  /** The target has this session now. */
  add(id: string, records: readonly StoredRecord[]): void;
  /** The longest beginning that one of these sessions has too. */
  find(id: string, records: readonly StoredRecord[]): Beginning | undefined;
}

/**
 * A source states for which session a record was written, not which session has it. Two sessions with an equal record of
 * one origin have the same record, or one copy of it each: the target needs one.
 */
export function createBeginnings(): Beginnings {
  const known = new Map<string, readonly string[]>();
  return {
    add(id, records) {
      known.set(
        id,
        records.map((record) => fingerprint(id, record)),
      );
    },
    find(id, records) {
      // What was written for the branch itself is its own.
      const own = records.findIndex(({ origin = id }) => origin === id || !mayShare(id, origin));
      const prints = (own === -1 ? records : records.slice(0, own)).map((record) => fingerprint(id, record));
      let longest: Beginning | undefined;
      for (const [base, others] of known) {
        const different = prints.findIndex((print, index) => print !== others[index]);
        const count = different === -1 ? prints.length : different;
        if (count > (longest?.count ?? 0)) longest = { base, count };
      }
      return longest;
    },
  };
}

/**
 * How many sessions the records of a branch were written for. A branch that was made from another one has those of that
 * one, and that one in addition, so that bases come first in this order. Any order is right: a later session shares what an
 * earlier one has.
 */
export function originsOf(records: readonly StoredRecord[]): number {
  return new Set(records.map(({ origin }) => origin)).size;
}

function fingerprint(id: string, record: StoredRecord): string {
  const { origin = id, writtenAt, expiresAt, bornAt } = record;
  return digestOf(JSON.stringify([origin, writtenAt, expiresAt, bornAt, itemKey(decodeRecord(record, id))]));
}
