import { StrongroomError } from '../../errors.ts';
import { checkOptions, invalidOption, parseCount, parseDuration, type Duration } from '../../options.ts';

/** Options of {@link cache}. At least one of `maxItems` and `maxBytes` is required. */
export interface CacheOptions {
  /** Most items in all kept histories together; at least 1. The least recently used history is evicted first. */
  readonly maxItems?: number;
  /**
   * Most bytes in all kept histories together; at least 1. An estimate a little above the measured size: the texts
   * of each item, two bytes a character where one of them is beyond Latin-1, its objects, and 320 bytes. Records
   * that are kept, too (in mode `'verify'`, over sessions of other stores, under layers that are not of this
   * package), add their own size.
   */
  readonly maxBytes?: number;
  /**
   * How long an opened history is used before it is read and opened again, in every mode; milliseconds, or a text
   * such as `'5m'`. An outdated history is dropped at its next read, when the cache is next filled, or when it is
   * evicted.
   *
   * @defaultValue '5m'
   */
  readonly ttl?: Duration;
  /**
   * The check before a read is answered from memory:
   * - `'tail'`: on the stores of strongroom the version of the history, which changes with every change in the
   *   history, by any process. One row, and none at all where the store was opened with `push`. On any other
   *   session the last record known before this process wrote, and all its writes since: one small read, which
   *   detects records that other writers add, remove and replace, also in the middle when they use a stack of this
   *   package; not edits in the middle without a stack. Without a store's version and without a seal it works as
   *   `'verify'`.
   * - `'verify'`: every record. Reads everything, opens only new records.
   * - `'owner'`: nothing. Only where no other process and no other code ever writes to the session.
   *
   * @defaultValue 'tail'
   */
  readonly mode?: 'tail' | 'verify' | 'owner';
  /**
   * Return the kept items themselves, deeply frozen, instead of a copy for each read. Faster, and a callback that
   * changes an item throws. Items that hold bytes are copied, because bytes cannot be frozen.
   *
   * @defaultValue false
   */
  readonly freeze?: boolean;
}

/** {@link CacheOptions}, checked, with their defaults. */
export interface CacheSettings {
  readonly maxItems: number | undefined;
  readonly maxBytes: number | undefined;
  /** Milliseconds. */
  readonly ttl: number;
  readonly mode: 'tail' | 'verify' | 'owner';
  readonly freeze: boolean;
}

/** @throws {@link StrongroomError} `ERR_INVALID_OPTION`. */
export function checkCacheOptions(options: CacheOptions): CacheSettings {
  checkOptions('cache', options, ['maxItems', 'maxBytes', 'ttl', 'mode', 'freeze']);
  const { mode = 'tail', freeze = false } = options;
  const maxItems =
    options.maxItems === undefined ? undefined : parseCount('cache', 'maxItems', options.maxItems);
  const maxBytes =
    options.maxBytes === undefined ? undefined : parseCount('cache', 'maxBytes', options.maxBytes);
  if (maxItems === undefined && maxBytes === undefined) {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      'cache: set maxItems or maxBytes. A cache without a limit would keep every history in memory.',
    );
  }
  const ttl = parseDuration('cache', 'ttl', options.ttl ?? '5m');
  if (mode !== 'tail' && mode !== 'verify' && mode !== 'owner') {
    invalidOption('cache', 'mode', "'tail', 'verify' or 'owner'", mode);
  }
  if (typeof freeze !== 'boolean') invalidOption('cache', 'freeze', 'true or false', freeze);
  return { maxItems, maxBytes, ttl, mode, freeze };
}
