import { MemorySession, type AgentInputItem } from '@openai/agents';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import {
  audit,
  cache,
  encrypt,
  expire,
  isStrongroomError,
  minimize,
  redact,
  wrapSession,
  type SessionLayer,
} from '../../src/index.ts';
import type * as strongroom from '../../src/index.ts';
import { fixedKeyring } from '../../src/testing/index.ts';
import { compress, label } from '../support/custom-layers.ts';

/** The package once more, as it is there twice when two packages bring a version of their own. */
let other: typeof strongroom;
beforeAll(async () => {
  vi.resetModules();
  other = await import('../../src/index.ts');
});

const keys = fixedKeyring();
const sealing = (): SessionLayer => encrypt({ keys });
const caching = (): SessionLayer => cache({ maxItems: 10 });
const expiring = (): SessionLayer => expire({ after: '1d' });
const redactsReads = (): SessionLayer => redact({ when: 'read' });
const minimizing = (): SessionLayer => minimize({ images: true });
const watching = (): SessionLayer => audit({ sink: () => undefined });
/** A user's own, under names that nothing of ours has. */
const comparing = (): SessionLayer => ({ name: 'mine', compare: (item) => item });
const rewriting = (): SessionLayer => ({ name: 'mine', write: (entries) => [...entries] });
const hiding = (): SessionLayer => ({ name: 'mine', read: (entries) => [...entries] });
const keeping = (): SessionLayer => ({ name: 'mine', load: async (_, io) => io.open(await io.raw()) });
const locking = (): SessionLayer => ({ name: 'mine', seals: true });

