import {
  isRunContextAwareSession,
  type AgentInputItem,
  type RunContext,
  type RunContextAwareSession,
  type Session,
} from '@openai/agents';

/** The members of a session with the run context filled in where the session wants one. */
export interface Calls {
  readonly session: Session;
  getItems(limit?: number): Promise<AgentInputItem[]>;
  addItems(items: AgentInputItem[]): Promise<void>;
  popItem(): Promise<AgentInputItem | undefined>;
  clearSession(): Promise<void>;
  replaceHistoryWithCompaction(items: AgentInputItem[]): Promise<void>;
}

/** Calls a session as the runner does: with the context exactly when the session accepts it. */
export function calls(session: Session, runContext?: RunContext<unknown>): Calls {
  const aware = session as RunContextAwareSession;
  const tail: [RunContext<unknown>?] =
    runContext !== undefined && isRunContextAwareSession(session) ? [runContext] : [];
  return {
    session,
    getItems: async (limit) =>
      tail.length > 0
        ? aware.getItems(limit, ...tail)
        : limit === undefined
          ? session.getItems()
          : session.getItems(limit),
    addItems: async (items) => aware.addItems(items, ...tail),
    popItem: async () => aware.popItem(...tail),
    clearSession: async () => aware.clearSession(...tail),
    replaceHistoryWithCompaction: async (items) => aware.replaceHistoryWithCompaction?.(items, ...tail),
  };
}
