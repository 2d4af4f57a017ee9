import {
  UNWRITTEN,
  type Entry,
  type HiddenEntry,
  type HistoryVersion,
  type LayerIO,
  type MaybePromise,
  type SessionCall,
  type SessionLayer,
} from '../../layer.ts';
import { after } from '../../maybe-promise.ts';
import { takesParts } from '../../protocol/sealed-record.ts';
import { countWork } from '../../protocol/work.ts';
import { mapInSlices } from '../../slices.ts';
import type { ActivityOf } from './activities.ts';
import { compare, endsWithKnown } from './changes.ts';
import { createKeeping, handOutAll, openUnknown, type Known } from './known.ts';
import type { LayersBelow } from './layers-below.ts';
import { sumsOf, type List, type Lists } from './lists.ts';
import type { CacheSettings } from './options.ts';

type Loaded = MaybePromise<readonly (Entry | HiddenEntry)[]>;

/** One read of a history. */
interface Load {
  readonly call: SessionCall;
  readonly io: LayerIO;
  /** Of its list. */
  readonly key: string;
  /** The time of the stack's clock, … */
  readonly now: number;
  /** … and the generation of the session when it began. */
  readonly generation: number;
  /** Whether no change was in progress then, and none was begun since. */
  readonly isUndisturbed: () => boolean;
}

/** The result of checking a list. */
interface Comparison {
  readonly unchanged: boolean;
  /** The current version of the history, if it was read. */
  readonly version?: HistoryVersion | undefined;
}

/**
 * Reads: from memory when nothing has changed, otherwise from the inner session, opening only unknown records. A
 * read from memory creates no promise unless a layer or the version source does.
 */
export function createLoad(
  settings: CacheSettings,
  lists: Lists,
  activityOf: ActivityOf,
  below: LayersBelow,
): NonNullable<SessionLayer['load']> {
  const { mode } = settings;

  function load(call: SessionCall, io: LayerIO): Loaded {
    const activity = activityOf(call);
    const { generation, active } = activity;
    const isUndisturbed = (): boolean => active === 0 && activity.generation === generation;
    return after(below.keyOf(call), (key) => {
      const reading: Load = { call, io, key, now: call.now(), generation, isUndisturbed };
      const list = lists.current(key, generation, reading.now);
      if (list === undefined) return readAnew(reading, undefined, undefined);
      return after(below.stillOpens(list, call), (opens) => {
        if (opens) return loadKept(reading, list);
        lists.delete(key);
        return readAnew(reading, undefined, undefined);
      });
    });
  }

  function loadKept(reading: Load, list: List): Loaded {
    const { call, io } = reading;
    const { length } = list.known;
    return after(compareWith(list, length, reading), ({ unchanged, version }) => {
      if (!unchanged || (list.marked && !takesParts(call))) return readAnew(reading, list, version);
      countWork(call, 'cacheHits', 1);
      return answer(list, length, call, io);
    });
  }

  function compareWith(list: List, length: number, { call, io }: Load): MaybePromise<Comparison> {
    if (mode === 'owner') return { unchanged: true };
    const { version: versions } = io;
    // Without a seal two equal records cannot be distinguished, so an unchanged end proves nothing.
    if (mode === 'verify' || (!call.sealed && versions === undefined)) return { unchanged: false };
    if (versions === undefined) {
      return after(endsWithKnown(list, length, io), (unchanged) => ({ unchanged }));
    }
    return after(compare(list, versions), ({ version, follows: unchanged }) => {
      if (unchanged) Object.assign(list, { version, steps: [], stepCount: 0, checked: length });
      return { unchanged, version };
    });
  }

  /** @param version The version of the history, if it is known already. */
  function readAnew(reading: Load, list: List | undefined, known: HistoryVersion | undefined): Loaded {
    const { call, io } = reading;
    countWork(call, 'cacheMisses', 1);
    const isFull = call.limit === undefined;
    // Read before the records: an append in between makes the kept version older than its records, never newer.
    return after(isFull && mode === 'tail' ? (known ?? io.version?.read()) : undefined, (version) =>
      // The first read of most conversations comes before their first item.
      after(version === UNWRITTEN ? [] : io.raw(call.limit), (records) =>
        after(openUnknown(records, list?.known ?? [], io, createKeeping(settings, call)), (opened) =>
          // A copy of the list: later appends are added to its end.
          after(isFull ? keep(reading, list, opened, version) : undefined, () =>
            handOutAll(opened.slice(), call),
          ),
        ),
      ),
    );
  }

  /** Keeps a whole history. */
  function keep(
    { call, key, now, generation, isUndisturbed }: Load,
    before: List | undefined,
    known: Known[],
    version: HistoryVersion | undefined,
  ): MaybePromise<void> {
    const examples = new Map<string, Entry>();
    return after(mapInSlices(known, below.addingTo(examples, call)), () => {
      // A read during a change may return the state before or after it.
      if (!isUndisturbed()) return;
      activityOf(call).hasLists = true;
      lists.dropOver(now);
      lists.set(key, {
        known,
        examples,
        checked: known.length,
        version,
        steps: [],
        stepCount: 0,
        ...sumsOf(known, settings),
        generation,
        openedAt: before === undefined ? now : Math.min(now, before.openedAt),
        session: call.inner,
      });
    });
  }

  function answer(list: List, length: number, call: SessionCall, io: LayerIO): Loaded {
    const from = call.limit === undefined ? 0 : Math.max(0, length - call.limit);
    const known = list.known.slice(from, length);
    if (!list.skips) return handOutAll(known, call);
    const records = known.map(({ stored }) => stored);
    return after(openUnknown(records, known, io, createKeeping(settings, call)), (opened) =>
      handOutAll(opened, call),
    );
  }

  return load;
}
