import type { Counter, Histogram, Meter } from '@opentelemetry/api';
import { defined } from '../../defined.ts';
import type { SessionCall, Work } from '../../layer.ts';

/** How a call ended. */
export interface Outcome {
  readonly seconds: number;
  readonly itemsOut: number | undefined;
  /** The name of the error. */
  readonly failure: string | undefined;
  readonly isSlow: boolean;
}

/** Records calls in metrics. Metrics never carry a session id. */
export type Instruments = (call: SessionCall, outcome: Outcome) => void;

/** By `call.result`, the meters that counted the work of the call: with two `observe()` in a stack it is one work. */
const counted = new WeakMap<object, WeakSet<Meter>>();

export function createInstruments(meter: Meter): Instruments {
  const duration: Histogram = meter.createHistogram('strongroom.operation.duration', {
    description: 'Duration of calls on a session.',
    unit: 's',
    // The boundaries that the semantic conventions give for database operations.
    advice: { explicitBucketBoundaries: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10] },
  });
  const counter = (name: string, unit: string, description: string): Counter =>
    meter.createCounter(`strongroom.${name}`, { description, unit });
  const items = counter('items', '{item}', 'Items handed to a session and given back by it.');
  const failures = counter('failures', '{call}', 'Calls that failed.');
  const slow = counter('slow_loads', '{call}', 'Reads that took longer than slowLoad.');
  const redactions = counter('redactions', '{finding}', 'Findings that redact() replaced.');
  const work: Readonly<Record<Exclude<keyof Work, 'redacted'>, Counter>> = {
    cacheHits: counter('cache.hits', '{call}', 'Reads that cache() answered from memory.'),
    cacheMisses: counter('cache.misses', '{call}', 'Reads of cache() that needed the history.'),
    opened: counter('records.opened', '{record}', 'Records that encrypt() opened.'),
    sealed: counter('records.sealed', '{record}', 'Records that encrypt() sealed.'),
    expired: counter('records.expired', '{record}', 'Records that a read hid as expired.'),
    purged: counter('records.purged', '{record}', 'Expired records that a purge deleted.'),
  };

  function addWork(done: Work, operation: { readonly 'strongroom.operation': string }): void {
    for (const name of Object.keys(work) as (keyof typeof work)[]) {
      const count = done[name];
      if (count !== undefined) work[name].add(count, operation);
    }
    for (const [entity, count] of Object.entries(done.redacted ?? {})) {
      redactions.add(count, { ...operation, 'strongroom.entity': entity });
    }
  }

  return (call, { seconds, itemsOut, failure, isSlow }) => {
    const { kind, itemCount, result } = call;
    const operation = { 'strongroom.operation': kind };
    duration.record(seconds, defined({ ...operation, 'error.type': failure }));
    if (failure !== undefined) failures.add(1, { ...operation, 'error.type': failure });
    if (isSlow) slow.add(1, operation);
    if (itemCount !== undefined) items.add(itemCount, { ...operation, 'strongroom.direction': 'in' });
    if (itemsOut !== undefined) items.add(itemsOut, { ...operation, 'strongroom.direction': 'out' });
    const meters = counted.get(result) ?? new WeakSet();
    counted.set(result, meters);
    if (result.work === undefined || meters.has(meter)) return;
    meters.add(meter);
    addWork(result.work, operation);
  };
}
