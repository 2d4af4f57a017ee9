import assert from 'node:assert/strict';
import { MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import { cloneItem, itemKey } from '../protocol/item.ts';
import type { Layers, SessionLayer } from '../layer.ts';
import { wrapSession } from '../wrap-session.ts';
import { faultySession, type FaultTime } from './faulty-session.ts';
import { recordingSession } from './recording-session.ts';
import { sampleItems } from './sample-items.ts';
import { approvalScenario, blockedScenario, type Resume } from './scenarios.ts';
import { kindChecks } from './layer-kinds.ts';
import { sessionChecks, type TestApi } from './session-contract.ts';

/** What {@link layerContract} tests. */
export interface LayerContractOptions {
  /**
   * The layers, new ones at each call, with the same keys and settings: each call simulates another process. One
   * layer or a stack.
   */
  readonly layers: () => Layers;
  /**
   * Items that must come back exactly, by default one or more of every type of the protocol. For a layer that
   * changes stored items: items that it does not change.
   */
  readonly items?: readonly AgentInputItem[];
}

type Check = () => Promise<void>;

/**
 * Declares the tests that a layer must pass to stand between the SDK's runner and a session: the session contract
 * around a session with all capabilities and around one with none, hooks that keep count and order, a comparison that
 * the runner can work with, and interrupted runs that converge after a fault before or after the store commits.
 * Each layer is also tested alone: whether its properties are true (`reads`, `stamps`, `unstamped`), whether it
 * keeps the header fields of other layers, and whether `expire()`, mutations and compactions work above and below
 * it.
 *
 * @param testApi `describe` and `test` of the test runner.
 *
 * @example
 * ```ts
 * import { audit, type SessionLayer } from 'strongroom';
 * import { layerContract } from 'strongroom/testing';
 * import { describe, test } from 'vitest';
 *
 * const shout: SessionLayer = { name: 'shout', around: async (call, next) => await next() };
 *
 * layerContract({ describe, test }, { layers: () => [shout, audit({ sink: () => undefined })] });
 * ```
 */
export function layerContract(testApi: TestApi, options: LayerContractOptions): void {
  testApi.describe('is a layer that the runner can rely on', () => {
    for (const [name, check] of layerChecks(options)) testApi.test(name, check);
  });
}

/** The checks by name, for running them without a test runner: each throws when the layers break the contract. */
export function layerChecks(options: LayerContractOptions): ReadonlyMap<string, Check> {
  const { layers, items = sampleItems() } = options;
  const checks = new Map<string, Check>();
  for (const [name, open] of SESSIONS) {
    for (const [what, check] of sessionChecks(items)) {
      checks.set(`${what} (around ${name})`, () => check(wrapSession(open(), layers())));
    }
    for (const when of ['never', 'before', 'after'] as const) {
      const fault = when === 'never' ? 'no fault' : `a fault ${when} the commit`;
      for (const resume of ['live', 'serialized'] as const) {
        checks.set(`lets an approval resumed ${resume} converge with ${fault} (around ${name})`, () =>
          approvalConverges(open, layers, when, resume),
        );
      }
      checks.set(`lets a blocked answer be accepted with ${fault} (around ${name})`, () =>
        blockedConverges(open, layers, when),
      );
    }
    checks.set(`shows another process what this one wrote (around ${name})`, () =>
      agrees(open, layers, items),
    );
  }
  checks.set('compares item by item, the same again, and keeps types and ids', () =>
    compares(layers(), items),
  );
  checks.set('stores one record for each item, in order', () => countsRecords(layers, items));
  for (const [what, check] of kindChecks(() => flat(layers()), items)) checks.set(what, check);
  return checks;
}

const SESSIONS: readonly (readonly [string, () => Session])[] = [
  ['MemorySession', () => new MemorySession()],
  ['a session with the five required members', fiveMembers],
];

/** The five required members of a `MemorySession` and none of its capabilities. */
function fiveMembers(): Session {
  const memory = new MemorySession();
  return {
    getSessionId: () => memory.getSessionId(),
    getItems: (limit) => memory.getItems(limit),
    addItems: (items) => memory.addItems(items),
    popItem: () => memory.popItem(),
    clearSession: () => memory.clearSession(),
  };
}

type When = FaultTime | 'never';

async function approvalConverges(
  open: () => Session,
  layers: () => Layers,
  when: When,
  resume: Resume,
): Promise<void> {
  const faulty = faultySession(open());
  const { toolRuns, session } = await approvalScenario(
    { open: () => wrapSession(faulty.session, layers()), stream: false },
    resume,
    () => {
      if (when !== 'never') faulty.arm({ member: 'addItems', when });
    },
  );
  assert.equal(faulty.struck, when === 'never' ? 0 : 1, 'the fault must have struck');
  assert.equal(toolRuns, 1, 'the tool must run once');
  const reference = new MemorySession();
  await approvalScenario({ open: () => reference, stream: false }, 'live');
  await sameHistory(session, reference);
}

async function blockedConverges(open: () => Session, layers: () => Layers, when: When): Promise<void> {
  const faulty = faultySession(open());
  const { toolRuns, session } = await blockedScenario(
    { open: () => wrapSession(faulty.session, layers()), stream: false },
    () => {
      if (when !== 'never') faulty.arm({ member: 'applyHistoryTransaction', when });
    },
  );
  assert.equal(toolRuns, 1, 'the tool must run once');
  const reference = open();
  await blockedScenario({ open: () => reference, stream: false });
  await sameHistory(session, reference);
}

/** Equal as the runner sees it: after the session's own normalization of both sides. */
async function sameHistory(session: Session, reference: Session): Promise<void> {
  const normalized = (items: AgentInputItem[]): string[] =>
    (session.prepareHistoryItemsForPersistenceComparison?.(items) ?? items).map(itemKey);
  assert.deepEqual(
    normalized(await session.getItems()),
    normalized(await reference.getItems()),
    'the history is not what the session of the SDK remembers',
  );
}

async function agrees(
  open: () => Session,
  layers: () => Layers,
  items: readonly AgentInputItem[],
): Promise<void> {
  const inner = open();
  const [here, there] = [wrapSession(inner, layers()), wrapSession(inner, layers())];
  for (const [index, item] of items.entries()) {
    await (index % 2 === 0 ? here : there).addItems([cloneItem(item)]);
    assert.equal(JSON.stringify(await there.getItems()), JSON.stringify(await here.getItems()));
  }
  assert.equal((await here.getItems()).length, items.length);
}

async function compares(layers: Layers, items: readonly AgentInputItem[]): Promise<void> {
  for (const layer of flat(layers)) {
    const { name } = layer;
    if (layer.compare === undefined) continue;
    for (const item of items) {
      const before = JSON.stringify(item);
      const once = layer.compare(cloneItem(item));
      assert.deepEqual(layer.compare(cloneItem(item)), once, `${name}: compare must be deterministic`);
      assert.deepEqual(layer.compare(cloneItem(once)), once, `${name}: compare must be idempotent`);
      layer.compare(item);
      assert.equal(JSON.stringify(item), before, `${name}: compare must not change its argument`);
      for (const key of ['type', 'role', 'id', 'callId', 'name'] as const) {
        assert.equal(Reflect.get(once, key), Reflect.get(item, key), `${name}: compare must keep ${key}`);
      }
    }
  }
  return Promise.resolve();
}

async function countsRecords(layers: () => Layers, items: readonly AgentInputItem[]): Promise<void> {
  const recording = recordingSession<Session>(new MemorySession());
  const session = wrapSession(recording.session, layers());
  await session.addItems(items.map(cloneItem));
  assert.equal(recording.count('addItems'), 1, 'one append is one append');
  assert.equal(recording.itemsWritten, items.length, 'one record for each item');
}

function flat(layers: Layers): SessionLayer[] {
  return layers.flatMap((layer) => (Array.isArray(layer) ? flat(layer as Layers) : [layer as SessionLayer]));
}
