import type { AgentInputItem, Session } from '@openai/agents';
import { randomName } from '../crypto/random.ts';
import { checkCall, originOf, refuseOrigin } from '../protocol/call-origin.ts';
import { listed } from './listed.ts';
import { isStrongroomError, StrongroomError } from '../errors.ts';
import { holdsConversation } from '../derived-id.ts';
import { checkText, MAX_BYTES } from '../limits.ts';
import { checkOptions, parseCount, parseDuration, type Duration } from '../options.ts';
import { parseMaxAhead } from '../clock.ts';
import type { Maintenance } from '../stores/maintenance.ts';
import type { Store } from '../stores/store.ts';
import { CALLS, type StoreCalls, MAINTENANCE } from '../session-contract.ts';
import { renewLease } from '../renew-lease.ts';
import { warn } from '../warning.ts';
import type { CallOrigin } from '../layer.ts';

/** Options of {@link retention}: at least one rule. */
export interface RetentionOptions extends Omit<CallOrigin, 'runContext'> {
  /** Purges expired records; with a duration also what was written longer ago, see `purgeExpired`. */
  readonly expired?: true | Duration;
  /** Deletes sessions whose first item is older. */
  readonly maxAge?: Duration;
  /** Deletes sessions whose last item is older. */
  readonly maxIdle?: Duration;
  /**
   * Keeps the last items of each session. It counts records and cannot see links inside sealed ones: a cut between a
   * call and its result leaves half of the pair. Prefer a summary (`strongroom/history`) for sessions that go on.
   */
  readonly keepLast?: number;
  /**
   * How far the store's clock may be ahead before a run that deletes by it is `ERR_CLOCK`, see `purgeExpired`. `keepLast` alone
   * needs no clock.
   */
  readonly maxAhead?: Duration | 'any';
  /** Time between two runs of {@link Retention.start}. Default `'1h'`. */
  readonly every?: Duration;
  /** Records a transaction of the purge. Default 1,000. */
  readonly batch?: number;
  /** Gets the report of each scheduled run. */
  readonly onReport?: (report: RetentionReport) => void;
  /** Gets the error of a scheduled run; the next one runs all the same. Default: a process warning. */
  readonly onError?: (error: unknown) => void;
}

/** What a run did, or with `dryRun` would do. Ids of sessions, never content. */
export interface RetentionReport {
  readonly dryRun: boolean;
  /** Another process was at it, so this run did nothing. */
  readonly skipped: boolean;
  /** Expired records, and the sessions that lost some. */
  readonly expired: { readonly items: number; readonly sessions: number };
  /** Sessions deleted as a whole. */
  readonly deleted: readonly string[];
  /** Items cut from sessions by `keepLast`. */
  readonly trimmed: { readonly items: number; readonly sessions: number };
  /** Sessions that a rule meant and a legal hold kept. */
  readonly held: readonly string[];
}

