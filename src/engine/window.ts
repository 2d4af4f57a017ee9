import type { AgentInputItem } from '@openai/agents';
import type { LayerIO, MaybePromise, SessionCall } from '../layer.ts';
import { after } from '../maybe-promise.ts';
import { recordKey } from '../protocol/envelope.ts';
import { takesParts } from '../protocol/sealed-record.ts';
import type { Inner } from './inner.ts';
import type { Opening } from './opening.ts';
import type { Opened } from './records.ts';
import type { Stack } from './stack.ts';

/**
 * The records behind the last `limit` visible items (all when absent), opened; `fresh` bypasses a caching layer.
 * `inspect` hooks have not been called yet.
 */
export type Window = (
  limit: number | undefined,
  call: SessionCall,
  fresh: boolean,
) => MaybePromise<readonly Opened[]>;

export function createWindow(inner: Inner, stack: Stack, opening: Opening): Window {
  const { loading } = stack;

  function recordsFor(limit: number | undefined, call: SessionCall): Promise<AgentInputItem[]> {
    call.result.unanswered = true;
    const records =
      takesParts(call) && inner.getRecords !== undefined
        ? inner.getRecords(limit)
        : inner.getItems(limit, call.runContext);
    return records.then((answer) => {
      call.result.unanswered = false;
      return answer;
    });
  }

  function load(count: number | undefined, call: SessionCall): MaybePromise<readonly Opened[]> {
    const io: LayerIO = {
      raw: (wanted) => recordsFor(wanted, call),
      open: (records) => opening.openKept(records, call),
      ...(inner.version !== undefined && { version: inner.version }),
    };
    const wanted = call.limit === count ? call : { ...call, limit: count };
    return after(loading?.load?.(wanted, io), (loaded = []) => {
      call.result.unanswered = false;
      return opening.show(loaded, call);
    });
  }

  function window(
    limit: number | undefined,
    call: SessionCall,
    fresh: boolean,
  ): MaybePromise<readonly Opened[]> {
    const cached = loading !== undefined && !fresh;
    if (limit !== undefined) return growing(limit, call, cached);
    if (cached) return load(undefined, call);
    return recordsFor(undefined, call).then((records) => opening.openUnseen(records, call));
  }

  /** Twice as many records each time, until there are `limit` visible items among them, or no more records. */
  async function growing(limit: number, call: SessionCall, cached: boolean): Promise<readonly Opened[]> {
    let known: readonly Opened[] = [];
    for (let size = limit; ; size *= 2) {
      let opened: readonly Opened[];
      let exhausted: boolean;
      if (cached) {
        opened = await load(size, call);
        exhausted = opened.length < size;
      } else {
        const records = await recordsFor(size, call);
        exhausted = records.length < size;
        opened = await openNew(records, known, call);
      }
      const visible = opened.filter((record) => record.visible !== undefined).length;
      if (visible >= limit || exhausted || !stack.reads) return opened;
      known = opened;
    }
  }

  /** A doubled window ends with the records of the previous one, which are not opened again. */
  async function openNew(
    records: readonly AgentInputItem[],
    known: readonly Opened[],
    call: SessionCall,
  ): Promise<readonly Opened[]> {
    const start = records.length - known.length;
    const same =
      known.length > 0 &&
      start >= 0 &&
      known.every(
        (before, index) => recordKey(before.stored) === recordKey(records[start + index] as AgentInputItem),
      );
    return same
      ? [...(await opening.openUnseen(records.slice(0, start), call)), ...known]
      : opening.openUnseen(records, call);
  }

  return window;
}
