import type { AgentInputItem } from '@openai/agents';
import { isStrongroomError } from '../errors.ts';
import { decodeRecord, encodeRecord } from './record.ts';
import type { StoreDriver, StoredRecord } from './driver.ts';

/**
 * Facts that a function keeps about a conversation, JSON objects that hold nothing of its items, as records of a derived session.
 * They pass no layer, no purge takes them, and they go with the conversation.
 */
export interface Notes {
  read(sessionId: string): Promise<readonly object[]>;
  /**
   * Appends what `decide` returns, in one transaction with the look at what is there.
   *
   * @param decide Can be called again; throws to leave everything as it is.
   * @param summary One note that says the same as all that are given.
   */
  append(
    sessionId: string,
    decide: (notes: readonly object[]) => object | undefined,
    summary: (notes: readonly object[]) => object,
  ): Promise<void>;
}

/** No purge by age reaches it: the range of a JavaScript date. */
const NEVER = 8.64e15;
/** Notes that are kept one by one. */
const MOST = 64;

export function createNotes(driver: Pick<StoreDriver, 'read' | 'change'>, now: () => number): Notes {
  const encode = (note: object): StoredRecord => ({
    // Any JSON object is an item to a store.
    ...encodeRecord(note as AgentInputItem, now()),
    bornAt: NEVER,
  });
  const decoded = (sessionId: string, records: readonly StoredRecord[]): object[] =>
    records.map((record) => decodeRecord(record, sessionId));

  return {
    read: async (sessionId) => decoded(sessionId, await driver.read(sessionId)),
    async append(sessionId, decide, summary) {
      const attempt = async (summarizes: boolean): Promise<void> =>
        driver.change(sessionId, { records: 'all' }, ({ records }) => {
          const notes = decoded(sessionId, records);
          const note = decide(notes);
          if (note === undefined) return undefined;
          return summarizes && notes.length >= MOST
            ? { remove: 'all', insert: [encode(summary([...notes, note]))] }
            : { remove: 'none', insert: [encode(note)] };
        });
      try {
        await attempt(true);
      } catch (error) {
        // Under a hold nothing is replaced, and the conversation goes on.
        if (!isStrongroomError(error) || error.code !== 'ERR_HELD') throw error;
        await attempt(false);
      }
    },
  };
}
