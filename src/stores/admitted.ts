import {
  ADMIT,
  COPY,
  COPY_RECORDS,
  OPERATIONS,
  RECORDS,
  SHARE_RECORDS,
  VERSION,
} from '../session-contract.ts';
import type { Scope } from './admission.ts';
import type { StoreSession } from './session.ts';

/** A session whose calls the store waits for when it closes, and refuses at once afterwards. */
export function admitted(session: StoreSession, scope: Scope): StoreSession {
  const enter =
    <A extends unknown[], T>(call: (...args: A) => Promise<T>): ((...args: A) => Promise<T>) =>
    (...args: A) =>
      scope.run(() => call(...args));
  const members: StoreSession = {
    ...session,
    getItems: enter((limit?: number) => session.getItems(limit)),
    addItems: enter((items) => session.addItems(items)),
    popItem: enter(() => session.popItem()),
    clearSession: enter(() => session.clearSession()),
    replaceHistoryWithCompaction: enter((items) => session.replaceHistoryWithCompaction(items)),
    applyHistoryTransaction: enter((args) => session.applyHistoryTransaction(args)),
    applyHistoryMutations: enter((args) => session.applyHistoryMutations(args)),
    replacePrefix: enter((args) => session.replacePrefix(args)),
    [OPERATIONS]: { has: enter((operationId) => session[OPERATIONS].has(operationId)) },
    [VERSION]: { ...session[VERSION], read: enter(async () => session[VERSION].read()) },
    [COPY]: enter((plan) => session[COPY](plan)),
    [COPY_RECORDS]: enter((args) => session[COPY_RECORDS](args)),
    ...(session[SHARE_RECORDS] !== undefined && { [SHARE_RECORDS]: enter(session[SHARE_RECORDS]) }),
    [ADMIT]: scope.admit,
  };
  const admittedSession: StoreSession = {
    ...members,
    [RECORDS]: {
      ...session[RECORDS],
      of: () => admittedSession,
      members,
      read: enter((limit) => session[RECORDS].read(limit)),
      past: enter((count, skip) => session[RECORDS].past(count, skip)),
    },
  };
  return admittedSession;
}
