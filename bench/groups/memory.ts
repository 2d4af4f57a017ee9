import type { Group } from '../group.ts';
import { numberFrom } from '../children/run.ts';
import { compareSamples, type Sampler } from '../rounds.ts';

const CANDIDATES = ['parsed items', 'MemorySession', 'cache()', 'cache(), frozen'];

export const memoryGroup: Group = {
  title: 'Memory of a kept item',
  note: 'Heap and external memory that 4,000 kept items of 1 KB take, in units of their JSON; each measurement in a process of its own.',
  async *measure({ rounds }) {
    const samplers: Sampler[] = [
      { name: 'JSON', sample: () => 1 },
      ...CANDIDATES.map((name) => ({
        name,
        sample: () =>
          numberFrom(['--expose-gc', '--conditions=strongroom-source', 'bench/children/heap.ts', name]),
      })),
    ];
    const results = await compareSamples(samplers, rounds);
    yield { title: 'memory', unit: 'bytes', base: 'JSON', columns: [{ title: 'a byte of JSON', results }] };
  },
};
