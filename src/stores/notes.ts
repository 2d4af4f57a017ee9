import type { AgentInputItem } from '@openai/agents';
import { isStrongroomError } from '../errors.ts';
import { checkSessionId } from '../limits.ts';
import { decodeRecord, encodeRecord } from './record.ts';
import type { StoreDriver, StoredRecord } from './driver.ts';

/**
 * Facts that a function records about a conversation, JSON objects without content of its items, as records of a
 * derived session. They pass no layer, no purge removes them, and they are deleted with the conversation.
 */
export interface Notes {
  read(sessionId: string): Promise<readonly object[]>;
  /**
   * Appends the result of `decide`, in one transaction with the read of the existing notes.
   *
   * @param decide Can be called again; throws to change nothing.
   * @throws `ERR_INVALID_OPTION` for an id that is too long.
   * @param summary One note that is equivalent to all the given ones.
   */
  append(
    sessionId: string,
    decide: (notes: readonly object[]) => object | undefined,
    summary: (notes: readonly object[]) => object,
  ): Promise<void>;
}

/** No purge by age reaches it: the range of a JavaScript date. */
const NEVER = 8.64e15;
/** Notes that are kept before they are merged. */
const MOST = 64;

export function createNotes(driver: Pick<StoreDriver, 'name' | 'read' | 'change'>, now: () => number): Notes {
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
      checkSessionId(driver.name, sessionId);
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
        // Under a hold nothing is replaced, and the conversation continues.
        if (!isStrongroomError(error) || error.code !== 'ERR_HELD') throw error;
        await attempt(false);
      }
    },
  };
}
