import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createProgress, type ProgressOptions } from '../../src/cli/progress.ts';
import { MAINTENANCE } from '../../src/session-contract.ts';
import { linesOf } from '../support/built-cli.ts';
import { filledProject, manySessions } from '../support/cli-project.ts';
import { rounds } from '../support/soak.ts';

interface Watched {
  readonly shown: () => string;
  readonly at: (time: number, done: number) => void;
  readonly end: () => void;
}

function progressOf(mode: ProgressOptions['mode'], total?: number): Watched {
  let shown = '';
  let time = 0;
  const err = new Writable({
    write(chunk: Buffer, _encoding, done) {
      shown += chunk.toString();
      done();
    },
  });
  const progress = createProgress({ err, mode, unit: 'items', total, now: () => time });
  return {
    shown: () => shown,
    at(now, done) {
      time = now;
      progress.at(done);
    },
    end: () => progress.end(),
  };
}

describe('the progress of a command', () => {
  it('shows how many units are done, how fast, and what is left by that', () => {
    const progress = progressOf('terminal', 4_000);
    progress.at(2_000, 1_000);
    expect(progress.shown()).toBe(
      '\r\u001b[2K[#####...............] 1,000 of 4,000 items · 500/s · 6 s left',
    );
  });

  it('shows what is left in minutes and hours', () => {
    const slow = progressOf('terminal', 1_000);
    slow.at(1_000, 1);
    expect(slow.shown()).toContain('1 of 1,000 items · 1/s · 16 min 39 s left');
    const slower = progressOf('terminal', 10_000);
    slower.at(1_000, 1);
    expect(slower.shown()).toContain('2 h 46 min left');
  });

  it('is one JSON object a second at most, and the last state in any case', () => {
    const progress = progressOf('json', 4);
    for (const [time, done] of [
      [0, 1],
      [400, 2],
      [999, 3],
      [1_000, 4],
    ] as const)
      progress.at(time, done);
    progress.end();
    expect(linesOf(progress.shown())).toEqual([
      { event: 'progress', unit: 'items', done: 1, total: 4, rate: 0 },
      { event: 'progress', unit: 'items', done: 4, total: 4, rate: 4, remaining: 0 },
      { event: 'progress', unit: 'items', done: 4, total: 4, rate: 4, remaining: 0 },
    ]);
  });

  it('says nothing of what is left where nobody knows how much there is', () => {
    const progress = progressOf('terminal');
    progress.at(1_000, 50);
    expect(progress.shown()).toBe('\r\u001b[2K50 items · 50/s');
  });

  it('counts the rows of the database, neither more nor less', async () => {
    const [sessions, items] = [rounds(40, 1_000), rounds(5, 100)];
    const project = await filledProject(manySessions(sessions, items));
    const verified = await project.run(['verify']);
    expect(linesOf(verified.stdout)).toMatchObject([{ sessions, records: sessions * items, failed: 0 }]);
    await project.run(['keygen', '--out', 'new.json']);
    const config = await project.read('strongroom.config.mjs');
    await project.write(
      'strongroom.config.mjs',
      config.replace(`{ file: 'key.json' }`, `{ file: 'new.json' }, previous: [{ file: 'key.json' }]`),
    );
    const rewrapped = await project.run(['rewrap']);
    const lines = linesOf(rewrapped.stderr) as { done: number; total: number }[];
    const counts = lines.map(({ done }) => done);
    expect(counts).toEqual(counts.toSorted((one, other) => one - other));
    expect(new Set(lines.map(({ total }) => total))).toEqual(new Set([sessions]));
    expect(counts.at(-1)).toBe(sessions);
    const kids = new Set<string>();
    for await (const { kid } of project.store[MAINTENANCE]?.dekStore.list() ?? []) kids.add(kid);
    expect([...kids]).toEqual([(JSON.parse(await project.read('new.json')) as { kid: string }).kid]);
  });
});
