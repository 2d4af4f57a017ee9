import {
  MemorySession,
  type AgentInputItem,
  type RunContext,
  type RunContextAwareSession,
} from '@openai/agents';

export interface TenantContext {
  readonly tenant: string;
}

/** A session that chooses its history by the run context, and refuses to guess when there is none. */
export class TenantSession implements RunContextAwareSession<TenantContext> {
  readonly acceptsRunContext = true;
  readonly buckets: Map<string, MemorySession> = new Map();
  readonly #sessionId: string;
  readonly #fallback: string | undefined;

  /** @param fallback The tenant of calls without a run context; without it they throw. */
  constructor(sessionId: string = 'tenants-1', fallback?: string) {
    this.#sessionId = sessionId;
    this.#fallback = fallback;
  }

  #bucket(runContext?: RunContext<TenantContext>): MemorySession {
    const tenant = runContext?.context.tenant ?? this.#fallback;
    if (tenant === undefined) throw new Error('TenantSession: a call came without its run context.');
    let bucket = this.buckets.get(tenant);
    if (bucket === undefined) this.buckets.set(tenant, (bucket = new MemorySession({ sessionId: tenant })));
    return bucket;
  }

  getSessionId(): Promise<string> {
    return Promise.resolve(this.#sessionId);
  }

  async getItems(limit?: number, runContext?: RunContext<TenantContext>): Promise<AgentInputItem[]> {
    return this.#bucket(runContext).getItems(limit);
  }

  async addItems(items: AgentInputItem[], runContext?: RunContext<TenantContext>): Promise<void> {
    await this.#bucket(runContext).addItems(items);
  }

  async popItem(runContext?: RunContext<TenantContext>): Promise<AgentInputItem | undefined> {
    return this.#bucket(runContext).popItem();
  }

  async clearSession(runContext?: RunContext<TenantContext>): Promise<void> {
    await this.#bucket(runContext).clearSession();
  }
}
