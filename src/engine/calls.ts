import type { RunContext } from '@openai/agents';
import { checkAhead } from '../clock.ts';
import { StrongroomError } from '../errors.ts';
import type { CallKind, Entry, HiddenEntry, MaybePromise, SessionCall, SessionLayer } from '../layer.ts';
import type { Inner } from './inner.ts';
import type { Histories } from './histories.ts';
import { isCall } from './memory.ts';
import type { Pipeline } from './pipeline.ts';
import type { Opened, Written } from './records.ts';
import { allTakeParts, TAKES_PARTS } from '../protocol/sealed-record.ts';
import { TAKES_SHARED } from '../protocol/shared-entries.ts';
import { after } from '../maybe-promise.ts';
import { createQueues } from '../queue.ts';
import type { Stack } from './stack.ts';

const REMOVALS: readonly CallKind[] = [
  'popItem',
  'clearSession',
  'replaceHistoryWithCompaction',
  'applyHistoryMutations',
  'replacePrefix',
  'deleteSession',
];

/** Calls whose records go from the store to the sealing layer, or there, and to nobody else. */
const KINDS_WITH_PARTS: readonly CallKind[] = ['getItems', 'addItems'];

/** How far back the call of a result is looked for in raw records. */
const CALL_WINDOW = 64;

