import type { AgentInputItem } from '@openai/agents';
import { StrongroomError } from '../errors.ts';
import type { Entry, Header, MaybePromise, SessionCall, SessionLayer } from '../layer.ts';
import { after } from '../maybe-promise.ts';
import { isObject } from '../options.ts';
import { sameFields } from '../protocol/header.ts';
import { snapshotItem } from '../protocol/item.ts';
import { isOwnLayer } from '../protocol/sealed-record.ts';
import { isUndeclaredInverse } from './layer-kinds.ts';

/**
 * The result of the layer's `write` for the entries; the same entries when it has none.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION` when the layer breaks its stated properties.
 */
export function writeWith(
  layer: SessionLayer,
  entries: readonly Entry[],
  call: SessionCall,
): MaybePromise<readonly Entry[]> {
  if (layer.write === undefined) return entries;
  return after(layer.write(entries, call), (written) => {
    assertEntries(layer, 'write', entries, written);
    if (layer.stamps === true && isUndeclaredInverse(layer)) assertItemsKept(layer, entries, written);
    return written;
  });
}

/** The result of the layer's `read` for them, `undefined` for each that it hides. Throws like {@link writeWith}. */
export function readWith(
  layer: SessionLayer,
  entries: readonly Entry[],
  call: SessionCall,
): MaybePromise<readonly (Entry | undefined)[]> {
  if (layer.read === undefined || entries.length === 0) return entries;
  return after(layer.read(entries, call), (read) => {
    if (read !== entries) assertEntries(layer, 'read', entries, read);
    return read;
  });
}

function assertEntries(
  layer: SessionLayer,
  hook: 'write' | 'read',
  before: readonly Entry[],
  after: readonly (Entry | undefined)[],
): void {
  if (!Array.isArray(after))
    throw broken(layer, `returned no list from ${hook}. Return an entry for each entry`);
  if (after.length !== before.length) {
    throw broken(
      layer,
      `returned ${after.length} entries from ${hook} for ${before.length}. It must return one entry for each, in the same order`,
    );
  }
  const isOurs = isOwnLayer(layer);
  // Once for every item of every read: without an iterator.
  for (let index = 0; index < after.length; index++) {
    const entry = after[index];
    if (entry === undefined && hook === 'read') continue;
    const was = before[index] as Entry;
    const { header, item } = (entry ?? {}) as Partial<Entry>;
    if (header !== was.header && layer.seals !== true) assertHeader(layer, hook, was.header, header);
    if (item !== was.item && !isOurs) assertItem(layer, hook, item);
  }
}

/** What is written must be readable again: a layer of a user can return anything. */
function assertItem(layer: SessionLayer, hook: 'write' | 'read', item: AgentInputItem | undefined): void {
  if (hook === 'read') {
    if (isObject(item)) return;
    throw broken(layer, 'returned no item from read. Return { ...entry, item }');
  }
  try {
    snapshotItem(item as AgentInputItem);
  } catch (error) {
    const { message } = error as Error;
    throw broken(layer, `returned from write what cannot be stored (${message})`);
  }
}

/** Apart, because a function that a loop creates costs memory for each item, also where none is needed. */
function assertHeader(
  layer: SessionLayer,
  hook: 'write' | 'read',
  was: Header,
  header: Header | undefined,
): void {
  if (!isObject(header)) {
    throw broken(layer, `returned an entry without a header from ${hook}. Return { ...entry, item }`);
  }
  if (layer.stamps === true) {
    if (TIMES.some((field) => was[field] !== undefined && header[field] === undefined)) {
      throw broken(
        layer,
        `took away times that are in the header of an entry, in ${hook}. Return { ...entry.header, … } with fields of its own`,
      );
    }
  } else if (!sameFields(header, was)) {
    throw broken(
      layer,
      hook === 'write'
        ? 'writes header fields and does not say so, which would lose them. Give it stamps: true, or leave the header as it is'
        : 'changes header fields in read and does not say that it writes any. Give it stamps: true, or leave the header as it is',
    );
  }
}

const TIMES = ['t', 'e', 'g'] as const;

/**
 * A kept record is written again: through `write` if `read` undid it, else without `write`. A wrong guess would
 * damage it.
 */
function assertItemsKept(layer: SessionLayer, before: readonly Entry[], after: readonly Entry[]): void {
  if (after.every(({ item }, index) => item === before[index]?.item)) return;
  throw broken(
    layer,
    "changes items in write and has read. Say what that is: reads: 'inverse' if it undoes write, reads: 'view' if it does not",
  );
}

function broken(layer: SessionLayer, what: string): StrongroomError {
  return new StrongroomError('ERR_INVALID_OPTION', `The layer "${layer.name}" ${what}.`);
}
