import { expect, test } from 'vitest';
import { StrongroomError } from '../../src/errors.ts';
import { createRedactor } from '../../src/redaction/index.ts';
import { rounds } from '../support/soak.ts';
import { numbers, randomText } from './random-text.ts';

/** How many seeds, and how many texts of each: the long form is a million, in parts that each report when they are done. */
const SEEDS = Array.from({ length: rounds(1, 20) }, (_, index) => 8 + index);
const TEXTS = rounds(1_500, 50_000);

test.each(SEEDS)(
  'random texts are redacted or refused by a typed error, and a second redaction changes nothing (seed %i)',
  async (seed) => {
    const redactor = createRedactor({ decode: ['percent', 'base64'] });
    const next = numbers(seed);
    const failures: string[] = [];
    for (let round = 0; round < TEXTS; round++) {
      const text = randomText(next);
      try {
        const once = await redactor.redactText(text);
        if ((await redactor.redactText(once)) !== once) failures.push(text);
      } catch (error) {
        if (!(error instanceof StrongroomError)) failures.push(`${String(error)}: ${text}`);
      }
    }
    expect(failures).toEqual([]);
  },
  3_600_000,
);
