import { agentOf } from '../protocol/agent-field.ts';
import { cloneItem } from '../protocol/item.ts';
import { plainRecord, takesParts } from '../protocol/sealed-record.ts';
import type { ReadPage } from '../session-contract.ts';
import { hasSkipped } from './calls.ts';
import type { Parts } from './parts.ts';

/** Pages of the visible items: a call `getItems` that opens only their records, without a cache. */
export function createPages({ inner, stack, pipeline, histories, calls }: Parts): ReadPage {
  return async ({ limit, runContext, actor, purpose }, find) =>
    calls.read('getItems', { limit, runContext, actor, purpose }, async (call) => {
      const page = await find(
        async (count, skip) => {
          call.result.unanswered = true;
          const records = await inner.past(count, skip, runContext);
          call.result.unanswered = false;
          if (takesParts(call)) return records;
          return records.map((past) => ({ ...past, record: plainRecord(past.record) }));
        },
        async (records) => {
          if (!stack.transforms) return records.map((item) => ({ item }));
          const opened = await pipeline.open(records, call);
          if (call.skippedRecords || hasSkipped(opened)) histories.setRecords(call, 'skipped');
          return opened.map(
            ({ visible }) =>
              visible && {
                item: cloneItem(visible.item),
                at: visible.header.t,
                agent: agentOf(visible.header),
              },
          );
        },
      );
      call.result.items = page.items.length;
      return page;
    });
}
