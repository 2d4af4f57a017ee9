import type { RunContext, Session } from '@openai/agents';
import { clockOf, parseMaxAhead } from '../clock.ts';
import { StrongroomError } from '../errors.ts';
import type { Entry, Header, MaybePromise, SessionCall, SessionLayer } from '../layer.ts';
import { after as andThen } from '../maybe-promise.ts';
import { checkOptions, invalidOption, parseDuration, type Duration } from '../options.ts';
import { callKey, ownerKey, resultKey } from '../protocol/links.ts';
import { withParts } from '../protocol/sealed-record.ts';
import { countWork } from '../protocol/work.ts';

/** Options of {@link expire}. */
export interface ExpireOptions {
  /**
   * Age at which an item expires: milliseconds, or a text such as `'15m'`, `'12h'`, `'30d'`. A later, shorter value
   * applies at once to stored items; a longer one revives nothing.
   */
  readonly after: Duration;
  /**
   * The time source of the whole stack, in Unix milliseconds.
   *
   * @defaultValue Date.now
   */
  readonly clock?: () => number;
  /**
   * How records without a time stamp are treated, which exist only without `encrypt()`: `'throw'` gives
   * `ERR_NOT_STAMPED`, `'keep'` shows them and never expires them, `'hide'` treats them as expired. Records that
   * `encrypt()` accepts as plain text during a migration are kept.
   *
   * @defaultValue 'throw'
   */
  readonly unstamped?: 'throw' | 'keep' | 'hide';
  /**
   * With `unstamped: 'keep'` only: open every unsealed envelope, also one that this session did not write. Without
   * it such a text is shown as text, because a user may have pasted it.
   *
   * @defaultValue false
   */
  readonly envelopes?: boolean;
  /**
   * How long items that a run saw at its start stay visible to it: the runner compares history before and after its
   * writes, and an item that expires in between would make the run impossible to resume.
   *
   * @defaultValue '15m'
   */
  readonly pinFor?: Duration;
  /**
   * How far the clock may be ahead of the database's when a call (`replaceHistoryWithCompaction`, `replacePrefix`,
   * `applyHistoryTransaction`, `applyHistoryMutations`, `popItem`) would remove hidden items with those that it names. Farther is
   * `ERR_CLOCK` and nothing is changed, because a wrong clock hides items that are still needed. `'any'` trusts the
   * clock. On SQLite and PGlite only the machine's clock is compared, with the time since the store was opened; a
   * session that is not from a store of strongroom has no clock to compare with.
   *
   * @defaultValue `'5m'`; `'30d'` on SQLite and PGlite
   */
  readonly maxAhead?: Duration | 'any';
}

/** A stamp further ahead of our clock than this is an error, not a difference between two clocks. */
const CLOCK_TOLERANCE = 60_000;
/** The range of a JavaScript date; keeps sums of times exact. */
const MAX_AFTER = 8_640_000_000_000_000;
const DEFAULT_PIN = 900_000;

/**
 * Hides items that are older than `after`. Every item is stamped when it is written, with its time of writing and
 * its expiry; the stamps are stored in clear in the record, so that a store can purge without keys, and are
 * authenticated when the stack encrypts.
 *
 * - Linked items expire together: the result of a call inherits the stamps of its call, even if it is written much
 *   later, and a compaction expires with the first item that it replaces.
 * - An item is visible until its expiry is reached, to a run that saw it for at most `pinFor` longer.
 * - Hidden is not deleted: `purgeExpired()` of a store deletes. A `RunState` that you keep holds its history anyway.
 * - Without `encrypt()` in the stack, a writer of the database can edit the stamps.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`. Calls reject with `ERR_NOT_STAMPED` (see `unstamped`) and with
 * `ERR_CLOCK` when a record was written more than 60 seconds ahead of the clock, and when the clock is too far
 * ahead to remove hidden items (see `maxAhead`).
 *
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { expire, wrapSession } from 'strongroom';
 *
 * const session = wrapSession(new MemorySession(), [expire({ after: '30d' })]);
 * ```
 */