/** Rules at work on one store. */
export interface Retention {
  /**
   * One run. Only one process runs at a time, by a lock in the database.
   *
   * @throws The signal's reason when it was aborted; what was deleted stays deleted, and the next run goes on.
   * {@link StrongroomError} `ERR_CLOCK` when the clock is too far ahead, see {@link RetentionOptions.maxAhead}; nothing was deleted.
   */
  run(options?: { readonly dryRun?: boolean; readonly signal?: AbortSignal }): Promise<RetentionReport>;
  /** Runs now and then every so often, until {@link Retention.stop}. Does not keep the process alive. */
  start(): void;
  /** Ends the schedule and waits for a run that is under way to stop. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const WHERE = 'retention';
const LEASE = 'job retention';
/** Renewed long before its end; when the process dies another one can begin after this time. */
const LEASE_TIME = 60_000;

/**
 * Deletes what is past its time, on a schedule, with one active runner among all processes of a store. It needs no key.
 * Deleting a session destroys its data keys too. Sessions under a legal hold are passed over and reported.
 *
 * What stays afterwards: backups, replicas that lag, PostgreSQL's dead rows until `VACUUM`, MySQL's undo and binary
 * logs, Redis' append-only file until it is rewritten. Encrypted items are unreadable in all of them once the data key
 * is destroyed and not in the same backup.
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
  const known = [
    'expired',
    'maxAge',
    'maxIdle',
    'keepLast',
    'maxAhead',
    'every',
    'batch',
    'onReport',
    'onError',
  ] as const;
  checkCall(WHERE, options, known);
  const origin = originOf(options);
  const { expired, maxAge, maxIdle, keepLast, onReport, onError = warnOf } = options;
  if (expired === undefined && maxAge === undefined && maxIdle === undefined && keepLast === undefined) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${WHERE}: give a rule: expired, maxAge, maxIdle or keepLast.`,
    );
  }
  const after =
    expired === undefined || expired === true ? undefined : parseDuration(WHERE, 'expired', expired);
  const age = maxAge === undefined ? undefined : parseDuration(WHERE, 'maxAge', maxAge);
  const idle = maxIdle === undefined ? undefined : parseDuration(WHERE, 'maxIdle', maxIdle);
  const keep = keepLast === undefined ? undefined : parseCount(WHERE, 'keepLast', keepLast);
  const maxAhead = parseMaxAhead(WHERE, options.maxAhead);
  const needsClock = expired !== undefined || age !== undefined || idle !== undefined;
  const every = parseDuration(WHERE, 'every', options.every ?? '1h');
  const batch = options.batch === undefined ? undefined : parseCount(WHERE, 'batch', options.batch);
  const maintenance = maintenanceOf(store);
  const calls = store[CALLS];
  if (calls === undefined) refuseOrigin(WHERE, options);
  const remove = async <T>(id: string, work: () => Promise<T>): Promise<T> =>
    calls === undefined ? work() : calls.removing(id, 'retention', origin, work);

  async function work(dryRun: boolean, signal: AbortSignal | undefined): Promise<RetentionReport> {
    if (needsClock) await maintenance.checkClock(WHERE, maxAhead);
    const now = maintenance.now();
    const report = {
      dryRun,
      skipped: false,
      expired: { items: 0, sessions: 0 },
      deleted: [] as string[],
      trimmed: { items: 0, sessions: 0 },
      held: [] as string[],
    };
    const policy = after === undefined ? undefined : now - after;
    if (expired !== undefined) {
      if (dryRun) {
        const found = await maintenance.expired(policy);
        const items = found.reduce((sum, each) => sum + each.items, 0);
        report.expired = { items, sessions: found.length };
      } else {
        report.expired = await store.purgeExpired({
          ...(after !== undefined && { after }),
          ...(batch !== undefined && { batch }),
          ...(options.maxAhead !== undefined && { maxAhead: options.maxAhead }),
          ...(signal !== undefined && { signal }),
          ...origin,
        });
      }
    }
    if (age === undefined && idle === undefined && keep === undefined) return report;
    for await (const { id, items, firstAt, lastAt } of listed(store, { derived: true })) {
      if (!holdsConversation(id)) continue;
      signal?.throwIfAborted();
      const old = age !== undefined && firstAt <= now - age;
      const silent = idle !== undefined && lastAt <= now - idle;
      const excess = keep === undefined ? 0 : Math.max(items - keep, 0);
      try {
        if (old || silent) {
          const gone =
            dryRun ||
            (await remove(id, async () =>
              maintenance.dropIf(
                id,
                old ? { firstBefore: now - age } : { lastBefore: now - (idle as number) },
              ),
            ));
          if (gone) report.deleted.push(id);
        } else if (excess > 0) {
          const count = dryRun ? excess : await remove(id, async () => maintenance.trim(id, keep as number));
          report.trimmed = {
            items: report.trimmed.items + count,
            sessions: report.trimmed.sessions + (count > 0 ? 1 : 0),
          };
        }
      } catch (error) {
        if (!isStrongroomError(error) || error.code !== 'ERR_HELD') throw error;
        report.held.push(id);
      }
    }
    return report;
  }

  async function run(
    runOptions: { readonly dryRun?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<RetentionReport> {
    checkOptions(`${WHERE}: run`, runOptions, ['dryRun', 'signal']);
    const { dryRun = false, signal } = runOptions;
    signal?.throwIfAborted();
    if (dryRun) return await work(true, signal);
    // Of this run: an owner that is kept would be the owner in each clone of the process, too.
    const owner = randomName();
    if (!(await maintenance.leases.acquire(LEASE, owner, LEASE_TIME))) {
      const none = { items: 0, sessions: 0 };
      return { dryRun, skipped: true, expired: none, deleted: [], trimmed: none, held: [] };
    }
    const lost = new AbortController();
    const stopRenewing = renewLease(maintenance.leases, { lease: LEASE, owner }, LEASE_TIME, {
      answered(kept) {
        if (kept) return;
        lost.abort(new StrongroomError('ERR_CONFLICT', `${WHERE}: another process took the lock over.`));
      },
      failed: (error) => lost.abort(error),
    });
    try {
      return await work(false, signal === undefined ? lost.signal : AbortSignal.any([signal, lost.signal]));
    } finally {
      stopRenewing();
      await maintenance.leases.release(LEASE, owner);
    }
  }

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

function warnOf(error: unknown): void {
  const reason = error instanceof Error ? error.message : 'unknown error';
  warn('STRONGROOM_RETENTION_FAILED', `A retention run failed: ${reason}`);
}

function maintenanceOf<S extends Session>(store: Store<S>): Maintenance {
  const maintenance = store?.[MAINTENANCE];
  if (maintenance !== undefined) return maintenance;
  throw new StrongroomError(
    'ERR_UNSUPPORTED',
    `${WHERE} needs a store of strongroom: it keeps its lock in the database.`,
  );
}

/** A session of a person, readable. */
export interface ExportedSession {
  readonly id: string;
  readonly items: readonly AgentInputItem[];
}

/**
 * All sessions of a person, as the store gives them: through the layers of a wrapped store they are readable, which is
 * what a request for access asks for.
 *
 * @param subject As given to `session(id, { subject })`.
 * @param origin Who asks and why. On a wrapped store this is a call on the store and one on each session; a store without
 * layers has nobody to tell and refuses it (`ERR_INVALID_OPTION`).
 *
 * @example
 * ```ts
 * import { exportSubject } from 'strongroom/retention';
 * import { openSqlite } from 'strongroom/sqlite';
 *
 * await using store = openSqlite('conversations.db');
 * for await (const { id, items } of exportSubject(store, 'person-7')) console.log(id, items.length);
 * ```
 */
export async function* exportSubject<S extends Session>(
  store: Store<S>,
  subject: string,
  origin: CallOrigin = {},
): AsyncGenerator<ExportedSession> {
  const calls = store[CALLS];
  await asked(calls, 'exportSubject', subject, origin);
  for await (const { id } of listed(store, { subject, derived: true })) {
    if (!holdsConversation(id)) continue;
    const items =
      calls === undefined
        ? store.session(id, { derived: true }).getItems()
        : calls.items(id, 'exportSubject', origin);
    yield { id, items: await items };
  }
}

/**
 * Deletes all sessions of a person, with their data keys. Sessions under a legal hold are kept and reported.
 *
 * @param subject As given to `session(id, { subject })`.
 * @param origin As of {@link exportSubject}.
 */
export async function eraseSubject<S extends Session>(
  store: Store<S>,
  subject: string,
  origin: CallOrigin = {},
): Promise<{ readonly deleted: readonly string[]; readonly held: readonly string[] }> {
  const calls = store[CALLS];
  await asked(calls, 'eraseSubject', subject, origin);
  const deleted: string[] = [];
  const held: string[] = [];
  for await (const { id } of listed(store, { subject, derived: true })) {
    try {
      await (calls === undefined
        ? store.deleteSession(id, { derived: true })
        : calls.erase(id, 'eraseSubject', origin));
      deleted.push(id);
    } catch (error) {
      if (!isStrongroomError(error) || error.code !== 'ERR_HELD') throw error;
      held.push(id);
    }
  }
  return { deleted, held };
}

/** The call on the store as a whole, in which the arguments are checked. */
async function asked(
  calls: StoreCalls | undefined,
  kind: 'exportSubject' | 'eraseSubject',
  subject: unknown,
  origin: CallOrigin,
): Promise<void> {
  const check = async (): Promise<void> => {
    checkCall(kind, origin, []);
    if (calls === undefined) refuseOrigin(kind, origin);
    checkSubject(kind, subject);
  };
  await (calls === undefined ? check() : calls.whole(kind, originOf(origin), check));
}

function checkSubject(where: string, subject: unknown): asserts subject is string {
  checkText(where, 'subject', subject, MAX_BYTES.subject);
}