function refusal(build: () => unknown): string {
  try {
    build();
  } catch (error) {
    if (isStrongroomError(error)) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
}

/** In one stack, as two wrappers of this copy, and with the lower wrapper made by another copy. */
const WAYS: readonly (readonly [string, (above: SessionLayer, below: SessionLayer) => string])[] = [
  ['in one list', (above, below) => refusal(() => wrapSession(new MemorySession(), [above, below]))],
  [
    'in a wrapper around another',
    (above, below) => refusal(() => wrapSession(wrapSession(new MemorySession(), [below]), [above])),
  ],
  [
    'above a wrapper of another copy',
    (above, below) => refusal(() => wrapSession(other.wrapSession(new MemorySession(), [below]), [above])),
  ],
  [
    'above a watching wrapper of another copy, around one of this copy',
    (above, below) =>
      refusal(() =>
        wrapSession(other.wrapSession(wrapSession(new MemorySession(), [below]), [watching()]), [above]),
      ),
  ],
];

describe.each(WAYS)('the order of two layers, %s', (_, build) => {
  test.each([
    ['minimize', minimizing],
    ['redact', redactsReads],
    ['expire', expiring],
    ['cache', caching],
    ['compress', compress],
    ['label', label],
    ['mine', comparing],
    ['mine', rewriting],
    ['mine', hiding],
    ['mine', keeping],
    ['mine', locking],
  ])('%s is refused below a seal', (name, layer) => {
    const sentence = `${name} cannot be below encrypt, which seals the items. Use this order, outermost first: [`;
    expect(build(sealing(), layer())).toContain(`ERR_LAYER_ORDER ${sentence}`);
  });

  test("is refused below a user's seal as below ours", () => {
    expect(build(locking(), minimizing())).toMatch(
      /^ERR_LAYER_ORDER minimize cannot be below mine, which seals the items\. Use this order, outermost first: \[(audit, )?minimize, mine\]\.$/,
    );
  });

  test.each([
    ['minimize', minimizing],
    ['expire', expiring],
    ['label', label],
    ['mine', comparing],
    ['mine', hiding],
    ['mine', keeping],
  ])('%s is refused below a cache', (name, layer) => {
    expect(build(caching(), layer())).toContain(
      `ERR_LAYER_ORDER ${name} cannot be below cache, which would cache its result.`,
    );
  });

  test.each([
    ['two seals', sealing, sealing, 'encrypt'],
    ['two caches', caching, caching, 'cache'],
    ['two that expire', expiring, expiring, 'expire'],
    ["a user's two seals", locking, locking, 'mine'],
  ])('refuses %s', (_two, one, another, name) => {
    expect(build(one(), another())).toBe(
      `ERR_LAYER_ORDER A stack takes one ${name}() layer, but this one has two. Remove one of them.`,
    );
  });

  test.each([
    ['a watching layer below a seal', sealing, watching],
    ['a seal below a watching layer', watching, sealing],
    ['a cache above a seal', caching, sealing],
    ['a codec below a cache', caching, compress],
    ['a seal below what redacts', redactsReads, sealing],
    ['what expires below what redacts', redactsReads, expiring],
    ['a seal below what expires', expiring, sealing],
  ])('takes %s', (_what, above, below) => {
    expect(build(above(), below())).toBe('accepted');
  });
});

describe('a wrapper of another copy', () => {
  test('is not one of this copy', () => {
    expect(other.wrapSession).not.toBe(wrapSession);
  });

  const above = (layer: SessionLayer, below: SessionLayer): string =>
    refusal(() => wrapSession(other.wrapSession(new MemorySession(), [below]), [layer]));

  test.each([
    ['expire', expiring, 'minimize', minimizing],
    ['expire', expiring, 'redact', redactsReads],
    ['label', label, 'expire', expiring],
    ['compress', compress, 'redact', redact],
    ['compress', compress, 'label', label],
  ])('under %s does not get items, so it has no layer that reads them', (top, layer, name, below) => {
    expect(above(layer(), below())).toContain(
      `ERR_LAYER_ORDER ${name} is in a wrapper that another copy of strongroom made, and cannot read there what ${top} stores. Wrap the session once, with one copy.`,
    );
  });

  test('can be read through when its layers do not need the items', async () => {
    const lower = other.wrapSession(new MemorySession(), [caching(), sealing()]);
    const session = wrapSession(lower, [compress(), expiring()]);
    const item: AgentInputItem = { type: 'message', role: 'user', content: 'hello' };
    await session.addItems([item]);
    expect(await session.getItems()).toEqual([item]);
  });

  test('is refused when it describes its layers in a way that this copy does not know', () => {
    const layers = Symbol.for('strongroom.layers');
    for (const description of [['encrypt'], [{ name: 'new', kinds: ['items', 'teleports'] }], 'encrypt']) {
      const session = Object.assign(new MemorySession(), { [layers]: description });
      expect(refusal(() => wrapSession(session, [watching()]))).toBe(
        'ERR_UNSUPPORTED This session was wrapped by a copy of strongroom of another version, which describes its layers in another way. Install one version of strongroom.',
      );
    }
  });
});

describe('the properties that a layer states', () => {
  const wrapped = (layer: object): string =>
    refusal(() => wrapSession(new MemorySession(), [layer as SessionLayer]));

  test.each([
    [{ stamps: 'yes' }, 'wrapSession: stamps of layer "mine" must be true, or absent, got a string.'],
    [{ seals: 1 }, 'wrapSession: seals of layer "mine" must be true, or absent, got a positive number.'],
    [
      { reads: 'view' },
      'wrapSession: reads of layer "mine" must be absent for a layer without read, got a string.',
    ],
    [
      { reads: 'codec', read: () => [] },
      `wrapSession: reads of layer "mine" must be 'inverse' or 'view', or absent, got a string.`,
    ],
    [
      { reads: 'inverse', read: () => [] },
      `wrapSession: reads of layer "mine" must be 'view', or absent, for a layer without write and for one that seals or loads, got a string.`,
    ],
    [
      { unstamped: 'show' },
      `wrapSession: unstamped of layer "mine" must be one of 'refuse', 'hide', 'keep', 'envelopes', got a string.`,
    ],
    [{ removing: true }, 'wrapSession: the hook removing of layer "mine" must be a function, got a boolean.'],
  ])('is checked: %o', (layer, message) => {
    expect(wrapped({ name: 'mine', ...layer })).toBe(`ERR_INVALID_OPTION ${message}`);
  });
});
