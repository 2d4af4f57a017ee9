import type { Session } from '@openai/agents';
import { interceptSession, type SessionMember } from './intercept.ts';

/** When a fault occurs: before anything was done, or after everything was done, so that only the answer is lost. */
export type FaultTime = 'before' | 'after';

/** Which call fails. */
export interface Fault {
  /** One member, several, or any when absent. */
  readonly member?: SessionMember | readonly SessionMember[];
  /** Which matching call from now on, counted from 1 (the default). */
  readonly nth?: number;
  readonly when: FaultTime;
  /** The error that is thrown; by default an {@link InjectedFault}. */
  readonly error?: Error;
}

/** The default error of a faulty session. */
export class InjectedFault extends Error {
  override readonly name: string = 'InjectedFault';
}

/** A session that fails on demand, see {@link faultySession}. */
export interface FaultySession<S extends Session> {
  /** Has exactly the members of the inner session. */
  readonly session: S;
  /** Schedules a fault; replaces one that has not occurred yet. */
  arm(fault: Fault): void;
  /** Cancels a fault that has not occurred yet. */
  disarm(): void;
  /** How many faults have occurred. */
  readonly struck: number;
}

/** Members that change history. */
export const MUTATING_MEMBERS: readonly SessionMember[] = [
  'addItems',
  'popItem',
  'clearSession',
  'replaceHistoryWithCompaction',
  'applyHistoryMutations',
  'applyHistoryTransaction',
  'addItemsWithCompactionOwnership',
  'runCompaction',
];

/**
 * A session that throws at the n-th call of a member, before the inner session did anything (`'before'`: a refused
 * connection) or after it did everything (`'after'`: a lost acknowledgement). A correct stack converges after a
 * retry in both cases.
 *
 * @example
 * ```ts
 * import { MemorySession } from '@openai/agents';
 * import { faultySession } from 'strongroom/testing';
 *
 * const faulty = faultySession(new MemorySession());
 * faulty.arm({ member: 'addItems', when: 'after' });
 * await faulty.session.addItems([{ role: 'user', content: 'hello' }]).catch(() => undefined);
 * console.log((await faulty.session.getItems()).length, faulty.struck); // 1 1
 * ```
 */
export function faultySession<S extends Session>(inner: S): FaultySession<S> {
  let armed: { readonly fault: Fault; countdown: number } | undefined;
  let struck = 0;
  const session = interceptSession(inner, async ({ member }, next) => {
    if (armed === undefined || !concerns(armed.fault, member) || --armed.countdown > 0) return next();
    const { fault } = armed;
    armed = undefined;
    struck++;
    if (fault.when === 'after') await next();
    throw fault.error ?? new InjectedFault(`injected fault ${fault.when} ${member}`);
  });
  return {
    session,
    arm: (fault) => {
      armed = { fault, countdown: fault.nth ?? 1 };
    },
    disarm: () => {
      armed = undefined;
    },
    get struck() {
      return struck;
    },
  };
}

function concerns(fault: Fault, member: string): boolean {
  if (fault.member === undefined) return true;
  const members: readonly string[] = typeof fault.member === 'string' ? [fault.member] : fault.member;
  return members.includes(member);
}
