import type { AgentInputItem, Session } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import { cloneItem } from '../protocol/item.ts';
import type {
  AppendStep,
  Entry,
  HiddenEntry,
  HistoryVersion,
  LayerIO,
  MaybePromise,
  SessionCall,
  SessionLayer,
  VersionAnswer,
  VersionSource,
} from '../layer.ts';
import { checkOptions, invalidOption, parseCount, parseDuration, type Duration } from '../options.ts';
import { mapInSlices } from '../slices.ts';
import { createBoundedLists } from './bounded-lists.ts';
import { recordKey } from '../protocol/envelope.ts';

/** Options of {@link cache}. At least one of `maxItems` and `maxBytes` is required. */
export interface CacheOptions {
  /** Most items in all kept histories together; at least 1. The least recently used history leaves first. */
  readonly maxItems?: number;
  /**
   * Most bytes in all kept histories together; at least 1. An estimate that is a little above what was measured: for each
   * record twice the length of its stored text, for text and opened item, and 512 bytes; 1,024 where it is frozen.
   */
  readonly maxBytes?: number;
  /**
   * How long an opened history is used before it is read and opened anew, whatever the mode; milliseconds, or a text
   * such as `'5m'`. A history whose time is over leaves memory when it is next asked for, when the cache is next
   * filled, or when it is crowded out.
   *
   * @defaultValue '5m'
   */
  readonly ttl?: Duration;
  /**
   * What a read checks before it is answered from memory:
   * - `'tail'`: on the stores of strongroom the version of the history, which every change moves on, wherever in the history
   *   and by whichever process it was made. One row, and none at all where the store was opened with `push`. On any
   *   other session the last record known before this process wrote, and all that it wrote since: one small read,
   *   which sees what other writers add, remove and replace, also in the middle when they go through a stack of this
   *   package; not what somebody edits in the middle past it. Without a store's version and without a seal it works
   *   as `'verify'`.
   * - `'verify'`: every record. Reads everything, opens only what is new.
   * - `'owner'`: nothing. Only where no other process and no other code ever writes to the session.
   *
   * @defaultValue 'tail'
   */
  readonly mode?: 'tail' | 'verify' | 'owner';
  /**
   * Hand out the kept items themselves, deeply frozen, instead of a copy for each read. Faster, and a callback that
   * changes an item throws. Items that hold bytes are copied, because bytes cannot be frozen.
   *
   * @defaultValue false
   */
  readonly freeze?: boolean;
}

/** One record of a kept history. */
interface Known {
  /** Equal for equal records. */
  readonly key: string;
  readonly entry: Entry | HiddenEntry;
  /** The item is frozen through and through. */
  readonly frozen: boolean;
}

interface List {
  readonly known: Known[];
  /** One entry of each name that the layers below give: what decides whether all of them may still be shown. */
  readonly examples: Map<string, Entry>;
  /** How many records from the start the inner session is known to have had, … */
  checked: number;
  /** … the version of its history then, where it has one, and known, … */
  version: HistoryVersion | undefined;
  /** … and what this process appended since: so many of these. Lists that follow one another share them. */
  steps: AppendStep[];
  stepCount: number;
  bytes: number;
  readonly items: number;
  /** Valid while the session is in this generation. */
  generation: number;
  /** When its oldest record was opened. */
  readonly openedAt: number;
  /** Keeps the session alive, so that a later look for the same session finds the same object and this list. */
  readonly session: Session;
}

/** What this process does to one session. */
interface Activity {
  /** Counts mutations: whatever was read in another generation may be out of date. */
  generation: number;
  /** Mutations in progress. */
  active: number;
}

