import type { RunConfig } from '@openai/agents';
import { checkOptions, invalidOption } from './options.ts';

/** Options of {@link complianceRunConfig}. */
export interface ComplianceRunConfigOptions {
  /**
   * `'off'`: no trace at all. `'metadata'`: spans with names, times and token counts, without content. Agents used
   * as tools do not inherit the latter (SDK 0.20.0): give each `asTool()` its own `runConfig` with it.
   *
   * @defaultValue 'off'
   */
  readonly tracing?: 'off' | 'metadata';
  /**
   * Ask the Responses API for encrypted reasoning. Reasoning models need it, because with `store: false` the API
   * keeps no reasoning items that a later call could refer to; other models refuse it. It replaces the `include`
   * list that the SDK makes from hosted tools.
   *
   * @defaultValue false
   */
  readonly encryptedReasoning?: boolean;
}

/** What {@link complianceRunConfig} returns: a part of the SDK's `RunConfig`. */
export type ComplianceRunConfig = Required<
  Pick<RunConfig, 'tracingDisabled' | 'traceIncludeSensitiveData' | 'modelSettings'>
>;

/**
 * Settings for `new Runner()` that keep content out of traces, and ask the Responses API not to store responses.
 * They are runner settings: the function `run()` does not take them.
 *
 * What it cannot set:
 * - An agent whose own `modelSettings` have `store: true` or a `providerData` wins over the runner's.
 * - The SDK's debug logs hold content when `OPENAI_AGENTS_DONT_LOG_MODEL_DATA` or `OPENAI_AGENTS_DONT_LOG_TOOL_DATA`
 * is `0` or `false`; unset means that they do not (SDK 0.20.0). `setSensitiveDataLoggingEnabled(false)` of
 * `@openai/agents-core` turns this off for the process.
 * - A serialized `RunState` holds the history in clear, and so do your own logs, tools and guardrails.
 * - Copies that the provider keeps for other reasons (abuse monitoring, prompt caching): your contract with the
 *   provider decides.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`
 *
 * @example
 * ```ts
 * import { Runner } from '@openai/agents';
 * import { complianceRunConfig } from 'strongroom';
 *
 * const runner = new Runner({ ...complianceRunConfig(), workflowName: 'support' });
 * ```
 */
export function complianceRunConfig(options: ComplianceRunConfigOptions = {}): ComplianceRunConfig {
  checkOptions('complianceRunConfig', options, ['tracing', 'encryptedReasoning']);
  const { tracing = 'off', encryptedReasoning = false } = options;
  if (tracing !== 'off' && tracing !== 'metadata') {
    invalidOption('complianceRunConfig', 'tracing', "'off' or 'metadata'", tracing);
  }
  if (typeof encryptedReasoning !== 'boolean') {
    invalidOption('complianceRunConfig', 'encryptedReasoning', 'true or false', encryptedReasoning);
  }
  return {
    tracingDisabled: tracing === 'off',
    // Also set when tracing is off: turning tracing on again must not add content.
    traceIncludeSensitiveData: false,
    modelSettings: {
      store: false,
      ...(encryptedReasoning && { providerData: { include: ['reasoning.encrypted_content'] } }),
    },
  };
}
