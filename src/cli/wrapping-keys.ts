import { parseWrappedKey } from '../keys/wrapped-key.ts';
import { isKey } from '../operations/erasure/tombstones.ts';
import { keyPlacesOf } from '../operations/key-places.ts';
import type { StoredRecord } from '../stores/driver.ts';
import type { Store } from '../stores/store.ts';

type SealedRecord = Pick<StoredRecord, 'did' | 'wrapped' | 'origin'>;

/**
 * Tells which key wraps the data key of a record of this session; `undefined` for one without a data key, or whose data key is gone. The
 * records that a branch shares are sealed under the data keys of the session for which they were written.
 */
export async function wrappingKeysOf(
  store: Store,
  sessionId: string,
  records: readonly SealedRecord[],
): Promise<(record: SealedRecord) => string | undefined> {
  const kids = new Map<string, string>();
  const { stores } = await keyPlacesOf('checkKeys', store);
  for (const owner of new Set([sessionId, ...records.map(({ origin = sessionId }) => origin)]))
    for (const keys of stores)
      for await (const record of keys.list({ sessionId: owner }))
        if (isKey(record)) kids.set(nameOf(owner, record.did), record.kid);
  return ({ did, wrapped, origin = sessionId }) => {
    if (wrapped !== null) return inEnvelope(wrapped);
    return did === null ? undefined : kids.get(nameOf(origin, did));
  };
}

/** `undefined` for a damaged one. */
function inEnvelope(wrapped: string): string | undefined {
  try {
    return parseWrappedKey(wrapped).kid;
  } catch {
    return undefined;
  }
}

/** Ids of data keys have no space. */
function nameOf(sessionId: string, did: string): string {
  return `${did} ${sessionId}`;
}
