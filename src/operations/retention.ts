import type { Session } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import { refuseOrigin } from '../protocol/call-origin.ts';
import { CALLS, MAINTENANCE } from '../session-contract.ts';
import type { Maintenance } from '../stores/maintenance.ts';
import type { Store } from '../stores/store.ts';
import { checkRetentionOptions, WHERE, type RetentionOptions } from './retention/options.ts';
import type { RetentionReport, RetentionRunOptions } from './retention/report.ts';
import type { RetentionTarget } from './retention/target.ts';
import { runOnce } from './retention/run.ts';

export type { RetentionOptions } from './retention/options.ts';
export type { RetentionProgress, RetentionReport, RetentionRunOptions } from './retention/report.ts';
export { exportSubject, type ExportedSession } from './retention/subject.ts';
export type { ItemDetails } from './item-details.ts';
export {
  eraseSession,
  eraseSubject,
  returnedSessions,
  verifyErasure,
  verifyReceipt,
  type ReturnedSession,
} from './erasure.ts';
export type { ReceiptKey } from './erasure/jws.ts';
export type {
  EraseOptions,
  EraseProgress,
  ErasedCount,
  ErasedKey,
  ErasedSession,
  Erasure,
  ErasureReport,
  NeededKeys,
  Orphan,
} from './erasure/report.ts';

/** The rules of one store. */
export interface Retention {
  /**
   * One run. Only one process runs at a time, by a lock in the database.
   *
   * @throws The signal's reason when it was aborted; deleted data stays deleted, and the next run continues. {@link
   * StrongroomError} `ERR_CLOCK` when the clock is too far ahead, see {@link RetentionOptions.maxAhead}; nothing
   * was deleted.
   */
  run(options?: RetentionRunOptions): Promise<RetentionReport>;
  /** Runs now and then at each interval, until {@link Retention.stop}. Does not keep the process alive. */
  start(): void;
  /** Ends the schedule and waits for a current run to stop. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Deletes expired data, on a schedule, with one active runner among all processes of a store. It needs no key.
 * Deleting a session destroys its data keys too, those in the table of the store: with `encrypt({ dekStore })` they stay in that DEK
 * store, until `purgeDataKeys()`, `shred()` or an erasure (`eraseSession()`, `eraseSubject()`) destroys them. Sessions under a legal hold are skipped and reported.
 *
 * The following copies stay: backups, replicas that lag, PostgreSQL's dead rows until `VACUUM`, MySQL's undo and
 * binary logs, Redis' append-only file until it is rewritten. Encrypted items are unreadable in all of them once
 * the data key is destroyed and not in the same backup.
 *
 * @param store A store of strongroom, wrapped or not.
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`, `ERR_UNSUPPORTED` for a store without a lock.
 *
 * @example
 * ```ts
 * import { retention } from 'strongroom/retention';
 * import { openSqlite } from 'strongroom/sqlite';
 *
 * await using store = openSqlite('conversations.db');
 * const rules = retention(store, { expired: true, maxIdle: '90d' });
 * console.log(await rules.run({ dryRun: true }));
 * rules.start();
 * await rules.stop();
 * ```
 */
export function retention<S extends Session>(store: Store<S>, options: RetentionOptions): Retention {
  const settings = checkRetentionOptions(options);
  const { origin, every, onReport, onError } = settings;
  const maintenance = maintenanceOf(store);
  const calls = store[CALLS];
  if (calls === undefined) refuseOrigin(WHERE, options);
  const target: RetentionTarget = {
    store,
    maintenance,
    erase: async (id) => (calls === undefined ? maintenance.drop(id) : calls.erase(id, WHERE, origin)),
    remove: async (id, work) => (calls === undefined ? work() : calls.removing(id, WHERE, origin, work)),
  };
  const run: Retention['run'] = async (runOptions) => {
    const work = async (): Promise<RetentionReport> => runOnce(target, settings, runOptions);
    // A dry run, too, tells which sessions there are.
    return calls === undefined ? work() : calls.whole(WHERE, origin, work);
  };

  let timer: NodeJS.Timeout | undefined;
  let current: Promise<void> | undefined;
  let stopping: AbortController | undefined;

  async function scheduled(signal: AbortSignal): Promise<void> {
    try {
      const report = await run({ signal });
      onReport?.(report);
    } catch (error) {
      if (!signal.aborted) onError(error);
    }
  }

  const result: Retention = {
    run,
    start() {
      if (timer !== undefined) return;
      const controller = new AbortController();
      stopping = controller;
      const next = (): void => {
        // A run that takes longer than the interval is not overtaken by the next one.
        current ??= scheduled(controller.signal).finally(() => (current = undefined));
      };
      timer = setInterval(next, every);
      timer.unref();
      next();
    },
    async stop() {
      clearInterval(timer);
      timer = undefined;
      stopping?.abort(new StrongroomError('ERR_CLOSED', `${WHERE} was stopped.`));
      await current;
    },
    [Symbol.asyncDispose]: () => result.stop(),
  };
  return result;
}

function maintenanceOf<S extends Session>(store: Store<S>): Maintenance {
  const maintenance = store?.[MAINTENANCE];
  if (maintenance !== undefined) return maintenance;
  throw new StrongroomError(
    'ERR_UNSUPPORTED',
    `${WHERE} needs a store of strongroom, because it keeps a lease in the database.`,
  );
}