/** What the member knows of its call. */
export interface CallDetails {
  readonly limit?: number | undefined;
  readonly itemCount?: number | undefined;
  readonly operationId?: string | undefined;
  readonly runContext?: RunContext<unknown> | undefined;
  readonly actor?: string | undefined;
  readonly purpose?: string | undefined;
  /**
   * Throws when the arguments are refused. Runs inside the `around` hooks, so that a refused call is authorized and
   * audited like any other, and before a layer hears of a mutation.
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

/** Order of calls, the hooks around them, and whether removing is allowed. */
export interface Calls {
  read<T>(kind: CallKind, details: CallDetails, work: (call: ActiveCall) => Promise<T>): Promise<T>;
  /**
   * `appended` is told what was written, only after an acknowledged append; `removed` what is gone, only after an
   * acknowledged removal or replacement.
   */
  mutate<T>(
    kind: CallKind,
    details: CallDetails,
    work: (
      call: ActiveCall,
      appended: (entries: readonly Written[]) => void,
      removed: (records: readonly Opened[]) => void,
    ) => Promise<T>,
  ): Promise<T>;
  /** The same call for a look of our own: what it skips does not count for the caller. */
  quiet(call: SessionCall): SessionCall;
  /** Asks the layers whether records may go. Calls that always remove some are asked for before they begin. */
  removing(call: SessionCall): Promise<void>;
  /** @throws {@link StrongroomError} `ERR_READ_ONLY` after reads of this history that skipped records. */
  assertWritable(call: SessionCall): Promise<void>;
  /** @throws {@link StrongroomError} `ERR_READ_ONLY` when `records` has skipped ones. */
  assertReadable(records: readonly Opened[], call: SessionCall): void;
  /**
   * Asks the database for its time where `going`, which the call would remove, has expired records.
   *
   * @throws {@link StrongroomError} `ERR_READ_ONLY` as above; `ERR_CLOCK` when the clock that hid some of them is too far ahead.
   */
  assertRemovable(going: readonly Opened[], call: ActiveCall): Promise<void>;
}

export function createCalls(inner: Inner, stack: Stack, pipeline: Pipeline, histories: Histories): Calls {
  const areOurs = allTakeParts(stack.layers);
  const takesRecords = inner.getRecords !== undefined && stack.sealed && areOurs;
  const takesSharedEntries = stack.loading !== undefined && areOurs;
  const queueOf = createQueues(inner.acceptsRunContext);

  const begin = (kind: CallKind, details: CallDetails): MaybePromise<ActiveCall> =>
    after(inner.id ?? inner.getSessionId(), (id) => callOf(id, kind, details));

  function callOf(sessionId: string, kind: CallKind, details: CallDetails): ActiveCall {
    const { limit, itemCount, operationId, runContext, actor, purpose } = details;
    const call: ActiveCall = {
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
      ...(takesRecords && KINDS_WITH_PARTS.includes(kind) && { [TAKES_PARTS]: true }),
      ...(takesSharedEntries && kind === 'getItems' && { [TAKES_SHARED]: true }),
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
    let opened: Opened[];
    try {
      opened = await pipeline.open(await inner.getItems(CALL_WINDOW, call.runContext), quiet(call));
    } catch {
      // What cannot be read here was reported by the read that began the run; a write does not fail for it.
      return undefined;
    }
    return opened.findLast(({ bottom }) => bottom !== undefined && isCall(bottom) && match(bottom))?.bottom;
  }

  /** A look of our own must not make the wrapper read-only on top of what the caller's reads say. */
  const quiet = (call: SessionCall): SessionCall => ({ ...call, skipped: () => undefined });

  /** A store that closes waits for calls from the moment when they are made, and refuses later ones at once. */
  async function letIn<T>(kind: CallKind, details: CallDetails, work: () => Promise<T>): Promise<T> {
    let leave: (() => void) | undefined;
    try {
      leave = inner.admit?.();
    } catch (error) {
      return await around(await begin(kind, details), async () => Promise.reject(error as Error));
    }
    try {
      return await work();
    } finally {
      leave?.();
    }
  }

  async function removing(call: SessionCall): Promise<void> {
    for (const layer of stack.layers) await layer.removing?.(call);
  }

  const around = <T>(call: SessionCall, work: () => Promise<T>): Promise<T> =>
    runAround(stack.layers, call, work);

  /** Tells the layers of a mutation, before it and after it. */
  async function mutating<T>(
    call: SessionCall,
    work: (
      appended: (entries: readonly Written[]) => void,
      removed: (records: readonly Opened[]) => void,
    ) => Promise<T>,
  ): Promise<T> {
    const watchers = stack.layers.flatMap((layer) => {
      const watcher = layer.mutation?.(call);
      return watcher === undefined ? [] : [{ watcher, keeps: layer === stack.loading }];
    });
    let appended: readonly Written[] | undefined;
    let removed: readonly (Entry | HiddenEntry)[] | undefined;
    try {
      return await work(
        (entries) => {
          appended = entries;
        },
        (records) => {
          removed = records.map(({ stored, bottom }) => bottom ?? { stored });
        },
      );
    } finally {
      for (const { watcher, keeps } of watchers) {
        watcher.done(keeps ? appended?.map(asKept) : appended, removed);
      }
    }
  }

  function assertReadable(records: readonly Opened[], call: SessionCall): void {
    if (!hasSkipped(records)) return;
    histories.setRecords(call, 'skipped');
    throw refusal(call);
  }

  return {
    read: (kind, details, work) =>
      letIn(kind, details, async () =>
        queueOf(details.runContext).read(async () => {
          const begun = begin(kind, details);
          const call = begun instanceof Promise ? await begun : begun;
          return await around(call, async () => {
            details.checked?.();
            return work(call);
          });
        }),
      ),
    mutate: (kind, details, work) =>
      letIn(kind, details, async () =>
        queueOf(details.runContext).mutate(async () => {
          const begun = begin(kind, details);
          const call = begun instanceof Promise ? await begun : begun;
          return await around(call, async () => {
            details.checked?.();
            if (REMOVALS.includes(kind)) await removing(call);
            return await mutating(call, async (appended, removed) => work(call, appended, removed));
          });
        }),
      ),
    removing,
    quiet,
    async assertWritable(call) {
      if (histories.of(call).records === 'unread' && histories.skippedSomewhere()) {
        // The records that were skipped may be of this history, read under another run context.
        const opened = await pipeline.read(undefined, quiet(call), true);
        histories.setRecords(call, hasSkipped(opened) ? 'skipped' : 'opened');
      }
      if (histories.of(call).records === 'skipped') throw refusal(call);
    },
    assertReadable,
    async assertRemovable(going, call) {
      assertReadable(going, call);
      const { expiring, maxAhead } = stack;
      if (expiring === undefined || !going.some(isExpired)) return;
      const where = `${expiring.name}: ${call.kind} on session ${JSON.stringify(call.sessionId)} would remove items that are hidden`;
      await checkAhead(where, call.latest, inner.reference, maxAhead, stack.hasOwnClock);
    },
  };
}

/** Runs `work` inside the `around` hooks, outermost first. */
export async function runAround<T>(
  layers: readonly SessionLayer[],
  call: SessionCall,
  work: () => Promise<T>,
): Promise<T> {
  if (!layers.some((layer) => layer.around !== undefined)) return await work();
  let next = work;
  for (const layer of layers.toReversed()) {
    if (layer.around === undefined) continue;
    const inside = next;
    next = async () => (await layer.around?.(call, inside)) as T;
  }
  return await next();
}

/** Hidden although it could be opened, and its stamps say since when. */
function isExpired({ bottom, visible }: Opened): boolean {
  return visible === undefined && bottom?.header.t !== undefined;
}

function asKept({ kept, header, stored }: Written): Entry {
  return { item: kept, header, stored };
}

export function hasSkipped(records: readonly Opened[]): boolean {
  return records.some((record) => record.skipped === true);
}

function refusal(call: SessionCall): StrongroomError {
  return new StrongroomError(
    'ERR_READ_ONLY',
    `${call.kind} on session ${JSON.stringify(call.sessionId)} is refused: the last reads skipped records that could not be opened, and this call would remove them. Make them readable and call getItems() once, or use deleteSession() of the store.`,
  );
}
