import type { AgentInputItem } from '@openai/agents';
import type { Fence } from '../../session-contract.ts';
import type { Look, StoreDriver, StoredRecord } from '../driver.ts';
import type { Encode } from './encode.ts';

export type ChangeHistory = (look: Look, decide: Parameters<StoreDriver['change']>[2]) => Promise<void>;

/** What a change of a history is made with. */
export interface Changing {
  readonly sessionId: string;
  readonly encode: Encode;
  readonly decode: (record: StoredRecord) => AgentInputItem;
  /** In its turn, under the fence of the moment when it was called. */
  readonly mutate: <T>(work: (change: ChangeHistory, fence: Fence | undefined) => Promise<T>) => Promise<T>;
  /** Unix milliseconds. */
  readonly now: () => number;
}
