import { defined } from '../defined.ts';
import { periodsOf } from './periods.ts';
import type { CallCounts, NamedCalls, ReportedLog } from './types.ts';

/** The fields of a line that are counted; other fields are ignored. */
interface CallLine {
  readonly time: number;
  readonly operation: string;
  readonly outcome: keyof CallCounts;
  readonly actor?: unknown;
  readonly error?: unknown;
  readonly itemsOut?: unknown;
}

interface RedactionLine {
  readonly time: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly unsearched?: unknown;
}

/** More names than these are counted together: a log can name any number of actors. */
const MOST_NAMES = 1_000;
const OTHERS = '(others)';

/**
 * Counts the events of `audit()` and the reports of `redact()` in lines of JSON, as `auditFile()` writes them. Lines of
 * another form are counted and skipped.
 */
export async function readAuditLog(lines: AsyncIterable<string> | Iterable<string>): Promise<ReportedLog> {
  const count = { lines: 0, unreadable: 0 };
  const calls = countCalls();
  const redactions = countRedactions();
  for await (const line of lines) {
    if (line.trim() === '') continue;
    count.lines++;
    const parsed = parse(line);
    if (isCall(parsed)) calls.add(parsed);
    else if (isRedaction(parsed)) redactions.add(parsed);
    else count.unreadable++;
  }
  return { ...count, calls: calls.result(), redactions: redactions.result() };
}

function parse(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** A time whose year has four digits. */
function isTime(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value < Date.UTC(10_000, 0);
}

function isCall(line: object | undefined): line is CallLine {
  const { time, operation, outcome } = (line ?? {}) as Partial<CallLine>;
  return isTime(time) && typeof operation === 'string' && (outcome === 'success' || outcome === 'failure');
}

function isRedaction(line: object | undefined): line is RedactionLine {
  const { type, time, counts } = (line ?? {}) as Partial<RedactionLine> & { readonly type?: unknown };
  return (
    type === 'redaction' &&
    isTime(time) &&
    typeof counts === 'object' &&
    counts !== null &&
    Object.values(counts).every((each) => Number.isSafeInteger(each) && each >= 0)
  );
}

/** The earliest and the latest time. */
function spanOf(): { add(time: number): void; result(): { from?: number; to?: number } } {
  let from: number | undefined;
  let to: number | undefined;
  return {
    add(time) {
      from = Math.min(from ?? time, time);
      to = Math.max(to ?? time, time);
    },
    result: () => defined({ from, to }),
  };
}

function countCalls(): { add(line: CallLine): void; result(): ReportedLog['calls'] } {
  const span = spanOf();
  const all = { success: 0, failure: 0 };
  const actors = countNames();
  const operations = countNames();
  const errors = new Map<string, number>();
  const periods = periodsOf(
    (): Record<keyof CallCounts, number> => ({ success: 0, failure: 0 }),
    (sum, { success, failure }) => {
      sum.success += success;
      sum.failure += failure;
    },
  );
  return {
    add({ time, operation, outcome, actor, error, itemsOut }) {
      span.add(time);
      all[outcome]++;
      periods.at(time)[outcome]++;
      const items = Number.isSafeInteger(itemsOut) ? (itemsOut as number) : 0;
      actors.add(typeof actor === 'string' ? actor : '', outcome, items);
      operations.add(operation, outcome, items);
      if (outcome === 'failure') increase(errors, typeof error === 'string' ? error : '');
    },
    result: () => ({
      ...all,
      ...span.result(),
      byActor: actors.result(),
      byOperation: operations.result(),
      byError: [...errors]
        .map(([error, calls]) => ({ error, calls }))
        .toSorted((one, other) => other.calls - one.calls),
      overTime: periods.result(),
    }),
  };
}

function countNames(): {
  add(name: string, outcome: keyof CallCounts, items: number): void;
  result(): NamedCalls[];
} {
  const found = new Map<string, { success: number; failure: number; items: number }>();
  return {
    add(given, outcome, items) {
      const name = found.has(given) || found.size < MOST_NAMES ? given : OTHERS;
      const counts = found.get(name) ?? { success: 0, failure: 0, items: 0 };
      counts[outcome]++;
      counts.items += items;
      found.set(name, counts);
    },
    result: () =>
      [...found]
        .map(([name, counts]) => ({ name, ...counts }))
        .toSorted((one, other) => other.success + other.failure - one.success - one.failure),
  };
}

function countRedactions(): { add(line: RedactionLine): void; result(): ReportedLog['redactions'] } {
  const span = spanOf();
  const entities = new Map<string, number>();
  const periods = periodsOf(
    (): Map<string, number> => new Map(),
    (sum, counts) => counts.forEach((count, entity) => increase(sum, entity, count)),
  );
  let reports = 0;
  let unsearched = 0;
  return {
    add({ time, counts, unsearched: texts }) {
      span.add(time);
      reports++;
      if (Number.isSafeInteger(texts)) unsearched += texts as number;
      for (const [given, count] of Object.entries(counts)) {
        const entity = entities.has(given) || entities.size < MOST_NAMES ? given : OTHERS;
        increase(entities, entity, count);
        increase(periods.at(time), entity, count);
      }
    },
    result() {
      const { unit, periods: found } = periods.result();
      return {
        reports,
        ...span.result(),
        byEntity: [...entities]
          .map(([entity, count]) => ({ entity, count }))
          .toSorted((one, other) => other.count - one.count),
        unsearched,
        overTime: {
          unit,
          periods: found.map(({ from, counts }) => ({ from, counts: Object.fromEntries(counts) })),
        },
      };
    },
  };
}

function increase(counts: Map<string, number>, name: string, by = 1): void {
  const bounded = counts.has(name) || counts.size < MOST_NAMES ? name : OTHERS;
  counts.set(bounded, (counts.get(bounded) ?? 0) + by);
}
