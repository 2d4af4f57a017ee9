import { processReference, SERVER_BOUND, type ReadReference } from '../../clock.ts';
import type { StoreDriver } from '../driver.ts';
import { checkedDatabase } from './checked.ts';
import type { Database, KeyValueDriver } from './database.ts';
import { keyValueDekStore } from './dek-store.ts';
import { dropSession } from './deletion.ts';
import { attemptOn } from './draft.ts';
import { keyValueHistory } from './history.ts';
import { keyValueLeases } from './leases.ts';
import { derivedHolds, openHoldIn } from './holds.ts';
import { rangeOf } from './layout.ts';
import { idsIn } from './pages.ts';
import { keyValuePurge } from './purge.ts';
import { keyValueSummaries } from './summaries.ts';

interface KeyValueOptions {
  readonly operationLog: number;
  readonly now: () => number;
  /** A clock of the caller's is trusted where the database has none. */
  readonly hasOwnClock: boolean;
}

/**
 * {@link StoreDriver} over one table of keys and values (see layout.ts). Each change reads, decides, and commits
 * its writes together with the values that must not have changed since; when one has, it is decided again. All
 * changes of a session's records and operations change its row, whose generation grows by random steps, so that
 * comparing the row is enough.
 */
export function keyValueDriver(driver: KeyValueDriver, options: KeyValueOptions): StoreDriver {
  const { now } = options;
  const database = checkedDatabase(driver);
  const reference = referenceOf(database, options.hasOwnClock);
  return {
    name: driver.name,
    ...keyValueHistory(database, options),
    dekStore: keyValueDekStore(database, now),
    summaries: keyValueSummaries(database),
    heldOf: (sessionIds) => openHoldIn(database, sessionIds),
    heldDerived: () => derivedHolds(database),
    ofSubject: (subject) => idsIn(database, rangeOf('subject', subject)),
    derived: (root) => idsIn(database, rangeOf('tree', root)),
    ...keyValuePurge(database),
    leases: keyValueLeases(database),
    deleteSession: (sessionId) =>
      attemptOn(database, sessionId, (draft) => dropSession(draft, sessionId, now())),
    ping: async () => void (await database.get(['version'])),
    reference,
    close: async () => await driver.close?.(),
  };
}

function referenceOf({ time }: Database, hasOwnClock: boolean): ReadReference | undefined {
  if (time === undefined) return hasOwnClock ? undefined : processReference();
  return async () => ({ time: await time(), of: 'the clock of the database', bound: SERVER_BOUND });
}
