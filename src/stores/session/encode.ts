import type { AgentInputItem } from '@openai/agents';
import { isOwn, snapshotList } from '../../protocol/item.ts';
import { recordOrigin } from '../../protocol/record-origin.ts';
import { mapInSlices } from '../../slices.ts';
import type { StoredRecord } from '../driver.ts';
import { createEncoder } from '../record.ts';

/** Synchronous, during the call, unless the list is a private copy. */
export type Encode = (
  items: readonly AgentInputItem[],
  isCopy?: boolean,
) => StoredRecord[] | Promise<StoredRecord[]>;

/**
 * @param now Unix milliseconds, for items that state no time themselves.
 * @param isGuarded Whether a data key must be in this database, when a record names it.
 */
export function createEncode(now: () => number, isGuarded: (did: string) => boolean): Encode {
  return (items, isCopy = isOwn(items)) => {
    const at = now();
    const encodeOne = createEncoder(at, isGuarded);
    const toRecord = (item: AgentInputItem): StoredRecord => {
      const origin = recordOrigin(item);
      const encoded = encodeOne(item);
      // A record of another session is kept as it was sealed.
      return origin === undefined || encoded.head === null ? encoded : { ...encoded, origin };
    };
    if (!isCopy) return snapshotList(items, toRecord);
    const encoding = mapInSlices(items, toRecord, 1);
    // Its error is handled when the call is run.
    if (encoding instanceof Promise) encoding.catch(() => undefined);
    return encoding;
  };
}
