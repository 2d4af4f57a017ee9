import { afterEach, describe, expect, it, vi } from 'vitest';
import { sequenceOf, type SequenceNumber } from '../../src/layers/encrypt/sequence/field.ts';
import { createSequenceWriter } from '../../src/layers/encrypt/sequence/writer.ts';
import { handMadeCall } from './hand-made-call.ts';
import { startupSnapshot } from '../support/startup-snapshot.ts';

afterEach(() => void vi.restoreAllMocks());

const numbered = (field: string): SequenceNumber => sequenceOf({ 'x-q': field }) as SequenceNumber;

describe('the name of a writer', () => {
  it('differs in each process that was started from one snapshot', () => {
    const snapshot = startupSnapshot(
      { writer: new URL('../../src/layers/encrypt/sequence/writer.ts', import.meta.url) },
      `const { createSequenceWriter } = load('writer');
      const call = { kind: 'addItems', layers: [], sessionId: 's', routesByRunContext: false, result: {} };
      const writer = createSequenceWriter();
      const before = writer.number([{}], call);
      return () => JSON.stringify([before[0], ...writer.number([{}, {}], call)]);`,
    );
    try {
      const processes = ['one', 'other'].map((name) =>
        (JSON.parse(snapshot.run(name)) as string[]).map(numbered),
      );
      const names = processes.flatMap((numbers) => numbers.map(({ writer }) => writer));
      // The one before the snapshot, and one of each process.
      expect(new Set(names).size).toBe(3);
      for (const numbers of processes) expect(numbers.map(({ number }) => number)).toEqual([0, 0, 1]);
    } finally {
      snapshot.remove();
    }
  });

  it('stays without a jump of the clocks, and changes with one or with the process id', () => {
    const writer = createSequenceWriter();
    const call = handMadeCall({ kind: 'addItems' });
    const next = (): SequenceNumber => numbered(writer.number([{}], call)[0] as string);
    const [first, second] = [next(), next()];
    expect(second).toEqual({ ...first, number: 1 });

    const now = Date.now();
    vi.spyOn(Date, 'now').mockImplementation(() => now + 3_600_000);
    const restored = next();
    expect(restored.number).toBe(0);
    expect(restored.writer).not.toBe(first.writer);
    vi.restoreAllMocks();

    const here = next();
    vi.spyOn(process, 'pid', 'get').mockReturnValue(process.pid + 1);
    const forked = next();
    expect(forked.number).toBe(0);
    expect(new Set([first, restored, here, forked].map((each) => each.writer)).size).toBe(4);
  });
});
