import type { CallKind, Entry, MaybePromise, SessionCall } from '../layer.ts';
import { after } from '../maybe-promise.ts';
import { isCall } from '../protocol/links.ts';
import { allTakeParts, TAKES_PARTS } from '../protocol/sealed-record.ts';
import { TAKES_SHARED, type Sharing } from '../protocol/shared-entries.ts';
import type { Histories } from './histories.ts';
import type { Inner } from './inner.ts';
import type { Pipeline } from './pipeline.ts';
import type { Opened } from './records.ts';
import type { Stack } from './stack.ts';

/** Calls whose records are passed only between the store and the layers. */
const KINDS_WITH_PARTS: readonly CallKind[] = ['getItems', 'addItems'];

/** How many raw records are searched for the call of a result. */
const CALL_WINDOW = 64;

/** The details of a call that the member provides. */
export interface CallDetails extends Pick<
  SessionCall,
  'limit' | 'itemCount' | 'operationId' | 'runContext' | 'actor' | 'purpose'
> {
  /**
   * Throws when the arguments are refused. Runs inside the `around` hooks, so that a refused call is authorized and
   * audited like any other, and before a layer is notified of a mutation.
   */
  readonly checked?: () => unknown;
}

/** A call in progress. */
export interface ActiveCall extends SessionCall {
  /** A layer skipped a record that it could not read. */
  skippedRecords: boolean;
  /** The latest time that the clock of the stack gave during the call. */
  latest: number;
}

/** Creates a call of this kind; the layers are not notified yet. */
export type Begin = (kind: CallKind, details: CallDetails) => MaybePromise<ActiveCall>;

export function createBegin(inner: Inner, stack: Stack, pipeline: Pipeline, histories: Histories): Begin {
  const areOurs = allTakeParts(stack.layers);
  const takesRecords = inner.getRecords !== undefined && stack.sealed && areOurs;
  const takesSharedEntries = stack.loading !== undefined && areOurs;

  const begin: Begin = (kind, details) =>
    after(inner.id ?? inner.getSessionId(), (id) => callOf(id, kind, details));

  function callOf(sessionId: string, kind: CallKind, details: CallDetails): ActiveCall {
    const { limit, itemCount, operationId, runContext, actor, purpose } = details;
    const call: ActiveCall & {
      readonly [TAKES_PARTS]: boolean;
      readonly [TAKES_SHARED]: Sharing | undefined;
    } = {
      kind,
      sessionId,
      limit,
      itemCount,
      operationId,
      runContext,
      actor,
      purpose,
      inner: inner.session,
      layers: stack.layers,
      routesByRunContext: inner.acceptsRunContext,
      sealed: stack.sealed,
      dekStore: inner.dekStore,
      version: inner.version,
      [TAKES_PARTS]: takesRecords && KINDS_WITH_PARTS.includes(kind),
      [TAKES_SHARED]: takesSharedEntries && kind === 'getItems' ? { given: false } : undefined,
      result: {},
      now() {
        const now = stack.now();
        call.latest = Math.max(call.latest, now);
        return now;
      },
      lookBack: (match) => lookBack(match, call),
      skippedRecords: false,
      latest: 0,
      skipped() {
        call.skippedRecords = true;
      },
    };
    return call;
  }

  async function lookBack(match: (entry: Entry) => boolean, call: SessionCall): Promise<Entry | undefined> {
    const known = histories.of(call).memory.find(match);
    if (known !== undefined) return known;
    let opened: readonly Opened[];
    try {
      opened = await pipeline.open(await inner.getItems(CALL_WINDOW, call.runContext), quiet(call));
    } catch {
      // The read that began the run reported unreadable records; a write does not fail because of them.
      return undefined;
    }
    return opened.findLast(({ bottom }) => bottom !== undefined && isCall(bottom.item) && match(bottom))
      ?.bottom;
  }

  return begin;
}

/** An internal read must not make the wrapper read-only; only reads of the caller do. */
export const quiet = (call: SessionCall): SessionCall => ({ ...call, skipped: () => undefined });
