import type { AgentInputItem } from '@openai/agents';
import type { CallOrigin, Entry, SessionCall } from '../layer.ts';
import { send, type Parts } from './parts.ts';
import { recordsOf, type Opened } from './records.ts';

/**
 * Receives entries of another session or system, with their stamps, and seals them with the stack of this one.
 *
 * @param entries `undefined` for shared ones that were not opened.
 */
export type Receive = (
  entries: readonly Entry[] | undefined,
  details: ReceiveDetails,
  store: (archive: Archive) => Promise<void>,
) => Promise<void>;

export interface ReceiveDetails extends CallOrigin {
  readonly kind: 'archive' | 'createBranch' | 'migrate';
  readonly operationId: string;
  /** Absent for entries of another system. */
  readonly copiedFrom?: string;
  /** The records themselves become part of this session: nothing is sealed. */
  readonly shares?: boolean;
}

/** The records that the store appends to this session in the transaction of the other one. */
export interface Archive {
  readonly sessionId: string;
  readonly items: readonly AgentInputItem[];
}

export function createReceive({ stack, pipeline, calls, comparison }: Parts): Receive {
  return async (entries, { kind, copiedFrom, shares, ...details }, store) =>
    calls.mutate(kind, { ...details, itemCount: entries?.length }, async (call, appended) => {
      const receiving: SessionCall = copiedFrom === undefined ? call : { ...call, copiedFrom };
      if (shares === true || entries === undefined) {
        await pipeline.settle(entries ?? [], receiving);
        await store({ sessionId: call.sessionId, items: [] });
        if (entries !== undefined) call.result.items = entries.length;
        return;
      }
      const sealed = await send(
        stack,
        call,
        async () => pipeline.write(comparison.restamped(entries), receiving),
        async (written) => store({ sessionId: call.sessionId, items: recordsOf(stack, written) }),
      );
      appended(sealed);
      call.result.items = entries.length;
    });
}

/** The records up to the `count`th visible one, with the hidden ones in between. */
export function visibleBeginning(opened: readonly Opened[], count: number): readonly Opened[] {
  let seen = 0;
  for (let index = 0; seen < count; index++) {
    const record = opened[index];
    if (record === undefined) return opened;
    if (record.visible !== undefined) seen += 1;
    if (seen === count) return opened.slice(0, index + 1);
  }
  return [];
}
