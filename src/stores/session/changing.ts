import type { AgentInputItem } from '@openai/agents';
import type { Fence } from '../../session-contract.ts';
import type { Look, StoreDriver, StoredRecord } from '../driver.ts';
import type { Encode } from './encode.ts';

export type ChangeHistory = (look: Look, decide: Parameters<StoreDriver['change']>[2]) => Promise<void>;

/** The parts that a change of a history needs. */
export interface Changing {
  readonly sessionId: string;
  readonly encode: Encode;
  readonly decode: (record: StoredRecord) => AgentInputItem;
  /** Queued, with the fence at the time of the call. */
  readonly mutate: <T>(work: (change: ChangeHistory, fence: Fence | undefined) => Promise<T>) => Promise<T>;
  /** Unix milliseconds. */
  readonly now: () => number;
}