/**
 * Keeps opened histories in memory, so that a warm read costs one small read of the inner session and no decryption,
 * whatever the length of the history. One layer serves all sessions that it is given to, under common bounds.
 *
 * - It stands directly above `encrypt()`, below `expire()` and `redact()`: expiry is judged at each read.
 * - A history leaves before every change, and comes back, longer, only after an append that was acknowledged and that
 *   no other change overlapped. After an error it is read again.
 * - Only a read without a limit fills it. A history that alone exceeds a bound is never kept.
 * - What the layers below would no longer open is not answered: at each hit they are asked once for each data key. A key
 *   that was disabled in this process counts at once; one that another process destroyed after `dataKeys.cacheFor`.
 * - It holds plain text in memory. Sessions that choose their history by the run context are kept for each run apart.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`
 *
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { cache, encrypt, generateKey, keyring, wrapSession } from 'strongroom';
 *
 * const keys = keyring({ current: await generateKey() });
 * const session = wrapSession(new MemorySession(), [cache({ maxItems: 50_000 }), encrypt({ keys })]);
 * ```
 */
export function cache(options: CacheOptions): SessionLayer {
  checkOptions('cache', options, ['maxItems', 'maxBytes', 'ttl', 'mode', 'freeze']);
  const { mode = 'tail', freeze = false } = options;
  const maxItems =
    options.maxItems === undefined ? undefined : parseCount('cache', 'maxItems', options.maxItems);
  const maxBytes =
    options.maxBytes === undefined ? undefined : parseCount('cache', 'maxBytes', options.maxBytes);
  if (maxItems === undefined && maxBytes === undefined) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      'cache: maxItems or maxBytes must be given: a cache without a bound holds every history until memory ends.',
    );
  }
  const ttl = parseDuration('cache', 'ttl', options.ttl ?? '5m');
  if (mode !== 'tail' && mode !== 'verify' && mode !== 'owner') {
    invalidOption('cache', 'mode', "'tail', 'verify' or 'owner'", mode);
  }
  if (typeof freeze !== 'boolean') invalidOption('cache', 'freeze', 'true or false', freeze);

  const lists = createBoundedLists<List>(maxItems, maxBytes);
  const activities = new WeakMap<Session, Activity>();
  const identity = createIdentities();

  function activityOf({ inner }: SessionCall): Activity {
    let activity = activities.get(inner);
    if (activity === undefined) activities.set(inner, (activity = { generation: 0, active: 0 }));
    return activity;
  }

  /** Whoever opens with other layers, or with the key of another tenant, must not meet what these opened. */
  async function keyOf(call: SessionCall): Promise<string> {
    const { inner, sessionId, runContext, routesByRunContext } = call;
    const below = layersBelow(call);
    const varying = below.filter((each) => each.opensAs !== undefined);
    const parts = await Promise.all(varying.map(async (each) => each.opensAs?.(call)));
    return JSON.stringify([
      sessionId,
      ...[inner, ...(routesByRunContext && runContext !== undefined ? [runContext] : [])].map(identity),
      below.map(identity),
      ...parts
        .flatMap((part) => part ?? [])
        .map((part) => (typeof part === 'string' ? part : identity(part))),
    ]);
  }

  const layersBelow = ({ layers }: SessionCall): readonly SessionLayer[] =>
    layers.slice(layers.indexOf(layer) + 1);

  /** Adds one entry of each name that is new. */
  function addingTo(examples: Map<string, Entry>, call: SessionCall): (known: Known) => void {
    const asked = layersBelow(call).filter((each) => each.opensBy !== undefined);
    return ({ entry }) => {
      if (asked.length === 0 || entry.item === undefined) return;
      const name = asked.map((each) => each.opensBy?.(entry) ?? '').join(' ');
      if (!examples.has(name)) examples.set(name, entry);
    };
  }

  /** Whether the layers below would open now what they opened then: a key may be gone, a date have passed. */
  async function stillOpens({ examples }: List, call: SessionCall): Promise<boolean> {
    const entries = [...examples.values()];
    for (const each of entries.length === 0 ? [] : layersBelow(call)) {
      if ((await each.stillOpens?.(entries, call)) === false) return false;
    }
    return true;
  }

  /** A clock that went back says nothing about the age. */
  const isOver = ({ openedAt }: List, now: number): boolean => now < openedAt || now - openedAt >= ttl;

  /** The list under this key, if nothing has happened that could have changed the session since. */
  function current(key: string, generation: number, now: number): List | undefined {
    const list = lists.get(key);
    if (list === undefined) return undefined;
    if (list.generation === generation && !isOver(list, now)) return list;
    lists.delete(key);
    return undefined;
  }

  async function load(call: SessionCall, io: LayerIO): Promise<readonly (Entry | HiddenEntry)[]> {
    const activity = activityOf(call);
    const { generation, active } = activity;
    const key = await keyOf(call);
    const now = call.now();
    let list = current(key, generation, now);
    if (list !== undefined && !(await stillOpens(list, call))) {
      lists.delete(key);
      list = undefined;
    }
    // Without a seal two equal records cannot be told apart, so an end that is as it was proves nothing.
    const verifies = mode === 'verify' || (mode === 'tail' && !call.sealed && io.version === undefined);
    const versions = mode === 'tail' ? io.version : undefined;
    let version: HistoryVersion | undefined;
    if (list !== undefined && !verifies) {
      const length = list.known.length;
      let unchanged = mode === 'owner';
      if (versions !== undefined) {
        const answer = await compare(list, versions);
        version = answer.version;
        unchanged = answer.follows;
        if (unchanged) Object.assign(list, { version, steps: [], stepCount: 0, checked: length });
      } else if (mode === 'tail') unchanged = await endsWithKnown(list, length, io);
      if (unchanged) {
        return answer(list, call.limit === undefined ? 0 : Math.max(0, length - call.limit), length, io);
      }
    }
    // Read before the records: what is added in between makes the kept version older than its records, never newer.
    if (call.limit === undefined) version ??= await versions?.read();
    const records = await io.raw(call.limit);
    const known = await openUnknown(records, list?.known ?? [], io);
    const examples = new Map<string, Entry>();
    if (call.limit === undefined) await mapInSlices(known, addingTo(examples, call));
    // A change in progress, or one since the beginning: what was read may be the state before or after it.
    const undisturbed = active === 0 && activity.generation === generation;
    if (call.limit === undefined && undisturbed) {
      lists.dropOver((old) => isOver(old, now));
      lists.set(key, {
        known,
        examples,
        checked: known.length,
        version,
        steps: [],
        stepCount: 0,
        items: known.length,
        bytes: bytesOf(known),
        generation,
        openedAt: list === undefined ? now : Math.min(now, list.openedAt),
        session: call.inner,
      });
    }
    return handOutAll(known);
  }

  /**
   * Whether the inner session still ends with what the list ends with: all that was appended since the last check,
   * and the record before it. Without that one, a record that another writer put in between would be lost for good.
   */
  async function endsWithKnown(list: List, length: number, io: LayerIO): Promise<boolean> {
    const expected = list.known.slice(Math.max(0, list.checked - 1), length);
    const count = length - list.checked + 1;
    const records = await io.raw(count);
    if (records.length !== expected.length) return false;
    if (!records.every((record, index) => recordKey(record) === expected[index]?.key)) return false;
    list.checked = Math.max(list.checked, length);
    return true;
  }

  /**
   * Whether the history is what the list was when it was checked, and what this process appended since. What was announced is
   * not enough after an append of our own: others may have been faster, and what was said be older than ours.
   */
  async function compare(
    { version, steps, stepCount }: List,
    versions: VersionSource,
  ): Promise<VersionAnswer> {
    if (version === undefined) return { version: await versions.read(), follows: false };
    if (stepCount === 0 && versions.known() === version) return { version, follows: true };
    return await versions.compare(version, steps.slice(0, stepCount));
  }

  /** Opens the records that are not known, in one batch. */
  async function openUnknown(
    records: readonly AgentInputItem[],
    before: readonly Known[],
    io: LayerIO,
  ): Promise<Known[]> {
    const unused = new Map<string, Known[]>();
    // From the end, so that the first one of equal records is the one to pop.
    await mapInSlices(before.toReversed(), (known) => {
      // What a layer skipped may have become readable, and if not, the engine has to hear of it again.
      if (isSkipped(known.entry)) return;
      const same = unused.get(known.key);
      if (same === undefined) unused.set(known.key, [known]);
      else same.push(known);
    });
    const found = await mapInSlices(records, (stored) => {
      const key = recordKey(stored);
      // Where nothing is known, nobody needs the hash of a long text.
      return { stored, key, known: unused.size === 0 ? undefined : unused.get(key)?.pop() };
    });
    const missing = found.filter(({ known }) => known === undefined).map(({ stored }) => stored);
    const opened = missing.length === 0 ? [] : await io.open(missing);
    let next = 0;
    return await mapInSlices(found, ({ stored, key, known }) =>
      known === undefined
        ? know(opened[next++] as Entry | HiddenEntry, key)
        : { ...known, entry: { ...known.entry, stored } },
    );
  }

  function know(entry: Entry | HiddenEntry, key: string): Known {
    return { key, entry, frozen: freeze && entry.item !== undefined && deepFreeze(entry.item) };
  }

  async function answer(
    list: List,
    from: number,
    to: number,
    io: LayerIO,
  ): Promise<readonly (Entry | HiddenEntry)[]> {
    const known = list.known.slice(from, to);
    if (!known.some(({ entry }) => isSkipped(entry))) return handOutAll(known);
    const records = known.map(({ entry }) => entry.stored as AgentInputItem);
    return handOutAll(await openUnknown(records, known, io));
  }

  const handOutAll = (known: readonly Known[]): MaybePromise<readonly (Entry | HiddenEntry)[]> =>
    mapInSlices(known, handOut);

  function handOut({ entry, frozen }: Known): Entry | HiddenEntry {
    return frozen || entry.item === undefined ? entry : { ...entry, item: cloneItem(entry.item) };
  }

  const layer: SessionLayer = {
    name: 'cache',
    unique: true,
    load,
    mutation(call) {
      const activity = activityOf(call);
      activity.active += 1;
      // No list is valid from here on.
      activity.generation += 1;
      const { generation } = activity;
      let key: string | undefined;
      void keyOf(call).then(
        (found) => {
          key = found;
        },
        // The layer that cannot say it now fails the call itself.
        () => undefined,
      );
      return {
        done(appended) {
          activity.active -= 1;
          const before = key === undefined ? undefined : lists.get(key);
          if (key === undefined || before === undefined) return;
          lists.delete(key);
          // A repeated transaction is acknowledged too, and appends nothing.
          if (appended === undefined || call.kind !== 'addItems') return;
          // Another change before this one was done, or since: the list lacks what it wrote.
          if (before.generation !== generation - 1 || activity.generation !== generation) return;
          const known = appended.map((entry) => know(entry, recordKey(entry.stored as AgentInputItem)));
          const last = appended.at(-1)?.stored;
          const step = last === undefined ? undefined : call.version?.stepOf(last);
          for (const record of known) before.known.push(record);
          if (step !== undefined) before.steps.push(step);
          known.forEach(addingTo(before.examples, call));
          lists.set(key, {
            ...before,
            // Without its step nobody can tell what the version is now.
            version: last !== undefined && step === undefined ? undefined : before.version,
            stepCount: before.steps.length,
            items: before.known.length,
            bytes: before.bytes + bytesOf(known),
            generation,
          });
        },
      };
    },
  };
  return layer;
}

function isSkipped(entry: Entry | HiddenEntry): boolean {
  return 'skipped' in entry;
}

/** What a record takes beside its text and item: measured 350 to 480 bytes of heap. */
const RECORD_BYTES = 512;
/** What the engine knows of an object of the last two reads goes with the object, and a frozen one stays here. */
const FROZEN_BYTES = 512;

function bytesOf(known: readonly Known[]): number {
  let bytes = 0;
  for (const { key, frozen } of known) bytes += 2 * key.length + RECORD_BYTES + (frozen ? FROZEN_BYTES : 0);
  return bytes;
}

/** Numbers for objects, the same for the same object, without keeping it alive. */
function createIdentities(): (object: object) => number {
  const numbers = new WeakMap<object, number>();
  let last = 0;
  return (object) => {
    let number = numbers.get(object);
    if (number === undefined) numbers.set(object, (number = ++last));
    return number;
  };
}

/** Whether all of it could be frozen. */
function deepFreeze(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (ArrayBuffer.isView(value)) return false;
  Object.freeze(value);
  let whole = true;
  for (const key of Object.keys(value)) {
    whole = deepFreeze((value as Record<string, unknown>)[key]) && whole;
  }
  return whole;
}
