import type { AgentInputItem, RunContext } from '@openai/agents';
import { getOrMake } from '../get-or-make.ts';
import type { Entry, SessionCall } from '../layer.ts';
import { createMemory, type Memory } from './memory.ts';
import { createOperationLog, type OperationLog } from './operation-log.ts';
import type { Opened } from './records.ts';

/** Ids of one session object whose histories are remembered: a service gives a cleared session a new id. */
const KEPT_IDS = 4;

/** The state of one wrapper for one history. */
export interface History {
  readonly memory: Memory;
  readonly operations: OperationLog;
  /** The result of the last full read: every record opened, or some were skipped. */
  records: 'unread' | 'opened' | 'skipped';
}

/** Histories that one caller reaches: all of them, or those behind one run context. */
interface Route {
  readonly histories: Map<string, History>;
  /** The headers that a clear removed, until the next write: a compaction that follows replaces these records. */
  cleared?: readonly Pick<Entry, 'header'>[] | undefined;
}

/**
 * The state of a wrapper, separated by history. A session that routes by the run context has many histories under
 * one id, and only the inner session knows which context leads to which, so each `RunContext` counts as a separate
 * one. Data that this process saw under another context is read from the inner session again.
 */
export interface Histories {
  of(call: SessionCall): History;
  /** The records behind objects that came from the last reads, looked for when the call is made. */
  origins(
    items: readonly AgentInputItem[],
    runContext: RunContext<unknown> | undefined,
  ): (Opened | undefined)[];
  cleared(call: SessionCall): readonly Pick<Entry, 'header'>[] | undefined;
  setCleared(call: SessionCall, entries: readonly Pick<Entry, 'header'>[] | undefined): void;
  /** Whether any read of this wrapper has skipped records: then a history that was never read must be read first. */
  skippedSomewhere(): boolean;
  setRecords(call: SessionCall, records: 'opened' | 'skipped'): void;
  forget(): void;
}

/** @param routes Whether the inner session chooses its history by the run context. */
export function createHistories(routes: boolean): Histories {
  let everyone: Route = { histories: new Map() };
  let byContext: WeakMap<RunContext<unknown>, Route> | undefined;
  let skipped = false;

  function routeOf({ runContext }: { readonly runContext?: RunContext<unknown> | undefined }): Route {
    if (!routes || runContext === undefined) return everyone;
    byContext ??= new WeakMap();
    return getOrMake(byContext, runContext, () => ({ histories: new Map() }));
  }

  function of(call: SessionCall): History {
    const { histories } = routeOf(call);
    const known = histories.get(call.sessionId);
    if (known !== undefined) return known;
    let operations: OperationLog | undefined;
    const history: History = {
      memory: createMemory(),
      get operations() {
        return (operations ??= createOperationLog());
      },
      records: 'unread',
    };
    histories.set(call.sessionId, history);
    if (histories.size > KEPT_IDS) histories.delete(histories.keys().next().value as string);
    return history;
  }

  return {
    of,
    origins(items, runContext) {
      const { histories } = routeOf({ runContext });
      let found: (Opened | undefined)[] | undefined;
      for (const { memory } of histories.values()) {
        const origins = memory.origins(items);
        found = found?.map((origin, index) => origin ?? origins[index]) ?? origins;
      }
      return found ?? [];
    },
    cleared: (call) => routeOf(call).cleared,
    setCleared(call, entries) {
      routeOf(call).cleared = entries;
    },
    skippedSomewhere: () => skipped,
    setRecords(call, records) {
      of(call).records = records;
      skipped ||= records === 'skipped';
    },
    forget() {
      for (const { memory, operations } of everyone.histories.values()) {
        memory.forget();
        operations.forget();
      }
      everyone = { histories: new Map() };
      byContext = undefined;
      skipped = false;
    },
  };
}
