import type { Session } from '@openai/agents';
import type { Maintenance } from '../../stores/maintenance.ts';
import type { Store } from '../../stores/store.ts';

/** The target of the rules. */
export interface RetentionTarget {
  readonly store: Store<Session>;
  readonly maintenance: Maintenance;
  /** Runs work that removes from a session, as a call of its own on a wrapped store. */
  readonly remove: <T>(id: string, work: () => Promise<T>) => Promise<T>;
  /** Deletes a session, as such a call. */
  readonly erase: (id: string) => Promise<unknown>;
}
