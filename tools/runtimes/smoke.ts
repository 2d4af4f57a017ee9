/** The smoke suite. It runs on every runtime as one bundled file, so it uses no features that a runtime may lack. */
import type { AgentInputItem, Session } from '@openai/agents';
import {
  cache,
  encrypt,
  expire,
  isStrongroomError,
  keyring,
  redact,
  trimHistory,
  wrapSession,
  type EncryptOptions,
  type Keyring,
  type Layers,
} from 'strongroom';

type Jwk = Parameters<typeof keyring>[0]['current'];
type Suite = NonNullable<EncryptOptions['suite']>;

/** The input of every runtime: keys, and the records that each runtime sealed with them so far. */
export interface Given {
  readonly keys: readonly Jwk[];
  readonly sealed: Readonly<Record<string, readonly Sealed[]>>;
}

/** The records of one session, sealed by one runtime. */
export interface Sealed {
  readonly suite: string;
  readonly key: number;
  readonly records: readonly AgentInputItem[];
}

const SUITES: readonly Suite[] = ['XC20P', 'XAES-256-GCM'];
const START = 1_800_000_000_000;
const DAY = 86_400_000;

const said = (content: string): AgentInputItem => ({ type: 'message', role: 'user', content });
const ITEMS: readonly AgentInputItem[] = [
  said('Grüße aus Köln, 東京 und 🧪'),
  { type: 'function_call', callId: 'a', name: 'look_up', arguments: '{"city":"Köln"}', status: 'completed' },
  said('x'.repeat(70_000)),
];

/** A minimal session: the SDK's own would add the whole SDK to the bundle. */
function plainSession(records: AgentInputItem[] = []): Session & { records: AgentInputItem[] } {
  return {
    records,
    getSessionId: async () => 'runtimes',
    getItems: async (limit) => structuredClone(limit === undefined ? records : records.slice(-limit)),
    addItems: async (items) => void records.push(...structuredClone(items)),
    popItem: async () => records.pop(),
    clearSession: async () => void (records.length = 0),
  };
}

/**
 * Runs every check.
 *
 * @returns The records that this runtime sealed, for the others to open.
 * @throws Error that names the check which failed.
 */
export async function smoke({ keys, sealed }: Given): Promise<Sealed[]> {
  const mine: Sealed[] = [];
  for (const suite of SUITES) {
    for (const [key, jwk] of keys.entries()) {
      const ring = keyring({ current: jwk });
      mine.push({ suite, key, records: await roundTrip(suite, ring) });
    }
  }
  await expiry(keyring({ current: keys[0] as Jwk }));
  await redaction();
  await trimming();
  for (const [runtime, lists] of Object.entries(sealed)) {
    for (const { suite, key, records } of lists) {
      const session = wrapSession(plainSession([...records]), layers(keyring({ current: keys[key] as Jwk })));
      equal(await session.getItems(), ITEMS, `${suite} with key ${key}, sealed on ${runtime}`);
    }
  }
  return mine;
}

function layers(keys: Keyring, suite?: Suite, now = START): Layers {
  return [
    expire({ after: '30d', clock: () => now }),
    cache({ maxItems: 100, mode: 'verify' }),
    encrypt({ keys, ...(suite !== undefined && { suite }) }),
  ];
}

async function roundTrip(suite: Suite, keys: Keyring): Promise<AgentInputItem[]> {
  const inner = plainSession();
  const session = wrapSession(inner, layers(keys, suite));
  await session.addItems([...ITEMS]);
  equal(await session.getItems(), ITEMS, `${suite}: read by the process that wrote`);
  equal(
    await wrapSession(plainSession(inner.records), layers(keys)).getItems(),
    ITEMS,
    `${suite}: read anew`,
  );
  check(
    inner.records.every((record) => textOf(record).startsWith('sr1.')),
    `${suite}: only envelopes are stored`,
  );
  const [first = said(''), ...rest] = inner.records;
  const [version, header = '', body = '', ...more] = textOf(first).split('.');
  const middle = body.length >> 1;
  const tampered: Record<string, string> = {
    'the body': [version, header, flipped(body, middle), ...more].join('.'),
    'the nonce': [version, header, flipped(body, 4), ...more].join('.'),
    'the tag': [version, header, flipped(body, body.length - 6), ...more].join('.'),
    'the time': [version, withTime(header), body, ...more].join('.'),
  };
  for (const [what, text] of Object.entries(tampered)) {
    const records = [carrier(text), ...rest];
    const code = await codeOf(wrapSession(plainSession(records), layers(keys)).getItems());
    equal(code, 'ERR_AUTHENTICATION', `${suite}: ${what} was changed`);
  }
  return inner.records;
}

async function expiry(keys: Keyring): Promise<void> {
  const inner = plainSession();
  await wrapSession(inner, layers(keys)).addItems([said('soon gone')]);
  const late = await wrapSession(inner, layers(keys, undefined, START + 31 * DAY)).getItems();
  equal(late, [], 'expiry: nothing is shown after 30 days');
  const early = await codeOf(wrapSession(inner, layers(keys, undefined, START - DAY)).getItems());
  equal(early, 'ERR_CLOCK', 'expiry: a record from the future');
}

async function redaction(): Promise<void> {
  const inner = plainSession();
  const session = wrapSession(inner, [redact({ entities: ['EMAIL_ADDRESS', 'CREDIT_CARD'] })]);
  await session.addItems([said('Ada is ada@example.com and pays with 4111 1111 1111 1111.')]);
  const stored = JSON.stringify(inner.records);
  check(
    !stored.includes('ada@example.com') && !stored.includes('4111'),
    'redaction: nothing personal is stored',
  );
  check(stored.includes('Ada is '), 'redaction: the rest is stored');
}

async function trimming(): Promise<void> {
  const history = Array.from({ length: 40 }, (_, index) => said(`question ${index}`));
  const sent = await trimHistory({ maxItems: 10 })(history, [said('new')]);
  check(
    sent.length <= 11 && JSON.stringify(sent.at(-1)) === JSON.stringify(said('new')),
    'trimming: bounded',
  );
}

function textOf(record: AgentInputItem): string {
  return (record as unknown as { content: [{ text: string }] }).content[0].text;
}

function carrier(text: string): AgentInputItem {
  return { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
}

function flipped(text: string, at: number): string {
  return `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`;
}

function withTime(header: string): string {
  const json = atob(header.replaceAll('-', '+').replaceAll('_', '/'));
  const earlier = json.replace(/"t":\d+/, `"t":${START - 1}`);
  return btoa(earlier).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'nothing was thrown';
  } catch (error) {
    return isStrongroomError(error) ? error.code : `an error of another kind: ${String(error)}`;
  }
}

function equal(actual: unknown, expected: unknown, what: string): void {
  const [found, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  check(found === wanted, `${what}: ${found.slice(0, 200)} instead of ${wanted.slice(0, 200)}`);
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}
