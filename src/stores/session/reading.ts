import type { AgentInputItem } from '@openai/agents';
import { readLimit } from '../../protocol/arguments.ts';
import type { Queue } from '../../queue.ts';
import type { PastRecord } from '../../session-contract.ts';
import { mapInSlices } from '../../slices.ts';
import type { StoreDriver, StoredRecord } from '../driver.ts';
import { createDecoder } from '../record.ts';

/** More than any history has, and a count that every database accepts. */
const MOST_ROWS = 0x7fff_ffff;

/** The parts that reads of one session need. */
export interface Reading {
  items(
    limit: number | undefined,
    decode: (record: StoredRecord) => AgentInputItem,
  ): Promise<AgentInputItem[]>;
  past(count: number | undefined, skip: number): Promise<readonly PastRecord[]>;
}

export function createReading(driver: Pick<StoreDriver, 'read'>, queue: Queue, sessionId: string): Reading {
  const rows = (count: number | undefined): number | undefined =>
    count === undefined ? undefined : Math.min(count, MOST_ROWS);
  return {
    async items(limit, decode) {
      const count = readLimit(limit);
      if (count === 0) return [];
      const records = await queue.read(() => driver.read(sessionId, rows(count)));
      return await mapInSlices(records, decode, 1);
    },
    async past(count, skip) {
      const records = await queue.read(() => driver.read(sessionId, rows(count), skip));
      const decode = createDecoder(sessionId);
      const toPast = (record: StoredRecord): PastRecord => ({
        record: decode(record),
        writtenAt: record.writtenAt,
      });
      return await mapInSlices(records, toPast, 1);
    },
  };
}
