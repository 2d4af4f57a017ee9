import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { handoffScenario, turnScenario } from '../../src/testing/scenarios.ts';
import { INNERS, type InnerCase } from '../support/inners.ts';
import { rounds } from '../support/soak.ts';
import { BARE, STACKS, type StackCase } from '../support/stacks.ts';
import {
  approvalCell,
  blockedCell,
  FAULTS,
  scenarioCell,
  serverCompactionCell,
  type CellFault,
} from './matrix.ts';
import { aiSdkItems, hostedMcpScenario, INPUTS, sandboxScenario } from './more-scenarios.ts';

type NamedCheck = readonly [name: string, check: () => Promise<unknown>];

/** Every cell of one inner session under one stack. */
export function cells(inner: InnerCase, stack: StackCase, stream: boolean): NamedCheck[] {
  const checks: NamedCheck[] = [];
  const cell = { inner, stack, stream };
  const how = stream ? 'streamed' : 'not streamed';
  for (const fault of FAULTS) {
    const when = fault === 'none' ? 'no fault' : `a fault ${fault} the commit`;
    for (const resume of ['live', 'serialized'] as const) {
      checks.push([
        `an approval resumed ${resume}, ${when}, ${how}`,
        () =>
          cannotBeSerialized(inner, stack, fault, resume)
            ? expectDefect(approvalCell(cell, fault, resume))
            : approvalCell(cell, fault, resume),
      ]);
    }
    for (const phase of ['blocked', 'accepted'] as const) {
      if (fault === 'none' && phase === 'accepted') continue;
      const at = fault === 'none' ? '' : ` when it is ${phase}`;
      checks.push([
        `an answer blocked and then accepted, ${when}${at}, ${how}`,
        () => blockedCell(cell, fault, phase),
      ]);
    }
    for (const nth of fault === 'none' ? [1] : [1, 2]) {
      const at = fault === 'none' ? '' : ` of write ${nth}`;
      checks.push([
        `a compaction item of the service, ${when}${at}, ${how}`,
        () => serverCompactionCell(cell, fault, nth),
      ]);
    }
  }
  checks.push([`a handoff, ${how}`, () => scenarioCell(cell, 'handoff', handoffScenario)]);
  checks.push([`a sandbox run, ${how}`, () => scenarioCell(cell, 'sandbox', sandboxScenario)]);
  for (const [form, input] of INPUTS) {
    checks.push([
      `input as ${form}, ${how}`,
      () => scenarioCell(cell, form, async (stage) => turnScenario(stage, input)),
    ]);
  }
  // What the service does to items that it does not know is its own affair; under an envelope it sees none.
  if (inner.reshapes === true && !stack.enveloped) return checks;
  checks.push([`a hosted MCP tool, approved, ${how}`, () => scenarioCell(cell, 'mcp', hostedMcpScenario)]);
  checks.push([
    `items as an adapter for other models makes them, ${how}`,
    () =>
      scenarioCell(cell, 'adapter', async (stage) =>
        turnScenario(stage, 'An ordinary question.', aiSdkItems()),
      ),
  ]);
  return checks;
}

/**
 * A defect of `@openai/agents` 0.20.0: `OpenAIConversationsSession` normalizes into items of the API's shape, which
 * a RunState refuses to serialize while a resumed write is not acknowledged. A live resume works, and an envelope
 * cures it, because then the session's own normalization is not needed.
 */
function cannotBeSerialized(inner: InnerCase, stack: StackCase, fault: CellFault, resume: string): boolean {
  return inner.reshapes === true && !stack.enveloped && fault !== 'none' && resume === 'serialized';
}

async function expectDefect(attempt: Promise<unknown>): Promise<void> {
  await expect(attempt).rejects.toThrow('Failed to serialize run state');
}

/**
 * Declares the whole matrix, streamed or not; one file each, so that two cores share it. The short form tries each cell in
 * one of the two ways, so that every scenario is streamed under some stacks and around some sessions, and not in others.
 */
export function faultMatrix(stream: boolean): void {
  const { warn } = console;
  beforeAll(() => {
    // The SDK tells of each rollback that a fault of ours makes it do.
    vi.spyOn(console, 'warn').mockImplementation((...said: unknown[]) => {
      if (!String(said[0]).startsWith('Restored session history')) warn(...said);
    });
  });
  afterAll(() => {
    vi.restoreAllMocks();
  });

  const stacks = [BARE, ...STACKS].map((stack, index) => ({ ...stack, index }));
  describe.each(stacks)('under $name', (stack) => {
    describe.each(INNERS)('around $name', (inner) => {
      const first = stack.index + INNERS.indexOf(inner) + Number(stream);
      const tried = cells(inner, stack, stream).filter((_, index) => rounds((first + index) % 4, 0) === 0);
      test.each(tried)('%s', async (_, check) => {
        await expect(check()).resolves.not.toThrow();
      });
    });
  });
}
