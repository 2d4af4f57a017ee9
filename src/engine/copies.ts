import type { AgentInputItem, Session } from '@openai/agents';
import { isStrongroomError, StrongroomError } from '../errors.ts';
import type { Entry } from '../layer.ts';
import { invalidOption } from '../options.ts';
import { digestInSlices } from '../protocol/digest.ts';
import { COPY_RECORDS, type CopyBeginning, type CopyRecordsArgs } from '../session-contract.ts';
import type { ActiveCall } from './active-call.ts';
import type { Opened } from './records.ts';
import type { Parts } from './parts.ts';
import { visibleBeginning, type Receive } from './receive.ts';
import { hasSkipped } from './calls.ts';

/** The session of a store below the layers. */
type CopyingSession = Session & { [COPY_RECORDS](args: CopyRecordsArgs): Promise<void> };

/** How often the beginning is read again because it changed meanwhile. */
const ATTEMPTS = 4;

/**
 * Copies of the first items, sealed for another session, with their stamps: the store compares the original records
 * in the transaction that writes the copies.
 *
 * @param receiverOf - The engine of a session that this copy of the package wrapped.
 */
export function createCopies(
  { inner, pipeline, calls }: Parts,
  receiverOf: (session: Session) => Receive | undefined,
): { copyBeginning: CopyBeginning } {
  const copyBeginning: CopyBeginning = async ({ count, to, operationId, begin, ...origin }) => {
    const receive = receiverOf(to);
    if (receive === undefined) {
      return invalidOption('createBranch', 'to', 'a session of the same store, wrapped in layers', to);
    }
    return calls.read('createBranch', { ...origin, operationId }, async (call) => {
      let hasBegun = false;
      for (let attempt = 1; ; attempt++) {
        // The answer of a cache can be outdated; then the store refuses the copies.
        const opened = await pipeline.read(undefined, calls.quiet(call), attempt > 1);
        const beginning = visibleBeginning(opened, count(opened.flatMap(itemOf)));
        if (hasSkipped(beginning)) throw unreadable(call);
        if (!hasBegun) await begin();
        hasBegun = true;
        const entries: Entry[] = [];
        const from: number[] = [];
        for (const [index, { visible, bottom }] of beginning.entries()) {
          if (visible === undefined || bottom === undefined) continue;
          entries.push(bottom);
          from.push(index);
        }
        call.result.items = entries.length;
        if (entries.length === 0) return 0;
        const digest = await digestInSlices(beginning.map(({ stored }) => stored));
        try {
          await receive(
            entries,
            { ...origin, kind: 'createBranch', operationId, copiedFrom: call.sessionId },
            (archive) =>
              (inner.session as CopyingSession)[COPY_RECORDS]({
                count: beginning.length,
                digest,
                to: archive.sessionId,
                items: archive.items,
                from,
                operationId,
              }),
          );
          return entries.length;
        } catch (error) {
          const changed =
            isStrongroomError(error) && error.code === 'ERR_CONFLICT' && error.written !== 'unknown';
          if (!changed || attempt === ATTEMPTS) throw error;
        }
      }
    });
  };
  return { copyBeginning };
}

function itemOf({ visible }: Opened): readonly AgentInputItem[] {
  return visible === undefined ? [] : [visible.item];
}

function unreadable(call: ActiveCall): StrongroomError {
  return new StrongroomError(
    'ERR_READ_ONLY',
    `${call.kind} on session ${JSON.stringify(call.sessionId)} is refused: records of the part that would be copied could not be opened, and the copy would lack them. Make them readable, or branch before them.`,
  );
}
