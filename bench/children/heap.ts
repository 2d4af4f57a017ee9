// Prints what 4,000 kept items of 1 KB cost in memory, as bytes for each byte of their JSON:
//   node --expose-gc --conditions=strongroom-source bench/children/heap.ts CANDIDATE
import type { AgentInputItem } from '@openai/agents';
import { generateKey } from '../../src/index.ts';
import { conversation } from '../items.ts';
import { fill, memorySession, ours, fullStack } from '../stacks.ts';

const COUNT = 4_000;
const candidate = process.argv[2];

/** The items as they come out of a database: parsed, with texts of their own. */
function parsed(): unknown[] {
  return conversation(COUNT).map((item) => JSON.parse(JSON.stringify(item)) as unknown);
}

/** Bytes that this process holds after garbage collection of everything that only the last call referenced. */
async function held(): Promise<number> {
  for (let round = 0; round < 4; round++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    globalThis.gc?.();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Prepares the measurement: compiled code, statements and keys, as every process has them. */
async function prepare(): Promise<() => Promise<unknown>> {
  if (candidate === 'parsed items') return async () => parsed();
  if (candidate === 'MemorySession') {
    const session = memorySession([]);
    return async () => {
      await fill(session, parsed() as AgentInputItem[]);
      return session;
    };
  }
  const key = await generateKey();
  const place = ours('full stack', () => fullStack(key, { freeze: candidate === 'cache(), frozen' }));
  process.on('exit', () => void place.close());
  await fill(place.anew('history'), conversation(COUNT));
  await place.anew('history').getItems();
  const session = place.anew('history');
  await session.getItems(1);
  return async () => {
    await session.getItems();
    return session;
  };
}

const bytes = conversation(COUNT).reduce((sum, item) => sum + Buffer.byteLength(JSON.stringify(item)), 0);
const work = await prepare();
const before = await held();
const kept = await work();
const after = await held();
process.stdout.write(`${(after - before) / bytes}\n`);
// This use keeps the items referenced until here.
if (kept === undefined) throw new Error('Nothing was kept.');
