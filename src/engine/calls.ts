import { checkAhead } from '../clock.ts';
import { StrongroomError } from '../errors.ts';
import type { CallKind, MaybePromise, SessionCall, SessionLayer } from '../layer.ts';
import { isThenable } from '../maybe-promise.ts';
import { createQueues } from '../queue.ts';
import { slices } from '../slices.ts';
import { createBegin, quiet, type ActiveCall, type CallDetails } from './active-call.ts';
import type { Histories } from './histories.ts';
import type { Inner } from './inner.ts';
import { mutating } from './mutating.ts';
import type { Pipeline } from './pipeline.ts';
import type { Opened, Written } from './records.ts';
import type { Stack } from './stack.ts';

const REMOVALS: readonly CallKind[] = [
  'popItem',
  'clearSession',
  'replaceHistoryWithCompaction',
  'applyHistoryMutations',
  'replacePrefix',
  'deleteSession',
  'retention',
];

/** Order of calls, the hooks around them, and whether removing is allowed. */
export interface Calls {
  read<T>(kind: CallKind, details: CallDetails, work: (call: ActiveCall) => MaybePromise<T>): Promise<T>;
  /**
   * `appended` gets the written records, only after an acknowledged append; `removed` the removed ones, only after
   * an acknowledged removal or replacement.
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
  /** The same call for an internal read: records that it skips do not count for the caller. */
  quiet(call: SessionCall): SessionCall;
  /**
   * Asks the layers whether records may be removed. For calls that always remove some, this is done before they
   * begin.
   */
  removing(call: SessionCall): Promise<void>;
  /** @throws {@link StrongroomError} `ERR_READ_ONLY` after reads of this history that skipped records. */
  assertWritable(call: SessionCall): Promise<void>;
  /** @throws {@link StrongroomError} `ERR_READ_ONLY` when `records` has skipped ones. */
  assertReadable(records: readonly Opened[], call: SessionCall): void;
  /**
   * Reads the time of the database when `going`, which the call would remove, has expired records.
   *
   * @throws {@link StrongroomError} `ERR_READ_ONLY` as above; `ERR_CLOCK` when the clock that hid some of them is too far ahead.
   */
  assertRemovable(going: readonly Opened[], call: ActiveCall): Promise<void>;
}

export function createCalls(inner: Inner, stack: Stack, pipeline: Pipeline, histories: Histories): Calls {
  const queueOf = createQueues(inner.acceptsRunContext);

  const begin = createBegin(inner, stack, pipeline, histories);
  const isSurrounded = stack.layers.some((layer) => layer.around !== undefined);

  /** A store that closes waits for calls from the moment when they are made, and refuses later ones at once. */
  function letIn<T>(kind: CallKind, details: CallDetails, work: () => Promise<T>): Promise<T> {
    let leave: (() => void) | undefined;
    try {
      leave = inner.admit?.();
    } catch (error) {
      return refused(kind, details, error);
    }
    const result = work();
    // Before the caller knows, because this waits first.
    if (leave !== undefined) void result.then(leave, leave);
    return result;
  }

  async function refused(kind: CallKind, details: CallDetails, error: unknown): Promise<never> {
    return await runAround(stack.layers, await begin(kind, details), async () => {
      throw error;
    });
  }

  async function removing(call: SessionCall): Promise<void> {
    for (const layer of stack.layers) await layer.removing?.(call);
  }

  function assertReadable(records: readonly Opened[], call: SessionCall): void {
    if (!hasSkipped(records)) return;
    histories.setRecords(call, 'skipped');
    throw refusal(call);
  }

  /** Runs `work` inside the `around` hooks, after the check of the arguments. */
  async function run<T>(
    kind: CallKind,
    details: CallDetails,
    work: (call: ActiveCall) => MaybePromise<T>,
  ): Promise<T> {
    // Also the part of each call before its first record adds up where many sessions do something at the same time.
    if (slices.isCrowded()) await slices.next();
    const begun = begin(kind, details);
    const call = begun instanceof Promise ? await begun : begun;
    const checked = (): MaybePromise<T> => {
      call.result.unanswered = true;
      details.checked?.();
      return work(call);
    };
    const result = isSurrounded ? runAround(stack.layers, call, async () => checked()) : checked();
    // A read from memory has its answer at once.
    return isThenable(result) ? await result : result;
  }

  return {
    read: (kind, details, work) =>
      letIn(kind, details, () => queueOf(details.runContext).read(() => run(kind, details, work))),
    mutate: (kind, details, work) =>
      letIn(kind, details, () =>
        queueOf(details.runContext).mutate(() =>
          run(kind, details, (call) => {
            const mutation = (): ReturnType<typeof work> =>
              mutating(stack, call, (appended, removed) => work(call, appended, removed));
            return REMOVALS.includes(kind) ? removing(call).then(mutation) : mutation();
          }),
        ),
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
  let next = work;
  for (const layer of layers.toReversed()) {
    if (layer.around === undefined) continue;
    const inside = next;
    next = async () => (await layer.around?.(call, inside)) as T;
  }
  return await next();
}

/** Hidden although it could be opened, and it has stamps. */
function isExpired({ bottom, visible }: Opened): boolean {
  return visible === undefined && bottom?.header.t !== undefined;
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
