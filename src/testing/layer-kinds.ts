import assert from 'node:assert/strict';
import { MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import { isInverse } from '../engine/layer-kinds.ts';
import type { Header, Layers, SessionLayer } from '../layer.ts';
import { expire } from '../layers/expire.ts';
import { cloneItem, itemKey } from '../protocol/item.ts';
import { wrapSession } from '../wrap-session.ts';
import { fakeClock } from './fake-clock.ts';
import { userMessage } from './session-contract.ts';

type Check = () => Promise<void>;

/**
 * Checks of the properties that a layer states. Each layer is tested alone, in the smallest stack that shows
 * whether they are true.
 */
export function kindChecks(
  layers: () => readonly SessionLayer[],
  items: readonly AgentInputItem[],
): ReadonlyMap<string, Check> {
  const each = (check: (open: () => SessionLayer) => Promise<void>, concerns: Concerns) => async () => {
    for (const [index, layer] of layers().entries()) {
      if (concerns(layer)) await check(() => layers()[index] as SessionLayer);
    }
  };
  const text = items.find(isMessage) ?? userMessage('plain');
  return new Map<string, Check>([
    ['undoes in read what it did in write, if it says so', each((open) => undoes(open, items), isInverse)],
    ['keeps calls and results together above and below expire()', each(pairs, isOfItems)],
    ['lets a mutation take effect above and below what stamps', each(mutates, isOfItems)],
    ['stores a kept item again as it was, with its header fields', each((open) => keeps(open, items), isAny)],
    ['leaves the header fields of other layers', each((open) => leaves(open, text), isAny)],
    ['says that it stamps if it writes header fields', each((open) => says(open, items), isUnstamping)],
    ['takes a record without a stamp as it says', each((open) => takesUnstamped(open, text), isStamping)],
  ]);
}

type Concerns = (layer: SessionLayer) => boolean;

const isAny: Concerns = () => true;
const isStamping: Concerns = ({ stamps }) => stamps === true;
const isUnstamping: Concerns = ({ stamps, seals }) => stamps !== true && seals !== true;
/** A seal and a cache have one place; a layer that expires items cannot be above `expire()`. */
const isOfItems: Concerns = (layer) =>
  layer.seals !== true && layer.load === undefined && layer.expires !== true;

function isMessage(item: AgentInputItem): boolean {
  return 'role' in item && item.role === 'user' && typeof item.content === 'string';
}

/** Numbers every item when it is first written. */
function probe(seen: (headers: readonly Header[]) => void = () => undefined): SessionLayer {
  let count = 0;
  return {
    name: 'probe of the layer contract',
    stamps: true,
    unstamped: 'keep',
    write: (entries) =>
      entries.map((entry) =>
        'x-probe' in entry.header
          ? entry
          : { ...entry, header: { ...entry.header, 'x-probe': (count += 1) } },
      ),
    inspect: (entries) => seen(entries.map((entry) => ('header' in entry ? entry.header : {}))),
  };
}

async function undoes(open: () => SessionLayer, items: readonly AgentInputItem[]): Promise<void> {
  const { name } = open();
  let headers: readonly Header[] = [];
  const inner = new MemorySession();
  const layers = (): Layers => [probe((seen) => (headers = seen)), open()];
  await wrapSession(inner, layers()).addItems(items.map(cloneItem));
  const before = items.map((_, index) => ({ 'x-probe': index + 1 }));
  assert.equal(
    JSON.stringify(await wrapSession(inner, layers()).getItems()),
    JSON.stringify(items),
    `${name}: an item came back otherwise than it was written`,
  );
  assert.deepEqual(
    headers.map(extensionsOf),
    before,
    `${name}: read must take away the header fields that write added`,
  );
}

/** The fields of layers in a header, and no time. */
function extensionsOf(header: Header): Record<string, unknown> {
  return Object.fromEntries(Object.entries(header).filter(([field]) => field.startsWith('x-')));
}

const CALL = {
  type: 'function_call',
  callId: 'call_1',
  name: 'probe',
  arguments: '{}',
  status: 'completed',
} as const satisfies AgentInputItem;

const RESULT: AgentInputItem = {
  type: 'function_call_result',
  callId: 'call_1',
  name: 'probe',
  status: 'completed',
  output: { type: 'text', text: 'done' },
};

async function pairs(open: () => SessionLayer): Promise<void> {
  const { name } = open();
  for (const below of [true, false]) {
    const clock = fakeClock();
    const inner = new MemorySession();
    const wrap = (): Session => {
      const expiring = expire({ after: '10d', clock });
      return wrapSession(inner, below ? [open(), expiring] : [expiring, open()]);
    };
    await wrap().addItems([{ ...CALL }]);
    clock.advance('6d');
    await wrap().addItems([cloneItem(RESULT)]);
    assert.deepEqual((await wrap().getItems()).map(typeOf), ['function_call', 'function_call_result']);
    clock.advance('5d');
    assert.deepEqual(
      (await wrap().getItems()).map(typeOf),
      [],
      `${name}: ${below ? 'below' : 'above'} it, expire() did not know the call of a result`,
    );
  }
}

function typeOf({ type }: AgentInputItem): string | undefined {
  return type;
}

async function mutates(open: () => SessionLayer): Promise<void> {
  const { name } = open();
  const replacement = { ...CALL, name: 'replaced' };
  for (const layers of [[open()], [open(), probe()], [probe(), open()]]) {
    const session = wrapSession(new MemorySession(), layers);
    await session.addItems([userMessage('one'), { ...CALL }, cloneItem(RESULT)]);
    await session.applyHistoryMutations?.({
      mutations: [{ type: 'replace_function_call', callId: CALL.callId, replacement }],
    });
    const call = (await session.getItems()).find(({ type }) => type === 'function_call');
    assert.equal(Reflect.get(call ?? {}, 'name'), 'replaced', `${name}: a mutation had no effect`);
  }
}

/** A session that compacts: the given items replace all its items. */
function compacting(): Session & { replaceHistoryWithCompaction(items: AgentInputItem[]): Promise<void> } {
  const inner = new MemorySession();
  return Object.assign(inner, {
    async replaceHistoryWithCompaction(items: AgentInputItem[]): Promise<void> {
      await inner.clearSession();
      await inner.addItems(items);
    },
  });
}

/** Once by a wrapper that has read the kept items, once by one that has not. */
async function keeps(open: () => SessionLayer, items: readonly AgentInputItem[]): Promise<void> {
  const { name } = open();
  const inner = compacting();
  let headers: readonly Header[] = [];
  const watching = (): SessionLayer => ({
    name: 'probe of the layer contract',
    inspect: (entries) => {
      headers = entries.map((entry) => ('header' in entry ? entry.header : {}));
    },
  });
  const wrap = () => wrapSession(inner, [watching(), open()]);
  const [layer] = [open()];
  await wrap().addItems(items.map(cloneItem));
  const first = wrap();
  const seen = await first.getItems();
  // A stack without a layer that stamps has no header to keep.
  const before = layer.stamps === true ? headers.map(extensionsOf) : [];
  for (const session of [first, wrap()]) {
    await session.replaceHistoryWithCompaction(seen.map(cloneItem));
    assert.equal(
      JSON.stringify(await wrap().getItems()),
      JSON.stringify(seen),
      `${name}: an item that a compaction kept is another one`,
    );
    if (layer.stamps !== true) continue;
    assert.deepEqual(
      headers.map(extensionsOf),
      before,
      `${name}: a compaction changed header fields of an item that it kept`,
    );
  }
}

async function leaves(open: () => SessionLayer, text: AgentInputItem): Promise<void> {
  const layer = open();
  for (const below of [false, true]) {
    // A layer that sees items cannot be below a seal or a cache.
    if (below && (layer.seals === true || layer.load !== undefined)) continue;
    let headers: readonly Header[] = [];
    const probing = probe((seen) => (headers = seen));
    const session = wrapSession(new MemorySession(), below ? [open(), probing] : [probing, open()]);
    await session.addItems([cloneItem(text), cloneItem(text)]);
    await session.getItems();
    assert.deepEqual(
      headers.map((header) => header['x-probe']),
      [1, 2],
      `${layer.name}: a header field of another layer was lost`,
    );
  }
}

async function says(open: () => SessionLayer, items: readonly AgentInputItem[]): Promise<void> {
  const session = wrapSession(new MemorySession(), [open()]);
  await session.addItems(items.map(cloneItem));
  await session.getItems();
}

async function takesUnstamped(open: () => SessionLayer, text: AgentInputItem): Promise<void> {
  const { name, unstamped } = open();
  const session = wrapSession(new MemorySession({ initialItems: [cloneItem(text)] }), [open()]);
  if (unstamped === 'refuse') {
    await assert.rejects(session.getItems(), `${name}: it does not refuse a record without a stamp`);
    return;
  }
  const expected = unstamped === 'hide' ? [] : [text];
  assert.deepEqual(
    (await session.getItems()).map(itemKey),
    expected.map(itemKey),
    `${name}: unstamped is ${unstamped === undefined ? 'absent' : `'${unstamped}'`}, and a record without a stamp is ${unstamped === 'hide' ? 'shown' : 'not shown as it is'}`,
  );
}