export function expire(options: ExpireOptions): SessionLayer {
  checkOptions('expire', options, ['after', 'clock', 'unstamped', 'envelopes', 'pinFor', 'maxAhead']);
  const { clock, unstamped = 'throw', envelopes = false } = options;
  const after = Math.ceil(parseDuration('expire', 'after', options.after));
  if (after > MAX_AFTER) {
    invalidOption('expire', 'after', `at most ${MAX_AFTER} milliseconds`, options.after);
  }
  const pinFor =
    options.pinFor === undefined ? DEFAULT_PIN : parseDuration('expire', 'pinFor', options.pinFor);
  const maxAhead = parseMaxAhead('expire', options.maxAhead);
  // Checked here, read by the engine.
  clockOf('expire', clock);
  if (unstamped !== 'throw' && unstamped !== 'keep' && unstamped !== 'hide') {
    invalidOption('expire', 'unstamped', "'throw', 'keep' or 'hide'", unstamped);
  }
  if (typeof envelopes !== 'boolean') invalidOption('expire', 'envelopes', 'true or false', envelopes);
  if (envelopes && unstamped !== 'keep') {
    invalidOption('expire', 'envelopes', "absent or false unless unstamped is 'keep'", envelopes);
  }

  const cutoffOf = pinnedCutoff(pinFor);
  const birthOf = ({ t, g }: Header): number | undefined => g ?? t;
  /** The earlier of the written expiry and that of today's policy; `Infinity` for a record without stamps. */
  const expiryOf = (header: Header): number =>
    Math.min(header.e ?? Number.POSITIVE_INFINITY, (birthOf(header) ?? Number.POSITIVE_INFINITY) + after);

  /** The earliest time of writing and the earliest expiry of stamped records. */
  function lifeOf(headers: readonly Header[]): Life {
    const life = { birth: Number.POSITIVE_INFINITY, expiry: Number.POSITIVE_INFINITY };
    for (const header of headers) {
      const birth = birthOf(header) as number;
      life.birth = Math.min(life.birth, birth);
      life.expiry = Math.min(life.expiry, header.e ?? birth + after);
    }
    return life;
  }

  const write = (entries: readonly Entry[], call: SessionCall): MaybePromise<readonly Entry[]> => {
    const now = call.now();
    const cutoff = cutoffOf(call, now);
    // Expired items were hidden from the caller that made the replacement, so it contains none of them.
    const replaced = lifeOf(
      call.replaces?.flatMap(({ header }) =>
        header.t !== undefined && expiryOf(header) > cutoff ? header : [],
      ) ?? NONE,
    );
    const links = entries.map(linksOf);
    return andThen(earlierCalls(entries, links, call), (earlier) =>
      stamped(entries, links, now, replaced, earlier),
    );
  };

  function stamped(
    entries: readonly Entry[],
    links: readonly Links[],
    now: number,
    replaced: Life,
    earlier: ReadonlyMap<string, Header> | undefined,
  ): readonly Entry[] {
    let inBatch: Map<string, Header> | undefined;

    function stamp({ header }: Entry, { closes }: Links): Header {
      // Written back after a rollback: the old stamps stay.
      if (header.t !== undefined) return { ...header, e: header.e ?? (header.g ?? header.t) + after };
      const calls =
        closes.length === 0 ? NONE : closes.flatMap((key) => inBatch?.get(key) ?? earlier?.get(key) ?? NONE);
      // A result takes both unchanged, or a purge that reads stamps only would separate it from its call.
      const own = calls.length > 0 ? lifeOf(calls) : { birth: now, expiry: now + after };
      const birth = Math.min(own.birth, replaced.birth);
      const expiry = Math.min(own.expiry, replaced.expiry);
      return birth === now ? { ...header, t: now, e: expiry } : { ...header, t: now, e: expiry, g: birth };
    }

    return entries.map((entry, index) => {
      const link = links[index] as Links;
      const header = stamp(entry, link);
      if (link.opens !== undefined) (inBatch ??= new Map()).set(link.opens, header);
      return { ...entry, header };
    });
  }

  function read(entries: readonly Entry[], call: SessionCall): readonly (Entry | undefined)[] {
    const now = call.now();
    const cutoff = cutoffOf(call, now);
    let missing = 0;
    let expired = 0;
    // Most reads hide nothing, and return the list that they were given.
    let visible: (Entry | undefined)[] | undefined;
    for (let index = 0; index < entries.length; index++) {
      const { header } = entries[index] as Entry;
      if (header.t !== undefined && header.t > now + CLOCK_TOLERANCE)
        throw writtenInFuture(call, header.t - now);
      let isHidden = expiryOf(header) <= cutoff;
      if (isHidden) expired += 1;
      else if (header.t === undefined && !call.sealed) {
        if (unstamped === 'throw') missing += 1;
        isHidden = unstamped === 'hide';
      }
      if (isHidden) (visible ??= entries.slice())[index] = undefined;
    }
    countWork(call, 'expired', expired);
    if (missing > 0) throw notStamped(call, missing, entries.length);
    return visible ?? entries;
  }

  return withParts({
    name: 'expire',
    wantsRunContext: true,
    stamps: true,
    expires: true,
    reads: 'view',
    unique: true,
    unstamped: engineMode(unstamped, envelopes),
    clock,
    maxAhead,
    write,
    read,
  });
}

