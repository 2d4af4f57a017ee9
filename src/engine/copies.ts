import type { AgentInputItem, Session } from '@openai/agents';
import { isStrongroomError, StrongroomError } from '../errors.ts';
import type { Entry } from '../layer.ts';
import { invalidOption } from '../options.ts';
import { digestInSlices } from '../protocol/digest.ts';
import { mayShare, opensOrigins } from '../protocol/record-origin.ts';
import {
  COPY_RECORDS,
  SHARE_RECORDS,
  type CopyBeginning,
  type CopyRecordsArgs,
  type ShareRecordsArgs,
} from '../session-contract.ts';
import type { ActiveCall } from './active-call.ts';
import type { Opened } from './records.ts';
import type { Parts } from './parts.ts';
import type { CallsOf } from './rare-calls.ts';
import { createReceive, visibleBeginning } from './receive.ts';
import { hasSkipped } from './calls.ts';

/** The session of a store below the layers. */
type CopyingSession = Session & {
  [COPY_RECORDS](args: CopyRecordsArgs): Promise<void>;
  [SHARE_RECORDS]?(args: ShareRecordsArgs): Promise<void>;
};

/** How often the beginning is read again because it changed meanwhile. */
const ATTEMPTS = 4;

/**
 * The first items for another session, with their stamps: their records, where the store and the layers can share
 * these, else copies that are sealed for it. The store compares the original records in the transaction that writes.
 */
export function createCopies({ inner, stack, pipeline, calls }: Parts, callsOf: CallsOf): CopyBeginning {
  const settles = stack.layers.some((layer) => layer.settled !== undefined);

  return async ({ count, whole, to, operationId, begin, ...origin }) => {
    const receive = callsOf(to)?.using(createReceive);
    if (receive === undefined) {
      return invalidOption('createBranch', 'to', 'a session of the same store, wrapped in layers', to);
    }
    const source = inner.session as CopyingSession;
    return calls.read('createBranch', { ...origin, operationId }, async (call) => {
      const details = { ...origin, kind: 'createBranch', operationId, copiedFrom: call.sessionId } as const;
      const shares = opensOrigins(stack.layers) && (await isShareable(source, to));
      if (shares && whole === true && !settles) {
        await begin();
        await receive(undefined, { ...details, shares }, async (archive) =>
          source[SHARE_RECORDS]?.({ to: archive.sessionId, operationId }),
        );
        return undefined;
      }
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
        const expected = { count: beginning.length, digest };
        try {
          await receive(entries, { ...details, shares }, async ({ sessionId, items }) =>
            shares
              ? source[SHARE_RECORDS]?.({ to: sessionId, beginning: expected, operationId })
              : source[COPY_RECORDS]({ ...expected, to: sessionId, items, from, operationId }),
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
}

/** Whether the branch can begin with the records themselves. */
async function isShareable(source: CopyingSession, to: Session): Promise<boolean> {
  if (source[SHARE_RECORDS] === undefined) return false;
  return mayShare(await to.getSessionId(), await source.getSessionId());
}

function itemOf({ visible }: Opened): readonly AgentInputItem[] {
  return visible === undefined ? [] : [visible.item];
}

function unreadable(call: ActiveCall): StrongroomError {
  return new StrongroomError(
    'ERR_READ_ONLY',
    `${call.kind} on session ${JSON.stringify(call.sessionId)} is refused: records of the part that the branch would begin with could not be opened, and it cannot be known what they are. Make them readable, branch before them, or branch from the whole history.`,
  );
}
