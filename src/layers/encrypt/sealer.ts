import type { AgentInputItem } from '@openai/agents';
import type { DekStore } from '../../keys/dek-store.ts';
import type { Entry, SessionCall, SessionLayer } from '../../layer.ts';
import type { DataKeyScope } from '../../keys/data-keys/types.ts';

/** What rotation, shredding and migration need of an `encrypt()` layer, so that nobody states its options twice. */
export interface Sealer {
  scopeOf(call: SessionCall): Promise<DataKeyScope>;
  /** The option `dekStore`. */
  readonly dekStore: DekStore | 'inline' | undefined;
  /** Whether plaintext is allowed at the scope's time. */
  acceptsPlaintext(scope: DataKeyScope): boolean;
  /** The entry in a plaintext record that is allowed now, `undefined` for a sealed record; throws for others. */
  accepts(record: AgentInputItem, scope: DataKeyScope): Omit<Entry, 'stored'> | undefined;
  /** The entry in a sealed record; throws why it does not open. */
  open(record: AgentInputItem, scope: DataKeyScope): Promise<Entry>;
  /** Records of these entries under a new data key. Stamps stay; operation tags go, they belong to the old key. */
  reseal(entries: readonly Entry[], scope: DataKeyScope): Promise<AgentInputItem[]>;
  /** Drops the session's data keys from memory, or one of them. */
  forget(sessionId: string, did?: string): void;
}

/** The sealers of the layers that `encrypt()` made. */
export const sealers: WeakMap<SessionLayer, Sealer> = new WeakMap();
