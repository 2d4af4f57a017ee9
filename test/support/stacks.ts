import { MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import {
  audit,
  authorize,
  cache,
  encrypt,
  expire,
  fallback,
  redact,
  wrapSession,
  type Layers,
} from '../../src/index.ts';
import { patternRecognizer, type Recognizer } from '../../src/redaction/index.ts';
import { fakeClock, fixedKeyring } from '../../src/testing/index.ts';
import { observe } from '../../src/layers/observe.ts';
import { compressLong, label } from './custom-layers.ts';
import { naiveProxy } from './naive-proxy.ts';

/** One row of the matrices. New layers join by a line in {@link STACKS}. */
export interface StackCase {
  readonly name: string;
  /** A new wrapper, as another process would make it: same keys, new layers. */
  wrap(inner: Session): Session;
  /** What of the texts may not be readable in the store. */
  readonly hides: 'nothing' | 'personal data' | 'everything';
  /** Records are envelopes, so that whatever the inner session does to its native items is undone. */
  readonly enveloped: boolean;
  /** What of an item is seen, where the comparison of the stack says less than that. */
  readonly shown?: (item: AgentInputItem) => AgentInputItem;
  /** What is stored is compressed: it hides nothing, and no text of an item occurs in it. */
  readonly compresses?: true;
  /** The store keeps what was said, and a reader sees it redacted. */
  readonly redactsReads?: true;
  /** The layers, for tests that build stacks themselves. Absent for what is no stack of ours. */
  layers?(): Layers;
}

function stack(
  name: string,
  layers: () => Layers,
  properties: Pick<StackCase, 'hides' | 'enveloped' | 'redactsReads' | 'shown' | 'compresses'> = {
    hides: 'nothing',
    enveloped: false,
  },
): StackCase {
  return { name, layers, wrap: (inner) => wrapSession(inner, layers()), ...properties };
}

const HIDES_NOTHING = { hides: 'nothing', enveloped: true } as const;

const HIDES_EVERYTHING = { hides: 'everything', enveloped: true } as const;

/** Finds names, at once; and the same as a model behind a network would. */
const names = patternRecognizer({ entity: 'PERSON', pattern: /Jane/ });
const remoteNames: Recognizer = {
  name: 'remote names',
  entities: names.entities,
  analyze: async (text, context) => names.analyze(text, context),
};

export const STACKS: readonly StackCase[] = [
  stack('no layers', () => []),
  stack('audit', () => [audit({ sink: () => undefined })]),
  stack('authorize', () => [authorize({ check: () => true })]),
  stack('observe', () => [observe()]),
  stack('fallback', () => [fallback(new MemorySession())]),
  stack('expire', () => [expire({ after: '30d', clock: fakeClock() })], HIDES_NOTHING),
  stack('cache', () => [cache({ maxItems: 1_000 })], {
    hides: 'nothing',
    enveloped: false,
  }),
  stack('a cache that verifies', () => [cache({ maxItems: 40, mode: 'verify' })], {
    hides: 'nothing',
    enveloped: false,
  }),
  stack('redact', () => [redact()], { hides: 'personal data', enveloped: false }),
  stack('redact on read', () => [redact({ when: 'read' })], {
    hides: 'nothing',
    enveloped: false,
    redactsReads: true,
    shown: (item) => redact().compare?.(item) ?? item,
  }),
  stack('redact with an asynchronous recognizer', () => [redact({ recognizers: [remoteNames] })], {
    hides: 'personal data',
    enveloped: false,
    shown: (item) => redact({ recognizers: [names] }).compare?.(item) ?? item,
  }),
  stack('a codec and a label of a user', () => [compressLong(0), label()], {
    ...HIDES_NOTHING,
    compresses: true,
  }),
  stack('encrypt', () => [encrypt({ keys: fixedKeyring() })], HIDES_EVERYTHING),
  stack(
    'all layers',
    () => [
      audit({ sink: () => undefined }),
      redact({ entities: ['CREDIT_CARD', 'US_SSN'] }),
      expire({ after: '30d', clock: fakeClock() }),
      cache({ maxItems: 1_000 }),
      encrypt({ keys: fixedKeyring() }),
    ],
    HIDES_EVERYTHING,
  ),
];

/** No stack, to calibrate the suites on. */
export const BARE: StackCase = {
  name: 'nothing',
  wrap: (inner) => inner,
  hides: 'nothing',
  enveloped: false,
};

/** What the suites must reject. */
export const NAIVE: StackCase = {
  name: 'the naive proxy',
  wrap: naiveProxy,
  hides: 'everything',
  enveloped: true,
};
