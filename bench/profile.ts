// npm run bench:profile [-- --work NAME] [--seconds N]: where our own code spends its time, by a sampling profiler.
// It does not measure speed: npm run bench does.
import { Session, type Profiler, type Runtime } from 'node:inspector/promises';
import { relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { generateKey } from '../src/index.ts';
import { createRedactor } from '../src/redaction/index.ts';
import { conversation, prose, turnsOf, TURN } from './items.ts';
import { fill, fullStack, ours } from './stacks.ts';
import { table } from './table.ts';

const ROOT = resolve(import.meta.dirname, '..');
const FRAMES = 10;
const TURNS = 100;
/** Works of one profile: its start and end take some milliseconds. */
const AT_ONCE = 10;

const key = await generateKey();
const place = ours('full stack', () => fullStack(key));
let made = 0;
const newId = (): string => `profiled ${made++}`;

/** Each prepares some work, outside the profile, and returns a function that does it once. */
const WORKS: Readonly<Record<string, () => Promise<() => Promise<unknown>>>> = {
  async first() {
    const sessions = Array.from({ length: 20 }, () => place.session(newId()));
    const turns = turnsOf(sessions.length, made * 4_096);
    return async () => {
      for (const [index, session] of sessions.entries()) await session.addItems(turns[index] ?? []);
    };
  },
  async append() {
    const session = place.session(newId());
    await fill(session, conversation(TURNS * TURN));
    await session.getItems();
    const turns = turnsOf(50, made * 4_096);
    return async () => {
      for (const items of turns) await session.addItems(items);
    };
  },
  async warm() {
    const session = place.session(newId());
    await fill(session, conversation(TURNS * TURN));
    await session.getItems();
    return async () => {
      for (let time = 0; time < 50; time++) await session.getItems();
    };
  },
  async cold() {
    const id = newId();
    await fill(place.session(id), conversation(TURNS * TURN));
    const sessions = Array.from({ length: 10 }, () => place.anew(id));
    return async () => {
      for (const session of sessions) await session.getItems();
    };
  },
  async conversation() {
    const session = place.session(newId());
    const turns = turnsOf(TURNS, made * 4_096);
    return async () => {
      for (const items of turns) {
        await session.getItems();
        await session.addItems(items);
      }
    };
  },
  async redaction() {
    const redactor = createRedactor();
    const texts = Array.from({ length: 100 }, () => `${prose(made++, 1_000)} jane@example.com`);
    return async () => {
      for (const text of texts) await redactor.redactText(text);
    };
  },
};

const { values } = parseArgs({
  options: {
    work: { type: 'string', multiple: true },
    seconds: { type: 'string', default: '2' },
  },
});
const chosen = values.work ?? Object.keys(WORKS);
for (const name of chosen) {
  if (!Object.hasOwn(WORKS, name)) {
    throw new RangeError(`--work takes one of ${Object.keys(WORKS).join(', ')}, not ${name}.`);
  }
}
const milliseconds = Number(values.seconds) * 1_000;
if (!(milliseconds > 0)) throw new RangeError('--seconds takes a number above 0.');

/** Microseconds of functions of ours, by name and place. */
type Frames = Map<string, { readonly self: number; readonly all: number }>;

const inspector = new Session();
inspector.connect();
await inspector.post('Profiler.enable');
await inspector.post('Profiler.setSamplingInterval', { interval: 200 });
try {
  for (const name of chosen) {
    const prepare = WORKS[name] as (typeof WORKS)[string];
    // Warm up, so that the code is optimized.
    for (const until = performance.now() + milliseconds / 4; performance.now() < until;)
      await (
        await prepare()
      )();
    const frames: Frames = new Map();
    let all = 0;
    for (const until = performance.now() + milliseconds; performance.now() < until;) {
      const works: (() => Promise<unknown>)[] = [];
      while (works.length < AT_ONCE) works.push(await prepare());
      await inspector.post('Profiler.start');
      for (const work of works) await work();
      const { profile } = await inspector.post('Profiler.stop');
      all += addTimes(profile, frames);
    }
    const hottest = [...frames].toSorted(([, a], [, b]) => b.all - a.all).slice(0, FRAMES);
    const ofOurs = [...frames.values()].reduce((sum, { all }) => sum + all, 0);
    process.stdout.write(
      `\n${table([
        [`${name}: ${percent(ofOurs / all)} of the time under frames of ours`, 'all', 'self'],
        ...hottest.map(([frame, time]) => [frame, percent(time.all / all), percent(time.self / all)]),
      ])}\n`,
    );
  }
} finally {
  inspector.disconnect();
  await place.close();
}

/**
 * Adds the time that each function of `src` took itself, including calls that are not ours: patterns, JSON, SQLite,
 * ciphers. Returns the time of the whole profile without idling.
 */
function addTimes({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile, frames: Frames): number {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const callers = new Map(
    nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)),
  );
  let all = 0;
  for (const [index, id] of samples.entries()) {
    const time = timeDeltas[index] ?? 0;
    if (byId.get(id)?.callFrame.functionName === '(idle)') continue;
    all += time;
    for (let at: number | undefined = id; at !== undefined; at = callers.get(at)) {
      const name = nameOfOurs(byId.get(at)?.callFrame);
      if (name === undefined) continue;
      const before = frames.get(name) ?? { self: 0, all: 0 };
      frames.set(name, { self: before.self + (at === id ? time : 0), all: before.all + time });
      break;
    }
  }
  return all;
}

function nameOfOurs(frame: Runtime.CallFrame | undefined): string | undefined {
  if (frame === undefined || !frame.url.startsWith('file:')) return undefined;
  const file = relative(ROOT, fileURLToPath(frame.url));
  if (!file.startsWith('src')) return undefined;
  return `${frame.functionName || '(anonymous)'} ${file}:${frame.lineNumber + 1}`;
}

function percent(part: number): string {
  return `${(part * 100).toFixed(1)} %`;
}