function engineMode(
  unstamped: 'throw' | 'keep' | 'hide',
  envelopes: boolean,
): NonNullable<SessionLayer['unstamped']> {
  if (unstamped === 'throw') return 'refuse';
  return envelopes ? 'envelopes' : unstamped;
}

/** The inherited times of a record, in Unix milliseconds; `Infinity` for none. */
interface Life {
  readonly birth: number;
  readonly expiry: number;
}

/** The links of an item: as a call, and to its own call and the program that issued it. */
interface Links {
  readonly opens: string | undefined;
  readonly closes: readonly string[];
}

const NONE: readonly never[] = [];
const UNLINKED: Links = { opens: undefined, closes: NONE };

function linksOf({ item }: Entry): Links {
  const opens = callKey(item);
  const result = resultKey(item);
  const owner = ownerKey(item);
  if (result === undefined && owner === undefined)
    return opens === undefined ? UNLINKED : { opens, closes: NONE };
  return { opens, closes: [result, owner].filter((key) => key !== undefined) };
}

/** The headers of the newest stamped calls that results of this batch answer: one look back for all of them. */
function earlierCalls(
  entries: readonly Entry[],
  links: readonly Links[],
  call: SessionCall,
): MaybePromise<Map<string, Header> | undefined> {
  let wanted: Set<string> | undefined;
  let inBatch: Set<string> | undefined;
  for (let index = 0; index < links.length; index++) {
    const { opens, closes } = links[index] as Links;
    if (entries[index]?.header.t === undefined) {
      for (const key of closes) if (inBatch?.has(key) !== true) (wanted ??= new Set()).add(key);
    }
    if (opens !== undefined) (inBatch ??= new Set()).add(opens);
  }
  if (wanted === undefined) return undefined;
  const unanswered = wanted;
  const found = new Map<string, Header>();
  // The search goes from the newest entry backwards and ends when this returns true.
  const looking = call.lookBack(({ item, header }) => {
    const opens = callKey(item);
    if (opens !== undefined && header.t !== undefined && unanswered.delete(opens)) found.set(opens, header);
    return unanswered.size === 0;
  });
  return looking.then(() => found);
}

/** The time that items are compared with: the same for all calls of one run, within limits. */
function pinnedCutoff(pinFor: number): (call: SessionCall, now: number) => number {
  // By session, too: a run that reads a second session later has not seen its items.
  const pins = new WeakMap<RunContext<unknown>, WeakMap<Session, number>>();
  return ({ runContext, inner }, now) => {
    if (runContext === undefined) return now;
    const ofRun = pins.get(runContext) ?? new WeakMap<Session, number>();
    pins.set(runContext, ofRun);
    const pinned = ofRun.get(inner);
    if (pinned !== undefined && now >= pinned && now - pinned < pinFor) return pinned;
    ofRun.set(inner, now);
    return now;
  };
}

function writtenInFuture(call: SessionCall, ahead: number): StrongroomError {
  return new StrongroomError(
    'ERR_CLOCK',
    `expire: a record of session ${JSON.stringify(call.sessionId)} has a time of writing ${Math.ceil(ahead / 1_000)} s ahead of ` +
      'the clock of this stack. Correct the clock of the machine that wrote it, or of this one.',
  );
}

function notStamped(call: SessionCall, missing: number, count: number): StrongroomError {
  return new StrongroomError(
    'ERR_NOT_STAMPED',
    `expire: ${missing} of ${count} records of session ${JSON.stringify(call.sessionId)} have no timestamp, so ` +
      "their expiry is unknown. Migrate the session with migrate(), or choose unstamped: 'keep' or 'hide'.",
  );
}
