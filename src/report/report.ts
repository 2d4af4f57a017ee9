import type { Session } from '@openai/agents';
import { defined } from '../defined.ts';
import { isStrongroomError, StrongroomError } from '../errors.ts';
import type { Keyring } from '../keys/keyring.ts';
import type { CallOrigin } from '../layer.ts';
import { asCall } from '../operations/as-call.ts';
import { keyPlacesOf } from '../operations/key-places.ts';
import { listed } from '../operations/listed.ts';
import { searchReturned } from '../operations/erasure.ts';
import { type ReceiptKey, type RetentionOptions } from '../operations/retention.ts';
import { invalidOption } from '../options.ts';
import { checkCall, originOf } from '../protocol/call-origin.ts';
import { MAINTENANCE } from '../session-contract.ts';
import type { Maintenance } from '../stores/maintenance.ts';
import type { Store } from '../stores/store.ts';
import { layersOfStore } from '../wrap-store.ts';
import { readAuditLog } from './audit-log.ts';
import { readErasures, type NamedReceipt } from './erasures.ts';
import { findingsOf } from './findings.ts';
import { countHolds, listHolds } from './holds.ts';
import { countKeys } from './keys.ts';
import { createJudge, parseRule } from './rule.ts';
import { countSessions } from './sessions.ts';
import type { ComplianceReport } from './types.ts';

/** Options of {@link complianceReport}. */
export interface ReportOptions extends CallOrigin {
  /** A name for the store in the report, such as `'production'`. */
  readonly name?: string;
  /** The rule of `retention()` that the data is compared with. Default: `{ expired: true }`, the stamps of `expire()`. */
  readonly rule?: RetentionOptions;
  /** The keyring of `encrypt()`: the report then has the state of each key. Nothing is opened with it. */
  readonly keys?: Keyring;
  /** Receipts of erasures. */
  readonly receipts?: readonly NamedReceipt[];
  /** Public keys of the receipts, as JWKs; one of them must have signed each receipt. */
  readonly receiptKeys?: readonly ReceiptKey[];
  /** The lines of an audit log, as `auditFile()` writes them. */
  readonly auditLog?: AsyncIterable<string> | Iterable<string>;
  /** Called after each session that was read. */
  readonly onProgress?: (done: { readonly sessions: number; readonly items: number }) => void;
  /** Ends it between two sessions: it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

const WHERE = 'report';

/**
 * The state of a store for a compliance review: what there is by age and by the retention rule, which keys it needs, holds, erasures,
 * and calls and redactions by the audit log. Numbers, ids, names and times, never content: no record is opened, and no key
 * is needed.
 *
 * Reads every record of the store once, session by session, and lists the sessions and the data keys. What changes meanwhile
 * may or may not be in it.
 *
 * @param store A store of strongroom, wrapped or not. For a wrapped one it is a call (`'report'`) of the kinds that
 * `authorize()` and `audit()` see.
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`; `ERR_UNSUPPORTED` for a store that is not ours.
 *
 * @example
 * ```ts
 * import { complianceReport } from 'strongroom/report';
 * import { openSqlite } from 'strongroom/sqlite';
 *
 * await using store = openSqlite('conversations.db');
 * const { overdue, findings } = await complianceReport(store, { rule: { expired: '30d' } });
 * console.log(overdue, findings);
 * ```
 */
export async function complianceReport<S extends Session>(
  store: Store<S>,
  options: ReportOptions = {},
): Promise<ComplianceReport> {
  const maintenance = store?.[MAINTENANCE];
  if (maintenance === undefined) {
    throw new StrongroomError(
      'ERR_UNSUPPORTED',
      `${WHERE} needs a store of strongroom, because another one does not list its records.`,
    );
  }
  return asCall(store, 'report', options, async () => read(store, maintenance, options));
}

async function read<S extends Session>(
  store: Store<S>,
  maintenance: Maintenance,
  options: ReportOptions,
): Promise<ComplianceReport> {
  check(options);
  const { name, keys, receipts = [], receiptKeys = [], auditLog, onProgress, signal } = options;
  const rule = parseRule(options.rule);
  const layers = layersOfStore(store);
  // Before this report makes calls that are written there.
  const log = auditLog === undefined ? undefined : await readAuditLog(auditLog);
  const now = maintenance.now();
  const { stores } = await keyPlacesOf('report', store);
  const holds = await listHolds(stores);
  const open = holds.filter(({ releasedAt }) => releasedAt === undefined);
  const judge = createJudge(rule, now, new Set(open.map(({ sessionId }) => sessionId)));
  if (rule.maxAge !== undefined || rule.maxIdle !== undefined) {
    for await (const summary of listed(store, { derived: 'all' })) judge.note(summary);
  }
  const sessions = countSessions(rule, judge, now);
  const keyCount = countKeys(now);
  const held = countHolds(holds);
  const done = { sessions: 0, items: 0 };
  for await (const summary of listed(store, { derived: 'all' })) {
    signal?.throwIfAborted();
    const records = await maintenance.records(summary.id);
    if (records.length === 0) continue;
    sessions.add(summary, records);
    keyCount.add(summary.id, records);
    held.add(summary, records.length);
    done.sessions++;
    done.items += records.length;
    onProgress?.({ ...done });
  }
  const returned = [];
  for await (const session of searchReturned(store)) returned.push(session);
  const facts = {
    ...defined({ type: 'strongroom/report' as const, version: 1 as const, at: now, name }),
    layers: layers.map((layer) => layer.name),
    rule,
    ...sessions.result(),
    keys: await keyCount.result(stores, keys),
    holds: held.result(),
    erasures: await readErasures(store, receipts, receiptKeys, originOf(options)),
    returned,
    ...(log !== undefined && { log }),
  };
  const findings = findingsOf({
    ...facts,
    ...defined({ clock: await clockProblem(maintenance) }),
    ...(layers.length > 0 && {
      seals: layers.some(({ seals }) => seals === true),
      audits: layers.some((layer) => layer.name === 'audit'),
    }),
  });
  return { ...facts, findings };
}

function check(options: ReportOptions): void {
  checkCall(WHERE, options, [
    'name',
    'rule',
    'keys',
    'receipts',
    'receiptKeys',
    'auditLog',
    'onProgress',
    'signal',
  ]);
  const { name, keys, receipts, receiptKeys, onProgress } = options;
  if (name !== undefined && typeof name !== 'string') invalidOption(WHERE, 'name', 'a text', name);
  if (keys !== undefined && typeof keys.checkOpens !== 'function') {
    invalidOption(WHERE, 'keys', 'a keyring', undefined);
  }
  if (receipts !== undefined && !(Array.isArray(receipts) && receipts.every(isNamed))) {
    invalidOption(WHERE, 'receipts', 'a list of { name, receipt }', undefined);
  }
  if (receiptKeys !== undefined && !Array.isArray(receiptKeys)) {
    invalidOption(WHERE, 'receiptKeys', 'a list of public JWKs', undefined);
  }
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    invalidOption(WHERE, 'onProgress', 'a function', onProgress);
  }
}

function isNamed(value: unknown): value is NamedReceipt {
  const { name, receipt } = (value ?? {}) as Partial<NamedReceipt>;
  return typeof name === 'string' && typeof receipt === 'string';
}

/** The code of the error that a purge would throw. */
async function clockProblem(maintenance: Maintenance): Promise<string | undefined> {
  try {
    await maintenance.checkClock(WHERE, undefined);
    return undefined;
  } catch (error) {
    if (isStrongroomError(error) && error.code === 'ERR_CLOCK') return error.code;
    throw error;
  }
}
